"""Kueue's metrics: where workloads stand and what has happened to them, from what an informer shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from roadstead.kinds.names import CLUSTER_QUEUES, JOBS, LOCAL_QUEUES, WORKLOADS
from roadstead.kinds.object import Json, Object, Resource
from roadstead.runtime.counters import Family, Histogram
from roadstead.runtime.view import Cache, View
from roadstead.views.metrics import queue_families
from roadstead.views.workload_counts import WorkloadCounts
from tests.controllers.queueing.lab import QueueLab, job

AT = "2026-01-01T00:00:{:02}Z"


def condition(type: str, seconds: int, status: str = "True", reason: str = "Because", message: str = "") -> Json:
    return {
        "type": type,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": AT.format(seconds),
    }


def workload(name: str, *conditions: Json, queue: str = "lq", held: str = "", uid: str = "") -> Object:
    status: Json = {"conditions": list(conditions)}
    if held:
        status["admission"] = {"clusterQueue": held}
    value = {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "Workload",
        "metadata": {
            "name": name,
            "namespace": "a",
            "uid": uid or name,
            "creationTimestamp": AT.format(0),
            "resourceVersion": "1",
        },
        "spec": {"queueName": queue, "priorityClassRef": {"name": "high"}},
        "status": status,
    }
    return Object(WORKLOADS, orjson.dumps(value))


class Watched:
    """Counts fed by a cache, and the queues beside it."""

    def __init__(self) -> None:
        self.caches = {resource: Cache(resource) for resource in (WORKLOADS, CLUSTER_QUEUES, LOCAL_QUEUES)}
        self.counts = WorkloadCounts()
        self.add(LOCAL_QUEUES, "lq", "a", {"spec": {"clusterQueue": "cq"}})
        quota = {"name": "cpu", "nominalQuota": "500m", "borrowingLimit": "1"}
        usage = [{"name": "f", "resources": [{"name": "cpu", "total": "250m"}]}]
        group = {"coveredResources": ["cpu"], "flavors": [{"name": "f", "resources": [quota]}]}
        status = {"conditions": [condition("Active", 0)], "flavorsUsage": usage}
        self.add(CLUSTER_QUEUES, "cq", "", {"spec": {"cohortName": "all", "resourceGroups": [group]}, "status": status})

    def add(self, resource: Resource, name: str, namespace: str, body: Json) -> None:
        metadata = {"name": name, "namespace": namespace, "uid": name}
        value = {"apiVersion": resource.api_version, "kind": "Some", "metadata": metadata, **body}
        self.caches[resource].put(Object(resource, orjson.dumps(value)))

    def see(self, *versions: Object) -> None:
        for version in versions:
            old = self.caches[WORKLOADS].put(version)
            self.counts.changed(version.key, old, version)

    def lose(self, name: str) -> None:
        old = self.caches[WORKLOADS].remove(("a", name))
        self.counts.changed(("a", name), old, None)

    def families(self) -> dict[str, Family]:
        """By the name that is scraped."""
        found = queue_families(View(self.caches), self.counts)
        return {f"{family.name}_total" if family.kind == "counter" else family.name: family for family in found}

    def value(self, name: str, /, **labels: str) -> Any:
        found = [
            value for given, value in self.families()[name].samples if all(given[k] == v for k, v in labels.items())
        ]
        assert len(found) == 1, (name, labels, found)
        return found[0]


STORY: Sequence[Object] = (
    workload("w"),
    workload("w", condition("QuotaReserved", 4, "False", "WaitingForQuota")),
    workload("w", condition("QuotaReserved", 8), held="cq"),
    workload("w", condition("QuotaReserved", 8), condition("Admitted", 9), held="cq"),
    workload(
        "w",
        condition("QuotaReserved", 8),
        condition("Admitted", 9),
        condition("Finished", 29, reason="Succeeded"),
        held="cq",
    ),
)


def test_where_a_workload_stands() -> None:
    watched = Watched()
    expected = (
        ("active", 1, 0, 0, 0),
        ("inadmissible", 1, 0, 0, 0),
        ("", 0, 1, 0, 0),
        ("", 0, 1, 1, 0),
        ("", 0, 0, 0, 1),
    )
    for version, (status, pending, reserving, admitted, finished) in zip(STORY, expected, strict=True):
        watched.see(version)
        for prefix, labels in (
            ("kueue_", {"cluster_queue": "cq"}),
            ("kueue_local_queue_", {"name": "lq", "namespace": "a"}),
        ):
            for state in ("active", "inadmissible"):
                wanted = pending if state == status else 0
                assert watched.value(f"{prefix}pending_workloads", status=state, **labels) == wanted
            assert watched.value(f"{prefix}reserving_active_workloads", **labels) == reserving
            assert watched.value(f"{prefix}admitted_active_workloads", **labels) == admitted
            assert watched.value(f"{prefix}finished_workloads", **labels) == finished
    watched.lose("w")
    assert watched.value("kueue_finished_workloads", cluster_queue="cq") == 0
    assert watched.counts.places == {}


def test_what_has_happened_is_counted_once_with_the_time_it_took() -> None:
    watched = Watched()
    for version in STORY:
        watched.see(version, version)
    labels = {"cluster_queue": "cq", "priority_class": "high"}
    for what in ("quota_reserved", "admitted", "finished"):
        assert watched.value(f"kueue_{what}_workloads_total", **labels) == 1
        assert watched.value(f"kueue_local_queue_{what}_workloads_total", name="lq") == 1
    sums = {
        name: watched.value(f"kueue_{name}_seconds", **labels)
        for name in ("quota_reserved_wait_time", "admission_wait_time", "execution_time")
    }
    assert {name: (found.sum, found.count) for name, found in sums.items()} == {
        "quota_reserved_wait_time": (8.0, 1),
        "admission_wait_time": (9.0, 1),
        "execution_time": (20.0, 1),
    }


def test_what_was_before_the_start_has_a_place_and_no_history() -> None:
    watched = Watched()
    watched.see(STORY[-1])
    assert watched.value("kueue_finished_workloads", cluster_queue="cq") == 1
    assert watched.families()["kueue_finished_workloads"].kind == "gauge"
    assert watched.counts.finished == {}


def test_evictions_and_preemptions_by_reason() -> None:
    watched = Watched()
    running = workload("w", condition("QuotaReserved", 1), condition("Admitted", 1), held="cq")
    message = "Preempted to accommodate a workload (UID: u, JobUID: j) due to x; preemptor path: /all/other; preemptee path: /all/cq"
    gone = workload(
        "w",
        condition("QuotaReserved", 1),
        condition("Admitted", 1),
        condition("Evicted", 5, reason="Preempted"),
        condition("Preempted", 5, reason="InClusterQueue", message=message),
        held="cq",
    )
    watched.see(running, gone)
    assert (
        watched.value("kueue_evicted_workloads_total", cluster_queue="cq", reason="Preempted", priority_class="high")
        == 1
    )
    assert (
        watched.value("kueue_preempted_workloads_total", preempting_cluster_queue="other", reason="InClusterQueue") == 1
    )


def test_waiting_counts_from_the_last_requeue() -> None:
    watched = Watched()
    waiting = workload("w", condition("QuotaReserved", 10, "False", "Preempted"), condition("Requeued", 20))
    again = workload("w", condition("QuotaReserved", 25), condition("Requeued", 20), held="cq")
    watched.see(waiting, again)
    histogram = watched.value("kueue_quota_reserved_wait_time_seconds", cluster_queue="cq")
    assert isinstance(histogram, Histogram)
    assert histogram.sum == 5.0


def test_another_object_of_the_same_name_is_no_transition() -> None:
    watched = Watched()
    watched.see(workload("w"), workload("w", condition("QuotaReserved", 1), held="cq", uid="another"))
    assert watched.counts.reserved == {}


def test_queues_quotas_and_usage_in_base_units() -> None:
    watched = Watched()
    cell = {"cluster_queue": "cq", "cohort": "all", "flavor": "f", "resource": "cpu"}
    assert watched.value("kueue_cluster_queue_nominal_quota", **cell) == 0.5
    assert watched.value("kueue_cluster_queue_borrowing_limit", **cell) == 1.0
    assert watched.value("kueue_cluster_queue_lending_limit", **cell) == float("inf")
    assert watched.value("kueue_cluster_queue_resource_usage", **cell) == 0.25
    assert [
        watched.value("kueue_cluster_queue_status", cluster_queue="cq", status=status)
        for status in ("pending", "active", "terminating")
    ] == [0, 1, 0]
    assert watched.value("kueue_local_queue_status", name="lq", active="Unknown") == 1


def test_attempts_are_cycles_that_looked_at_a_workload() -> None:
    with QueueLab() as lab:
        counts = WorkloadCounts()
        lab.decider._journal = lambda given, now, plans: counts.decided(plans)
        lab.furnish(cpu="4")
        assert counts.attempts == {"success": 0, "inadmissible": 0}
        lab.create(JOBS, job("fits", cpu="3", seconds=60))
        lab.settle()
        assert counts.attempts["success"] == 1
        lab.create(JOBS, job("waits", cpu="3"))
        lab.settle()
        assert counts.attempts["success"] == 1
        assert counts.attempts["inadmissible"] >= 1


def test_those_not_admitted_are_counted_by_what_keeps_them() -> None:
    watched = Watched()
    expected = (
        ("NoReservation", "PendingEvaluation"),
        ("NoReservation", "WaitingForQuota"),
        ("UnsatisfiedAdmissionChecks", ""),
        None,
        None,
    )
    for version, reasons in zip(STORY, expected, strict=True):
        watched.see(version)
        wanted = [] if reasons is None else [reasons]
        for name, labels in (
            ("kueue_unadmitted_workloads", {}),
            ("kueue_local_queue_unadmitted_workloads", {"name": "lq"}),
        ):
            samples = watched.families()[name].samples
            assert [(given["reason"], given["underlying_cause"]) for given, _ in samples] == wanted
            for given, value in samples:
                assert value == 1
                assert given["cluster_queue"] == "cq"
                assert all(given[key] == value for key, value in labels.items())
    assert watched.counts.unadmitted == {}


def test_the_wait_for_checks_and_what_is_behind_a_deactivation() -> None:
    watched = Watched()
    checks = {"admissionChecks": [{"name": "prov", "state": "Ready"}]}
    reserved = workload("w", condition("QuotaReserved", 8), held="cq")
    admitted = workload("w", condition("QuotaReserved", 8), condition("Admitted", 38), held="cq")
    value = admitted.decode()
    value["status"].update(checks)
    watched.see(reserved, Object(WORKLOADS, orjson.dumps(value)))
    waited = watched.value("kueue_admission_checks_wait_time_seconds", cluster_queue="cq")
    assert waited.sum == 30
    value["status"]["conditions"].append(condition("Evicted", 40, reason="DeactivatedDueToAdmissionCheck"))
    watched.see(Object(WORKLOADS, orjson.dumps(value)))
    labels = {"reason": "Deactivated", "underlying_cause": "AdmissionCheck"}
    assert watched.value("kueue_evicted_workloads_total", cluster_queue="cq", **labels) == 1
