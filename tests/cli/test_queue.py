"""The page of `queue`: one line per job, and in its last column where it runs, why it must leave, or what it waits
for."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.cli.queue import _table


def line(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "namespace": "default",
        "name": "job-train-1a2b3",
        "job": "train",
        "kind": "Job",
        "queue": "default",
    }
    made |= {"clusterQueue": "default", "priority": 0, "ageSeconds": 90, "pods": 2, "requests": {"cpu": "2"}}
    return {**made, "state": "Waiting", "nodes": [], "reason": "", "message": "", **changes}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"state": "Running", "nodes": ["n1", "n2"]}, "n1, n2"),
        ({"message": "It needs 2 cpu; ClusterQueue default has 0 free."}, "It needs 2 cpu; ClusterQueue default has 0 free."),
        (
            {"state": "Stopping", "nodes": ["n1"], "reason": "Preempted", "message": "Preempted to accommodate ..."},
            "leaves n1 (Preempted), then waits again",
        ),
        ({"state": "Stopping", "reason": "NodeFailures"}, "leaves its nodes (NodeFailures), then waits again"),
        ({"name": "", "reason": "WorkloadPriorityClassNotFound", "message": 'WorkloadPriorityClass "x" does not exist'},
         'WorkloadPriorityClass "x" does not exist'),
    ],
)  # fmt: skip
def test_the_last_column_tells_where_or_why(changes: dict[str, Any], said: str) -> None:
    header, row = _table([line(**changes)], wide=False).splitlines()
    assert row.endswith(f"   2      {said}")
    assert header.split("   ")[0] == "NAMESPACE"
    assert "train" in row.split()


def test_wide_adds_the_cluster_queue_and_what_is_asked_for() -> None:
    header, row = _table([line(state="Running", nodes=["n1"])], wide=True).splitlines()
    assert header.split()[-2:] == ["CLUSTERQUEUE", "REQUESTS"]
    assert row.split()[-3:] == ["n1", "default", "cpu=2"]
