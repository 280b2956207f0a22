"""Whoever minds Workloads hears of jobs and pods that depart, in whatever order the news of the kinds comes."""

from __future__ import annotations

import pytest

from roadstead.controllers.garbage import GarbageCollector
from roadstead.controllers.workload import AfterlifeController, WorkloadController
from roadstead.kinds.names import JOBS, PODS, WORKLOAD_ANNOTATION, WORKLOADS
from roadstead.kinds.object import Object, Resource, owner_reference
from roadstead.kinds.served import default_registry
from roadstead.runtime.step import Controller, Key
from roadstead.runtime.view import Cache, View
from tests.controllers.queueing.lab import QueueLab, all_controllers, job


def an_object(resource: Resource, kind: str, name: str, uid: str, owner: Object | None = None) -> Object:
    metadata = {"namespace": "default", "name": name, "uid": uid, "resourceVersion": "1"}
    owners = [owner_reference(owner)] if owner is not None else []
    value = {"apiVersion": resource.api_version, "kind": kind, "metadata": {**metadata, "ownerReferences": owners}}
    return Object.of(resource, value)


@pytest.mark.parametrize(
    ("now_there", "woken"),
    [(None, [("default", "w")]), ("another", [("default", "w")]), ("the one", [])],
    ids=["gone", "replaced", "still there"],
)
def test_a_job_that_is_gone_wakes_its_workloads(now_there: str | None, woken: list[Key]) -> None:
    """The Workload was marked and its pods have vanished while the job still seemed to be there: this is the last news
    there is."""
    caches = {resource: Cache(resource) for resource in (JOBS, WORKLOADS)}
    job = an_object(JOBS, "Job", "train", "the one")
    caches[WORKLOADS].put(an_object(WORKLOADS, "Workload", "w", "w", job))
    if now_there is not None:
        caches[JOBS].put(an_object(JOBS, "Job", "train", now_there))
    assert list(AfterlifeController().watches[JOBS](job, View(caches))) == woken


def a_pod(uid: str, workload: str, owner: Object, **metadata: object) -> Object:
    value = an_object(PODS, "Pod", "train-0", uid, owner).decode()
    value["metadata"] |= {"annotations": {WORKLOAD_ANNOTATION: workload}, **metadata}
    return Object.of(PODS, {**value, "status": {"phase": "Running"}})


@pytest.mark.parametrize("by", ["afterlife", "the job's reconciler"])
@pytest.mark.parametrize(
    ("now_there", "is_marked", "is_woken"),
    [("the one", False, False), ("the one", True, True), (None, False, True), ("another", False, True)],
    ids=["runs", "being deleted", "gone without a mark", "replaced"],
)
def test_a_pod_that_goes_wakes_who_waits_for_it(
    now_there: str | None, is_marked: bool, is_woken: bool, by: str
) -> None:
    """Pods without grace vanish in one step: the last version that was seen bears no sign of it."""
    caches = {resource: Cache(resource) for resource in (JOBS, WORKLOADS, PODS)}
    job = an_object(JOBS, "Job", "train", "job")
    marks = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if is_marked else {}
    pod = a_pod("the one", "w", job, **marks)
    if now_there is not None:
        caches[PODS].put(pod if now_there == "the one" else a_pod(now_there, "w", job))
    controller = AfterlifeController() if by == "afterlife" else WorkloadController()
    name = "w" if by == "afterlife" else "train"
    assert list(controller.watches[PODS](pod, View(caches))) == ([("default", name)] if is_woken else [])


def with_garbage_collection() -> list[Controller]:
    return [*all_controllers(), GarbageCollector(default_registry())]


def test_pods_that_were_left_to_themselves_keep_their_devices_until_they_end() -> None:
    """A job deleted with propagation Orphan leaves its pods running: what they run on is not free."""
    with QueueLab(controllers=with_garbage_collection) as lab:
        lab.furnish(gpus=1, quota={"cpu": "8", "nvidia.com/gpu": "8"})
        lab.create(JOBS, job("first", gpus=1, seconds=20))
        lab.advance(2)
        first = lab.workload_of("first")["metadata"]["name"]
        lab.delete(JOBS, "first", propagation="Orphan")
        lab.create(JOBS, job("second", gpus=1, seconds=1))
        for _ in range(10):
            lab.advance(1)
            lab.check_devices()
        assert lab.get(JOBS, "first") is None
        assert lab.job_state("second") != "Complete"
        lab.advance(30)
        assert [one["reason"] for one in lab.the(WORKLOADS, first)["status"]["conditions"] if one["type"] == "Finished"]
        assert lab.job_state("second") == "Complete"
