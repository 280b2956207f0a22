"""What the judge of places counts: places of live Placements, and every bound pod that none of them speaks for."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.kinds.names import MEMBER_ANNOTATION, POD_DEVICES_ANNOTATION, WORKLOAD_ANNOTATION
from roadstead.kinds.object import Json
from roadstead.sim.judges import PlacesJudge

from .kit import Court


def court() -> Court:
    """Two nodes of 4 cpu each."""
    made = Court(PlacesJudge)
    for name in ("n0", "n1"):
        made.write(0.0, "nodes", {"metadata": {"name": name}, "status": {"allocatable": {"cpu": "4", "pods": "9"}}})
    return made


def workload(name: str, *conditions: str) -> Json:
    return {
        "metadata": {"namespace": "ns", "name": name, "uid": name},
        "status": {"conditions": [{"type": type, "status": "True"} for type in conditions]},
    }


def placement(name: str, *nodes: str, cpu: int = 3, devices: tuple[str, ...] = ()) -> Json:
    members = [{"node": node, "devices": list(devices)} for node in nodes]
    return {
        "metadata": {"namespace": "ns", "name": name, "uid": f"{name} {nodes}"},
        "spec": {
            "workload": {"name": name, "uid": name},
            "podSets": [{"name": "main", "requests": {"cpu": str(cpu)}, "members": members}],
        },
    }


def member(of: str, node: str, number: int = 0, devices: str = "", **status: Any) -> Json:
    annotations = {WORKLOAD_ANNOTATION: of, MEMBER_ANNOTATION: str(number), POD_DEVICES_ANNOTATION: devices}
    name = f"{of}-{number}"
    return {
        "metadata": {"namespace": "ns", "name": name, "uid": name, "annotations": annotations},
        "spec": {"nodeName": node, "containers": [{"resources": {"requests": {"cpu": "3"}}}]},
        "status": status,
    }


def admit(to: Court, placed: Json, *conditions: str) -> None:
    name = placed["metadata"]["name"]
    to.write(1.0, "placements", placed)
    to.write(1.0, "workloads", workload(name, *(conditions or ("QuotaReserved",))))


OTHER = "placement ns/other: 6000 of 4000 cpu of node n0 are given away"


def test_a_member_and_its_pod_are_one() -> None:
    seen = court()
    admit(seen, placement("gang", "n0", "n1"))
    seen.write(2.0, "pods", member("gang", "n0"))
    seen.write(2.0, "pods", member("gang", "n1", 1))
    assert seen.complaints == []
    admit(seen, placement("other", "n0"))
    assert seen.complaints == [OTHER]


@pytest.mark.parametrize(
    ("placed", "conditions"),
    [
        pytest.param(placement("gang", "n1"), ("QuotaReserved",), id="its gang is elsewhere"),
        pytest.param(placement("gang", "n1", "n0"), ("QuotaReserved", "Finished"), id="the Workload is finished"),
        pytest.param(placement("gang", "n0", "n1"), ("Evicted",), id="the Workload waits"),
    ],
)
def test_a_pod_that_has_outlived_its_place_counts(placed: Json, conditions: tuple[str, ...]) -> None:
    seen = court()
    admit(seen, placed, *conditions)
    seen.write(2.0, "pods", member("gang", "n0"))
    assert seen.complaints == []
    admit(seen, placement("other", "n0"))
    assert seen.complaints == [OTHER]


def test_who_has_ended_is_in_nobodys_way() -> None:
    seen = court()
    admit(seen, placement("gang", "n1"))
    seen.write(2.0, "pods", member("gang", "n0", phase="Succeeded"))
    admit(seen, placement("other", "n0"))
    assert seen.complaints == []


def test_a_device_that_an_old_pod_has_is_not_free() -> None:
    seen = court()
    admit(seen, placement("gang", "n0", cpu=1, devices=("gpu-1",)))
    old = member("gang", "n0", devices="gpu-0")
    old["spec"]["containers"] = []
    seen.write(2.0, "pods", old)
    admit(seen, placement("other", "n0", cpu=1, devices=("gpu-0",)))
    (complaint,) = seen.complaints
    assert complaint.startswith("placement ns/other: gpu-0 of n0 is given to ")
