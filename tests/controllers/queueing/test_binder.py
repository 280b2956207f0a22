"""Which pod gets which member."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.controllers.binder import Binder, assign_members, binding
from roadstead.controllers.workload import WorkloadController
from roadstead.kinds.names import JOBS, PLACEMENTS, PODS, WORKLOADS
from roadstead.kinds.object import Object
from roadstead.kinds.views.placement import MemberView, PlacedPodSetView
from roadstead.runtime.cluster import Delete
from roadstead.runtime.step import Controller, Present
from roadstead.runtime.view import Cache, View
from roadstead.runtime.writing import confirmed
from tests.controllers.queueing.lab import QueueLab, job


def pod(name: str, *, index: int | None = None, member: int | None = None, **extra: Any) -> Object:
    annotations = {}
    if index is not None:
        annotations["batch.kubernetes.io/job-completion-index"] = str(index)
    if member is not None:
        annotations["roadstead.dev/member"] = str(member)
    spec = {"nodeName": "n"} if member is not None else {}
    metadata = {
        "namespace": "default",
        "name": name,
        "uid": name,
        "annotations": annotations,
        **extra.pop("metadata", {}),
    }
    return Object.of(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**spec, **extra}})


def pod_set(size: int) -> PlacedPodSetView:
    return PlacedPodSetView(members=tuple(MemberView(f"n{number}") for number in range(size)))


CASES: list[tuple[str, list[Object], int, dict[str, int]]] = [
    ("members in order of name", [pod("b"), pod("a")], 2, {"a": 0, "b": 1}),
    ("the completion index is the member", [pod("a", index=1), pod("b", index=0)], 2, {"a": 1, "b": 0}),
    ("an index beyond the members takes the lowest free one", [pod("a", index=5)], 2, {"a": 0}),
    (
        "own index first, whoever else waits",
        [pod("a", index=3), pod("b", index=0), pod("c", index=1)],
        3,
        {"a": 2, "b": 0, "c": 1},
    ),
    ("a member held by a live pod is not given again", [pod("a", member=0), pod("b")], 2, {"b": 1}),
    ("own member taken: another free one", [pod("a", index=5, member=1), pod("b", index=1)], 2, {"b": 0}),
    ("nobody waits for nothing", [pod("a", member=0), pod("b", member=1), pod("c")], 2, {}),
    ("more pods than members", [pod("a"), pod("b"), pod("c")], 2, {"a": 0, "b": 1}),
    ("a gated pod waits", [pod("a", schedulingGates=[{"name": "hold"}]), pod("b")], 2, {"b": 0}),
    ("a pod being deleted waits no more", [pod("a", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})], 1, {}),
]


@pytest.mark.parametrize(("pods", "size", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_assignment(pods: list[Object], size: int, expected: dict[str, int]) -> None:
    assert {found.meta.name: member for found, member in assign_members(pods, pod_set(size))} == expected


@given(
    size=st.integers(0, 6),
    pods=st.lists(st.tuples(st.none() | st.integers(0, 8), st.none() | st.integers(0, 5)), max_size=8),
)
def test_no_member_twice_and_none_left_over_while_pods_wait(
    size: int, pods: list[tuple[int | None, int | None]]
) -> None:
    held = set()
    made = []
    for number, (index, member) in enumerate(pods):
        mine = member if member is not None and member < size and member not in held else None
        if mine is not None:
            held.add(mine)
        made.append(pod(f"p{number}", index=index, member=mine))
    given_out = assign_members(made, pod_set(size))
    members = [member for _, member in given_out]
    assert len(set(members)) == len(members)
    assert not held & set(members)
    waiting = len(made) - len(held)
    assert len(members) == min(waiting, size - len(held))


def test_a_binding_carries_member_and_devices_in_the_same_write() -> None:
    value = binding(pod("a"), "n1", ("gpu-0", "gpu-3"), 4)
    assert value["target"]["name"] == "n1"
    assert value["metadata"]["uid"] == "a"
    assert value["metadata"]["annotations"] == {"roadstead.dev/member": "4", "roadstead.dev/devices": "gpu-0,gpu-3"}
    assert "annotations" not in binding(pod("a"), "n1", ())["metadata"]


def unbound(lab: QueueLab) -> tuple[Object, Object, Object]:
    """Placement and Workload of a job that was started, and its only pod as it was before it was bound."""
    lab.furnish()
    lab.create(JOBS, job("train", seconds=None))
    lab.settle()
    workload, [bound] = lab.workload_of("train"), lab.all(PODS)
    placement = lab.get(PLACEMENTS, workload["metadata"]["name"])
    assert placement is not None
    bound["spec"].pop("nodeName")
    bound["metadata"]["annotations"].pop("roadstead.dev/member")
    return placement, Object.of(WORKLOADS, workload), Object.of(PODS, bound)


def test_placement_and_workload_are_asked_for_before_anybody_is_bound() -> None:
    """The view may show the Placement that a failed admission left behind, beside the Workload as the next one made it;
    and a Workload that was evicted meanwhile."""
    with QueueLab() as lab:
        placement, workload, waiting = unbound(lab)
        step = Binder().reconcile(placement.key, a_view(Binder, placement, workload, waiting), lab.clock)
        assert [write.ref.name for write in step.writes] == [waiting.meta.name]
        assert step.confirm == tuple(
            Present(asked.ref, asked.meta.uid, asked.meta.resource_version) for asked in (placement, workload)
        )


@pytest.mark.parametrize("orphan", [False, True])
def test_nobody_is_bound_for_a_workload_that_is_deleted_unless_its_job_left_the_pods_to_themselves(
    orphan: bool,
) -> None:
    with QueueLab() as lab:
        placement, workload, waiting = unbound(lab)
        value, alone = workload.decode(), waiting.decode()
        value["metadata"]["deletionTimestamp"] = "2027-01-15T08:00:00Z"
        if orphan:
            del value["metadata"]["ownerReferences"], alone["metadata"]["ownerReferences"]
        view = a_view(Binder, placement, Object.of(WORKLOADS, value), Object.of(PODS, alone))
        step = Binder().reconcile(placement.key, view, lab.clock)
        assert [write.ref.name for write in step.writes] == ([waiting.meta.name] if orphan else [])


def test_places_are_given_back_only_when_no_pod_is_there_that_the_view_does_not_show() -> None:
    """A pod that the job made a moment ago may be bound at any time; whoever gives its place away must not have missed
    it."""
    with QueueLab() as lab:
        placement, workload, _ = unbound(lab)
        lab.delete(WORKLOADS, workload.meta.name)
        evicted, started = lab.get(WORKLOADS, workload.meta.name), lab.get(JOBS, "train")
        assert evicted is not None
        assert started is not None
        stopped = started.decode()
        stopped["spec"]["suspend"], stopped["status"] = True, {}
        blind = a_view(WorkloadController(), placement, evicted, Object.of(JOBS, stopped))
        step = WorkloadController().reconcile(("default", "train"), blind, lab.clock)
        assert Delete(placement.ref, placement.meta.uid) in step.writes
        assert not asyncio.run(confirmed(lab.cluster, step.confirm))
        lab.delete(PODS, lab.all(PODS)[0]["metadata"]["name"], grace=0)
        lab.edit(PODS, lab.all(PODS)[0]["metadata"]["name"], lambda pod: pod["metadata"].pop("finalizers"))
        assert lab.all(PODS) == []
        assert asyncio.run(confirmed(lab.cluster, step.confirm))


def a_view(controller: Controller | type[Controller], *objects: Object) -> View:
    """What a controller sees whose informers know these and no more."""
    caches = {
        resource: Cache(resource, {name: index for (of, name), index in controller.indexes.items() if of == resource})
        for resource in controller.watches
    }
    for obj in objects:
        caches[obj.resource].put(obj)
    return View(caches)
