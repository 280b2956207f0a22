"""Metadata that clients write: names, labels, annotations, owners, finalizers (apimachinery
`api/validation/objectmeta`).

What the server owns (uid, resourceVersion, generation, times) is kept by the store and not looked at here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from roadstead.expr import syntax
from roadstead.kinds import errors
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.names import FOREGROUND_FINALIZER, ORPHAN_FINALIZER
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind

ANNOTATIONS_LIMIT: Final = 256 * 1024
_STANDARD_FINALIZERS: Final = frozenset({"kubernetes", ORPHAN_FINALIZER, FOREGROUND_FINALIZER})
_BANNED_OWNERS: Final = frozenset({("v1", "Event")})


def validate_create(kind: Kind, obj: Json) -> list[FieldError]:
    """What is wrong with a new object's metadata."""
    metadata: Json = obj["metadata"]
    found: list[FieldError] = []
    rule = kind.strategy.name_rule
    base = metadata.get("generateName")
    if base:
        found += [invalid("metadata.generateName", base, why) for why in rule(_without_dash(base))]
    name = metadata.get("name")
    if not name:
        found.append(errors.required("metadata.name", "name or generateName is required"))
    else:
        found += [invalid("metadata.name", name, why) for why in rule(name)]
    namespace = metadata.get("namespace")
    if kind.namespaced:
        if not namespace:
            found.append(errors.required("metadata.namespace"))
        else:
            found += [invalid("metadata.namespace", namespace, why) for why in syntax.dns_label(namespace)]
    elif namespace:
        found.append(errors.forbidden("metadata.namespace", "not allowed on this type"))
    found += check_labels(metadata.get("labels"), "metadata.labels")
    found += check_annotations(metadata.get("annotations"), "metadata.annotations")
    found += _owners(metadata.get("ownerReferences"))
    found += _finalizers(metadata.get("finalizers"), is_custom=kind.is_custom)
    return found


def validate_update(kind: Kind, new: Json, old: Json, known: Sequence[FieldError] = ()) -> list[FieldError]:
    """What is wrong with a changed object's metadata, beginning with what is `known` of fields that nobody may change.
    Of built-in kinds each problem is listed as often as the real server asks: once and again for all kinds, and by most
    kinds' own rules."""
    metadata, before = new["metadata"], old["metadata"]
    found: list[FieldError] = []
    if before.get("deletionTimestamp"):
        had = before.get("finalizers") or ()
        added = [name for name in metadata.get("finalizers") or () if name not in had]
        if added:
            listed = ", ".join(errors.go_quote(name) for name in added)
            why = (
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{"
                + listed
                + "}"
            )
            found.append(errors.forbidden("metadata.finalizers", why))
    for name in ("name", "namespace"):
        if metadata.get(name, "") != before.get(name, ""):
            found.append(invalid(f"metadata.{name}", metadata.get(name, ""), "field is immutable"))
    found += known
    always = check_labels(metadata.get("labels"), "metadata.labels")
    always += check_annotations(metadata.get("annotations"), "metadata.annotations")
    always += _owners(metadata.get("ownerReferences"))
    found += always
    if kind.is_custom:
        return [*always, *found, *found]
    changes, whole, named = _ASKED.get(kind.resource.plural, (True, True, True))
    names = [] if not named else _unqualified(metadata.get("finalizers"))
    return [
        *always,
        *found,
        *((*found, *names) if changes else ()),
        *((*always, *names) if whole else ()),
    ]


_ASKED: Final = {
    "limitranges": (False, True, True),
    "priorityclasses": (True, False, True),
    "leases": (True, False, False),
    "runtimeclasses": (True, True, False),
    "events": (False, False, False),
}
"""What the own rules of a built-in kind ask of metadata once more: what may not change, what holds of new objects too,
and whether finalizers have a domain. All three where it is not listed."""


def warnings(obj: Json, *, is_custom: bool) -> list[str]:
    """Advice about metadata that is allowed: finalizers of custom kinds without a domain."""
    advice = (
        "prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer "
        "writers"
    )
    return [
        f"metadata.finalizers: {errors.go_quote(name)}: {advice}"
        for name in obj["metadata"].get("finalizers") or ()
        if is_custom and "/" not in name and name not in _STANDARD_FINALIZERS
    ]


def _without_dash(base: str) -> str:
    """A generateName may end in a dash: something is appended to it."""
    return base[:-2] + "a" if len(base) > 1 and base.endswith("-") else base


def check_labels(values: Any, path: str) -> list[FieldError]:
    """What is wrong with a map of labels."""
    if not values:
        return []
    found: list[FieldError] = []
    for key, value in values.items():
        for why in syntax.label_key(key):
            found.append(invalid(path, key, why))
        for why in syntax.label_value(value):
            found.append(invalid(path, value, why))
    return found


def check_annotations(values: Any, path: str) -> list[FieldError]:
    """What is wrong with a map of annotations: keys (compared in lower case) and the total size."""
    if not values:
        return []
    found: list[FieldError] = []
    size = 0
    for key, value in values.items():
        for why in syntax.qualified_name(key.lower()):
            found.append(invalid(path, key, why))
        size += len(key) + len(value)
    # most annotations are ASCII: count bytes only where characters come close
    if size * 4 > ANNOTATIONS_LIMIT:
        size = sum(len(key.encode()) + len(value.encode()) for key, value in values.items())
        if size > ANNOTATIONS_LIMIT:
            found.append(errors.too_long(path, ANNOTATIONS_LIMIT))
    return found


def _owners(references: Any) -> list[FieldError]:
    if not references:
        return []
    path = "metadata.ownerReferences"
    found: list[FieldError] = []
    controller = ""
    for reference in references:
        version, kind = reference.get("apiVersion", ""), reference.get("kind", "")
        if not version or version.count("/") > 1 or version.endswith("/"):
            found.append(invalid(f"{path}.apiVersion", version, "version must not be empty"))
        for name in ("kind", "name", "uid"):
            if not reference.get(name):
                found.append(invalid(f"{path}.{name}", reference.get(name, ""), "must not be empty"))
        if (version, kind) in _BANNED_OWNERS:
            group, slash, rest = version.rpartition("/")
            why = f"{group if slash else ''}/{rest}, Kind={kind} is disallowed from being an owner"
            found.append(invalid(path, reference, why))
        if reference.get("controller"):
            this = f"{kind}/{reference.get('name', '')}"
            if controller:
                why = (
                    'Only one reference can have Controller set to true. Found "true" in references for '
                    f"{controller} and {this}"
                )
                found.append(invalid(path, references, why))
            else:
                controller = this
    return found


def _finalizers(names: Any, *, is_custom: bool) -> list[FieldError]:
    if not names:
        return []
    path = "metadata.finalizers"
    found = [invalid(path, name, why) for name in names for why in syntax.qualified_name(name)]
    if ORPHAN_FINALIZER in names and FOREGROUND_FINALIZER in names:
        why = f"finalizer {ORPHAN_FINALIZER} and {FOREGROUND_FINALIZER} cannot be both set"
        found.append(invalid(path, names, why))
    return found if is_custom else found + _unqualified(names)


def _unqualified(names: Any) -> list[FieldError]:
    """The finalizers that are neither Kubernetes' own nor of somebody's domain."""
    why = "name is neither a standard finalizer name nor is it fully qualified"
    return [
        invalid(f"metadata.finalizers[{index}]", name, why)
        for index, name in enumerate(names or ())
        if "/" not in name and name not in _STANDARD_FINALIZERS
    ]
