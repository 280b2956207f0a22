"""Deployment (apps/v1): so many pods of this template, replaced little by little when the template changes."""

from __future__ import annotations

from typing import Any, Final

from roadstead.kinds import ages, errors
from roadstead.kinds.apps import common
from roadstead.kinds.builtin import STATUS, builtin_kind, keep
from roadstead.kinds.core import checks
from roadstead.kinds.core.pod_defaults import default_template
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.int_or_percent import at_most_all, not_negative, plain
from roadstead.kinds.names import DEPLOYMENTS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Column

ROLLING: Final = "RollingUpdate"
RECREATE: Final = "Recreate"
_COUNTS: Final = (
    "observedGeneration",
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
    "terminatingReplicas",
    "collisionCount",
)


class DeploymentStrategy(common.TemplateStrategy):
    """Deployments: annotations count as a change, because they are handed down."""

    columns = (
        Column("Name", format="name"),
        Column("Ready"),
        Column("Up-to-date"),
        Column("Available"),
        Column("Age"),
        Column("Containers", priority=1),
        Column("Images", priority=1),
        Column("Selector", priority=1),
    )

    def default(self, obj: Json) -> None:
        spec = obj["spec"]
        spec.setdefault("replicas", 1)
        strategy = spec["strategy"]
        if not strategy.get("type"):
            strategy["type"] = ROLLING
        if strategy["type"] == ROLLING:
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("maxUnavailable", "25%")
            rolling.setdefault("maxSurge", "25%")
        spec.setdefault("revisionHistoryLimit", 10)
        spec.setdefault("progressDeadlineSeconds", 600)
        default_template(spec["template"])

    def prepare_create(self, obj: Json) -> None:
        obj["status"] = {}

    def prepare_update(self, new: Json, old: Json, subresource: str) -> None:
        super().prepare_update(new, old, subresource)
        if subresource == "status":
            keep(new["metadata"], old["metadata"], "labels")
        elif self.is_new_generation(new, old):
            new["metadata"]["generation"] = (old["metadata"].get("generation") or 0) + 1

    def is_new_generation(self, new: Json, old: Json) -> bool:
        annotations = [obj["metadata"].get("annotations") or {} for obj in (new, old)]
        return super().is_new_generation(new, old) or annotations[0] != annotations[1]

    def validate(self, obj: Json) -> list[FieldError]:
        return validate_spec(obj["spec"])

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        if subresource == "status":
            return _validate_status(new.get("status") or {}, old.get("status") or {})
        found = validate_spec(new["spec"])
        common.immutable("selector", new["spec"], old["spec"], found)
        return found

    def cells(self, obj: Json, now: float) -> list[Any]:
        spec, status = obj["spec"], obj.get("status") or {}
        return [
            obj["metadata"]["name"],
            f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
            status.get("updatedReplicas", 0),
            status.get("availableReplicas", 0),
            ages.created(obj, now),
            *common.container_cells(spec),
            common.printed_selector(spec.get("selector")),
        ]


def validate_spec(spec: Json) -> list[FieldError]:
    """`ValidateDeploymentSpec`."""
    found: list[FieldError] = []
    checks.not_negative(spec.get("replicas"), "spec.replicas", found)
    if common.validate_selector(spec, "deployment", found):
        common.validate_replica_template(spec, found)
    else:
        found.append(invalid("spec.selector", spec["selector"], "invalid label selector"))
    _validate_strategy(spec["strategy"], found)
    checks.not_negative(spec.get("minReadySeconds"), "spec.minReadySeconds", found)
    checks.not_negative(spec.get("revisionHistoryLimit"), "spec.revisionHistoryLimit", found)
    deadline = spec.get("progressDeadlineSeconds")
    checks.not_negative(deadline, "spec.progressDeadlineSeconds", found)
    if deadline is not None and deadline <= spec.get("minReadySeconds", 0):
        found.append(invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"))
    return found


def _validate_strategy(strategy: Json, found: list[FieldError]) -> None:
    path = "spec.strategy"
    rolling: Json | None = strategy.get("rollingUpdate")
    if strategy["type"] == RECREATE:
        if rolling is not None:
            why = "may not be specified when strategy `type` is 'Recreate'"
            found.append(errors.forbidden(f"{path}.rollingUpdate", why))
    elif strategy["type"] == ROLLING and rolling is not None:
        unavailable, surge = rolling["maxUnavailable"], rolling["maxSurge"]
        where = f"{path}.rollingUpdate.maxUnavailable"
        not_negative(unavailable, where, found)
        not_negative(surge, f"{path}.rollingUpdate.maxSurge", found)
        if plain(unavailable) == 0 and plain(surge) == 0:
            found.append(invalid(where, unavailable, "may not be 0 when `maxSurge` is 0"))
        at_most_all(unavailable, where, found)
    else:
        inner = rolling and {"MaxUnavailable": rolling.get("maxUnavailable", 0), "MaxSurge": rolling.get("maxSurge", 0)}
        shown = {"Type": strategy["type"], "RollingUpdate": inner}  # as the server's internal type prints it
        found.append(errors.not_supported(path, shown, (RECREATE, ROLLING)))


def _validate_status(status: Json, before: Json) -> list[FieldError]:
    found: list[FieldError] = []
    common.counts(status, _COUNTS, found)
    common.not_above(status, ("updatedReplicas", "readyReplicas", "availableReplicas"), found)
    common.available_within_ready(status, "readyReplicas", found)
    common.collisions_grow(status, before, found)
    return found


def kind() -> Kind:
    return builtin_kind(
        DEPLOYMENTS,
        "Deployment",
        DeploymentStrategy(),
        short_names=("deploy",),
        categories=("all",),
        subresources=(common.SCALE, STATUS),
    )
