"""LimitRanges and RuntimeClasses: what a job is counted for is what its pods will request, and what they may not is
said before."""

from __future__ import annotations

from roadstead.kinds.names import JOBS, LIMIT_RANGES, PODS, RUNTIME_CLASSES, WORKLOADS
from roadstead.kinds.object import Json
from roadstead.runtime.cluster import Create, Delete
from tests.controllers.queueing.lab import QueueLab, job


def limit_range(name: str, *limits: Json) -> Json:
    return {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": name}, "spec": {"limits": list(limits)}}


def used(lab: QueueLab, name: str) -> Json:
    found: Json = lab.workload_of(name)["status"]["admission"]["podSetAssignments"][0]["resourceUsage"]
    return found


def silent(name: str) -> Json:
    """A job whose container asks for nothing, and does not end."""
    value = job(name, seconds=None)
    del value["spec"]["template"]["spec"]["containers"][0]["resources"]
    return value


def test_a_job_that_does_not_say_is_counted_for_what_its_pods_get() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.create(LIMIT_RANGES, limit_range("r", {"type": "Container", "defaultRequest": {"cpu": "3"}}))
        lab.create(JOBS, silent("a"))
        lab.settle()
        lab.create(JOBS, silent("b"))
        lab.settle()
        assert used(lab, "a")["cpu"] == "3"
        (pod,) = lab.all(PODS)
        assert pod["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "3"}
        assert (lab.job_state("a"), lab.job_state("b")) == ("running", "suspended")


def test_who_waits_is_counted_anew_when_a_range_comes_changes_or_goes() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.create(LIMIT_RANGES, limit_range("r", {"type": "Container", "defaultRequest": {"cpu": "5"}}))
        lab.create(JOBS, silent("a"))
        lab.settle()
        assert lab.condition(lab.workload_of("a"), "QuotaReserved") == ("False", "ExceedsMaxQuota")
        lab.edit(LIMIT_RANGES, "r", lambda value: value["spec"]["limits"][0]["defaultRequest"].update(cpu="2"))
        lab.settle()
        assert used(lab, "a")["cpu"] == "2"


def test_what_pods_may_not_ask_for_is_refused_with_numbers_until_the_range_goes() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        stored = lab.create(LIMIT_RANGES, limit_range("r", {"type": "Container", "max": {"cpu": "2"}}))
        lab.create(JOBS, job("a", cpu="3"))
        lab.settle()
        workload = lab.workload_of("a")
        assert lab.condition(workload, "QuotaReserved") == ("False", "Misconfigured")
        message = next(c["message"] for c in workload["status"]["conditions"] if c["type"] == "QuotaReserved")
        assert message == (
            "It, in containers[0], asks for 3 cpu; LimitRanges of this namespace ask for at most 2. "
            "Change the pod template (requests and limits both count), or ask an administrator to change the LimitRange."
        )
        assert lab.write(Delete(stored.ref, stored.meta.uid)).is_done
        lab.advance(20)
        assert lab.job_state("a") == "Complete"


def test_others_are_not_held_up_by_who_may_not_be() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.create(LIMIT_RANGES, limit_range("r", {"type": "Container", "max": {"cpu": "2"}, "default": {"cpu": "2"}}))
        lab.create(JOBS, job("a", cpu="3"))
        lab.create(JOBS, job("b", cpu="2"))
        lab.advance(20)
        assert (lab.job_state("a"), lab.job_state("b")) == ("suspended", "Complete")


def test_overhead_counts_in_quota_and_on_the_node() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        runtime_class = {
            "apiVersion": "node.k8s.io/v1",
            "kind": "RuntimeClass",
            "metadata": {"name": "gvisor"},
            "handler": "runsc",
            "overhead": {"podFixed": {"cpu": "500m"}},
        }
        value = job("a", cpu="2", seconds=None)
        value["spec"]["template"]["spec"]["runtimeClassName"] = "gvisor"
        lab.must(Create(RUNTIME_CLASSES, runtime_class))
        lab.create(JOBS, value)
        lab.settle()
        lab.create(JOBS, job("b", cpu="2", seconds=None))
        lab.settle()
        assert used(lab, "a")["cpu"] == "2500m"
        (pod,) = lab.all(PODS)
        assert pod["spec"]["overhead"] == {"cpu": "500m"}
        assert lab.condition(lab.workload_of("b"), "QuotaReserved") == ("False", "WaitingForQuota")
        assert WORKLOADS in lab.decider.resources
