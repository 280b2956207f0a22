"""Who owns which field: server-side apply, as structured-merge-diff and apimachinery's field managers define it.

`paths` holds sets of field paths and their form in managedFields (FieldsV1); `typed` what a schema says of how lists
and maps merge; `compare`, `merge` what changed between two values, and what one laid over the other gives; `managers`
the entries of managedFields; `apply` the two things that happen to an object: it is written, or a configuration is
applied to it.

The seam to whoever has a schema is `typed.object_type(schema)`, for any OpenAPI v3 schema dict with `x-kubernetes-*`
extensions.
"""

from roadstead.kinds.fields.apply import Conflicts, Place, applied, not_convertible, updated

__all__ = ["Conflicts", "Place", "applied", "not_convertible", "updated"]
