"""Kueue's kinds: rules beyond their schemas, and what may change while quota is held."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from roadstead.kinds.names import (
    ADMISSION_CHECKS,
    CLUSTER_QUEUES,
    COHORTS,
    LOCAL_QUEUES,
    RESOURCE_FLAVORS,
    TOPOLOGIES,
    WORKLOAD_PRIORITY_CLASSES,
    WORKLOADS,
)
from roadstead.kinds.object import Json, Resource
from tests.kinds.way import check_change, check_new, kind_of, texts

SKIPPED = "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid"


def created(resource: Resource, **spec: Any) -> Json:
    obj, found = check_new(kind_of(resource), {"metadata": {"name": "a"}, "spec": spec})
    assert texts(found) == []
    return obj


def problems(resource: Resource, **spec: Any) -> list[str]:
    return texts(check_new(kind_of(resource), {"metadata": {"name": "a"}, "spec": spec})[1])


def changed(resource: Resource, old: Json, edit: Any, subresource: str = "") -> list[str]:
    new = copy.deepcopy(old)
    edit(new)
    return texts(check_change(kind_of(resource), old, new, subresource)[1])


# --- ClusterQueue


def group(*flavors: str, resources: tuple[str, ...] = ("cpu",), **limits: Any) -> Json:
    quotas = [{"name": name, "nominalQuota": "10"} | limits for name in resources]
    return {"coveredResources": list(resources), "flavors": [{"name": name, "resources": quotas} for name in flavors]}


def test_a_queue_is_filled_in() -> None:
    queue = created(CLUSTER_QUEUES, resourceGroups=[group("default")])
    assert queue["spec"]["flavorFungibility"] == {"whenCanBorrow": "MayStopSearch", "whenCanPreempt": "TryNextFlavor"}
    assert queue["spec"]["stopPolicy"] == "None"
    assert queue["metadata"].get("finalizers") is None


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"resourceGroups": [group("a"), group("a", resources=("memory",))]}, 'spec.resourceGroups[1].flavors[0].name: Duplicate value: "a"'),
        ({"resourceGroups": [group("a"), group("b")]}, 'spec.resourceGroups[1].coveredResources[0]: Duplicate value: "cpu"'),
        ({"resourceGroups": [group("a", resources=("bad name!",))]}, 'spec.resourceGroups[0].coveredResources[0]: Invalid value: "bad name!"'),
        ({"resourceGroups": [group("a", borrowingLimit="1")]}, 'borrowingLimit: Invalid value: "1": must be nil when cohort is empty'),
        ({"resourceGroups": [group("a", lendingLimit="1")]}, 'lendingLimit: Invalid value: "1": must be nil when cohort is empty'),
        ({"cohortName": "c", "resourceGroups": [group("a", lendingLimit="11")]}, 'lendingLimit: Invalid value: "11": must be less than or equal to the nominalQuota'),
        ({"resourceGroups": [group("a", nominalQuota="-1")]}, 'nominalQuota: Invalid value: "-1": must be greater than or equal to 0'),
        ({"resourceGroups": [{"coveredResources": ["cpu", "memory"], "flavors": group("a")["flavors"]}]}, "spec.resourceGroups[0]: Invalid value: flavors must have the same number of resources as the coveredResources"),
        ({"resourceGroups": [{"coveredResources": ["memory"], "flavors": group("a")["flavors"]}]}, 'spec.resourceGroups[0].flavors[0].resources[0].name: Invalid value: "cpu": must match the name in coveredResources'),
        ({"preemption": {"borrowWithinCohort": {"policy": "LowerPriority"}}}, "reclaimWithinCohort=Never and borrowWithinCohort.Policy!=Never"),
        ({"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}, "spec.namespaceSelector.matchExpressions[0].values: Required value"),
        ({"fairSharing": {"weight": "-1"}}, "spec.fairSharing.weight: Invalid value: \"-1\": must be greater than or equal to 0"),
        ({"fairSharing": {"weight": "1n"}}, "When not 0, Weight must be greater than 10^-9"),
        ({"flavorFungibility": {"preference": "PreemptionOverBorrowing"}}, "preference can be set only if both"),
        ({"admissionChecksStrategy": {"admissionChecks": [{"name": "c", "onFlavors": ["x"]}]}}, 'admissionChecks[0].onFlavors[0]: Not found: "x"'),
        ({"concurrentAdmissionPolicy": {"migration": {"mode": "RetainFirstAdmission"}}}, "exactly one resource group is required"),
    ],
)  # fmt: skip
def test_queue_rules(spec: Json, text: str) -> None:
    found = problems(CLUSTER_QUEUES, **spec)
    assert any(text in problem for problem in found), found


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"queueingStrategy": "LIFO"}, 'spec.queueingStrategy: Unsupported value: "LIFO": supported values: "StrictFIFO", "BestEffortFIFO"'),
        ({"resourceGroups": [group("Bad_Flavor")]}, "spec.resourceGroups[0].flavors[0].name in body should match"),
        ({"resourceGroups": [{"flavors": []}]}, "spec.resourceGroups[0].coveredResources: Required value"),
        ({"resourceGroups": [group("a", nominalQuota="x")]}, "nominalQuota in body should match"),
        ({"resourceGroups": [group("a", nominalQuota="1e.5")]}, 'nominalQuota: Invalid value: "1e.5": '),  # the pattern lets it through
    ],
)  # fmt: skip
def test_queue_schema(spec: Json, text: str) -> None:
    assert any(text in problem for problem in problems(CLUSTER_QUEUES, **spec))


def test_rules_that_could_not_be_checked_are_mentioned() -> None:
    assert problems(CLUSTER_QUEUES, queueingStrategy="LIFO")[-1].startswith(SKIPPED)
    found = texts(check_new(kind_of(WORKLOAD_PRIORITY_CLASSES), {"metadata": {"name": "a"}})[1])
    assert found == ["value: Required value"], "a kind without rules has none to skip"


# --- Cohort, Topology


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"resourceGroups": [group("a", borrowingLimit="1")]}, 'borrowingLimit: Invalid value: "1": must be nil when parent is empty'),
        ({"resourceGroups": [group("a", lendingLimit="1")]}, 'lendingLimit: Invalid value: "1": must be nil when parent is empty'),
        ({"resourceGroups": [group("a"), group("a", resources=("memory",))]}, 'spec.resourceGroups[1].flavors[0].name: Duplicate value: "a"'),
        ({"parentName": "Not A Name"}, "spec.parentName in body should match"),
        ({"fairSharing": {"weight": "1n"}}, "When not 0, Weight must be greater than 10^-9"),
    ],
)  # fmt: skip
def test_cohort_rules(spec: Json, text: str) -> None:
    found = problems(COHORTS, **spec)
    assert any(text in problem for problem in found), found


def test_a_cohort_may_lend_more_than_its_own_and_have_itself_for_a_parent() -> None:
    created(COHORTS, parentName="root", resourceGroups=[group("x", lendingLimit="11", borrowingLimit="0")])
    created(COHORTS, parentName="a")  # a circle is told by the queues in it: no order of writes could avoid it
    assert created(COHORTS, fairSharing={})["spec"]["fairSharing"] == {"weight": 1}


def levels(*labels: str) -> list[Json]:
    return [{"nodeLabel": label} for label in labels]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"levels": levels()}, "spec.levels in body should have at least 1 items"),
        ({"levels": levels("rack", "block", "rack")}, "spec.levels: Invalid value: must be unique"),
        ({"levels": levels("kubernetes.io/hostname", "rack")}, "the kubernetes.io/hostname label can only be used at the lowest level"),
        ({"levels": levels("no label!")}, "spec.levels[0].nodeLabel in body should match"),
    ],
)  # fmt: skip
def test_topology_rules(spec: Json, text: str) -> None:
    found = problems(TOPOLOGIES, **spec)
    assert any(text in problem for problem in found), found


def test_levels_of_a_topology_are_given_once() -> None:
    topology = created(TOPOLOGIES, levels=levels("block", "rack", "kubernetes.io/hostname"))
    assert changed(TOPOLOGIES, topology, lambda new: new["spec"]["levels"].pop()) == [
        "spec.levels: Invalid value: field is immutable"
    ]
    assert changed(TOPOLOGIES, topology, lambda new: new["metadata"].update(labels={"a": "b"})) == []


# --- LocalQueue, ResourceFlavor


def test_a_local_queue_stays_with_its_queue() -> None:
    queue = created(LOCAL_QUEUES, clusterQueue="a")
    assert changed(LOCAL_QUEUES, queue, lambda new: new["spec"].update(clusterQueue="b")) == [
        "spec.clusterQueue: Invalid value: field is immutable"
    ]
    assert changed(LOCAL_QUEUES, queue, lambda new: new["spec"].update(stopPolicy="Hold")) == []


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"nodeLabels": {"a": "bad value!"}}, "spec.nodeLabels: Invalid value"),
        (
            {"nodeTaints": [{"key": "a", "effect": "X"}]},
            "supported taint effect values: 'NoSchedule', 'PreferNoSchedule', 'NoExecute'",
        ),
        ({"nodeTaints": [{"key": "a", "effect": "NoSchedule"}] * 2}, "taints must be unique by key and effect pair"),
        ({"tolerations": [{}]}, "operator must be Exists when 'key' is empty"),
        (
            {"tolerations": [{"key": "a", "operator": "Like"}]},
            "supported toleration values: 'Equal'(default), 'Exists'",
        ),
        (
            {"tolerations": [{"key": "a", "operator": "Exists", "value": "x"}]},
            "a value must be empty when 'operator' is 'Exists'",
        ),
        (
            {"tolerations": [{"key": "a", "tolerationSeconds": 1}]},
            "effect must be 'NoExecute' when 'tolerationSeconds' is set",
        ),
        ({"topologyName": "t"}, "at least one nodeLabel is required when topology is set"),
        ({"nodeLabels": {f"l{i}": "" for i in range(9)}}, "spec.nodeLabels: Too many: 9: must have at most 8 items"),
    ],
)
def test_flavor_rules(spec: Json, text: str) -> None:
    found = problems(RESOURCE_FLAVORS, **spec)
    assert any(text in problem for problem in found), found


def test_a_flavors_topology_is_fixed_once_set() -> None:
    flavor = created(RESOURCE_FLAVORS, nodeLabels={"a": "b"}, topologyName="t")
    assert len(changed(RESOURCE_FLAVORS, flavor, lambda new: new["spec"].update(topologyName="u"))) == 1
    plain = created(RESOURCE_FLAVORS, nodeLabels={"a": "b"})
    assert changed(RESOURCE_FLAVORS, plain, lambda new: new["spec"].update(topologyName="t")) == []


# --- Workload


def pod_set(name: str = "main", count: int = 2, **fields: Any) -> Json:
    spec = {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}]}
    return {"name": name, "count": count, "template": {"metadata": {}, "spec": spec}} | fields


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"podSets": []}, "spec.podSets in body should have at least 1 items"),
        ({"podSets": [pod_set(minCount=3)]}, "spec.podSets[0]: Invalid value: minCount should be positive and less or equal to count"),
        ({"podSets": [pod_set("a", minCount=1), pod_set("b", minCount=1)]}, "spec.podSets: Invalid value: 2: at most one podSet can use minCount"),
        ({"podSets": [pod_set(), pod_set()]}, 'spec.podSets[1]: Duplicate value: {"name":"main"}'),
        ({"podSets": [pod_set(count=-1)]}, "spec.podSets[0].count in body should be greater than or equal to 0"),
        ({"podSets": [pod_set()], "priorityClassRef": {"group": "kueue.x-k8s.io", "kind": "WorkloadPriorityClass", "name": "p"}}, "spec: Invalid value: priority should not be nil when priorityClassRef is set"),
        ({"podSets": [pod_set()], "priority": 1, "priorityClassRef": {"group": "kueue.x-k8s.io", "kind": "PriorityClass", "name": "p"}}, "spec.priorityClassRef: Invalid value: must be"),
        ({"podSets": [pod_set(topologyRequest={"podSetSliceSize": 2})]}, "podSetSliceRequiredTopology and podSetSliceSize must be set together"),
    ],
)  # fmt: skip
def test_workload_rules(spec: Json, text: str) -> None:
    found = problems(WORKLOADS, **spec)
    assert any(text in problem for problem in found), found


def test_pods_is_a_reserved_resource() -> None:
    bad = pod_set()
    bad["template"]["spec"]["containers"][0]["resources"]["requests"] = {"pods": "1", "cpu": "-1"}
    path = "spec.podSets[0].template.spec.containers[0].resources.requests"
    assert problems(WORKLOADS, podSets=[bad]) == [
        f'{path}[pods]: Invalid value: "pods": the key is reserved for internal kueue use',
        f'{path}[cpu]: Invalid value: "-1": must be greater than or equal to 0',
    ]


TIME = "2026-01-01T00:00:00Z"


def condition(kind: str) -> Json:
    return {"type": kind, "status": "True", "reason": "R", "message": "", "lastTransitionTime": TIME}


def admission(**assignment: Any) -> Json:
    given = {"name": "main", "flavors": {"cpu": "f"}, "resourceUsage": {"cpu": "2"}, "count": 2} | assignment
    return {"clusterQueue": "cq", "podSetAssignments": [given]}


def workload(*conditions: str, **status: Any) -> Json:
    obj = created(WORKLOADS, queueName="q", podSets=[pod_set()], priority=1)
    if conditions:
        obj["status"] = {"conditions": [condition(kind) for kind in conditions], "admission": admission()} | status
    return obj


def test_admission_is_written_and_cleared_through_status() -> None:
    def admit(new: Json) -> None:
        new["status"] = workload("QuotaReserved", "Admitted")["status"]

    assert changed(WORKLOADS, workload(), admit, "status") == []

    def clear(new: Json) -> None:
        new["status"] = {"conditions": [condition("Evicted") | {"type": "QuotaReserved", "status": "False"}]}

    assert changed(WORKLOADS, workload("QuotaReserved"), clear, "status") == []


@pytest.mark.parametrize(
    ("assignment", "text"),
    [
        ({"name": "other"}, 'status.admission.podSetAssignments[0].name: Not found: "other"'),
        ({"resourceUsage": {"cpu": "3m"}}, 'resourceUsage[cpu]: Invalid value: "3m": is not a multiple of 2'),
    ],
)
def test_an_admission_fits_its_workload(assignment: Json, text: str) -> None:
    def admit(new: Json) -> None:
        new["status"] = {"conditions": [condition("QuotaReserved")], "admission": admission(**assignment)}

    assert any(text in problem for problem in changed(WORKLOADS, workload(), admit, "status"))


def test_an_admission_is_not_edited_but_for_topology() -> None:
    def other_queue(new: Json) -> None:
        new["status"]["admission"]["clusterQueue"] = "elsewhere"

    (found,) = changed(WORKLOADS, workload("QuotaReserved"), other_queue, "status")
    assert found.startswith("status.admission: Invalid value: {")
    assert found.endswith(": field is immutable")

    def topology(new: Json) -> None:
        new["status"]["admission"]["podSetAssignments"][0]["delayedTopologyRequest"] = "Ready"

    assert changed(WORKLOADS, workload("QuotaReserved"), topology, "status") == []


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda spec: spec.update(queueName="other"), "queueName is immutable while workload quota reserved"),
        (lambda spec: spec["podSets"][0].update(count=1), "spec.podSets: Invalid value: ["),
        (lambda spec: spec.update(priorityClassRef={"group": "kueue.x-k8s.io", "kind": "WorkloadPriorityClass", "name": "p"}), "priorityClassRef cannot be added while workload quota reserved"),
        (lambda spec: spec.update(maximumExecutionTimeSeconds=5), "maximumExecutionTimeSeconds is immutable while admitted"),
    ],
)  # fmt: skip
def test_what_was_asked_for_stays_while_it_is_given(edit: Any, text: str) -> None:
    held = workload("QuotaReserved", "Admitted")
    found = changed(WORKLOADS, held, lambda new: edit(new["spec"]))
    assert any(text in problem for problem in found), found
    assert changed(WORKLOADS, workload(), lambda new: edit(new["spec"])) == [], "a waiting workload may change"


def test_priority_and_active_may_always_change() -> None:
    held = workload("QuotaReserved", "Admitted")
    assert changed(WORKLOADS, held, lambda new: new["spec"].update(priority=9, active=False)) == []


def test_reclaimable_pods_only_grow() -> None:
    held = workload("QuotaReserved", reclaimablePods=[{"name": "main", "count": 1}])

    def set_count(count: int) -> list[str]:
        def edit(new: Json) -> None:
            new["status"]["reclaimablePods"] = [{"name": "main", "count": count}]

        return changed(WORKLOADS, held, edit, "status")

    assert set_count(2) == []
    assert set_count(0) == ["status.reclaimablePods[main].count: Invalid value: 0: cannot be less then 1"]
    assert set_count(3) == ["status.reclaimablePods[main].count: Invalid value: 3: should be less or equal to 2"]


def test_status_is_checked_against_the_schema_too() -> None:
    def broken(new: Json) -> None:
        new["status"] = {
            "conditions": [{"type": "A", "status": "Maybe", "reason": "R", "message": "", "lastTransitionTime": TIME}]
        }

    found = changed(WORKLOADS, workload(), broken, "status")
    assert (
        found[0]
        == 'status.conditions[0].status: Unsupported value: "Maybe": supported values: "True", "False", "Unknown"'
    )


def test_columns_and_the_selectable_field() -> None:
    strategy = kind_of(WORKLOADS).strategy
    held = workload("QuotaReserved", "Admitted")
    assert strategy.cells(held, 1767225600.0 + 60) == ["a", "q", "cq", "True", None, "60s"]
    assert strategy.fields(held) == {"status.admission.clusterQueue": "cq"}
    assert strategy.fields(workload()) == {"status.admission.clusterQueue": ""}


# --- AdmissionCheck

PROVREQ = {"apiGroup": "kueue.x-k8s.io", "kind": "ProvisioningRequestConfig", "name": "fast"}


def test_a_check_names_its_controller_and_may_point_at_parameters() -> None:
    check = created(ADMISSION_CHECKS, controllerName="example.com/budget", parameters=PROVREQ)
    assert check["spec"] == {"controllerName": "example.com/budget", "parameters": PROVREQ}


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({}, "spec.controllerName: Required value"),
        ({"controllerName": ""}, "spec.controllerName: Invalid value"),
        ({"controllerName": "c", "parameters": {"apiGroup": "g", "kind": "K"}}, "spec.parameters.name: Required value"),
        ({"controllerName": "c", "parameters": {**PROVREQ, "kind": "No kind"}}, "spec.parameters.kind: Invalid value"),
    ],
)
def test_a_check_is_refused(spec: Json, text: str) -> None:
    assert text in " ".join(problems(ADMISSION_CHECKS, **spec))


def test_a_checks_controller_does_not_change() -> None:
    check = created(ADMISSION_CHECKS, controllerName="example.com/budget")
    other = changed(ADMISSION_CHECKS, check, lambda obj: obj["spec"].update(controllerName="example.com/other"))
    assert other == ["spec.controllerName: Invalid value: field is immutable"]
    assert changed(ADMISSION_CHECKS, check, lambda obj: obj["spec"].update(parameters=PROVREQ)) == []


def test_a_checks_status_is_its_controllers_to_write() -> None:
    check = created(ADMISSION_CHECKS, controllerName="example.com/budget")
    condition = {"type": "Active", "status": "True", "reason": "Active", "message": "", "lastTransitionTime": TIME}
    assert changed(ADMISSION_CHECKS, check, lambda obj: obj.update(status={"conditions": [condition]}), "status") == []
