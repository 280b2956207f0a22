"""CustomResourceDefinition (apiextensions.k8s.io/v1): names, one storage version, structural schemas.

Names are accepted and the definition is established by who serves it (`cluster.embedded.definitions`), not on the way
in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from roadstead.kinds import formats
from roadstead.kinds.apiextensions.definition_checks import change_errors, definition_errors
from roadstead.kinds.builtin import STATUS, builtin_kind, keep
from roadstead.kinds.errors import FieldError
from roadstead.kinds.names import DEFINITIONS, INSTANCES_FINALIZER
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Column, Strategy
from roadstead.kinds.times import format_time

_NAME: Final[Json] = {"kind": "", "plural": ""}


class DefinitionStrategy(Strategy):
    """CustomResourceDefinitions."""

    has_generation = True
    unconditional_update = False
    has_status = True
    creates_status = True  # it is made below
    columns = (Column("Name", format="name"), Column("Created At", "date"))

    def default(self, obj: Json) -> None:
        spec = obj.setdefault("spec", {})
        names = spec.setdefault("names", {})
        kind = names.get("kind", "")
        if not names.get("singular") and kind:
            names["singular"] = kind.lower()
        if not names.get("listKind") and kind:
            names["listKind"] = f"{kind}List"
        conversion = spec.setdefault("conversion", {"strategy": "None"})
        service = ((conversion.get("webhook") or {}).get("clientConfig") or {}).get("service")
        if service is not None:
            service.setdefault("port", 443)

    def prepare_create(self, obj: Json) -> None:
        obj["status"] = {"conditions": None, "acceptedNames": dict(_NAME), "storedVersions": _storage(obj) or None}

    def prepare_update(self, new: Json, old: Json, subresource: str) -> None:
        if subresource == "status":
            keep(new, old, "spec")
            return
        keep(new, old, "status")
        stored = (new.get("status") or {}).get("storedVersions") or []
        added = [version for version in _storage(new) if version not in stored]
        if added:
            new["status"] = {**(new.get("status") or {}), "storedVersions": [*stored, *added]}

    def validate(self, obj: Json) -> list[FieldError]:
        return definition_errors(obj)

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        """What was wrong before may stay: rules have been tightened over the years."""
        if subresource == "status" or new.get("spec") == old.get("spec"):
            return []
        before = {(error.field, error.body) for error in definition_errors(old)}
        found = [error for error in definition_errors(new) if (error.field, error.body) not in before]
        return found + change_errors(new, old, is_established=has_condition(old, "Established"))

    def warnings(self, obj: Json) -> list[str]:
        return [f'unrecognized format "{name}"' for name in _unrecognized(obj)]

    def cells(self, obj: Json, now: float) -> list[Any]:
        return [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp", "")]


def _storage(obj: Json) -> list[str]:
    """The storage version, as a list of one."""
    return [version["name"] for version in obj["spec"].get("versions") or () if version.get("storage")][:1]


def has_condition(crd: Json, type: str) -> bool:
    """The condition is True."""
    return any(
        condition.get("type") == type and condition.get("status") == "True"
        for condition in (crd.get("status") or {}).get("conditions") or ()
    )


def mark_deleted(obj: Json, now: int) -> None:
    """What a DELETE does to a definition beyond the mark: its objects go first
    (`registry/customresourcedefinition/etcd.go`)."""
    finalizers = obj["metadata"].setdefault("finalizers", [])
    if INSTANCES_FINALIZER not in finalizers:
        finalizers.append(INSTANCES_FINALIZER)
    set_condition(
        obj,
        now,
        "Terminating",
        "True",
        "InstanceDeletionPending",
        "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    )


def set_condition(crd: Json, now: int, type: str, truth: str, reason: str, message: str) -> None:
    """Set a condition in place; its time changes with its status only."""
    status: Json = crd.setdefault("status", {})
    conditions: list[Json] = status.get("conditions") or []
    status["conditions"] = conditions
    found = next((condition for condition in conditions if condition["type"] == type), None)
    if found is None:
        found = {"type": type}
        conditions.append(found)
    if found.get("status") != truth:
        found["lastTransitionTime"] = format_time(now)
    found.update({"status": truth, "reason": reason, "message": message})


def _unrecognized(crd: Json) -> Iterator[str]:
    for version in crd["spec"].get("versions") or ():
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is not None:
            yield from _formats(schema)


def _formats(schema: Json) -> Iterator[str]:
    form = schema.get("format")
    if form and not formats.recognized(schema.get("type") or "", form):
        yield form
    for name in ("items", "additionalProperties", "not"):
        if isinstance(schema.get(name), dict):
            yield from _formats(schema[name])
    for name in ("allOf", "anyOf", "oneOf"):
        for inner in schema.get(name) or ():
            yield from _formats(inner)
    for inner in (schema.get("properties") or {}).values():
        yield from _formats(inner)


def kind() -> Kind:
    made = builtin_kind(
        DEFINITIONS,
        "CustomResourceDefinition",
        DefinitionStrategy(),
        namespaced=False,
        short_names=("crd", "crds"),
        categories=("api-extensions",),
        subresources=(STATUS,),
    )
    return replace(made, has_protobuf=False)
