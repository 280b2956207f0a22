"""DeviceTaintRule (resource.k8s.io/v1, Kubernetes 1.37): an administrator's taint on devices, whoever publishes them
(KEP-5055)."""

from __future__ import annotations

from typing import Any, Final

from roadstead.kinds import ages, errors
from roadstead.kinds.builtin import STATUS, StatusStrategy, builtin_kind
from roadstead.kinds.errors import FieldError
from roadstead.kinds.names import DEVICE_TAINT_RULES
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.resource import checks
from roadstead.kinds.resource.taints import validate_taint
from roadstead.kinds.strategy import Column

MAX_CONDITIONS: Final = 8


class DeviceTaintRuleStrategy(StatusStrategy):
    """Rules: when a taint was added is the server's to say (`cluster.embedded.plugins.devices`)."""

    has_generation = True
    columns = (
        Column("Name", format="name"),
        Column("Key"),
        Column("Value"),
        Column("Effect"),
        Column("TimeAdded"),
        Column("Age"),
    )

    def prepare_create(self, obj: Json) -> None:
        obj["status"] = {}

    def validate(self, obj: Json) -> list[FieldError]:
        return _validate(obj["spec"], None)

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        if subresource != "status":
            return _validate(new["spec"], old["spec"])
        found: list[FieldError] = []
        conditions = (new.get("status") or {}).get("conditions") or ()
        checks.conditions(conditions, "status.conditions", found)
        if len(conditions) > MAX_CONDITIONS:
            found.append(errors.too_many("status.conditions", len(conditions), MAX_CONDITIONS))
        return found

    def cells(self, obj: Json, now: float) -> list[Any]:
        taint = obj["spec"]["taint"]
        added = ages.age(taint["timeAdded"], now) if taint.get("timeAdded") else ""
        return [
            obj["metadata"]["name"],
            taint.get("key", ""),
            taint.get("value", ""),
            taint.get("effect", ""),
            added,
            ages.created(obj, now),
        ]


def _validate(spec: Json, old: Json | None) -> list[FieldError]:
    found: list[FieldError] = []
    selector: Json = spec.get("deviceSelector") or {}
    path = "spec.deviceSelector"
    for name, check in (("driver", checks.driver_name), ("pool", checks.pool_name), ("device", checks.label)):
        if selector.get(name) is not None:
            check(selector[name], f"{path}.{name}", found)
    validate_taint(spec["taint"], "spec.taint", found, None if old is None else old["taint"])
    return found


def kind() -> Kind:
    return builtin_kind(
        DEVICE_TAINT_RULES, "DeviceTaintRule", DeviceTaintRuleStrategy(), namespaced=False, subresources=(STATUS,)
    )
