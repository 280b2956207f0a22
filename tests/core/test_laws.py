"""Laws that hold in every world: for random queues, cohorts, policies and workloads."""

from __future__ import annotations

import json
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from roadstead.core.cycle import cycle
from roadstead.core.dump import digest, dump, load, memory_digest
from roadstead.core.memory import Place
from roadstead.core.plan import Admit, Evict
from roadstead.core.settle import decide, settle
from roadstead.core.world import World
from roadstead.model.queues import ClusterQueue, Cohort, FlavorFungibility
from roadstead.model.refusals import Code
from roadstead.model.workload import Member, Placement, PodSetPlacement, Workload, WorkloadState
from tests.core.build import ANY, LOWER, NEVER, NEWER, QUOTA_ONLY, SECOND, cohort, pods, queue, work, world

LIMIT = st.one_of(st.none(), st.integers(0, 4))


@st.composite
def nodes(draw: st.DrawFn) -> list[ClusterQueue | Cohort]:
    found: list[ClusterQueue | Cohort] = []
    for name, parent in (("root", ""), ("C", "root")):
        cells = {f: {"cpu": draw(st.integers(0, 3))} for f in ("f1", "f2")}
        found.append(cohort(name, cells, parent))
    for at in range(draw(st.integers(1, 4))):
        lending = draw(st.sampled_from([None, None, 0, 1]))
        cells_of = {
            f: {"cpu": (draw(st.integers(1, 5)), draw(LIMIT), lending)}
            for f in draw(st.sampled_from([["f1"], ["f2"], ["f1", "f2"]]))
        }
        borrow, preempt = (draw(st.sampled_from(["MayStopSearch", "TryNextFlavor"])) for _ in range(2))
        found.append(
            queue(
                f"q{at}",
                cells_of,
                draw(st.sampled_from(["root", "C", "C", "implicit"])),
                within=draw(st.sampled_from([NEVER, LOWER, NEWER])),
                reclaim=draw(st.sampled_from([LOWER, ANY])),
                borrow=draw(st.sampled_from([NEVER, LOWER])),
                strict=draw(st.booleans()),
                fungibility=FlavorFungibility(borrow, preempt),
            )
        )
    return found


@st.composite
def workloads(draw: st.DrawFn) -> list[Workload]:
    found = []
    for at in range(draw(st.integers(1, 10))):
        sets = [
            pods(draw(st.integers(1, 4)), f"s{i}", cpu=draw(st.integers(1, 2))) for i in range(draw(st.integers(1, 2)))
        ]
        if draw(st.booleans()):
            sets[0] = replace(sets[0], min_count=1)
        found.append(
            work(f"w{at}", f"q{draw(st.integers(0, 3))}", priority=draw(st.integers(0, 2)), at=at, pod_sets=sets)
        )
    return found


def check_ledger(made: World) -> None:
    """No queue and no cohort uses more than its own quota plus what the rules let it borrow."""
    made.tables()
    for slot in range(len(made.tree.cells)):
        for node in (*made.tree.queues.values(), *made.tree.cohorts.values()):
            used = node.usage.get(slot, 0)
            own = node.subtree.get(slot, 0)
            if node.parent is None:
                assert used <= own, f"{node.name} uses {used} of {own}"
            elif slot in node.borrow:
                assert used <= own + node.borrow[slot], f"{node.name} borrows {used - own}"


def carry_out(made: World, now: int, seen: list[str]) -> bool:
    """One cycle with everything carried out at once; False when nothing was decided."""
    plan = cycle(made, now, QUOTA_ONLY)
    made.assume(plan)
    for command in plan.commands:
        if isinstance(command, Admit):
            fact = made.workloads[command.workload].fact
            counts = [ps.count for ps in command.admission.pod_sets]
            assert len(counts) == len(fact.pod_sets)
            for ps, count in zip(fact.pod_sets, counts, strict=True):
                assert (ps.min_count or ps.count) <= count <= ps.count
            made.apply(
                replace(
                    fact,
                    state=WorkloadState.RESERVED,
                    admission=command.admission,
                    reserved_at=now,
                    admitted=True,
                    evicted="",
                )
            )
            seen.append(f"+{fact.name}")
        elif isinstance(command, Evict):
            fact = made.workloads[command.workload].fact
            made.apply(
                replace(fact, state=WorkloadState.PENDING, admission=None, admitted=False, evicted=command.reason.value)
            )
            seen.append(f"-{fact.name}")
    check_ledger(made)
    return bool(plan.commands)


@given(nodes(), workloads())
@settings(max_examples=80, deadline=None)
def test_nothing_is_overcommitted_and_the_world_equals_its_facts(
    facts: list[ClusterQueue | Cohort], waiting: list[Workload]
) -> None:
    made = world(*facts)
    for fact in waiting:
        made.apply(fact)
    seen: list[str] = []
    idle = 0
    for now in range(1, 60):
        idle = 0 if carry_out(made, now * SECOND, seen) else idle + 1
        if idle > 3:
            made.unpark(now * SECOND)
        rebuilt = World()
        for noun in made.book.all():
            rebuilt.apply(noun)
        assert digest(rebuilt) == digest(made)
        if idle > 6:
            break


@given(nodes(), workloads())
@settings(max_examples=60, deadline=None)
def test_cycles_are_pure_and_everyone_left_waiting_has_a_reason(
    facts: list[ClusterQueue | Cohort], waiting: list[Workload]
) -> None:
    made = world(*facts)
    for fact in waiting:
        made.apply(fact)
    told: dict[str, Code] = {}
    for now in range(1, 25):
        before = digest(made), memory_digest(made)
        plan = cycle(made, now * SECOND, QUOTA_ONLY)
        assert (digest(made), memory_digest(made)) == before
        assert cycle(made, now * SECOND, QUOTA_ONLY) == plan
        for verdicts in plan.verdicts:
            assert verdicts.refusals, f"{verdicts.workload} was refused without a reason"
            told[verdicts.workload[1]] = verdicts.refusals[0].code
        changed = made.assume(plan)
        check_ledger(made)
        if not changed:
            break
    for key, standing in made.workloads.items():
        if standing.place is Place.PARKED:
            classmates = [k for k, s in made.workloads.items() if s.shape == standing.shape]
            assert any(k[1] in told for k in classmates), f"{key} is parked and nobody was told why"


@given(nodes(), workloads())
@settings(max_examples=40, deadline=None)
def test_settle_equals_cycle_after_cycle(facts: list[ClusterQueue | Cohort], waiting: list[Workload]) -> None:
    made = world(*facts)
    for fact in waiting:
        made.apply(fact)
    before = digest(made), memory_digest(made)
    plans = settle(made, SECOND, QUOTA_ONLY).plans
    assert (digest(made), memory_digest(made)) == before
    for plan in plans:
        if plan.commands or plan.verdicts:
            assert cycle(made, SECOND, QUOTA_ONLY) == plan
        made.assume(plan)
    check_ledger(made)
    assert not cycle(made, SECOND, QUOTA_ONLY).commands


@given(nodes(), workloads(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_a_loaded_world_decides_as_the_dumped_one(
    facts: list[ClusterQueue | Cohort], waiting: list[Workload], random: Random
) -> None:
    """Dumped at any moment, with admissions assumed or seen, evictions on their way, back-offs running or over,
    placements lost."""
    made = world(*facts)
    for at in range(30):
        now = at * SECOND
        if waiting and random.random() < 0.5:
            made.apply(waiting.pop())
        if made.workloads and random.random() < 0.7:
            made.apply(happens(made, random, now))
        copy = load(json.loads(json.dumps(dump(made))))
        assert dump(copy) == dump(made)
        assert (digest(copy), copy.stranded) == (digest(made), made.stranded)
        mine, theirs = decide(made, now, QUOTA_ONLY), decide(copy, now, QUOTA_ONLY)
        assert theirs == mine
        assert dump(copy) == dump(made)
        for command in [command for plan in mine.plans for command in plan.commands]:
            if random.random() < 0.2:
                made.forget(command)


def happens(made: World, random: Random, now: int) -> Workload:
    """What somebody may find a workload to have become."""
    key = random.choice(sorted(made.workloads))
    standing = made.workloads[key]
    fact, assumed = standing.fact, standing.assumed
    if assumed is not None:
        shown = replace(fact, state=WorkloadState.RESERVED, admission=assumed.admission, reserved_at=now, admitted=True)
        return replace(shown, evicted="")
    match random.randrange(6) if fact.state is WorkloadState.RESERVED else 9:
        case 0 | 1:
            return replace(
                fact, state=WorkloadState.PENDING, admission=None, admitted=False, reserved_at=0, placement=None,
                requeue_at=now + random.randrange(4) * SECOND,
            )  # fmt: skip
        case 2:
            return replace(fact, state=WorkloadState.FINISHED, admission=None, admitted=False, placement=None)
        case 3:
            placed = Placement(tuple(PodSetPlacement(ps.name, (Member("n"),) * ps.count) for ps in fact.pod_sets))
            return replace(fact, placement=placed if fact.placement is None else None)
        case 4:
            return replace(fact, evicted="Preempted")
        case 5:
            return replace(fact, priority=random.randrange(3))
        case _:
            return replace(fact, active=random.random() < 0.9, requeue_blocked=random.random() < 0.1)
