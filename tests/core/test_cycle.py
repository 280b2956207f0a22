"""One cycle at a time: whole-cycle scenarios of the rules (kueue.md 3.15), and what a cycle never does."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from roadstead.core.cycle import cycle
from roadstead.core.dump import digest, memory_digest
from roadstead.core.memory import Place
from roadstead.core.plan import Admit, Evict, EvictionReason, Requeue
from roadstead.core.rules import Rules
from roadstead.core.settle import settle
from roadstead.core.world import World
from roadstead.model.facts import Gone
from roadstead.model.queues import (
    AdmissionCheck,
    CheckRule,
    FlavorFungibility,
    LocalQueue,
    Namespace,
    PreemptionPolicy,
    ResourceFlavor,
    StopPolicy,
)
from roadstead.model.refusals import Code
from roadstead.model.selection import LabelSelector, Requirement
from roadstead.model.workload import PodSet
from tests.core.build import (
    ANY,
    LOWER,
    NEVER,
    QUOTA_ONLY,
    SECOND,
    admitted,
    cohort,
    evicted,
    flavors,
    pods,
    queue,
    run,
    step,
    work,
    world,
)


def place(made: World, name: str) -> Place:
    return made.workloads[("team", name)].place


def codes(made: World, name: str, now: int = 1000) -> list[Code]:
    for verdicts in cycle(made, now * SECOND, QUOTA_ONLY).verdicts:
        if verdicts.workload[1] == name:
            return [refusal.code for refusal in verdicts.refusals]
    raise AssertionError(f"{name} was not evaluated")


def test_first_in_first_out() -> None:
    """The simplest story: put a breakpoint in `cycle` and run this test."""
    made = world(queue("q", 4))
    for at, name in enumerate(("first", "second", "third")):
        made.apply(work(name, "q", 2, at=at))
    assert [admitted(step(made)) for _ in range(3)] == [["first"], ["second"], []]
    assert place(made, "third") is Place.PARKED


def test_priority_goes_before_time_and_uid_breaks_ties() -> None:
    made = world(queue("q", 4))
    for name, priority, at in (("late", 0, 9), ("high", 1, 9), ("b", 0, 1), ("a", 0, 1)):
        made.apply(work(name, "q", 1, priority=priority, at=at))
    assert [admitted(step(made)) for _ in range(4)] == [["high"], ["a"], ["b"], ["late"]]


def test_a_strict_queue_waits_for_its_head_and_a_best_effort_one_goes_on() -> None:
    made = world(queue("strict", 4, strict=True), queue("loose", 4))
    for name in ("strict", "loose"):
        made.apply(work(f"{name}-large", name, 5, at=1))
        made.apply(work(f"{name}-small", name, 1, at=2))
    assert admitted(step(made)) == []
    assert admitted(step(made)) == ["loose-small"]
    assert (place(made, "strict-large"), place(made, "strict-small")) == (Place.HEAP, Place.HEAP)


def test_workloads_of_one_class_are_refused_together() -> None:
    made = world(queue("q", 4))
    run(made, work("busy", "q", 4))
    for at in range(50):
        made.apply(work(f"w{at}", "q", 2, at=at))
    made.apply(work("other", "q", 1, at=99))
    step(made)
    assert {place(made, f"w{at}") for at in range(50)} == {Place.PARKED}
    assert place(made, "other") is Place.HEAP
    made.apply(work("newcomer", "q", 2, at=100))
    assert place(made, "newcomer") is Place.PARKED


def two_strict() -> World:
    return world(queue("A", (50, 50), "root", strict=True), queue("B", (50, 10), "root", strict=True))


def test_a_queue_borrows_what_the_others_leave() -> None:
    made = two_strict()
    made.apply(work("a", "A", 45))
    made.apply(work("b", "B", 55))
    assert sorted(admitted(step(made))) == ["a", "b"]


def test_the_borrower_comes_last_and_is_overtaken() -> None:
    made = two_strict()
    made.apply(work("a", "A", 45, at=9))
    made.apply(work("b", "B", 56, at=1))
    plan = step(made)
    assert admitted(plan) == ["a"]
    (verdicts,) = plan.verdicts
    assert (verdicts.refusals[0].code, verdicts.requeue) == (Code.OVERTAKEN_IN_CYCLE, Requeue.HEAP)


def test_three_share_and_the_numbers_are_true() -> None:
    made = world(
        queue("A", (50, 50), "root", strict=True),
        queue("B", (50, 10), "root", strict=True),
        queue("G", (50, 10), "root"),
    )
    run(made, work("g", "G", 51))
    made.apply(work("b", "B", 50))
    made.apply(work("a", "A", 1))
    made.apply(work("g2", "G", 50))
    plan = step(made)
    assert sorted(admitted(plan)) == ["a", "b"]
    (verdicts,) = plan.verdicts
    refusal = verdicts.refusals[0]
    assert (refusal.code, refusal.needed - refusal.available) == (Code.WAITING_FOR_QUOTA, 41_000)
    assert refusal.blockers == (("team", "g"),)
    assert place(made, "g2") is Place.PARKED


def test_a_lending_limit_keeps_one_back() -> None:
    made = world(queue("lend-a", (3, None, 2), "root"), queue("lend-b", (2, None, 2), "root"))
    run(made, work("busy", "lend-b", 2))
    made.apply(work("in", "lend-b", 3))
    refusal = step(made).verdicts[0].refusals[0]
    assert refusal.needed - refusal.available == 1000


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [((0, 16), (0, 14), ["one", "two"]), ((-1, 16), (-2, 16), ["one"])],
)
def test_capacity_of_a_cohort_is_given_once(
    first: tuple[int, int], second: tuple[int, int], expected: list[str]
) -> None:
    made = world(
        *(queue(f"q{i}", {"r1": {"cpu": (10, 10)}}, "root", strict=True) for i in (1, 2)),
        queue("q3", {"r1": {"cpu": (10, 10)}}, "root"),
    )
    made.apply(work("one", "q1", first[1], priority=first[0]))
    made.apply(work("two", "q2", second[1], priority=second[0]))
    assert sorted(admitted(step(made))) == expected


def test_an_owner_who_can_always_reclaim_keeps_nothing_back() -> None:
    made = world(queue("A", 2, "root", reclaim=ANY), queue("B", 0, "root"))
    run(made, work("own", "A", 1))
    made.apply(work("a", "A", 2))
    made.apply(work("b", "B", 1))
    assert admitted(step(made)) == ["b"]
    assert place(made, "a") is Place.PARKED


@pytest.mark.parametrize("policy", [LOWER, NEVER])
def test_an_owner_who_cannot_keeps_its_share_for_the_cycle(policy: PreemptionPolicy) -> None:
    made = world(queue("A", 2, "root", reclaim=policy), queue("B", 0, "root"))
    run(made, work("own", "A", 1))
    made.apply(work("a", "A", 2))
    made.apply(work("b", "B", 1))
    assert admitted(step(made)) == []
    assert (place(made, "a"), place(made, "b")) == (Place.PARKED, Place.HEAP)


def test_a_limit_that_can_never_suffice_reserves_nothing() -> None:
    made = world(
        queue("S", (4, 0), "root"),
        queue("a", (0, 3), "root", reclaim=LOWER, borrow=LOWER),
        queue("b", 0, "root", reclaim=LOWER, borrow=LOWER),
    )
    run(made, work("own", "a", 2))
    made.apply(work("wants", "a", 3, at=1))
    made.apply(work("b", "b", 1, at=2))
    plan = step(made)
    assert admitted(plan) == ["b"]
    refusal = plan.verdicts[0].refusals[0]
    assert (refusal.code, refusal.needed - refusal.available) == (Code.WAITING_FOR_QUOTA, 2000)


def test_borrowing_less_far_goes_before_priority() -> None:
    made = world(cohort("C", 4, "root"), queue("g", 0, "C"), queue("e", 0, "root"))
    made.apply(work("near", "g", 4, priority=0))
    made.apply(work("far", "e", 4, priority=3))
    assert admitted(step(made)) == ["near"]


def test_two_queues_preempt_in_one_cycle_and_their_heads_stay_ahead() -> None:
    made = world(*(queue(name, 2, "root", within=LOWER) for name in "AB"))
    run(made, work("a0", "A", 2), work("b0", "B", 2))
    made.apply(work("a1", "A", 2, priority=100))
    made.apply(work("b1", "B", 2, priority=100))
    plan = step(made)
    assert sorted(evicted(plan)) == ["a0", "b0"]
    assert [v.refusals[0].code for v in plan.verdicts] == [Code.PENDING_PREEMPTION] * 2
    made.apply(work("bully", "A", 1, priority=999))
    head = made.pending["A"].head()
    assert head is not None
    assert head.key == ("team", "a1")


def test_the_second_preemptor_is_overtaken_when_both_need_what_is_lent() -> None:
    made = world(
        *(queue(name, 2, "root", within=LOWER, borrow=LOWER, reclaim=LOWER) for name in "AB"), queue("bank", 1, "root")
    )
    run(made, work("a0", "A", 2), work("b0", "B", 2))
    made.apply(work("a1", "A", 3, priority=100))
    made.apply(work("b1", "B", 3, priority=99))
    plan = step(made)
    assert sorted(evicted(plan)) == ["a0"]
    assert {v.workload[1]: v.refusals[0].code for v in plan.verdicts} == {
        "a1": Code.PENDING_PREEMPTION,
        "b1": Code.OVERTAKEN_IN_CYCLE,
    }


def test_preemption_is_not_tried_above_nominal_quota() -> None:
    made = world(queue("A", 2, "root", within=LOWER, reclaim=ANY), queue("B", 2, "root"))
    run(made, work("a0", "A", 1, priority=-1), work("b0", "B", 1))
    made.apply(work("in", "A", 3, priority=1))
    plan = step(made)
    assert plan.is_idle
    assert plan.verdicts[0].refusals[0].code is Code.WAITING_FOR_QUOTA


@pytest.mark.parametrize(
    ("sets", "counts"),
    [
        ([pods(50, "a", min_count=20, cpu=2)], [25]),
        ([pods(20, "a", cpu=1), pods(30, "b", min_count=10, cpu=1), pods(15, "c", min_count=5, cpu=1)], [20, 20, 10]),
    ],
)
def test_partial_admission_takes_the_largest_size_that_fits(sets: list[PodSet], counts: list[int]) -> None:
    made = world(queue("sales", (50, 0), "root"))
    made.apply(work("in", "sales", pod_sets=sets))
    (command,) = step(made).commands
    assert isinstance(command, Admit)
    assert [ps.count for ps in command.admission.pod_sets] == counts


def test_a_larger_size_with_preemption_is_preferred_over_a_smaller_one_at_once() -> None:
    made = world(queue("q", {"f": {"gpu": 20}}, within=LOWER))
    run(made, work("low", "q", priority=-4, pod_sets=[pods(10, gpu=1)]), flavor="f")
    made.apply(work("in", "q", priority=4, pod_sets=[pods(30, min_count=10, gpu=1)]))
    assert list(evicted(step(made))) == ["low"]


@pytest.mark.parametrize(
    ("preference", "outcome"), [("BorrowingOverPreemption", "spot"), ("PreemptionOverBorrowing", "od")]
)
def test_borrow_or_preempt(preference: str, outcome: str) -> None:
    made = world(
        queue(
            "q", {"od": {"cpu": (5, 0)}, "spot": {"cpu": (0, 5)}}, "root", within=LOWER,
            fungibility=FlavorFungibility("TryNextFlavor", "TryNextFlavor", preference),
        ),
        queue("lender", {"od": {"cpu": 0}, "spot": {"cpu": 5}}, "root"),
    )  # fmt: skip
    run(made, work("low", "q", 5, priority=-1), flavor="od")
    made.apply(work("in", "q", 5))
    plan = step(made)
    if outcome == "spot":
        assert flavors(plan, "in") == [{"cpu": "spot"}]
    else:
        assert list(evicted(plan)) == ["low"]


@pytest.mark.parametrize(("beside", "expected"), [(True, ["two"]), (False, ["one", "two"])])
def test_who_starts_must_fit_beside_victims_that_have_not_left(beside: bool, expected: list[str]) -> None:
    made = world(queue("q1", 10, "root", within=LOWER), queue("q2", 0, "root"), queue("q3", 0, "root"))
    run(made, work("stays", "q1", 2, priority=9), work("victim", "q1", 6))
    made.apply(work("preemptor", "q1", 5, priority=5))
    made.apply(work("two", "q2", 2, priority=3))
    made.apply(work("one", "q3", 1, priority=2))
    plan = cycle(made, SECOND, Rules(place_all=False, beside_victims=beside))
    assert list(evicted(plan)) == ["victim"]
    assert sorted(admitted(plan)) == expected


def test_gangs_are_admitted_whole_or_not_at_all() -> None:
    made = world(queue("q", 4))
    made.apply(work("gang", "q", pod_sets=[pods(3, "a", cpu=1), pods(2, "b", cpu=1)]))
    plan = step(made)
    assert plan.is_idle
    assert made.tree.queue("q").usage == {}


def test_a_namespace_that_the_queue_does_not_select_is_parked_even_in_a_strict_queue() -> None:
    selector = LabelSelector((Requirement("env", "In", ("prod",)),))
    made = world(replace(queue("q", 4, strict=True), namespace_selector=selector))
    made.apply(work("in", "q", 1))
    assert codes(made, "in") == [Code.NAMESPACE_MISMATCH]
    step(made)
    assert place(made, "in") is Place.PARKED
    made.apply(Namespace("team", (("env", "prod"),)))
    assert made.unpark_requested
    made.unpark(SECOND)
    assert admitted(step(made)) == ["in"]


def test_requests_above_their_limits_are_refused() -> None:
    made = world(queue("q", 4))
    pod_set = pods(cpu=1)
    above = replace(pod_set, pod=replace(pod_set.pod, limits_exceeded=("cpu",)))
    made.apply(work("in", "q", pod_sets=[above]))
    assert codes(made, "in") == [Code.REQUESTS_ABOVE_LIMITS]


@pytest.mark.parametrize("stop", [StopPolicy.HOLD, StopPolicy.HOLD_AND_DRAIN])
@pytest.mark.parametrize("where", ["ClusterQueue", "LocalQueue"])
def test_stopped_queues_admit_nobody_and_drain_if_told_to(stop: StopPolicy, where: str) -> None:
    made = world(queue("q", 4))
    run(made, work("runs", "q", 1))
    made.apply(work("waits", "q", 1))
    if where == "ClusterQueue":
        made.apply(queue("q", 4, stop=stop))
    else:
        made.apply(LocalQueue("team", "q", "q", stop))
    plan = step(made)
    assert admitted(plan) == []
    expected = {"runs": f"{where}Stopped"} if stop is StopPolicy.HOLD_AND_DRAIN else {}
    assert evicted(plan) == expected
    assert step(made).commands == ()


def test_a_deactivated_workload_is_evicted_once_and_never_queued() -> None:
    made = world(queue("q", 4))
    run(made, work("runs", "q", 1))
    fact = made.workloads[("team", "runs")].fact
    made.apply(replace(fact, active=False))
    made.apply(work("sleeps", "q", 1, active=False))
    plan = step(made)
    assert plan.commands == (Evict(("team", "runs"), "uid-runs", EvictionReason.DEACTIVATED),)
    assert step(made).commands == ()
    assert place(made, "sleeps") is Place.NOWHERE


def test_pods_that_are_done_free_their_quota() -> None:
    made = world(queue("q", 4))
    run(made, work("runs", "q", pod_sets=[pods(4, cpu=1)]))
    made.apply(work("in", "q", 2))
    step(made)
    fact = made.workloads[("team", "runs")].fact
    made.apply(replace(fact, reclaimable=(("main", 3),)))
    made.unpark(SECOND)
    assert admitted(step(made)) == ["in"]


def test_a_queue_with_a_missing_flavor_is_inactive() -> None:
    made = world(queue("q", 4))
    made.apply(Gone(ResourceFlavor, ("", "default")))
    made.apply(work("in", "q", 1))
    assert made.tables()["q"].inactive == ("FlavorNotFound",)
    assert step(made).verdicts == ()
    made.apply(ResourceFlavor("default"))
    assert admitted(step(made)) == ["in"]


def test_a_queue_whose_admission_checks_nobody_runs_is_inactive() -> None:
    made = world(replace(queue("q", 4), checks=(CheckRule("prov"), CheckRule("budget", ("default",)))))
    made.apply(work("in", "q", 1))
    assert made.tables()["q"].inactive == ("AdmissionCheckNotFound",)
    made.apply(AdmissionCheck("prov", "example.com/prov"))
    assert made.tables()["q"].inactive == ("AdmissionCheckNotFound", "AdmissionCheckInactive")
    made.apply(AdmissionCheck("prov", "example.com/prov", active=True))
    made.apply(AdmissionCheck("budget", "example.com/budget"))
    assert made.tables()["q"].inactive == ("AdmissionCheckInactive",)
    assert step(made).verdicts == ()
    made.apply(AdmissionCheck("budget", "example.com/budget", active=True))
    assert admitted(step(made)) == ["in"]


def test_a_cycle_leaves_the_world_as_found() -> None:
    made = two_strict()
    run(made, work("a0", "A", 45, priority=-1))
    made.apply(queue("A", (50, 50), "root", within=LOWER))
    made.apply(work("a", "A", 60, at=9))
    made.apply(work("b", "B", 56, at=1))
    before = digest(made), memory_digest(made)
    first = cycle(made, 5 * SECOND, QUOTA_ONLY)
    assert (digest(made), memory_digest(made)) == before
    assert cycle(made, 5 * SECOND, QUOTA_ONLY) == first


def test_settle_repeats_until_nothing_new_and_leaves_the_world_as_found() -> None:
    made = world(queue("q", 4))
    for at in range(9):
        made.apply(work(f"w{at}", "q", 1, at=at))
    before = digest(made), memory_digest(made)
    settlement = settle(made, SECOND, QUOTA_ONLY)
    assert (digest(made), memory_digest(made)) == before
    assert settlement.exhausted is None
    for plan in settlement.plans:
        made.assume(plan)
    assert [w for plan in settlement.plans for w in admitted(plan)] == ["w0", "w1", "w2", "w3"]
    assert not [w for plan in settle(made, SECOND, QUOTA_ONLY).plans for w in admitted(plan)]


def test_settle_says_so_when_its_bound_is_hit() -> None:
    made = world(queue("q", 9))
    for at in range(9):
        made.apply(work(f"w{at}", "q", 1, at=at))
    settlement = settle(made, SECOND, QUOTA_ONLY, max_cycles=3)
    assert settlement.exhausted is not None
    assert (settlement.exhausted.code, settlement.exhausted.limit) == (Code.CYCLES_EXHAUSTED, 3)
