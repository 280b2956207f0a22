"""What a bound pod of a workload uses is counted once: by the Placement that gives it its place, or by itself."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from roadstead.ingest import fact as fact_of
from roadstead.kinds.names import PLACEMENTS, PODS, WORKLOADS
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.roadstead.released import ANNOTATION
from roadstead.model.facts import Fact, Gone
from roadstead.model.workload import Pod

from .build import condition, pod, pod_spec

GPUS = "gpu-0,gpu-1"


def member(number: str | None = "1", node: str = "n1", devices: str = GPUS, **metadata: Any) -> Json:
    annotations = {"kueue.x-k8s.io/workload": "w", "roadstead.dev/devices": devices}
    if number is not None:
        annotations["roadstead.dev/member"] = number
    return pod(pod_spec(nodeName=node), "Running", annotations=annotations, **metadata)


def placement(uid: str = "u", annotations: Json | None = None, node: str = "n1", pod_set: str = "main") -> Json:
    """Member 0 is elsewhere, member 1 is on the node with both of its devices."""
    members = [{"node": "n0", "devices": ["gpu-0"]}, {"node": node, "devices": ["gpu-0", "gpu-1"]}]
    return {
        "metadata": {"namespace": "ns", "name": "w", "annotations": annotations or {}},
        "spec": {
            "workload": {"name": "w", "uid": uid},
            "podSets": [{"name": pod_set, "requests": {"nvidia.com/gpu": "2"}, "members": members}],
        },
    }


def workload(*conditions: Json, uid: str = "u", admission: bool = True) -> Json:
    status: Json = {"conditions": list(conditions)}
    if admission:
        status["admission"] = {"clusterQueue": "q", "podSetAssignments": [{"name": "main"}]}
    return {"metadata": {"namespace": "ns", "name": "w", "uid": uid}, "spec": {}, "status": status}


RESERVED = workload(condition("QuotaReserved"), condition("Admitted"))


def seen(value: Json, placed: Json | None, owner: Json | None) -> Fact:
    known: dict[Resource, Object] = {}
    for resource, one in ((PLACEMENTS, placed), (WORKLOADS, owner)):
        if one is not None:
            known[resource] = Object.of(resource, one)
    obj = Object.of(PODS, value)
    (found,) = fact_of(PODS, obj.key, obj, lambda resource, *_: known.get(resource))
    return found


@pytest.mark.parametrize(
    ("value", "placed", "owner"),
    [
        pytest.param(member(), placement(), RESERVED, id="as decided"),
        pytest.param(member(), placement(uid=""), RESERVED, id="a Placement for whichever Workload has the name"),
        pytest.param(
            member(deletionTimestamp="2026-01-01T00:00:00Z"),
            placement(),
            workload(condition("QuotaReserved"), condition("Evicted")),
            id="evicted, and being stopped",
        ),
        pytest.param(
            member(labels={"kueue.x-k8s.io/podset": "workers"}),
            placement(pod_set="workers"),
            RESERVED,
            id="of a pod set with a name",
        ),
        pytest.param(
            member(), placement(annotations={ANNOTATION: orjson.dumps({"main": [0]}).decode()}), RESERVED,
            id="another member's place was given back",
        ),
    ],
)  # fmt: skip
def test_counted_by_its_placement(value: Json, placed: Json, owner: Json) -> None:
    assert seen(value, placed, owner) == Gone(Pod, ("ns", "p"))


@pytest.mark.parametrize(
    ("value", "placed", "owner"),
    [
        pytest.param(member(), None, RESERVED, id="the Placement was deleted"),
        pytest.param(member(), placement(), None, id="the Workload is gone"),
        pytest.param(member(), placement(), workload(admission=False), id="the Workload waits"),
        pytest.param(
            member(),
            placement(),
            workload(condition("QuotaReserved"), condition("Finished")),
            id="the Workload is finished, and its Placement a record",
        ),
        pytest.param(member(), placement(uid="before"), RESERVED, id="the Placement is an earlier Workload's"),
        pytest.param(member(), placement(node="n2"), RESERVED, id="placed anew on another node"),
        pytest.param(member(devices="gpu-0"), placement(), RESERVED, id="placed anew with other devices"),
        pytest.param(member("2"), placement(), RESERVED, id="placed anew with fewer members"),
        pytest.param(
            member(), placement(annotations={ANNOTATION: orjson.dumps({"main": [1]}).decode()}), RESERVED,
            id="its place was given back",
        ),
        pytest.param(
            member(), placement(pod_set="others"), RESERVED, id="of a pod set that has no place",
        ),
        pytest.param(member(None), placement(), RESERVED, id="somebody else put it there"),
        pytest.param(member("one"), placement(), RESERVED, id="its member is no number"),
    ],
)  # fmt: skip
def test_counted_by_itself(value: Json, placed: Json | None, owner: Json | None) -> None:
    found = seen(value, placed, owner)
    assert isinstance(found, Pod)
    assert (found.node, found.devices) == (
        "n1",
        tuple(value["metadata"]["annotations"]["roadstead.dev/devices"].split(",")),
    )


@pytest.mark.parametrize("placed", [None, placement()])
def test_who_has_no_node_yet_is_asked_for_by_the_workload(placed: Json | None) -> None:
    assert seen(pod(annotations={"kueue.x-k8s.io/workload": "w"}), placed, RESERVED) == Gone(Pod, ("ns", "p"))


def test_who_has_ended_uses_nothing() -> None:
    ended = member()
    ended["status"]["phase"] = "Failed"
    assert seen(ended, None, None) == Gone(Pod, ("ns", "p"))
