"""RuntimeClass (node.k8s.io/v1): how pods are run, what that costs beside their own requests, and on which nodes it
works (kubernetes pkg/apis/node/validation; KEP-585, KEP-688)."""

from __future__ import annotations

from typing import Any

from roadstead.expr import syntax
from roadstead.kinds import ages, errors
from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.core.resources import validate_requirements
from roadstead.kinds.core.scheduling import validate_tolerations
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.metadata import check_labels
from roadstead.kinds.names import RUNTIME_CLASSES
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Column, Strategy


class RuntimeClassStrategy(Strategy):
    """Runtime classes: the handler never changes."""

    create_on_update = True
    unconditional_update = False
    columns = (Column("Name", format="name"), Column("Handler"), Column("Age"))

    def validate(self, obj: Json) -> list[FieldError]:
        found: list[FieldError] = []
        handler = obj.get("handler") or ""
        if not handler:
            found.append(errors.required("handler"))
        else:
            found.extend(invalid("handler", handler, why) for why in syntax.dns_label(handler))
        if obj.get("overhead"):
            validate_requirements({"limits": obj["overhead"].get("podFixed") or {}}, None, "overhead", found)
        if obj.get("scheduling"):
            _scheduling(obj["scheduling"], found)
        return found

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        found = self.validate(new)
        if new.get("handler") != old.get("handler"):
            found.append(invalid("handler", new.get("handler", ""), "field is immutable"))
        return found

    def cells(self, obj: Json, now: float) -> list[Any]:
        return [obj["metadata"]["name"], obj.get("handler", ""), ages.created(obj, now)]


def _scheduling(scheduling: Json, found: list[FieldError]) -> None:
    found += check_labels(scheduling.get("nodeSelector"), "scheduling.nodeSelector")
    tolerations = scheduling.get("tolerations") or []
    validate_tolerations(tolerations, "scheduling.tolerations", found)
    seen: list[Json] = []
    for i, toleration in enumerate(tolerations):
        identity = {name: toleration.get(name, "") for name in ("key", "operator", "value", "effect")}
        if identity in seen:
            found.append(errors.duplicate(f"scheduling.tolerations[{i}]", toleration))
        seen.append(identity)


def kind() -> Kind:
    return builtin_kind(RUNTIME_CLASSES, "RuntimeClass", RuntimeClassStrategy(), namespaced=False)
