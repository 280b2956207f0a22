"""ReplicaSet (apps/v1): so many pods of this template, no more and no less."""

from __future__ import annotations

from typing import Any, Final

from roadstead.kinds import ages
from roadstead.kinds.apps import common
from roadstead.kinds.builtin import STATUS, builtin_kind
from roadstead.kinds.core import checks
from roadstead.kinds.core.pod_defaults import default_template
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.names import REPLICA_SETS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Column

_COUNTS: Final = (
    "replicas",
    "fullyLabeledReplicas",
    "readyReplicas",
    "availableReplicas",
    "observedGeneration",
    "terminatingReplicas",
)


class ReplicaSetStrategy(common.TemplateStrategy):
    """ReplicaSets: mostly made by a Deployment, one per template it has had."""

    field_names = ("status.replicas",)
    columns = (
        Column("Name", format="name"),
        Column("Desired", "integer"),
        Column("Current", "integer"),
        Column("Ready", "integer"),
        Column("Age"),
        Column("Containers", priority=1),
        Column("Images", priority=1),
        Column("Selector", priority=1),
    )

    def default(self, obj: Json) -> None:
        spec = obj["spec"]
        spec.setdefault("replicas", 1)
        template = spec.get("template")
        if template is not None:
            default_template(template)

    def prepare_create(self, obj: Json) -> None:
        obj["status"] = {"replicas": 0}

    def validate(self, obj: Json) -> list[FieldError]:
        return _validate_spec(obj["spec"])

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        if subresource == "status":
            return _validate_status(new.get("status") or {})
        found = _validate_spec(new["spec"])
        common.immutable("selector", new["spec"], old["spec"], found)
        return found

    def fields(self, obj: Json) -> dict[str, str]:
        return {"status.replicas": str((obj.get("status") or {}).get("replicas", 0))}

    def cells(self, obj: Json, now: float) -> list[Any]:
        spec, status = obj["spec"], obj.get("status") or {}
        return [
            obj["metadata"]["name"],
            spec.get("replicas", 0),
            status.get("replicas", 0),
            status.get("readyReplicas", 0),
            ages.created(obj, now),
            *common.container_cells(spec),
            common.printed_selector(spec.get("selector")) or "<none>",
        ]


def _validate_spec(spec: Json) -> list[FieldError]:
    """`ValidateReplicaSetSpec`."""
    found: list[FieldError] = []
    checks.not_negative(spec.get("replicas"), "spec.replicas", found)
    checks.not_negative(spec.get("minReadySeconds"), "spec.minReadySeconds", found)
    if common.validate_selector(spec, "deployment", found):  # the real server says deployment here, too
        common.validate_replica_template(spec, found)
    else:
        found.append(invalid("spec.selector", spec["selector"], "invalid label selector"))
    return found


def _validate_status(status: Json) -> list[FieldError]:
    found: list[FieldError] = []
    common.counts(status, _COUNTS, found)
    common.not_above(status, ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"), found)
    common.available_within_ready(status, "readyReplicas", found)
    return found


def kind() -> Kind:
    return builtin_kind(
        REPLICA_SETS,
        "ReplicaSet",
        ReplicaSetStrategy(),
        short_names=("rs",),
        categories=("all",),
        subresources=(common.SCALE, STATUS),
    )
