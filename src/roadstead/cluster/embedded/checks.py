"""Where a write meets its kind: schema, defaults, validation. One place, so that every path into the store asks the
same."""

from __future__ import annotations

from collections.abc import Sequence

from roadstead.cluster.embedded.requests import WriteOptions
from roadstead.kinds import metadata as rules
from roadstead.kinds.errors import FieldError, invalid_object
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind


def check_and_default(kind: Kind, obj: Json, options: WriteOptions) -> list[str]:
    """Types are right (else StatusError 400) and defaults filled in, in place. Gives warnings about unknown and
    duplicate fields, or refuses them, as `options.field_validation` says."""
    found = kind.schema.check(obj, options.field_validation)
    kind.strategy.default(obj)
    return found


def validate_new(kind: Kind, obj: Json, said: Sequence[str] = ()) -> None:
    """Raises StatusError 422 naming every field that is wrong, beside the warnings `said` so far."""
    errors = [*rules.validate_create(kind, obj), *kind.strategy.validate(obj)]
    if errors:
        metadata = obj["metadata"]
        name = metadata.get("name") or metadata.get("generateName") or ""
        refusal = invalid_object(kind.resource.group, kind.kind, name, errors)
        refusal.warnings = said
        raise refusal


def validate_change(
    kind: Kind, new: Json, old: Json, subresource: str, found: Sequence[FieldError], said: Sequence[str] = ()
) -> None:
    """Raises StatusError 422 naming every field that is wrong or may not change, beginning with what was `found`
    before, beside the warnings `said` so far."""
    errors = [
        *rules.validate_update(kind, new, old, found),
        *kind.strategy.validate_update(new, old, subresource),
    ]
    if errors:
        refusal = invalid_object(kind.resource.group, kind.kind, new["metadata"]["name"], errors)
        refusal.warnings = said
        raise refusal


def warnings_of(kind: Kind, obj: Json, old: Json | None = None) -> list[str]:
    """Texts for Warning headers on create, and on update of `old`."""
    about = kind.strategy.warnings(obj) if old is None else kind.strategy.warnings_of_change(obj, old)
    return [*rules.warnings(obj, is_custom=kind.is_custom), *about]
