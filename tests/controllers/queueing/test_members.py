"""A bound member of a gang speaks for itself once no Placement counts it, though nothing about the pod itself has
changed."""

from __future__ import annotations

from roadstead.controllers.admission import AdmissionDecider
from roadstead.kinds.names import MEMBER_ANNOTATION, PLACEMENTS, PODS, WORKLOAD_ANNOTATION, WORKLOADS
from roadstead.kinds.object import Object
from roadstead.model.workload import Pod
from roadstead.runtime.step import SECOND


def workload(*conditions: str, version: str = "1") -> Object:
    """With these conditions True."""
    metadata = {"namespace": "default", "name": "w", "uid": "w", "resourceVersion": version}
    status = {
        "conditions": [
            {"type": type, "status": "True", "reason": type, "lastTransitionTime": "2026-01-01T00:00:00Z"}
            for type in conditions
        ],
        "admission": {"clusterQueue": "q", "podSetAssignments": [{"name": "main", "count": 1}]},
    }
    value = {
        "apiVersion": WORKLOADS.api_version,
        "kind": "Workload",
        "metadata": metadata,
        "spec": {},
        "status": status,
    }
    return Object.of(WORKLOADS, value)


def placement(node: str = "n", version: str = "1") -> Object:
    metadata = {"namespace": "default", "name": "w", "uid": "p", "resourceVersion": version}
    spec = {
        "workload": {"name": "w", "uid": "w"},
        "podSets": [{"name": "main", "requests": {}, "members": [{"node": node}]}],
    }
    return Object.of(
        PLACEMENTS, {"apiVersion": PLACEMENTS.api_version, "kind": "Placement", "metadata": metadata, "spec": spec}
    )


def member(name: str) -> Object:
    metadata = {
        "namespace": "default",
        "name": name,
        "uid": name,
        "resourceVersion": "2",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "annotations": {WORKLOAD_ANNOTATION: "w", MEMBER_ANNOTATION: "0"},
    }
    spec = {"nodeName": "n", "containers": [{"name": "main", "resources": {"requests": {"cpu": "1"}}}]}
    return Object.of(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


class Watched:
    """A decider and the pods that it counts by themselves, as it says after each change."""

    def __init__(self) -> None:
        self.decider = AdmissionDecider()

    def sees(self, *objects: Object, gone: tuple[Object, ...] = ()) -> list[str]:
        for obj in objects:
            self.decider.observe(obj.resource, obj.key, obj)
        for obj in gone:
            self.decider.observe(obj.resource, obj.key, None)
        self.decider.decide(SECOND)
        return sorted(name for _, name in self.decider.world.facts[Pod])


def test_members_follow_their_placement() -> None:
    world, given, first, second = Watched(), placement(), member("first"), member("second")
    assert world.sees(workload("QuotaReserved"), given, first, second) == []
    assert world.sees(gone=(second, given)) == ["first"]
    assert world.sees(given) == []
    assert world.sees(gone=(first, given)) == []


def test_members_follow_their_workload() -> None:
    """Its Placement stays behind as a record when it is finished, and nobody counts by that."""
    world = Watched()
    assert world.sees(workload(), placement(), member("first")) == ["first"]
    assert world.sees(workload("QuotaReserved", version="2")) == []
    assert world.sees(workload("QuotaReserved", "Evicted", version="3")) == []
    assert world.sees(workload("QuotaReserved", "Finished", version="4")) == ["first"]
    assert world.sees(workload("QuotaReserved", version="5")) == []
    assert world.sees(gone=(workload(),)) == ["first"]


def test_who_has_outlived_his_place_does_not_follow_his_gang_elsewhere() -> None:
    world = Watched()
    assert world.sees(workload("QuotaReserved"), placement(), member("first")) == []
    assert world.sees(placement("elsewhere", version="2")) == ["first"]
