"""The page of `status`: queues as their workloads say, and a word where there is no queue."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.cli.default_queues import WAY_BACK, note_about
from roadstead.cli.status import _page


def queue(**changes: Any) -> dict[str, Any]:
    quota = {"flavor": "h100", "resource": "nvidia.com/gpu", "nominal": "4", "used": "6", "borrowed": "2"}
    made = {
        "name": "vision",
        "cohort": "lab",
        "localQueues": 1,
        "active": True,
        "message": "",
        "pending": 3,
        "admitted": 2,
    }
    return {**made, "quotas": [quota], **changes}


def page(*queues: dict[str, Any], note: str = "", wide: bool = False) -> str:
    return _page({"server": None, "nodeAgent": None, "nodes": [], "queues": list(queues), "note": note}, wide=wide)


def test_what_a_queue_borrows_is_beside_what_it_uses() -> None:
    assert "vision   3         2          nvidia.com/gpu=6/4 (2 borrowed)" in page(queue())
    assert "h100/nvidia.com/gpu=6/4 (2 borrowed)   lab      1" in page(queue(), wide=True)


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({"active": False, "message": "Can't admit new workloads: is stopped."}, "vision (inactive: Can't admit"),
        ({"active": False}, "vision (inactive: not looked at yet)"),
        ({"localQueues": 0}, "vision (no LocalQueue leads here)"),
    ],
)
def test_a_queue_that_nobody_gets_through_says_so(changes: dict[str, Any], remark: str) -> None:
    assert remark in page(queue(**changes))


@pytest.mark.parametrize(
    ("queues", "local_queues", "says"),
    [
        ([queue()], 1, ""),
        ([queue()], 0, "There is no LocalQueue: jobs start at once"),
        ([], 0, "There is no LocalQueue: jobs start at once"),
        ([], 1, "There is no ClusterQueue: what is submitted to a queue waits"),
    ],
)
def test_a_cluster_without_a_way_through_a_queue_says_what_that_means(
    queues: list[dict[str, Any]], local_queues: int, says: str
) -> None:
    note = note_about(queues, local_queues)
    assert note.startswith(says)
    assert (not note) == (not says)
    if says:
        assert note.endswith(WAY_BACK)
        assert note in page(*queues, note=note)
