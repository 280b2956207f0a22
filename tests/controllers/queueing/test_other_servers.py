"""API servers that are older or newer than ours: what they keep of a job, and what they know of pods."""

from __future__ import annotations

from typing import Any

from roadstead.controllers.workload import WorkloadController
from roadstead.controllers.workload.build import Priority, build_workload, says_the_same
from roadstead.integrations.job import BatchJob
from roadstead.kinds.names import JOBS, WORKLOADS
from roadstead.kinds.object import Json, Object
from roadstead.kinds.times import SECOND
from roadstead.runtime.cluster import Update
from roadstead.runtime.step import Step
from roadstead.runtime.view import Cache, View

KIND = BatchJob()
NOW = 1_800_000_000 * SECOND
TIME = "2027-01-01T00:00:00Z"
KEY = ("n", "j")


def _job(status: Json, **pod: Any) -> Object:
    template = {"spec": {"containers": [{"name": "c", "image": "x"}], "restartPolicy": "Never", **pod}}
    return Object.of(
        JOBS,
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": "j",
                "namespace": "n",
                "uid": "u",
                "resourceVersion": "1",
                "labels": {"kueue.x-k8s.io/queue-name": "q"},
            },
            "spec": {"suspend": True, "parallelism": 1, "completions": 1, "template": template},
            "status": status,
        },
    )


def _workload(job: Object, **status: Any) -> Json:
    value = build_workload(job, KIND.pod_sets(job), Priority())
    value["metadata"].update(uid="w", resourceVersion="2")
    value["status"] = status
    return value


def _condition(kind: str, status: str = "True", reason: str = "Preempted") -> Json:
    return {"type": kind, "status": status, "reason": reason, "message": "", "lastTransitionTime": TIME}


def _reconcile(*objects: Object) -> Step:
    controller = WorkloadController()
    caches = {
        resource: Cache(resource, {name: index for (of, name), index in controller.indexes.items() if of == resource})
        for resource in controller.watches
    }
    for obj in objects:
        caches[obj.resource].put(obj)
    return controller.reconcile(KEY, View(caches), NOW)


EVICTED = {
    "conditions": [_condition("QuotaReserved"), _condition("Admitted"), _condition("Evicted")],
    "admission": {"clusterQueue": "cq", "podSetAssignments": [{"name": "main", "flavors": {"cpu": "f"}, "count": 1}]},
}
SUSPENDED = {"type": "Suspended", "status": "True"}


def test_a_server_that_keeps_the_start_of_a_suspended_job_is_made_to_forget_it_before_the_template_changes() -> None:
    """Before KEP-5440 such a Job's template was refused any change."""
    asked = _job({})
    workload = Object.of(WORKLOADS, _workload(asked, **EVICTED))
    started = _job({"startTime": TIME, "conditions": [SUSPENDED]}, nodeSelector={"pool": "main"})
    (write,) = _reconcile(started, workload).writes
    assert isinstance(write, Update)
    assert (write.resource, write.subresource) == (JOBS, "status")
    assert "startTime" not in write.value["status"]

    forgotten = _job({"conditions": [SUSPENDED]}, nodeSelector={"pool": "main"})
    restored, released = _reconcile(forgotten, workload).writes
    assert isinstance(restored, Update)
    assert "nodeSelector" not in restored.value["spec"]["template"]["spec"]
    assert (released.resource, released.ref.name) == (WORKLOADS, workload.meta.name)


def test_a_job_whose_template_needs_no_restoring_is_not_written_for_it() -> None:
    asked = _job({})
    workload = Object.of(WORKLOADS, _workload(asked, **EVICTED))
    step = _reconcile(_job({"startTime": TIME, "conditions": [SUSPENDED]}), workload)
    assert [write.resource for write in step.writes] == [WORKLOADS]


def test_fields_that_the_server_knows_in_jobs_and_not_in_workloads_are_no_difference() -> None:
    job = _job({}, newInThisServer={"a": 1})
    value = _workload(job)
    del value["spec"]["podSets"][0]["template"]["spec"]["newInThisServer"]
    assert says_the_same(KIND, job, True, Object.of(WORKLOADS, value))


def test_fields_that_we_know_still_are() -> None:
    workload = Object.of(WORKLOADS, _workload(_job({}, newInThisServer={"a": 1})))
    changed = _job({}, newInThisServer={"a": 1}, nodeSelector={"pool": "other"})
    assert not says_the_same(KIND, changed, True, workload)
