"""PodDisruptionBudget (policy/v1): how many of some pods must stay available, or may be missing, when pods are
evicted."""

from __future__ import annotations

from typing import Any, Final

from roadstead.kinds import ages, errors
from roadstead.kinds.builtin import STATUS, StatusStrategy, builtin_kind
from roadstead.kinds.core import checks
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.int_or_percent import at_most_all, not_negative
from roadstead.kinds.names import DISRUPTION_BUDGETS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.resource.checks import conditions
from roadstead.kinds.strategy import Column
from roadstead.kinds.times import format_time

_COUNTS: Final = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")


class DisruptionBudgetStrategy(StatusStrategy):
    """PodDisruptionBudgets."""

    has_generation = True
    unconditional_update = False
    columns = (
        Column("Name", format="name"),
        Column("Min Available"),
        Column("Max Unavailable"),
        Column("Allowed Disruptions", "integer"),
        Column("Age"),
    )

    def prepare_create(self, obj: Json) -> None:
        obj["status"] = dict.fromkeys(_COUNTS, 0)

    def validate(self, obj: Json) -> list[FieldError]:
        found: list[FieldError] = []
        spec = obj.get("spec") or {}
        least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
        if least is not None and most is not None:
            shown = {
                "MinAvailable": least,
                "Selector": spec.get("selector"),
                "MaxUnavailable": most,
                "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy"),
            }
            found.append(invalid("spec", shown, "minAvailable and maxUnavailable cannot be both set"))
        for name in ("minAvailable", "maxUnavailable"):
            if spec.get(name) is not None:
                not_negative(spec[name], f"spec.{name}", found)
                at_most_all(spec[name], f"spec.{name}", found)
        checks.label_selector(spec.get("selector"), "spec.selector", found)
        policy = spec.get("unhealthyPodEvictionPolicy")
        if policy is not None and policy not in ("AlwaysAllow", "IfHealthyBudget"):
            path = "spec.unhealthyPodEvictionPolicy"
            found.append(errors.not_supported(path, policy, ("AlwaysAllow", "IfHealthyBudget")))
        return found

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        if subresource != "status":
            return self.validate(new)
        found: list[FieldError] = []
        status = new.get("status") or {}
        conditions(status.get("conditions"), "status.conditions", found)
        for name in _COUNTS:
            checks.not_negative(status.get(name), f"status.{name}", found)
        return found

    def cells(self, obj: Json, now: float) -> list[Any]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        return [
            obj["metadata"]["name"],
            str(spec.get("minAvailable", "N/A")),
            str(spec.get("maxUnavailable", "N/A")),
            status.get("disruptionsAllowed", 0),
            ages.created(obj, now),
        ]


def tell_allowed(status: Json, now: int) -> None:
    """Bring the condition DisruptionAllowed of a decoded status in line with its number, in place."""
    allowed = status.get("disruptionsAllowed", 0) > 0
    wanted: Json = {
        "type": "DisruptionAllowed",
        "status": "True" if allowed else "False",
        "observedGeneration": status.get("observedGeneration", 0),
        "reason": "SufficientPods" if allowed else "InsufficientPods",
        "message": "",
    }
    known = status.get("conditions") or []
    before: Json = next((each for each in known if each["type"] == wanted["type"]), {})
    moved = before.get("lastTransitionTime") if before.get("status") == wanted["status"] else None
    fresh = {**wanted, "lastTransitionTime": moved or format_time(now)}
    if before:
        status["conditions"] = [fresh if each is before else each for each in known]
    else:
        status["conditions"] = [*known, fresh]


def kind() -> Kind:
    return builtin_kind(
        DISRUPTION_BUDGETS,
        "PodDisruptionBudget",
        DisruptionBudgetStrategy(),
        short_names=("pdb",),
        subresources=(STATUS,),
    )
