"""Kueue's older objects read as its newer ones."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.ingest import fact_of_dict
from roadstead.kinds.kueue.v1beta1 import as_v1beta2
from roadstead.kinds.names import CLUSTER_QUEUES, LOCAL_QUEUES, WORKLOADS
from roadstead.kinds.object import Resource
from roadstead.model.workload import Workload


@pytest.mark.parametrize(
    ("resource", "before", "after"),
    [
        (CLUSTER_QUEUES, {"spec": {"cohort": "lab"}}, {"spec": {"cohortName": "lab"}}),
        (
            CLUSTER_QUEUES,
            {"spec": {"admissionChecks": ["a", "b"]}},
            {"spec": {"admissionChecksStrategy": {"admissionChecks": [{"name": "a"}, {"name": "b"}]}}},
        ),
        (
            CLUSTER_QUEUES,
            {"spec": {"flavorFungibility": {"whenCanBorrow": "Borrow", "whenCanPreempt": "TryNextFlavor"}}},
            {"spec": {"flavorFungibility": {"whenCanBorrow": "MayStopSearch", "whenCanPreempt": "TryNextFlavor"}}},
        ),
        (CLUSTER_QUEUES, {"status": {"pendingWorkloadsStatus": {}}}, {"status": {}}),
        (LOCAL_QUEUES, {"status": {"flavorUsage": [1], "flavors": [2]}}, {"status": {"flavorsUsage": [1]}}),
        (
            WORKLOADS,
            {"spec": {"priorityClassName": "high", "priorityClassSource": "kueue.x-k8s.io/workloadpriorityclass"}},
            {
                "spec": {
                    "priorityClassRef": {"group": "kueue.x-k8s.io", "kind": "WorkloadPriorityClass", "name": "high"}
                }
            },
        ),
        (WORKLOADS, {"spec": {"priorityClassName": "x", "priorityClassSource": ""}}, {"spec": {}}),
        (
            WORKLOADS,
            {"status": {"accumulatedPastExexcutionTimeSeconds": 7}},
            {"status": {"accumulatedPastExecutionTimeSeconds": 7}},
        ),
    ],
)
def test_what_has_another_name_or_shape(resource: Resource, before: dict[str, Any], after: dict[str, Any]) -> None:
    old = {"apiVersion": "kueue.x-k8s.io/v1beta1", **before}
    assert as_v1beta2(resource, old) == {"apiVersion": "kueue.x-k8s.io/v1beta2", **after}


def test_a_topology_assignment_says_the_same() -> None:
    old = {
        "kind": "Workload",
        "metadata": {"name": "w", "uid": "u"},
        "spec": {"queueName": "q", "podSets": [{"name": "main", "count": 3, "template": {"spec": {"containers": []}}}]},
        "status": {
            "conditions": [{"type": "QuotaReserved", "status": "True", "reason": "QuotaReserved"}],
            "admission": {
                "clusterQueue": "cq",
                "podSetAssignments": [
                    {
                        "name": "main",
                        "count": 3,
                        "topologyAssignment": {
                            "levels": ["rack", "host"],
                            "domains": [{"values": ["r1", "a"], "count": 2}, {"values": ["r1", "b"], "count": 1}],
                        },
                    }
                ],
            },
        },
    }
    found = fact_of_dict(as_v1beta2(WORKLOADS, old))
    assert isinstance(found, Workload)
    assert found.admission is not None
    topology = found.admission.pod_sets[0].topology
    assert topology is not None
    assert (topology.levels, topology.domains) == (("rack", "host"), ((("r1", "a"), 2), (("r1", "b"), 1)))
