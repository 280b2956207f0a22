"""Who waits in a queue, in which order, and on which page of the list."""

from __future__ import annotations

import pytest

from roadstead.kinds.names import CLUSTER_QUEUES, JOBS, LOCAL_QUEUES, NAMESPACES
from roadstead.kinds.object import Json
from roadstead.views.pending import PendingWorkloads
from tests.controllers.queueing.lab import QueueLab, job, local_queue

GATE = {"kueue.x-k8s.io/admission-gated-by": "example.com/a"}


def lists(lab: QueueLab) -> PendingWorkloads:
    return PendingWorkloads(lab.brain.view, lab.decider.line, lambda: lab.clock)


def names(items: list[Json] | None) -> list[str]:
    assert items is not None
    return [item["metadata"]["ownerReferences"][0]["name"] for item in items]


def positions(items: list[Json] | None) -> list[tuple[int, int]]:
    assert items is not None
    return [(item["positionInClusterQueue"], item["positionInLocalQueue"]) for item in items]


def crowd(lab: QueueLab) -> None:
    """One job runs; five wait, evaluated or not, in two LocalQueues of two namespaces; a gated one is in no queue."""
    lab.furnish(cpu="4")
    lab.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "b"}}, "")
    lab.create(LOCAL_QUEUES, local_queue("default", "default"), "b")
    lab.create(JOBS, job("runs", cpu="4", seconds=None))
    lab.advance(1)
    for name, namespace, priority in (
        ("second", "default", "normal"),
        ("third", "b", "normal"),
        ("fourth", "default", "normal"),
        ("first", "default", "high"),
        ("last", "b", "low"),
    ):
        labels = {"kueue.x-k8s.io/priority-class": priority}
        cpu = "5" if name == "first" else "4"
        lab.create(JOBS, job(name, cpu=cpu, seconds=None, labels=labels), namespace)
        lab.advance(1)
    lab.create(JOBS, job("gated", annotations=GATE))
    lab.advance(1)


def test_the_list_is_the_order_of_turns_whoever_was_evaluated() -> None:
    with QueueLab() as lab:
        crowd(lab)
        found = lists(lab).in_cluster_queue("default", 0, 0)
        assert names(found) == ["first", "second", "third", "fourth", "last"]
        assert positions(found) == [(0, 0), (1, 1), (2, 0), (3, 2), (4, 1)]
        assert found is not None
        assert [item["priority"] for item in found] == [100, 0, 0, 0, -100]
        assert found[0]["localQueueName"] == "default"
        metadata = found[2]["metadata"]
        assert metadata["namespace"] == "b"
        (owner,) = metadata["ownerReferences"]
        assert (owner["kind"], owner["apiVersion"], sorted(owner)) == (
            "Job",
            "batch/v1",
            ["apiVersion", "kind", "name", "uid"],
        )
        assert metadata["creationTimestamp"].endswith("Z")


@pytest.mark.parametrize(
    ("limit", "offset", "expected"),
    [
        (2, 0, ["first", "second"]),
        (2, 2, ["third", "fourth"]),
        (10, 4, ["last"]),
        (10, 5, []),
        (-1, 0, []),
        (1_000_000, 0, ["first", "second", "third", "fourth", "last"]),
    ],
)
def test_a_page_of_a_cluster_queue(limit: int, offset: int, expected: list[str]) -> None:
    with QueueLab() as lab:
        crowd(lab)
        assert names(lists(lab).in_cluster_queue("default", limit, offset)) == expected


def test_a_page_of_a_local_queue_keeps_the_positions_of_the_whole_queue() -> None:
    with QueueLab() as lab:
        crowd(lab)
        found = lists(lab).in_local_queue("default", "default", 0, 0)
        assert names(found) == ["first", "second", "fourth"]
        assert positions(found) == [(0, 0), (1, 1), (3, 2)]
        page = lists(lab).in_local_queue("default", "default", 1, 1)
        assert (names(page), positions(page)) == (["second"], [(1, 1)])
        assert positions(lists(lab).in_local_queue("b", "default", 0, 0)) == [(2, 0), (4, 1)]


def test_unknown_queues_have_no_list_and_empty_ones_an_empty_one() -> None:
    with QueueLab() as lab:
        lab.furnish()
        assert lists(lab).in_cluster_queue("default", 0, 0) == []
        assert lists(lab).in_local_queue("default", "default", 0, 0) == []
        assert lists(lab).in_cluster_queue("other", 0, 0) is None
        assert lists(lab).in_local_queue("b", "default", 0, 0) is None
        lab.create(LOCAL_QUEUES, local_queue("astray", "nowhere"))
        lab.settle()
        assert lists(lab).in_local_queue("default", "astray", 0, 0) is None


def test_those_of_a_stopped_queue_still_wait_and_asking_changes_nothing() -> None:
    with QueueLab() as lab:
        crowd(lab)
        lab.edit(CLUSTER_QUEUES, "default", lambda value: value["spec"].update(stopPolicy="Hold"), "")
        lab.advance(1)
        before = len(lab.ledger)
        assert len(lists(lab).in_cluster_queue("default", 0, 0) or ()) == 5
        lab.advance(1)
        assert len(lab.ledger) == before
