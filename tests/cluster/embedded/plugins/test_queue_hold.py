"""The queue's hold on jobs: labelled, suspended, and not moved while they run."""

from __future__ import annotations

from copy import deepcopy

import pytest

from roadstead.cluster.embedded.admission import AdmissionRequest
from roadstead.cluster.embedded.plugins import QueueHold
from roadstead.cluster.embedded.requests import SYSTEM
from roadstead.kinds.errors import StatusError
from roadstead.kinds.names import JOBS, LOCAL_QUEUES, WORKLOAD_PRIORITY_CLASSES
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.served import default_registry

QUEUE = "kueue.x-k8s.io/queue-name"
PRIORITY = "kueue.x-k8s.io/priority-class"
MINIMUM = "kueue.x-k8s.io/job-min-parallelism"
REGISTRY = default_registry()


def job(
    labels: dict[str, str] | None = None,
    *,
    suspend: bool | None = None,
    annotations: dict[str, str] | None = None,
    **spec: object,
) -> Json:
    body: Json = {"template": {"spec": {}}, **spec}
    if suspend is not None:
        body["suspend"] = suspend
    return {"metadata": {"name": "j", "labels": labels or {}, "annotations": annotations or {}}, "spec": body}


def admit(
    obj: Json, old: Json | None = None, *, queues: tuple[str, ...] = ("default",), classes: tuple[str, ...] = ()
) -> Json:
    kind = REGISTRY.get(JOBS)
    assert kind is not None
    there = {(LOCAL_QUEUES, "team", name) for name in queues} | {
        (WORKLOAD_PRIORITY_CLASSES, "", name) for name in classes
    }

    def lookup(resource: Resource, namespace: str, name: str) -> Object | None:
        if (resource, namespace, name) not in there:
            return None
        return Object.of(resource, {"apiVersion": "v1", "kind": "X", "metadata": {"name": name}})

    operation = "CREATE" if old is None else "UPDATE"
    QueueHold().admit(AdmissionRequest(operation, kind, "team", "j", "", obj, old, SYSTEM, False, lookup))
    return obj


def refusal(obj: Json, old: Json | None = None) -> str:
    with pytest.raises(StatusError) as refused:
        admit(obj, old)
    assert refused.value.code == 422
    return refused.value.message


def test_a_job_without_a_queue_gets_the_default_one_and_is_suspended() -> None:
    held = admit(job())
    assert held["metadata"]["labels"] == {QUEUE: "default"}
    assert held["spec"]["suspend"] is True


def test_without_a_default_queue_it_runs() -> None:
    free = admit(job(), queues=())
    assert QUEUE not in free["metadata"]["labels"]
    assert "suspend" not in free["spec"]


def test_a_job_that_names_a_queue_is_suspended_even_if_the_queue_is_not_there() -> None:
    assert admit(job({QUEUE: "later"}, suspend=False), queues=())["spec"]["suspend"] is True


def test_an_empty_label_keeps_a_job_out_of_the_default_queue() -> None:
    assert "suspend" not in admit(job({QUEUE: ""}))["spec"]


def test_a_default_priority_class_is_given_if_there_is_one() -> None:
    assert admit(job(), classes=("default",))["metadata"]["labels"][PRIORITY] == "default"
    assert admit(job({PRIORITY: "high"}), classes=("default",))["metadata"]["labels"][PRIORITY] == "high"
    assert PRIORITY not in admit(job())["metadata"]["labels"]


def test_a_job_inside_another_job_is_not_held() -> None:
    inner = job({QUEUE: "default"})
    inner["metadata"]["ownerReferences"] = [
        {"apiVersion": "batch/v1", "kind": "Job", "name": "outer", "uid": "1", "controller": True}
    ]
    assert "suspend" not in admit(inner)["spec"]


def test_the_queue_of_a_running_job_cannot_change() -> None:
    message = refusal(job({QUEUE: "b"}, suspend=False), job({QUEUE: "a"}, suspend=False))
    assert message == f'Job.batch "j" is invalid: metadata.labels[{QUEUE}]: Invalid value: "b": field is immutable'


def test_the_queue_of_a_suspended_job_may_change_but_not_vanish() -> None:
    admit(job({QUEUE: "b"}, suspend=True), job({QUEUE: "a"}, suspend=True))
    assert "queue-name must not be empty" in refusal(job({}, suspend=True), job({QUEUE: "a"}, suspend=True))


def test_a_queue_name_must_be_a_name() -> None:
    assert f"metadata.labels[{QUEUE}]" in refusal(job({QUEUE: "Not A Name"}))


@pytest.mark.parametrize(
    ("new", "old", "problem"),
    [
        ({PRIORITY: "b"}, {PRIORITY: "a"}, ""),
        ({}, {PRIORITY: "a"}, "not removed"),
        ({PRIORITY: "a"}, {}, "not be added to a running job"),
    ],
)
def test_the_priority_class_of_a_running_job(new: dict[str, str], old: dict[str, str], problem: str) -> None:
    before, after = job({QUEUE: "q", **old}, suspend=False), job({QUEUE: "q", **new}, suspend=False)
    if problem:
        assert problem in refusal(after, before)
    else:
        admit(after, before)


@pytest.mark.parametrize(
    ("text", "parallelism", "problem"),
    [
        ("2", 4, ""),
        ("4", 4, "should be between 0 and 3"),
        ("0", 4, "should be between 0 and 3"),
        ("many", 4, "must be an integer"),
    ],
)
def test_the_minimum_of_a_partial_admission(text: str, parallelism: int, problem: str) -> None:
    asked = job({QUEUE: "q"}, annotations={MINIMUM: text}, parallelism=parallelism)
    if problem:
        assert problem in refusal(asked)
    else:
        admit(asked)


def test_a_started_job_with_fewer_pods_than_its_minimum_allows_stays_valid() -> None:
    """At start parallelism becomes the admitted count, which may be the minimum itself."""
    annotations = {MINIMUM: "2"}
    before = job({QUEUE: "q"}, suspend=True, annotations=annotations, parallelism=4)
    started = job({QUEUE: "q"}, suspend=False, annotations=annotations, parallelism=2)
    assert admit(deepcopy(started), before) == started
    held = job({QUEUE: "q"}, suspend=True, annotations=annotations, parallelism=2)
    assert "should be between 0 and 1" in refusal(held, before), "while it is held, it asks for all of them"


LIMIT = "kueue.x-k8s.io/max-exec-time-seconds"


@pytest.mark.parametrize(
    ("text", "problem"),
    [("60", ""), ("0", "should be between 1"), ("-1", "must be a number of seconds"), ("soon", "must be a number of seconds"),
     ("", "must be a number of seconds"), ("9999999999", "should be between 1 and 2147483647")],
)  # fmt: skip
def test_the_time_limit_of_a_job(text: str, problem: str) -> None:
    if problem:
        assert problem in refusal(job({QUEUE: "q", LIMIT: text}))
    else:
        admit(job({QUEUE: "q", LIMIT: text}))


def test_the_time_limit_of_a_running_job_stays() -> None:
    before = {QUEUE: "q", LIMIT: "60"}
    assert "field is immutable" in refusal(job({**before, LIMIT: "70"}, suspend=False), job(before, suspend=False))
    admit(job({**before, LIMIT: "70"}, suspend=True), job(before, suspend=True))
    assert "must be a number" in refusal(job({**before, LIMIT: "x"}, suspend=True), job(before, suspend=True))
