"""Which flavor a workload gets: order, fungibility, taints, affinity, several pod sets, and the memory of a scan."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from roadstead.core.memory import Scanned
from roadstead.core.plan import Plan
from roadstead.model.facts import Gone
from roadstead.model.queues import FlavorFungibility, FlavorQuotas, Quota, ResourceFlavor, ResourceGroup
from roadstead.model.refusals import Code
from roadstead.model.selection import NodeTerm, Requirement, Taint, Toleration
from roadstead.model.workload import PodClass, PodSet, Workload
from tests.core.build import ANY, LOWER, admitted, cohort, evicted, flavors, pods, queue, run, step, work, world

STOP, NEXT = "MayStopSearch", "TryNextFlavor"
BORROW_FIRST, PREEMPT_FIRST = "BorrowingOverPreemption", "PreemptionOverBorrowing"


def fungibility(borrow: str = STOP, preempt: str = NEXT, preference: str = BORROW_FIRST) -> FlavorFungibility:
    return FlavorFungibility(borrow, preempt, preference)


@pytest.mark.parametrize(
    ("first", "second", "how", "taken"),
    [
        ("B", "N", fungibility(), "f1"),
        ("B", "N", fungibility(NEXT), "f2"),
        ("B", "N", fungibility(NEXT, STOP), "f2"),
        ("P", "N", fungibility(), "f2"),
        ("P", "N", fungibility(STOP, STOP), "f1 after preemption"),
        ("P", "B", fungibility(NEXT, NEXT, BORROW_FIRST), "f2"),
        ("P", "B", fungibility(NEXT, NEXT, PREEMPT_FIRST), "f1 after preemption"),
        ("P", "R", fungibility(NEXT, NEXT), "f2 after preemption"),
        ("-", "R", fungibility(NEXT, NEXT, PREEMPT_FIRST), "f2 after preemption"),
        ("x", "P", fungibility(), "f2 after preemption"),
        ("P", "x", fungibility(), "f1 after preemption"),
        ("B", "B", fungibility(NEXT, NEXT), "f1"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.when_can_borrow},{value.when_can_preempt}",
)
def test_choice_between_two_flavors(first: str, second: str, how: FlavorFungibility, taken: str) -> None:
    """N fits, B fits by borrowing, P its own lower priority can go, R others borrow its quota, - nobody may go, x
    impossible."""
    own: dict[str, tuple[int, ...]] = {"N": (4,), "B": (0,), "P": (4, 0), "R": (4,), "-": (4, 0), "x": (0, 0)}
    spare = {"N": 0, "B": 4, "P": 0, "R": 0, "-": 0, "x": 0}
    kinds = {"f1": first, "f2": second}
    made = world(
        queue(
            "q",
            {f: {"cpu": own[kind]} for f, kind in kinds.items()},
            "root",
            within=LOWER,
            reclaim=ANY,
            fungibility=how,
        ),
        queue("other", {f: {"cpu": spare[kind]} for f, kind in kinds.items()}, "root"),
    )
    for flavor, kind in kinds.items():
        if kind == "P":
            run(made, work(f"own-{flavor}", "q", 4, priority=-1), flavor=flavor)
        elif kind == "R":
            run(made, work(f"borrower-{flavor}", "other", 4, priority=9), flavor=flavor)
        elif kind == "-":
            run(made, work(f"equal-{flavor}", "q", 4, priority=0), flavor=flavor)
    made.apply(work("in", "q", 4))
    plan = step(made)
    if taken.endswith("preemption"):
        (victim,) = evicted(plan)
        assert victim.endswith(taken[:2])
    else:
        assert flavors(plan, "in") == [{"cpu": taken}]


def test_reclaim_is_preferred_over_preemption_in_the_own_queue() -> None:
    cells = {"od": {"cpu": 10}, "spot": {"cpu": 10}}
    made = world(
        queue("a", cells, "root", within=LOWER, reclaim=LOWER),
        queue("b", {"od": {"cpu": 0}, "spot": {"cpu": 0}}, "root"),
    )
    run(made, work("own", "a", 5), flavor="od")
    run(made, work("theirs", "b", 5), flavor="spot")
    made.apply(work("in", "a", 6, priority=100))
    assert evicted(step(made)) == {"theirs": "InCohortReclamation"}


def test_a_flavor_without_candidates_never_stops_the_search() -> None:
    made = world(
        queue("q", {"od": {"cpu": 50}, "spot": {"cpu": 100}}, within=LOWER, fungibility=fungibility(STOP, STOP))
    )
    run(made, work("full", "q", 50), flavor="od")
    made.apply(work("in", "q", 20))
    assert flavors(step(made), "in") == [{"cpu": "spot"}]


def test_the_closer_of_two_lenders_is_preferred() -> None:
    made = world(
        cohort("root", {"od": {"cpu": 2}, "spot": {"cpu": 0}}),
        cohort("C", {"od": {"cpu": 5}, "spot": {"cpu": 7}}, "root"),
        queue("q", {"od": {"cpu": 3}, "spot": {"cpu": 3}}, "C", fungibility=fungibility(NEXT, NEXT)),
    )
    run(made, work("on-od", "q", 8), flavor="od")
    run(made, work("on-spot", "q", 3), flavor="spot")
    made.apply(work("in", "q", 1))
    assert flavors(step(made), "in") == [{"cpu": "spot"}]


TAINTED = ResourceFlavor("f1", (("zone", "a"),), (Taint("spot", "yes"),))
PLAIN = ResourceFlavor("f2", (("zone", "b"),))
SOFT = ResourceFlavor("f1", (("zone", "a"),), (Taint("spot", "yes", "PreferNoSchedule"),))
SELF_TOLERATING = ResourceFlavor("f1", (("zone", "a"),), (Taint("spot", "yes"),), (Toleration("spot", "Exists"),))


def term(*requirements: Requirement) -> NodeTerm:
    return NodeTerm(tuple(requirements))


@pytest.mark.parametrize(
    ("story", "first", "pod", "taken"),
    [
        ("an untolerated taint", TAINTED, {}, "f2"),
        ("a tolerated taint", TAINTED, {"tolerations": (Toleration("spot", "Equal", "yes"),)}, "f1"),
        ("a soft taint", SOFT, {}, "f1"),
        ("the flavor's own toleration", SELF_TOLERATING, {}, "f1"),
        ("a selector for another zone", SOFT, {"node_selector": (("zone", "b"),)}, "f2"),
        ("a selector by a key that the flavor lacks", SOFT, {"node_selector": (("disk", "ssd"),)}, "f1"),
        ("affinity for another zone", SOFT, {"node_affinity": (term(Requirement("zone", "In", ("b",))),)}, "f2"),
        (
            "affinity with an alternative that says nothing about the flavor",
            SOFT,
            {"node_affinity": (term(Requirement("zone", "In", ("b",))), term(Requirement("disk", "In", ("ssd",))))},
            "f1",
        ),
    ],
)
def test_pods_choose_flavors(story: str, first: ResourceFlavor, pod: dict[str, object], taken: str) -> None:
    made = world(first, PLAIN, queue("q", {"f1": {"cpu": 4}, "f2": {"cpu": 4}}))
    shape = PodClass((("cpu", 1000),), **pod)  # type: ignore[arg-type]  # the table gives each field its own type
    made.apply(work("in", "q", pod_sets=[PodSet("main", 1, shape)]))
    assert flavors(step(made), "in") == [{"cpu": taken}], story


def test_resources_of_a_group_share_their_flavor_and_groups_choose_alone() -> None:
    groups = (
        ResourceGroup(
            ("cpu", "memory"),
            (
                FlavorQuotas("f1", (("cpu", Quota(9000)), ("memory", Quota(1)))),
                FlavorQuotas("f2", (("cpu", Quota(9000)), ("memory", Quota(9)))),
            ),
        ),
        ResourceGroup(("gpu",), (FlavorQuotas("g1", (("gpu", Quota(1)),)), FlavorQuotas("g2", (("gpu", Quota(8)),)))),
    )
    made = world(
        ResourceFlavor("f1"), ResourceFlavor("f2"), ResourceFlavor("g1"), ResourceFlavor("g2"),
        replace(queue("q", {}), resource_groups=groups),
    )  # fmt: skip
    made.apply(work("in", "q", pod_sets=[pods(2, cpu=1, memory=2, gpu=1)]))
    assert flavors(step(made), "in") == [{"cpu": "f2", "gpu": "g2", "memory": "f2"}]


def test_pod_sets_see_what_the_ones_before_them_took() -> None:
    made = world(queue("q", {"f1": {"cpu": 4}, "f2": {"cpu": 4}}))
    made.apply(work("in", "q", pod_sets=[pods(3, "a", cpu=1), pods(2, "b", cpu=1), pods(1, "c", cpu=1)]))
    assert flavors(step(made), "in") == [{"cpu": "f1"}, {"cpu": "f2"}, {"cpu": "f1"}]


def test_a_quota_for_pods_counts_pods() -> None:
    made = world(queue("q", {"f1": {"cpu": 9, "pods": 3}}))
    made.apply(work("four", "q", pod_sets=[pods(4, cpu=1)], at=1))
    made.apply(work("three", "q", pod_sets=[pods(3, cpu=1)], at=2))
    (refusal,) = step(made).verdicts[0].refusals
    assert (refusal.code, refusal.resource, refusal.needed, refusal.limit) == (Code.EXCEEDS_MAX_QUOTA, "pods", 4, 3)
    assert admitted(step(made)) == ["three"]


def test_a_resource_without_quota_is_refused_unless_nothing_of_it_is_asked_for() -> None:
    made = world(queue("q", 9))
    made.apply(work("in", "q", pod_sets=[pods(cpu=1, gpu=1)]))
    assert step(made).verdicts[0].refusals[0].code is Code.RESOURCE_NOT_COVERED
    made.apply(work("zero", "q", pod_sets=[pods(cpu=1, gpu=0)]))
    assert flavors(step(made), "zero") == [{"cpu": "default"}]


def test_a_scan_goes_on_where_it_stopped_and_starts_over_when_quota_was_freed() -> None:
    made = world(queue("q", {"f1": {"cpu": 4}, "f2": {"cpu": 4}}))
    run(made, work("runs", "q", 1), flavor="f2")
    made.apply(work("in", "q", 1))
    made.tables()
    made.assume(Plan(memory=(Scanned(("team", "in"), ((("cpu", 0),),)),)))
    with made.trial():
        assert flavors(step(made), "in") == [{"cpu": "f2"}]
    made.apply(Gone(Workload, ("team", "runs")))
    assert flavors(step(made), "in") == [{"cpu": "f1"}]
