"""Queues, quotas, flavors, cohorts, topologies and namespaces."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.ingest import RESOURCES, Trouble, fact_of_dict
from roadstead.ingest import fact as fact_of
from roadstead.kinds.names import CLUSTER_QUEUES, EVENTS, LIMIT_RANGES, RESOURCE_FLAVORS, RUNTIME_CLASSES
from roadstead.kinds.object import Json, Object
from roadstead.model.facts import Gone
from roadstead.model.queues import (
    AdmissionCheck,
    CheckRule,
    ClusterQueue,
    Cohort,
    FlavorFungibility,
    FlavorQuotas,
    LocalQueue,
    Namespace,
    Preemption,
    PreemptionPolicy,
    QueueingStrategy,
    Quota,
    ResourceFlavor,
    ResourceGroup,
    StopPolicy,
    Topology,
)
from roadstead.model.selection import LabelSelector, Requirement, Taint, Toleration

from .build import fact, troubled


def made(kind: str, spec: Json | None = None, **metadata: Any) -> Json:
    return {"kind": kind, "metadata": {"name": "x", **metadata}, "spec": spec or {}}


def test_a_cluster_queue_with_everything() -> None:
    value = made(
        "ClusterQueue",
        {
            "cohortName": "root",
            "queueingStrategy": "StrictFIFO",
            "namespaceSelector": {
                "matchLabels": {"b": "2", "a": "1"},
                "matchExpressions": [{"key": "env", "operator": "NotIn", "values": ["prod"]}],
            },
            "resourceGroups": [
                {
                    "coveredResources": ["cpu", "memory"],
                    "flavors": [
                        {
                            "name": "f",
                            "resources": [
                                {"name": "cpu", "nominalQuota": "1500m", "borrowingLimit": 0, "lendingLimit": "1"},
                                {"name": "memory", "nominalQuota": "1Gi"},
                            ],
                        }
                    ],
                }
            ],
            "preemption": {
                "withinClusterQueue": "LowerPriority",
                "reclaimWithinCohort": "Any",
                "borrowWithinCohort": {"policy": "LowerPriority", "maxPriorityThreshold": 10},
            },
            "flavorFungibility": {"whenCanBorrow": "Borrow", "whenCanPreempt": "TryNextFlavor"},
            "stopPolicy": "Hold",
            "fairSharing": {"weight": "2.5"},
        },
    )
    assert fact(value) == ClusterQueue(
        name="x",
        cohort="root",
        strategy=QueueingStrategy.STRICT_FIFO,
        namespace_selector=LabelSelector(
            (Requirement("a", "In", ("1",)), Requirement("b", "In", ("2",)), Requirement("env", "NotIn", ("prod",)))
        ),
        resource_groups=(
            ResourceGroup(
                ("cpu", "memory"),
                (FlavorQuotas("f", (("cpu", Quota(1500, 0, 1000)), ("memory", Quota(1 << 30)))),),
            ),
        ),
        preemption=Preemption(
            PreemptionPolicy.LOWER_PRIORITY,
            PreemptionPolicy.ANY,
            PreemptionPolicy.LOWER_PRIORITY,
            borrow_max_priority=10,
        ),
        fungibility=FlavorFungibility("MayStopSearch", "TryNextFlavor"),
        stop=StopPolicy.HOLD,
        fair_weight_milli=2500,
    )


def test_a_cluster_queue_with_nothing_selects_no_namespace() -> None:
    assert fact(made("ClusterQueue")) == ClusterQueue("x")
    assert fact(made("ClusterQueue", {"namespaceSelector": {}})) == ClusterQueue(
        "x", namespace_selector=LabelSelector()
    )


def test_a_cluster_queue_names_its_checks_and_the_flavors_that_ask_for_them() -> None:
    checks = [{"name": "prov", "onFlavors": ["spot"]}, {"name": "budget"}]
    value = made("ClusterQueue", {"admissionChecksStrategy": {"admissionChecks": checks}})
    assert fact(value) == ClusterQueue("x", checks=(CheckRule("prov", ("spot",)), CheckRule("budget")))


@pytest.mark.parametrize(("status", "active"), [("True", True), ("False", False), ("Unknown", False), (None, False)])
def test_a_check_is_active_when_its_controller_says_so(status: str | None, active: bool) -> None:
    value = made("AdmissionCheck", {"controllerName": "example.com/prov"})
    if status is not None:
        value["status"] = {"conditions": [{"type": "Active", "status": status, "reason": "R", "message": ""}]}
    assert fact(value) == AdmissionCheck("x", "example.com/prov", active)


def test_a_cluster_queue_that_is_being_deleted_terminates() -> None:
    assert fact(made("ClusterQueue", deletionTimestamp="2026-01-01T00:00:00Z")) == ClusterQueue("x", terminating=True)


@pytest.mark.parametrize(
    "spec",
    [
        {"resourceGroups": "all"},
        {"queueingStrategy": "LIFO"},
        {"stopPolicy": "Later"},
        {"preemption": {"withinClusterQueue": "Sometimes"}},
        {"fairSharing": {"weight": "much"}},
        {
            "resourceGroups": [
                {
                    "coveredResources": ["cpu"],
                    "flavors": [{"name": "f", "resources": [{"name": "cpu", "nominalQuota": "x"}]}],
                }
            ]
        },
    ],
)
def test_a_cluster_queue_that_cannot_be_read_is_inactive(spec: Json) -> None:
    found, notes = troubled(made("ClusterQueue", spec))
    assert isinstance(found, ClusterQueue)
    assert found.inactive_reasons == ("Unreadable",)
    assert len(notes) == 1


def test_the_other_kinds() -> None:
    flavor = made(
        "ResourceFlavor",
        {
            "nodeLabels": {"pool": "gpu"},
            "nodeTaints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}],
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "topologyName": "t",
        },
    )
    assert fact(flavor) == ResourceFlavor(
        "x", (("pool", "gpu"),), (Taint("gpu", "yes", "NoSchedule"),), (Toleration("gpu", "Exists"),), "t"
    )
    assert fact(made("Topology", {"levels": [{"nodeLabel": "rack"}, {"nodeLabel": "host"}]})) == Topology(
        "x", ("rack", "host")
    )
    assert fact(made("Cohort", {"parentName": "root", "fairSharing": {"weight": 0}})) == Cohort("x", "root", (), 0)
    assert fact(made("LocalQueue", {"clusterQueue": "cq", "stopPolicy": "HoldAndDrain"}, namespace="ns")) == LocalQueue(
        "ns", "x", "cq", StopPolicy.HOLD_AND_DRAIN
    )
    assert fact(made("LocalQueue", {"clusterQueue": "cq"})) == LocalQueue("default", "x", "cq")
    assert fact(made("Namespace", labels={"env": "prod"})) == Namespace("x", (("env", "prod"),))


def test_broken_objects_get_the_safest_fact() -> None:
    assert troubled(made("ResourceFlavor", {"nodeLabels": 3}))[0] == Gone(ResourceFlavor, ("", "x"))
    assert troubled(made("Topology", {"levels": "all"}))[0] == Gone(Topology, ("", "x"))
    assert troubled(made("Cohort", {"parentName": 3}))[0] == Cohort("x")
    assert troubled(made("LocalQueue", {"clusterQueue": 3}))[0] == LocalQueue("default", "x", "", StopPolicy.HOLD)


def test_what_is_gone_and_what_no_fact_comes_from() -> None:
    assert fact_of(RESOURCE_FLAVORS, ("", "x"), None, lambda *_: None) == [Gone(ResourceFlavor, ("", "x"))]
    assert fact_of(EVENTS, ("ns", "e"), None, lambda *_: None) == []
    assert fact_of_dict(made("WorkloadPriorityClass")) is None
    assert CLUSTER_QUEUES in RESOURCES


@pytest.mark.parametrize("resource", [each for each in RESOURCES if each not in (LIMIT_RANGES, RUNTIME_CLASSES)])
@pytest.mark.parametrize(
    "raw", [b"{}", b"[]", b"3", b'{"metadata":3}', b'{"spec":3,"status":[]}', b'{"spec":{"podSets":[null]}}', b"{"]
)
def test_no_object_makes_ingest_raise(resource: Any, raw: bytes) -> None:
    named = Object.of(resource, {"kind": "Any", "metadata": {"namespace": "ns", "name": "x"}})
    troubles: list[Trouble] = []
    broken = Object(resource, raw, meta=named.meta, kind="Any")
    assert len(fact_of(resource, ("ns", "x"), broken, lambda *_: None, troubles)) == 1
