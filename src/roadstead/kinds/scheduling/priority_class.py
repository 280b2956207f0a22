"""PriorityClass (scheduling.k8s.io/v1)."""

from __future__ import annotations

from typing import Any, Final

from roadstead.kinds import ages, errors
from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.errors import FieldError
from roadstead.kinds.names import PRIORITY_CLASSES
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Column, Strategy

HIGHEST_USER_PRIORITY: Final = 1_000_000_000
PREEMPTION_POLICIES: Final = ("Never", "PreemptLowerPriority")
SYSTEM_CLASSES: Final = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


class PriorityClassStrategy(Strategy):
    """Priority classes: value and policy never change; `system-` names belong to the system."""

    columns = (
        Column("Name", format="name"),
        Column("Value", "integer"),
        Column("Global-Default", "boolean"),
        Column("Age"),
        Column("PreemptionPolicy"),
    )

    def default(self, obj: Json) -> None:
        obj.setdefault("preemptionPolicy", "PreemptLowerPriority")

    def prepare_create(self, obj: Json) -> None:
        obj["metadata"]["generation"] = 1

    def validate(self, obj: Json) -> list[FieldError]:
        name, value = obj["metadata"].get("name", ""), obj.get("value", 0)
        found: list[FieldError] = []
        if name.startswith("system-"):
            problem = _system_problem(name, value, bool(obj.get("globalDefault")))
            if problem:
                why = f"priority class names with 'system-' prefix are reserved for system use only. error: {problem}"
                found.append(errors.forbidden("metadata.name", why))
        elif value > HIGHEST_USER_PRIORITY:
            why = f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}"
            found.append(errors.forbidden("value", why))
        if obj["preemptionPolicy"] not in PREEMPTION_POLICIES:
            found.append(errors.not_supported("preemptionPolicy", obj["preemptionPolicy"], PREEMPTION_POLICIES))
        return found

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        found: list[FieldError] = []
        if new.get("value", 0) != old.get("value", 0):
            found.append(errors.forbidden("value", "may not be changed in an update."))
        if new["preemptionPolicy"] != old["preemptionPolicy"]:
            found.append(errors.invalid("preemptionPolicy", new["preemptionPolicy"], "field is immutable"))
        return found

    def cells(self, obj: Json, now: float) -> list[Any]:
        return [
            obj["metadata"]["name"],
            obj.get("value", 0),
            bool(obj.get("globalDefault")),
            ages.created(obj, now),
            obj.get("preemptionPolicy", ""),
        ]


def _system_problem(name: str, value: int, is_default: bool) -> str:
    known = SYSTEM_CLASSES.get(name)
    if known is None:
        return f"{name} is not a known system priority class"
    if value != known:
        return f"value of {name} PriorityClass must be {known}"
    return f"globalDefault of {name} PriorityClass must be false" if is_default else ""


def kind() -> Kind:
    return builtin_kind(
        PRIORITY_CLASSES, "PriorityClass", PriorityClassStrategy(), namespaced=False, short_names=("pc",)
    )
