"""A bound member of a gang speaks for itself once its Placement is gone, though nothing about the pod itself has changed."""

from __future__ import annotations

from roadstead.controllers.admission import AdmissionDecider
from roadstead.kinds.names import MEMBER_ANNOTATION, PLACEMENTS, PODS, WORKLOAD_ANNOTATION
from roadstead.kinds.object import Object
from roadstead.model.workload import Pod
from roadstead.runtime.step import SECOND


def placement() -> Object:
    metadata = {"namespace": "default", "name": "w", "uid": "p", "resourceVersion": "1"}
    spec = {
        "workload": {"name": "w", "uid": "w"},
        "podSets": [{"name": "main", "requests": {}, "members": [{"node": "n"}]}],
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


def test_members_follow_their_placement() -> None:
    decider = AdmissionDecider()
    listed: list[list[str]] = []

    def look() -> None:
        decider.decide(SECOND)
        listed.append(sorted(name for _, name in decider.world.facts[Pod]))

    given, first, second = placement(), member("first"), member("second")
    decider.observe(PLACEMENTS, given.key, given)
    for pod in (first, second):
        decider.observe(PODS, pod.key, pod)
    look()
    decider.observe(PODS, second.key, None)
    decider.observe(PLACEMENTS, given.key, None)
    look()
    decider.observe(PLACEMENTS, given.key, given)
    look()
    decider.observe(PODS, first.key, None)
    decider.observe(PLACEMENTS, given.key, None)
    look()
    assert listed == [[], ["first"], [], []]
