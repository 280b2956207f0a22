"""The world: facts in any order, assuming and forgetting, trials, un-parking, dumps."""

from __future__ import annotations

import json
import random

import pytest
from msgspec.structs import replace

from roadstead.core.cycle import cycle
from roadstead.core.dump import digest, dump, load, memory_digest
from roadstead.core.memory import Place
from roadstead.core.plan import Admit, Evict
from roadstead.core.world import World
from roadstead.model.facts import Gone, Noun
from roadstead.model.queues import ClusterQueue, LocalQueue, Namespace, ResourceFlavor, StopPolicy
from roadstead.model.workload import Workload, WorkloadState
from tests.core.build import LOWER, QUOTA_ONLY, SECOND, admitted, cohort, queue, run, step, work, world


def busy_world() -> World:
    made = world(
        cohort("root", 2),
        queue("a", (4, 2), "root", within=LOWER),
        queue("b", {"default": {"cpu": 2}, "spot": {"cpu": 4}}, "root", strict=True),
    )
    run(made, work("a0", "a", 3), work("a1", "a", 1), work("b0", "b", 2))
    for at in range(6):
        made.apply(work(f"w{at}", "ab"[at % 2], 1 + at, priority=at % 3, at=at))
    return made


def place(made: World, name: str) -> Place:
    return made.workloads[("team", name)].place


@pytest.mark.parametrize("seed", range(8))
def test_facts_may_come_in_any_order(seed: int) -> None:
    made = busy_world()
    facts: list[Noun] = list(made.book.all())
    random.Random(seed).shuffle(facts)
    other = World()
    for fact in facts:
        other.apply(fact)
    assert digest(other) == digest(made)
    assert {k: s.place for k, s in other.workloads.items()} == {k: s.place for k, s in made.workloads.items()}
    assert cycle(other, SECOND, QUOTA_ONLY) == cycle(made, SECOND, QUOTA_ONLY)


def test_applying_a_fact_twice_changes_nothing() -> None:
    made = busy_world()
    before = digest(made), memory_digest(made)
    for fact in list(made.book.all()):
        made.apply(fact)
    assert (digest(made), memory_digest(made)) == before


def test_facts_that_are_gone_leave_nothing_behind() -> None:
    made = busy_world()
    for fact in list(made.book.all()):
        made.apply(Gone(type(fact), (getattr(fact, "namespace", ""), fact.name)))
        made.apply(Gone(type(fact), (getattr(fact, "namespace", ""), fact.name)))
    assert digest(made) == digest(World())


def test_what_is_no_fact_is_refused() -> None:
    with pytest.raises(TypeError, match="str is not a fact; the facts are Namespace"):
        World().apply("nonsense")  # type: ignore[arg-type]  # on purpose


def test_a_workload_may_come_before_its_queue() -> None:
    made = World()
    made.apply(work("in", "q", 1))
    assert place(made, "in") is Place.NOWHERE
    for fact in (LocalQueue("team", "q", "q"), queue("q", 4), ResourceFlavor("default"), Namespace("team")):
        made.apply(fact)
    assert admitted(step(made)) == ["in"]


def test_an_assumed_admission_holds_until_it_is_a_fact_and_then_still() -> None:
    made = world(queue("q", 4))
    made.apply(work("in", "q", 3))
    (command,) = step(made, now=7).commands
    assert isinstance(command, Admit)
    standing = made.workloads[("team", "in")]
    used = dict(made.tree.queue("q").usage)
    made.apply(replace(standing.fact, generation=2))  # an unrelated change seen before our own write
    assert (standing.place, dict(made.tree.queue("q").usage)) == (Place.HELD, used)
    fact = replace(
        standing.fact, state=WorkloadState.RESERVED, admission=command.admission, reserved_at=7 * SECOND, admitted=True
    )
    made.apply(fact)
    assert standing.assumed is None
    assert dict(made.tree.queue("q").usage) == used
    rebuilt = World()
    for noun in made.book.all():
        rebuilt.apply(noun)
    assert digest(rebuilt) == digest(made)


def test_a_forgotten_admission_is_tried_again() -> None:
    made = world(queue("q", 4))
    made.apply(work("in", "q", 3))
    before = digest(made)
    (command,) = step(made).commands
    assert digest(made) != before
    made.forget(command)
    assert digest(made) == before
    assert admitted(step(made)) == ["in"]


def test_a_forgotten_eviction_is_asked_for_again() -> None:
    made = world(queue("q", 4, within=LOWER))
    run(made, work("low", "q", 4, priority=-1))
    made.apply(work("in", "q", 3))
    (command,) = step(made).commands
    assert isinstance(command, Evict)
    assert step(made).commands == ()
    made.forget(command)
    assert step(made).commands == (command,)


def test_commands_about_what_is_gone_or_replaced_are_ignored() -> None:
    made = world(queue("q", 4))
    made.apply(work("in", "q", 3))
    plan = cycle(made, SECOND, QUOTA_ONLY)
    made.apply(replace(work("in", "q", 3), uid="another"))
    made.assume(plan)
    assert place(made, "in") is Place.HEAP
    made.apply(Gone(Workload, ("team", "in")))
    made.assume(plan)
    made.forget(plan.commands[0])
    assert not any(made.tree.queue("q").usage.values())


def test_an_evicted_workload_returns_with_its_old_time_and_frees_its_quota() -> None:
    made = world(queue("q", 4))
    run(made, work("old", "q", 4, at=1))
    made.apply(work("waits", "q", 4, at=2))
    assert admitted(step(made)) == []
    fact = made.workloads[("team", "old")].fact
    made.apply(replace(fact, evicted="Preempted"))
    assert place(made, "old") is Place.HELD
    made.apply(replace(fact, evicted="Preempted", state=WorkloadState.PENDING, admission=None, admitted=False))
    assert made.unpark_requested
    made.unpark(SECOND)
    assert (place(made, "old"), place(made, "waits")) == (Place.HEAP, Place.HEAP)
    assert admitted(step(made)) == ["old"]


def test_a_back_off_keeps_a_workload_parked_until_it_ends() -> None:
    made = world(queue("q", 4))
    made.apply(work("in", "q", 1, requeue_at=60 * SECOND))
    assert place(made, "in") is Place.PARKED
    assert cycle(made, SECOND, QUOTA_ONLY).again_at == 60 * SECOND
    made.unpark(59 * SECOND)
    assert place(made, "in") is Place.PARKED
    made.unpark(60 * SECOND)
    assert admitted(step(made)) == ["in"]


def test_a_workload_that_must_not_be_requeued_stays_parked() -> None:
    made = world(queue("q", 4))
    made.apply(work("in", "q", 1, requeue_blocked=True))
    made.unpark(SECOND)
    assert place(made, "in") is Place.PARKED
    made.apply(work("in", "q", 1))
    assert place(made, "in") is Place.HEAP


@pytest.mark.parametrize("trigger", ["finish", "delete", "deactivate", "queue", "sibling", "cohort", "flavor"])
def test_what_gives_parked_workloads_a_new_chance(trigger: str) -> None:
    made = world(cohort("root", 0), queue("a", 4, "root"), queue("b", 0, "root"), queue("alone", 4))
    run(made, work("runs", "a", 4), work("elsewhere", "alone", 4))
    made.apply(work("waits", "b", 1))
    made.apply(work("other", "alone", 1))
    step(made)
    made.unpark(SECOND)
    step(made)
    assert not made.unpark_requested
    assert {place(made, "waits"), place(made, "other")} == {Place.PARKED}
    fact = made.workloads[("team", "runs")].fact
    match trigger:
        case "finish":
            made.apply(replace(fact, state=WorkloadState.FINISHED))
        case "delete":
            made.apply(Gone(Workload, fact.key))
        case "deactivate":
            made.apply(replace(fact, state=WorkloadState.PENDING, admission=None, active=False))
        case "queue":
            made.apply(queue("b", 1, "root"))
        case "sibling":
            made.apply(queue("a", 5, "root"))
        case "cohort":
            made.apply(cohort("root", 1))
        case "flavor":
            made.apply(ResourceFlavor("default", (("zone", "a"),)))
    assert place(made, "waits") is Place.PARKED  # the un-park itself is an event of its own
    made.unpark(2 * SECOND)
    assert place(made, "waits") is Place.HEAP
    assert place(made, "other") is (Place.HEAP if trigger in ("flavor", "cohort") else Place.PARKED)


def test_a_stopped_local_queue_takes_its_workloads_out() -> None:
    made = world(queue("q", 4))
    made.apply(work("in", "q", 1))
    made.apply(LocalQueue("team", "q", "q", StopPolicy.HOLD))
    assert place(made, "in") is Place.NOWHERE
    made.apply(LocalQueue("team", "q", "q"))
    assert place(made, "in") is Place.HEAP


def test_trials_nest_and_take_everything_back() -> None:
    made = busy_world()
    before = digest(made), memory_digest(made)
    with made.trial():
        step(made)
        inner = digest(made), memory_digest(made)
        with made.trial():
            made.apply(queue("a", 40, "root"))
            made.apply(Gone(ClusterQueue, ("", "b")))
            made.apply(Gone(Workload, ("team", "a0")))
            made.unpark(9 * SECOND)
            step(made)
            step(made)
        assert (digest(made), memory_digest(made)) == inner
    assert (digest(made), memory_digest(made)) == before


def test_a_dump_is_json_and_loads_into_the_same_world() -> None:
    made = busy_world()
    for _ in range(3):
        step(made)
    copy = load(json.loads(json.dumps(dump(made))))
    assert dump(copy) == dump(made)
    assert (digest(copy), memory_digest(copy)) == (digest(made), memory_digest(made))
    for now in range(5, 9):
        assert step(copy, now) == step(made, now)


@pytest.mark.parametrize(
    ("dumped", "text"), [({}, "not a dump"), ({"format": 99}, "format 99; this program reads up to 1")]
)
def test_other_dumps_are_refused(dumped: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        load(dumped)
