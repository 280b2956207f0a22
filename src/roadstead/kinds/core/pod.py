"""Pod (v1): one group of containers on one node."""

from __future__ import annotations

from typing import Any, Final

from roadstead.expr import quantity
from roadstead.kinds import errors
from roadstead.kinds.builtin import STATUS, StatusStrategy, builtin_kind
from roadstead.kinds.core import pod_spec
from roadstead.kinds.core.pod_cells import ended_condition, pod_cells
from roadstead.kinds.core.pod_defaults import default_pod
from roadstead.kinds.core.pod_update import validate_pod_status_update, validate_pod_update
from roadstead.kinds.errors import FieldError
from roadstead.kinds.names import PODS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind, Subresource
from roadstead.kinds.strategy import Column

_QOS_RESOURCES: Final = ("cpu", "memory")


class PodStrategy(StatusStrategy):
    """Pods: deleted gracefully, hardly changed after they were created."""

    has_generation = True
    graceful = True
    field_names = (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    )
    columns = (
        Column("Name", format="name"),
        Column("Ready"),
        Column("Status"),
        Column("Restarts"),
        Column("Age"),
        Column("IP", priority=1),
        Column("Node", priority=1),
        Column("Nominated Node", priority=1),
        Column("Readiness Gates", priority=1),
    )

    def default(self, obj: Json) -> None:
        default_pod(obj["spec"])
        status = obj.get("status")
        if status and status.get("podIP"):
            if (status.get("podIPs") or [{}])[0].get("ip") != status["podIP"]:
                status["podIPs"] = [{"ip": status["podIP"]}]
        elif status and status.get("podIPs"):
            status["podIP"] = status["podIPs"][0].get("ip", "")

    def prepare_create(self, obj: Json) -> None:
        spec = obj["spec"]
        status: Json = {"phase": "Pending", "qosClass": qos_class(spec)}
        if spec.get("schedulingGates"):
            status["conditions"] = [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "lastProbeTime": None,
                    "lastTransitionTime": obj["metadata"].get("creationTimestamp"),
                    "reason": "SchedulingGated",
                    "message": "Scheduling is blocked due to non-empty scheduling gates",
                }
            ]
        obj["status"] = status

    def prepare_update(self, new: Json, old: Json, subresource: str) -> None:
        super().prepare_update(new, old, subresource)
        given = (old.get("status") or {}).get("qosClass")
        if subresource == "status" and given and not (new.get("status") or {}).get("qosClass"):
            new["status"] = {**(new.get("status") or {}), "qosClass": given}  # agents may leave it out

    def validate(self, obj: Json) -> list[FieldError]:
        spec = obj["spec"]
        found = pod_spec.validate_pod_spec(spec, "spec")
        if spec.get("ephemeralContainers"):
            found.append(errors.forbidden("spec.ephemeralContainers", "cannot be set on create"))
        if spec.get("schedulingGates") and spec.get("nodeName"):
            why = "cannot be set until all schedulingGates have been cleared"
            found.append(errors.forbidden("spec.nodeName", why))
        return found

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        if subresource == "status":
            return validate_pod_status_update(new, old)
        return validate_pod_update(new, old)

    def warnings(self, obj: Json) -> list[str]:
        return pod_spec.warnings(obj["spec"], "spec")

    def fields(self, obj: Json) -> dict[str, str]:
        spec, status = obj["spec"], obj.get("status") or {}
        return {
            "spec.nodeName": spec.get("nodeName", ""),
            "spec.restartPolicy": spec.get("restartPolicy", ""),
            "spec.schedulerName": spec.get("schedulerName", ""),
            "spec.serviceAccountName": spec.get("serviceAccountName", ""),
            "spec.hostNetwork": "true" if spec.get("hostNetwork") else "false",
            "status.phase": status.get("phase", ""),
            "status.podIP": status.get("podIP", ""),
            "status.podIPs": "",  # the server knows the selector and never fills it in
            "status.nominatedNodeName": status.get("nominatedNodeName", ""),
        }

    def cells(self, obj: Json, now: float) -> list[Any]:
        return pod_cells(obj, now)

    def row_conditions(self, obj: Json) -> list[Json]:
        return list(ended_condition((obj.get("status") or {}).get("phase", "")))


def qos_class(spec: Json) -> str:
    """Guaranteed: every container limits cpu and memory and requests just that. BestEffort: none says anything. Else
    Burstable."""
    said, guaranteed = False, True
    pods_own = spec.get("resources")
    holders = (
        [pods_own]
        if pods_own
        else [
            container.get("resources") or {}
            for name in ("containers", "initContainers")
            for container in spec.get(name) or ()
        ]
    )
    for resources in holders:
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        for name in _QOS_RESOURCES:
            limit, request = _amount(limits, name), _amount(requests, name)
            said = said or bool(limit or request)
            if not limit or (request or limit) != limit:
                guaranteed = False
    if not said:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _amount(amounts: Json, name: str) -> int:
    return quantity.parse(amounts[name]).nano if name in amounts else 0


def kind() -> Kind:
    return builtin_kind(
        PODS,
        "Pod",
        PodStrategy(),
        short_names=("po",),
        categories=("all",),
        subresources=(
            STATUS,
            Subresource("log", verbs=("get",)),
            Subresource("binding", verbs=("create",), kind="Binding", group="", version="v1"),
            Subresource("eviction", verbs=("create",), kind="Eviction", group="policy", version="v1"),
        ),
    )
