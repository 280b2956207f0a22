"""Workloads and their Placements."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.ingest import Trouble
from roadstead.ingest import fact as fact_of
from roadstead.kinds.names import PLACEMENTS, WORKLOADS
from roadstead.kinds.object import Json, Object, Resource
from roadstead.model.facts import Gone
from roadstead.model.workload import (
    Admission,
    Member,
    Placement,
    PodClass,
    PodSet,
    PodSetAssignment,
    PodSetPlacement,
    TopologyAssignment,
    TopologyRequest,
    Workload,
    WorkloadState,
)

from .build import condition, pod_spec, troubled, workload, workload_fact

SECOND = 10**9
CREATED = 1767225601 * SECOND
MINUTE_PAST = 1767225660 * SECOND

ADMISSION: Json = {
    "clusterQueue": "cq",
    "podSetAssignments": [
        {"name": "main", "flavors": {"cpu": "f"}, "resourceUsage": {"cpu": "2"}, "count": 2},
    ],
}


def placement(uid: str = "u1", **more: Any) -> Json:
    return {
        "apiVersion": "roadstead.dev/v1alpha1",
        "kind": "Placement",
        "metadata": {"namespace": "ns", "name": "w", "uid": "pl1"},
        "spec": {
            "workload": {"name": "w", "uid": uid},
            "podSets": [
                {
                    "name": "main",
                    "requests": {"cpu": "1", "nvidia.com/gpu": "1"},
                    "members": [{"node": "n1", "devices": ["gpu-0"]}, {"node": "n2", "devices": ["gpu-3"]}],
                }
            ],
        },
        **more,
    }


PLACED = Placement(
    (
        PodSetPlacement(
            "main", (Member("n1", ("gpu-0",)), Member("n2", ("gpu-3",))), (("cpu", 1000), ("nvidia.com/gpu", 1))
        ),
    )
)


def test_a_new_workload() -> None:
    sets = [
        {
            "name": "Main",
            "count": 4,
            "minCount": 2,
            "template": {"spec": pod_spec("2")},
            "topologyRequest": {"required": "rack", "podIndexLabel": "batch.kubernetes.io/job-completion-index"},
        },
        {"template": {"spec": pod_spec()}, "topologyRequest": {"podIndexLabel": "x"}},
    ]
    assert workload_fact(workload(sets, spec={"priority": 5}, generation=3)) == Workload(
        namespace="ns",
        name="w",
        uid="u1",
        queue="lq",
        pod_sets=(
            PodSet(
                "main", 4, PodClass(requests=(("cpu", 2000),)), min_count=2, topology=TopologyRequest(required="rack")
            ),
            PodSet("main", 1, PodClass(requests=(("cpu", 1000),))),
        ),
        created_at=CREATED,
        queued_at=CREATED,
        priority=5,
        generation=3,
    )


def test_every_way_to_ask_for_a_topology() -> None:
    request = {
        "preferred": "block",
        "podSetGroupName": "g",
        "podSetSliceRequiredTopology": "rack",
        "podSetSliceSize": 4,
        "podsetSliceRequiredTopologyConstraints": [{"topology": "rack", "size": 4}, {"topology": "host", "size": 2}],
    }
    sets = [{"template": {"spec": {}}, "topologyRequest": request}]
    assert workload_fact(workload(sets)).pod_sets[0].topology == TopologyRequest(
        preferred="block", group="g", slice_level="rack", slice_size=4, slice_layers=(("rack", 4), ("host", 2))
    )


def test_an_admitted_workload() -> None:
    conditions = [condition("QuotaReserved", reason="QuotaReserved"), condition("Admitted", reason="Admitted")]
    status = {"admission": ADMISSION, "reclaimablePods": [{"name": "main", "count": 1}]}
    found = workload_fact(workload(conditions=conditions, status=status), placement())
    assert found.state is WorkloadState.RESERVED
    assert found.admission == Admission("cq", (PodSetAssignment("main", 2, (("cpu", "f"),), (("cpu", 2000),)),))
    assert (found.reserved_at, found.admitted, found.evicted) == (MINUTE_PAST, True, "")
    assert found.reclaimable == (("main", 1),)
    assert found.placement == PLACED


@pytest.mark.parametrize(
    ("conditions", "status", "expected"),
    [
        pytest.param([], {}, WorkloadState.PENDING, id="new"),
        pytest.param([condition("QuotaReserved")], {"admission": ADMISSION}, WorkloadState.RESERVED, id="reserved"),
        pytest.param([condition("QuotaReserved")], {}, WorkloadState.PENDING, id="reserved, but nothing says what"),
        pytest.param(
            [condition("QuotaReserved", "False")], {"admission": ADMISSION}, WorkloadState.PENDING, id="given back"
        ),
        pytest.param(
            [condition("QuotaReserved"), condition("Evicted", reason="Preempted")],
            {"admission": ADMISSION},
            WorkloadState.RESERVED,
            id="evicted, not yet stopped",
        ),
        pytest.param(
            [condition("QuotaReserved"), condition("Finished", reason="Succeeded")],
            {"admission": ADMISSION},
            WorkloadState.FINISHED,
            id="finished",
        ),
    ],
)
def test_states(conditions: list[Json], status: Json, expected: WorkloadState) -> None:
    found = workload_fact(workload(conditions=conditions, status=status))
    assert found.state is expected
    assert (found.admission is not None) is (expected is WorkloadState.RESERVED)


@pytest.mark.parametrize(
    ("reason", "queued_at"),
    [
        ("Preempted", CREATED),
        ("PodsReadyTimeout", MINUTE_PAST),
        ("AdmissionCheck", MINUTE_PAST),
        ("Deactivated", CREATED),
    ],
)
def test_only_some_evictions_cost_the_place_in_the_queue(reason: str, queued_at: int) -> None:
    found = workload_fact(workload(conditions=[condition("Evicted", reason=reason)]))
    assert (found.evicted, found.queued_at) == (reason, queued_at)


def test_waiting_after_an_eviction() -> None:
    conditions = [condition("Requeued", "False", "ClusterQueueStopped")]
    found = workload_fact(
        workload(conditions=conditions, status={"requeueState": {"count": 1, "requeueAt": "2026-01-01T00:01:00Z"}})
    )
    assert (found.requeue_blocked, found.requeue_at) == (True, MINUTE_PAST)
    assert not workload_fact(workload(conditions=[condition("Requeued")])).requeue_blocked


@pytest.mark.parametrize(
    ("spec", "metadata", "active"),
    [
        ({}, {}, True),
        ({"active": True}, {}, True),
        ({"active": False}, {}, False),
        ({}, {"deletionTimestamp": "2026-01-01T00:00:00Z"}, False),
    ],
)
def test_which_workloads_may_be_admitted(spec: Json, metadata: Json, active: bool) -> None:
    assert workload_fact(workload(spec=spec, **metadata)).active is active


def test_a_workload_that_is_being_deleted_while_it_runs_is_not_evicted_for_it() -> None:
    value = workload(
        conditions=[condition("QuotaReserved")],
        status={"admission": ADMISSION},
        deletionTimestamp="2026-01-01T00:00:00Z",
    )
    assert workload_fact(value).active


def test_a_topology_assignment_is_decoded() -> None:
    topology = {
        "levels": ["rack", "kubernetes.io/hostname"],
        "slices": [
            {
                "domainCount": 2,
                "valuesPerLevel": [
                    {"universal": "r1"},
                    {"individual": {"prefix": "n", "suffix": ".lan", "roots": ["1", "2"]}},
                ],
                "podCounts": {"individual": [3, 1]},
            }
        ],
    }
    assignment = {**ADMISSION["podSetAssignments"][0], "topologyAssignment": topology}
    value = workload(
        conditions=[condition("QuotaReserved")],
        status={"admission": {"clusterQueue": "cq", "podSetAssignments": [assignment]}},
    )
    admission = workload_fact(value).admission
    assert admission is not None
    assert admission.pod_sets[0].topology == TopologyAssignment(
        ("rack", "kubernetes.io/hostname"), ((("r1", "n1.lan"), 3), (("r1", "n2.lan"), 1))
    )


# --- a Placement and its Workload, in any order


def changes(resource: Resource, value: Json | None, known: dict[Resource, Json]) -> list[object]:
    def lookup(of: Resource, namespace: str, name: str) -> Object | None:
        assert (namespace, name) == ("ns", "w")
        return Object.of(of, known[of]) if of in known else None

    obj = Object.of(resource, value) if value is not None else None
    return list(fact_of(resource, ("ns", "w"), obj, lookup))


def test_a_placement_makes_its_workload_anew_whichever_comes_first() -> None:
    alone = workload_fact(workload())
    together = workload_fact(workload(), placement())
    assert alone.placement is None
    assert together.placement == PLACED
    assert changes(PLACEMENTS, placement(), {}) == [Gone(Workload, ("ns", "w"))]
    assert changes(WORKLOADS, workload(), {PLACEMENTS: placement()}) == [together]
    assert changes(PLACEMENTS, placement(), {WORKLOADS: workload()}) == [together]
    assert changes(PLACEMENTS, None, {WORKLOADS: workload()}) == [alone]
    assert changes(WORKLOADS, None, {PLACEMENTS: placement()}) == [Gone(Workload, ("ns", "w"))]


def test_a_placement_of_an_earlier_workload_of_the_same_name_is_not_its_own() -> None:
    assert workload_fact(workload(), placement(uid="older")).placement is None


# --- broken ones


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(
            workload([{"name": "main", "template": {"spec": pod_spec("much")}}]), id="a quantity that is none"
        ),
        pytest.param(
            workload([{"name": "main", "template": {"spec": {"containers": 3}}}]), id="containers that are none"
        ),
        pytest.param(workload([{"name": "main", "count": "two"}]), id="a count in words"),
        pytest.param(workload(spec={"priority": "high"}), id="a priority in words"),
    ],
)
def test_a_workload_that_cannot_be_read_is_never_admitted_but_keeps_its_place(value: Json) -> None:
    found, notes = troubled(value, placement())
    assert isinstance(found, Workload)
    assert not found.active
    assert found.placement == PLACED
    assert len(notes) == 1


def test_a_broken_finished_workload_is_still_finished() -> None:
    found, _ = troubled(workload(spec={"priority": "high"}, conditions=[condition("Finished")]))
    assert isinstance(found, Workload)
    assert found.state is WorkloadState.FINISHED


def test_nulls_where_the_schema_has_none_count_as_absent() -> None:
    value = workload(status={"admission": None, "reclaimablePods": None, "conditions": None})
    assert workload_fact(value) == workload_fact(workload())


def test_a_time_that_is_none_is_noted() -> None:
    found, notes = troubled(workload(creationTimestamp="yesterday"))
    assert isinstance(found, Workload)
    assert found.created_at == 0
    assert "creationTimestamp" in notes[0]


def test_what_is_no_json_is_noted_not_raised() -> None:
    troubles: list[Trouble] = []
    good = Object.of(WORKLOADS, workload())
    broken = Object(WORKLOADS, b'{"spec": [', meta=good.meta, kind="Workload")
    found = fact_of(WORKLOADS, ("ns", "w"), broken, lambda *_: None, troubles)
    assert isinstance(found[0], Workload)
    assert not found[0].active
    assert (troubles[0].resource, troubles[0].key) == (WORKLOADS, ("ns", "w"))


def test_a_finished_workload_is_nowhere_whatever_its_placement_says() -> None:
    done = workload(status={"admission": ADMISSION, "conditions": [condition("Finished", reason="Succeeded")]})
    fact = workload_fact(done, placement())
    assert fact.state is WorkloadState.FINISHED
    assert fact.placement is None
    assert changes(PLACEMENTS, None, {WORKLOADS: done}) == [fact], "its Placement's end is no news"
