"""Budgets: what they allow, what evictions cost, and who may always go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from roadstead.cluster.embedded.budgets import check_eviction
from roadstead.controllers.disruption import DisruptionController
from roadstead.controllers.replicaset import ReplicaSetController
from roadstead.kinds.errors import StatusError
from roadstead.kinds.names import DISRUPTION_BUDGETS, JOBS, PODS, REPLICA_SETS
from roadstead.kinds.object import Json, Object
from roadstead.kinds.times import format_time
from roadstead.runtime.step import SECOND
from roadstead.testing.controllers import Lab

LABELS = {"app": "web"}
POD: Json = {"containers": [{"name": "c", "image": "i:1"}], "nodeName": "n1"}


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(lambda: [ReplicaSetController(), DisruptionController()]) as lab:
        yield lab


def replicate(lab: Lab, replicas: int) -> list[str]:
    """A ReplicaSet with ready pods: their names."""
    template = {"metadata": {"labels": LABELS}, "spec": POD}
    spec = {"selector": {"matchLabels": LABELS}, "replicas": replicas, "template": template}
    lab.create(REPLICA_SETS, {"metadata": {"name": "web"}, "spec": spec})
    lab.settle()
    names = sorted(pod["metadata"]["name"] for pod in lab.all(PODS))
    for name in names:
        ready(lab, name)
    return names


def ready(lab: Lab, name: str, status: str = "True") -> None:
    condition = {"type": "Ready", "status": status, "lastTransitionTime": format_time(lab.now)}
    lab.edit_status(PODS, name, phase="Running", conditions=[condition])
    lab.settle(lab.now)


def budget(lab: Lab, **spec: Any) -> Json:
    lab.create(DISRUPTION_BUDGETS, {"metadata": {"name": "pdb"}, "spec": {"selector": {"matchLabels": LABELS}} | spec})
    return status(lab)


def status(lab: Lab) -> Json:
    lab.settle(lab.now)
    found: Json = lab.the(DISRUPTION_BUDGETS, "pdb")["status"]
    return found


def evict(lab: Lab, name: str) -> tuple[Object, Json] | None:
    pod = lab.get(PODS, name)
    found = lab.get(DISRUPTION_BUDGETS, "pdb")
    assert pod is not None
    assert found is not None
    return check_eviction(pod, [found], lab.now)


@pytest.mark.parametrize(
    ("spec", "expected", "desired", "allowed"),
    [
        ({"minAvailable": 3}, 4, 3, 1),
        ({"minAvailable": "50%"}, 4, 2, 2),
        ({"minAvailable": "51%"}, 4, 3, 1),
        ({"maxUnavailable": 1}, 4, 3, 1),
        ({"maxUnavailable": "30%"}, 4, 2, 2),
        ({"maxUnavailable": 9}, 4, 0, 4),
        ({"minAvailable": 5}, 4, 5, 0),
    ],
)
def test_what_a_budget_allows(lab: Lab, spec: Json, expected: int, desired: int, allowed: int) -> None:
    replicate(lab, 4)
    found = budget(lab, **spec)
    numbers = (found["expectedPods"], found["desiredHealthy"], found["currentHealthy"], found["disruptionsAllowed"])
    assert numbers == (expected, desired, 4, allowed)
    reason = "SufficientPods" if allowed else "InsufficientPods"
    assert [(each["type"], each["reason"]) for each in found["conditions"]] == [("DisruptionAllowed", reason)]
    assert found["observedGeneration"] == 1


def test_a_budget_without_pods_allows_nothing(lab: Lab) -> None:
    assert budget(lab, minAvailable=0)["disruptionsAllowed"] == 0


def test_pods_of_nobody_who_says_how_many_there_should_be(lab: Lab) -> None:
    spec = {"template": {"metadata": {"labels": LABELS}, "spec": {**POD, "restartPolicy": "Never"}}}
    job = lab.create(JOBS, {"metadata": {"name": "job"}, "spec": spec})
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "job", "uid": job.meta.uid, "controller": True}
    lab.create(PODS, {"metadata": {"name": "p", "labels": LABELS, "ownerReferences": [owner]}, "spec": POD})
    ready(lab, "p")
    found = budget(lab, maxUnavailable=1)
    assert found["disruptionsAllowed"] == 0
    assert found["conditions"][0]["reason"] == "SyncFailed"
    assert found["conditions"][0]["message"] == 'found no controllers for pod "p"'


def test_an_eviction_costs_one_and_is_remembered_until_the_pod_is_gone(lab: Lab) -> None:
    first, second, *_ = replicate(lab, 3)
    budget(lab, minAvailable=2)
    charged = evict(lab, first)
    assert charged is not None
    assert charged[1]["status"]["disruptionsAllowed"] == 0
    assert charged[1]["status"]["conditions"][0]["status"] == "False"
    lab.edit(DISRUPTION_BUDGETS, "pdb", lambda value: value.update(status=charged[1]["status"]), subresource="status")
    assert status(lab)["currentHealthy"] == 2, "the evicted one counts no more, though it is still there"
    with pytest.raises(StatusError, match="disruption budget") as refused:
        evict(lab, second)
    assert refused.value.code == 429
    cause = refused.value.details["causes"][0]
    assert cause["message"] == "The disruption budget pdb needs 2 healthy pods and has 2 currently"
    lab.settle(lab.now + 121 * SECOND)
    assert status(lab)["disruptionsAllowed"] == 1, "it was not deleted after all"


def test_a_budget_that_has_not_been_looked_at_allows_nothing_yet(lab: Lab) -> None:
    first, *_ = replicate(lab, 3)
    lab.create(
        DISRUPTION_BUDGETS,
        {"metadata": {"name": "pdb"}, "spec": {"selector": {"matchLabels": LABELS}, "minAvailable": 1}},
    )
    with pytest.raises(StatusError) as refused:
        evict(lab, first)
    assert refused.value.details["retryAfterSeconds"] == 10


def test_who_is_not_healthy_may_go_if_the_rest_is(lab: Lab) -> None:
    first, *_ = replicate(lab, 3)
    budget(lab, minAvailable=2)
    ready(lab, first, "False")
    assert evict(lab, first) is None
    lab.edit(DISRUPTION_BUDGETS, "pdb", lambda value: value["spec"].update(minAvailable=3))
    status(lab)
    with pytest.raises(StatusError):
        evict(lab, first)
    lab.edit(DISRUPTION_BUDGETS, "pdb", lambda value: value["spec"].update(unhealthyPodEvictionPolicy="AlwaysAllow"))
    status(lab)
    assert evict(lab, first) is None


def test_pods_that_have_not_started_or_have_ended_cost_nothing(lab: Lab) -> None:
    first, *_ = replicate(lab, 1)
    budget(lab, minAvailable=1)
    lab.edit_status(PODS, first, phase="Pending")
    assert evict(lab, first) is None
