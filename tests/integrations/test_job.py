"""batch Job: pod sets, start and stop, what can be given back early."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.integrations import for_owner, for_resource
from roadstead.integrations.base import CannotInject, PodSetInfo
from roadstead.integrations.job import BatchJob
from roadstead.kinds.names import JOBS, PODS
from roadstead.kinds.object import Json, Object, OwnerReference

KIND = BatchJob()
OWN = {
    "batch.kubernetes.io/job-name": "j",
    "controller-uid": "u",
    "job-name": "j",
    "batch.kubernetes.io/controller-uid": "u",
}


def job(
    *,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    status: Json | None = None,
    **spec: Any,
) -> Object:
    template = {"metadata": {"labels": {**OWN, **(labels or {})}}, "spec": {"containers": [], "restartPolicy": "Never"}}
    value = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j", "namespace": "n", "uid": "u", "annotations": annotations or {}},
        "spec": {"suspend": True, "template": template, **spec},
        "status": status or {},
    }
    return Object.of(JOBS, value)


COUNTS = [
    ("one by default", {}, 1, None),
    ("parallelism", {"parallelism": 4, "completions": 8}, 4, None),
    ("no more than completions", {"parallelism": 8, "completions": 3}, 3, None),
    ("a work queue", {"parallelism": 5}, 5, None),
    ("nothing wanted", {"parallelism": 0}, 0, None),
    ("a minimum", {"parallelism": 4, "completions": 4, "minimum": "2"}, 4, 2),
    ("a minimum that is no less", {"parallelism": 4, "completions": 4, "minimum": "4"}, 4, None),
    ("no number at all", {"parallelism": 4, "completions": 4, "minimum": "x"}, 4, None),
]


@pytest.mark.parametrize(("spec", "count", "minimum"), [row[1:] for row in COUNTS], ids=[row[0] for row in COUNTS])
def test_pod_sets(spec: Json, count: int, minimum: int | None) -> None:
    spec = dict(spec)
    text = spec.pop("minimum", None)
    annotations = {"kueue.x-k8s.io/job-min-parallelism": text} if text else {}
    (pod_set,) = KIND.pod_sets(job(annotations=annotations, **spec))
    assert (pod_set["name"], pod_set["count"], pod_set.get("minCount")) == ("main", count, minimum)


def test_the_template_carries_what_the_user_wrote_and_not_what_the_api_added() -> None:
    (pod_set,) = KIND.pod_sets(job(labels={"team": "a"}))
    assert pod_set["template"]["metadata"] == {"labels": {"team": "a"}}
    (bare,) = KIND.pod_sets(job())
    assert "metadata" not in bare["template"]


INFO = PodSetInfo(
    "main",
    1,
    node_selector={"gpu": "h100"},
    tolerations=({"key": "gpu", "operator": "Exists"},),
    labels={"kueue.x-k8s.io/podset": "main"},
    annotations={"kueue.x-k8s.io/workload": "w"},
)


def test_start_injects_and_unsuspends() -> None:
    value = job().decode()
    KIND.start(value, [INFO])
    template = value["spec"]["template"]
    assert value["spec"]["suspend"] is False
    assert template["spec"]["nodeSelector"] == {"gpu": "h100"}
    assert template["spec"]["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert template["metadata"]["annotations"] == {"kueue.x-k8s.io/workload": "w"}
    assert template["metadata"]["labels"] == {**OWN, "kueue.x-k8s.io/podset": "main"}


def test_a_selector_that_says_otherwise_is_a_conflict_and_names_both() -> None:
    value = job().decode()
    value["spec"]["template"]["spec"]["nodeSelector"] = {"gpu": "a100"}
    with pytest.raises(CannotInject, match='"gpu" is "a100" in the job and would have to be "h100"'):
        KIND.start(value, [INFO])


texts = st.sampled_from(["a", "b", "c"])


@given(
    labels=st.dictionaries(texts, texts, max_size=2),
    selector=st.dictionaries(texts, texts, max_size=2),
    tolerations=st.lists(st.fixed_dictionaries({"key": texts}), max_size=2),
    parallelism=st.integers(1, 5),
    admitted=st.integers(1, 5),
)
def test_stop_gives_the_job_back_as_it_was(
    labels: dict[str, str], selector: dict[str, str], tolerations: list[Json], parallelism: int, admitted: int
) -> None:
    annotations = {"kueue.x-k8s.io/job-min-parallelism": "1"}
    original = job(labels=labels, annotations=annotations, parallelism=parallelism, completions=parallelism)
    value = original.decode()
    if selector:
        value["spec"]["template"]["spec"]["nodeSelector"] = selector
    if tolerations:
        value["spec"]["template"]["spec"]["tolerations"] = tolerations
    before = Object.of(JOBS, value)
    pod_sets = KIND.pod_sets(before)
    started = before.decode()
    KIND.start(
        started,
        [
            PodSetInfo(
                "main", min(admitted, parallelism), INFO.node_selector, INFO.tolerations, INFO.labels, INFO.annotations
            )
        ],
    )
    KIND.set_suspended(started, True)
    assert KIND.restore(started, pod_sets)
    assert started == before.decode()
    assert not KIND.restore(started, pod_sets)


def test_what_a_workload_could_not_keep_of_the_template_is_still_there_after_a_stop() -> None:
    """The API server may be newer than the schema of its Workloads, which then drop fields of pods."""
    value = job().decode()
    value["spec"]["template"]["spec"]["newInThisServer"] = {"a": 1}
    started = Object.of(JOBS, value).decode()
    pod_sets = KIND.pod_sets(Object.of(JOBS, value))
    del pod_sets[0]["template"]["spec"]["newInThisServer"]
    KIND.start(started, [INFO])
    KIND.set_suspended(started, True)
    assert KIND.restore(started, pod_sets)
    assert started == value


def test_older_servers_are_told_that_a_suspended_job_never_started() -> None:
    value = job(status={"startTime": "2026-01-01T00:00:00Z", "active": 0}).decode()
    assert KIND.forget_start(value)
    assert value["status"] == {"active": 0}
    assert not KIND.forget_start(value)


RECLAIM = [
    ("all still to do", {"parallelism": 4, "completions": 10}, {"succeeded": 0}, {}),
    ("more left than slots", {"parallelism": 4, "completions": 10}, {"succeeded": 6}, {}),
    ("fewer left than slots", {"parallelism": 4, "completions": 10}, {"succeeded": 7}, {"main": 1}),
    ("one left", {"parallelism": 4, "completions": 4}, {"succeeded": 3}, {"main": 3}),
    ("none left: the end gives all back", {"parallelism": 4, "completions": 4}, {"succeeded": 4}, {}),
    ("a work queue keeps all", {"parallelism": 4}, {"succeeded": 1}, {}),
    (
        "indexes, done or given up",
        {"parallelism": 4, "completions": 4, "completionMode": "Indexed"},
        {"completedIndexes": "0,1", "failedIndexes": "3"},
        {"main": 3},
    ),
    (
        "an index counts once, and only below completions",
        {"parallelism": 3, "completions": 3, "completionMode": "Indexed"},
        {"completedIndexes": "0,5-9", "failedIndexes": "0"},
        {"main": 1},
    ),
]


@pytest.mark.parametrize(("spec", "status", "expected"), [row[1:] for row in RECLAIM], ids=[row[0] for row in RECLAIM])
def test_reclaimable(spec: Json, status: Json, expected: dict[str, int]) -> None:
    assert KIND.reclaimable(job(status=status, **spec)) == expected


SUSPENDED = {"type": "Suspended", "status": "True"}
RESUMED = {"type": "Suspended", "status": "False"}
ACTIVE = [
    ("never started", {}, False),
    ("pods run", {"active": 1, "startTime": "2026-01-01T00:00:00Z"}, True),
    ("pods terminate", {"terminating": 1, "startTime": "2026-01-01T00:00:00Z", "conditions": [SUSPENDED]}, True),
    ("its controller has not noticed yet", {"startTime": "2026-01-01T00:00:00Z", "conditions": [RESUMED]}, True),
    ("stopped", {"startTime": "2026-01-01T00:00:00Z", "conditions": [SUSPENDED]}, False),
]


@pytest.mark.parametrize(("status", "expected"), [row[1:] for row in ACTIVE], ids=[row[0] for row in ACTIVE])
def test_activity(status: Json, expected: bool) -> None:
    assert KIND.is_active(job(status=status)) is expected


def test_the_end_of_a_job() -> None:
    assert KIND.finished(job()) is None
    done = KIND.finished(job(status={"conditions": [{"type": "Complete", "status": "True", "message": "all pods"}]}))
    assert done is not None
    assert (done.succeeded, done.message) == (True, "all pods")
    failed = KIND.finished(job(status={"conditions": [{"type": "Failed", "status": "True", "message": "no"}]}))
    assert failed is not None
    assert failed.succeeded is False


def test_kinds_are_found_by_resource_and_owner() -> None:
    kind = for_resource(JOBS)
    assert kind is not None
    assert kind.kind == "Job"
    assert for_resource(PODS) is None
    assert for_owner(OwnerReference("batch/v1", "Job", "j", "u")) is kind
    assert for_owner(OwnerReference("apps/v1", "ReplicaSet", "r", "u")) is None
    assert for_owner(None) is None
