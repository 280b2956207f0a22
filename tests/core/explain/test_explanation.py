"""What would bind next, what would help, what would become of work that does not exist yet: all of it true, nothing of
it kept."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from roadstead.core.dump import digest, dump, memory_digest
from roadstead.core.explain.advice import advice
from roadstead.core.explain.changes import What, changed
from roadstead.core.explain.explanation import Explanation, explain
from roadstead.core.explain.foresight import Foreseen, Outlook, foresee
from roadstead.core.explain.lifting import OF_THE_FLEET
from roadstead.core.explain.why import as_if_first
from roadstead.core.plan import Admit, BindPod
from roadstead.core.rules import Rules
from roadstead.core.settle import decide
from roadstead.core.world import World
from roadstead.model.facts import Fact
from roadstead.model.nodes import Device, Node
from roadstead.model.queues import (
    ClusterQueue,
    Cohort,
    FlavorQuotas,
    LocalQueue,
    ResourceFlavor,
    ResourceGroup,
    StopPolicy,
)
from roadstead.model.refusals import Code, Verdict
from roadstead.model.selection import Taint
from roadstead.model.workload import Pod, PodClass, Workload
from tests.core.build import LOWER, QUOTA_ONLY, SECOND, cohort, pods, queue, run, work, world
from tests.core.test_laws import nodes, workloads

NOW = 1000 * SECOND


def told(made: World, name: str, rules: Rules = QUOTA_ONLY) -> Explanation:
    before = digest(made), memory_digest(made), dump(made)
    found = explain(made, ("team", name), NOW, rules)
    assert (digest(made), memory_digest(made), dump(made)) == before, "nothing of the question is kept"
    return found


def ahead(made: World, *facts: Fact, rules: Rules = QUOTA_ONLY) -> tuple[Foreseen, ...]:
    before = digest(made), memory_digest(made), dump(made)
    found = foresee(made, facts, NOW, rules)
    assert (digest(made), memory_digest(made), dump(made)) == before, "nothing of the question is kept"
    return found


def helps(made: World, name: str, found: Explanation, rules: Rules = QUOTA_ONLY) -> list[str]:
    """Every suggestion, made for good on this world: it starts the workload."""
    fact = made.workloads["team", name].fact
    said = []
    for suggestion in found.suggestions:
        copy = rebuilt(made, changed(made, fact, suggestion.changes))
        decide(copy, NOW, rules)
        hold = copy.workloads[fact.key].hold
        assert hold is not None, f"{suggestion} was said to help"
        said.append(" and ".join(f"{c.what.value} {c.subject} {c.before}->{c.after}" for c in suggestion.changes))
    return said


def rebuilt(made: World, *instead: Fact) -> World:
    """Another world with the same facts, but for these."""
    copy = World()
    for known in made.book.all():
        copy.apply(known)
    decide(copy, NOW, QUOTA_ONLY)
    for fact in instead:
        copy.apply(fact)
    return copy


def machine(name: str, cpu: int, gpus: int = 0, labels: Sequence[tuple[str, str]] = ()) -> Node:
    devices = tuple(Device(f"gpu-{i}", "gpu", i) for i in range(gpus))
    amounts = (("cpu", cpu * 1000), ("gpu", gpus), ("pods", 110))
    return Node(name, labels=(("kubernetes.io/hostname", name), *labels), allocatable=amounts, devices=devices)


# ---------------------------------------------------------------------- what binds, and what binds next


def test_quota_first_then_the_machines() -> None:
    made = world(queue("q", {"f": {"cpu": 4, "gpu": 2}}))
    made.apply(machine("n1", cpu=8, gpus=2))
    made.apply(work("in", "q", pod_sets=[pods(cpu=6, gpu=4)]))
    decide(made, NOW, Rules())
    found = told(made, "in", Rules())
    assert found.verdict is Verdict.CHANGE
    assert [(r.code, r.resource) for r in (found.refusals[0], *found.behind)] == [
        (Code.EXCEEDS_MAX_QUOTA, "gpu"),
        (Code.EXCEEDS_MAX_QUOTA, "cpu"),
        (Code.TOPOLOGY_TOO_SMALL, "gpu"),
    ]
    assert found.all_known
    assert helps(made, "in", found, Rules()) == ["request cpu 6000->4000 and request gpu 4->2"]


def test_the_line_binds_first_and_then_what_the_head_would_meet() -> None:
    made = world(queue("q", 4, strict=True))
    run(made, work("runs", "q", 2))
    made.apply(work("head", "q", 3, at=1))
    made.apply(work("third", "q", 9, at=3))
    found = told(made, "third")
    assert [r.code for r in (found.refusals[0], *found.behind)] == [Code.BEHIND_HEAD, Code.EXCEEDS_MAX_QUOTA]
    assert found.suggestions == (), "whatever it asks for, the head goes first"


def test_what_stops_a_queue_hides_what_is_behind_it() -> None:
    made = world(queue("q", 4, stop=StopPolicy.HOLD))
    made.apply(LocalQueue("team", "held", "q", StopPolicy.HOLD))
    made.apply(work("in", "held", 9))
    found = told(made, "in")
    assert [(r.code, r.subject) for r in (found.refusals[0], *found.behind)] == [
        (Code.QUEUE_STOPPED, "held"),
        (Code.QUEUE_STOPPED, "q"),
        (Code.EXCEEDS_MAX_QUOTA, "q"),
    ]
    assert found.verdict is Verdict.ASK


def test_what_cannot_be_lifted_ends_the_list_and_is_said_to() -> None:
    made = world(queue("q", 4))
    made.apply(work("lost", "nowhere", 1))
    found = told(made, "lost")
    assert (found.refusals[0].code, found.behind, found.all_known) == (Code.QUEUE_NOT_FOUND, (), False)
    assert helps(made, "lost", found) == ["queue q 0->0"]


def test_enough_quota_is_enough_for_all_pod_sets_together() -> None:
    """Pod sets that are short one after the other in the same cell are one constraint."""
    made = world(cohort("root", {"f1": {"cpu": 0}}), *(queue(f"q{at}", {"f1": {"cpu": 1}}, "root") for at in range(2)))
    for at in range(3):
        made.apply(work(f"w{at}", "q0", 1, at=at))
    made.apply(work("w3", "q1", at=3, pod_sets=[pods(1, "s0", cpu=2), pods(2, "s1", cpu=2)]))
    decide(made, NOW, QUOTA_ONLY)
    found = told(made, "w3")
    assert found.refusals[0].code in (Code.WAITING_FOR_QUOTA, Code.EXCEEDS_MAX_QUOTA)
    assert (found.behind, found.all_known) == ((), True)


@given(nodes(), workloads())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_with_the_binding_constraint_gone_it_starts_or_the_next_one_binds(
    facts: list[ClusterQueue | Cohort], waiting: list[Workload]
) -> None:
    """The constraints of these worlds are quotas, victims and turns: quota is given in a world built anew."""
    made = world(*facts)
    for fact in waiting:
        made.apply(fact)
    decide(made, NOW, QUOTA_ONLY)
    for key in list(made.workloads):
        found = told(made, key[1])
        if not found.refusals:
            continue
        chain = (found.refusals[0], *found.behind)
        binding = chain[0]
        if binding.code not in (Code.WAITING_FOR_QUOTA, Code.EXCEEDS_MAX_QUOTA):
            continue
        copy = rebuilt(made)
        for command in [s.assumed for s in made.workloads.values() if s.assumed is not None]:
            copy.standings.assume_admission(command)
        copy.apply(with_quota(made.facts[ClusterQueue]["", binding.subject], binding.flavor, binding.resource))
        after = as_if_first(copy, key, NOW, QUOTA_ONLY)
        expected = chain[1].code if len(chain) > 1 else None
        assert (after[0].code if after else None) == expected


def with_quota(fact: ClusterQueue, flavor: str, resource: str) -> ClusterQueue:
    return replace(
        fact,
        resource_groups=tuple(
            ResourceGroup(
                group.resources,
                tuple(
                    FlavorQuotas(
                        each.flavor,
                        tuple(
                            (name, replace(q, nominal=10**9) if (each.flavor, name) == (flavor, resource) else q)
                            for name, q in each.quotas
                        ),
                    )
                    for each in group.flavors
                ),
            )
            for group in fact.resource_groups
        ),
    )


# ---------------------------------------------------------------------- what would help


def test_less_of_what_is_short_is_found_to_the_last_unit() -> None:
    made = world(queue("q", {"f": {"gpu": 16}}))
    run(made, work("other", "q", pod_sets=[pods(gpu=5)]), flavor="f")
    made.apply(work("in", "q", pod_sets=[pods(4, gpu=4)]))
    decide(made, NOW, QUOTA_ONLY)
    found = told(made, "in")
    assert helps(made, "in", found) == ["request gpu 4->2", "count  4->2"]
    assert found.suggestions[0].given_up == 0.5


def test_another_queue_with_room_costs_nothing_and_comes_first() -> None:
    made = world(queue("q", 4), queue("roomy", 16), queue("full", 1))
    made.apply(LocalQueue("others", "theirs", "roomy"))
    made.apply(work("in", "q", 8))
    decide(made, NOW, QUOTA_ONLY)
    assert helps(made, "in", told(made, "in")) == ["queue roomy 0->0", "request cpu 8000->4000"]


def test_a_taint_to_tolerate_and_a_selector_to_leave_out() -> None:
    tainted = ResourceFlavor("spot", node_labels=(("pool", "spot"),), node_taints=(Taint("spot", "yes"),))
    made = world(tainted, queue("q", {"spot": {"cpu": 4}}))
    picky = pods(cpu=2)
    made.apply(work("in", "q", pod_sets=[picky]))
    made.apply(work("picky", "q", pod_sets=[replace(picky, pod=replace(picky.pod, node_selector=(("pool", "own"),)))]))
    decide(made, NOW, QUOTA_ONLY)
    assert helps(made, "in", told(made, "in")) == ["toleration spot=yes:NoSchedule 0->0"]
    both = told(made, "picky")
    assert [r.code for r in (both.refusals[0], *both.behind)] == [Code.UNTOLERATED_TAINT, Code.NODE_AFFINITY_MISMATCH]
    assert both.suggestions == (), "two changes of different kinds are not looked for"


def test_what_a_queue_has_no_quota_for_can_be_left_out() -> None:
    made = world(queue("q", 4))
    made.apply(work("in", "q", pod_sets=[pods(cpu=2, disk=5)]))
    decide(made, NOW, QUOTA_ONLY)
    found = told(made, "in")
    assert helps(made, "in", found) == ["request disk 5->0"]
    assert advice(found.suggestions[0]) == "Ask for no disk instead of 5 in each pod."


def test_an_inactive_workload_only_has_to_be_made_active() -> None:
    made = world(queue("q", 4))
    made.apply(work("in", "q", 2, active=False))
    found = told(made, "in")
    assert [c.what for c in found.suggestions[0].changes] == [What.ACTIVE]
    helps(made, "in", found)


@given(nodes(), workloads())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_every_change_that_is_suggested_starts_it(facts: list[ClusterQueue | Cohort], waiting: list[Workload]) -> None:
    made = world(*facts)
    for fact in waiting:
        made.apply(fact)
    decide(made, NOW, QUOTA_ONLY)
    for key in list(made.workloads):
        found = told(made, key[1])
        fact = made.workloads[key].fact
        for suggestion in found.suggestions:
            assert 0 <= suggestion.given_up <= 1
            with made.trial():
                made.apply(changed(made, fact, suggestion.changes))
                decide(made, NOW, QUOTA_ONLY)
                assert made.workloads[key].hold is not None, f"{suggestion} was said to help {key}"


# ---------------------------------------------------------------------- work that does not exist yet


def test_what_would_start_says_where() -> None:
    made = world(queue("q", {"f": {"cpu": 8, "gpu": 4}}))
    made.apply(machine("n1", cpu=8, gpus=4))
    (found,) = ahead(made, work("new", "q", pod_sets=[pods(2, cpu=1, gpu=2)]), rules=Rules())
    assert found.outlook is Outlook.STARTS
    assert isinstance(found.command, Admit)
    assert found.command.placement is not None
    (placed,) = found.command.placement.pod_sets
    assert [(m.node, m.devices) for m in placed.members] == [("n1", ("gpu-0", "gpu-1")), ("n1", ("gpu-2", "gpu-3"))]


def test_documents_are_planned_together_in_order() -> None:
    made = world(queue("q", 4))
    first, second = ahead(made, work("a", "q", 3, at=1), work("b", "q", 2, at=2))
    assert (first.outlook, second.outlook) == (Outlook.STARTS, Outlook.WAITS)
    assert (second.explanation.refusals[0].code, second.explanation.refusals[0].available) == (
        Code.WAITING_FOR_QUOTA,
        1000,
    )
    assert second.explanation.refusals[0].blockers == (("team", "a"),)


def test_who_would_have_to_go_and_what_starts_then() -> None:
    made = world(queue("q", 4, within=LOWER))
    run(made, work("low", "q", 3))
    (found,) = ahead(made, work("new", "q", 2, priority=5))
    assert found.outlook is Outlook.PREEMPTS
    assert found.victims == ((("team", "low"), "InClusterQueue"),)
    assert isinstance(found.command, Admit), "it starts once they have left"
    assert found.explanation.refusals[0].code is Code.PENDING_PREEMPTION
    assert not made.workloads["team", "low"].is_leaving


def test_a_queue_that_does_not_exist_yet_may_come_with_its_work() -> None:
    made = world(queue("q", 4))
    (found,) = ahead(made, LocalQueue("team", "new", "q"), work("in", "new", 2))
    assert found.outlook is Outlook.STARTS
    (found,) = ahead(made, queue("q", 8), work("in", "q", 8))
    assert found.outlook is Outlook.STARTS
    assert ahead(made, work("in", "q", 8))[0].outlook is Outlook.WAITS


def test_pods_of_no_queue_are_foreseen_too() -> None:
    made = world(queue("q", 4))
    made.apply(machine("n1", cpu=2))
    found = ahead(
        made, *(Pod("team", f"p{i}", f"uid-p{i}", PodClass((("cpu", 1500),)), i) for i in range(2)), rules=Rules()
    )
    assert [each.outlook for each in found] == [Outlook.STARTS, Outlook.WAITS]
    assert isinstance(found[0].command, BindPod)
    assert found[0].command.member.node == "n1"


@given(nodes(), workloads(), workloads())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_what_is_foreseen_is_what_happens(
    facts: list[ClusterQueue | Cohort], waiting: list[Workload], newcomers: list[Workload]
) -> None:
    made = world(*facts)
    for fact in waiting:
        made.apply(fact)
    decide(made, NOW, QUOTA_ONLY)
    coming = [replace(fact, name=f"new-{fact.name}", uid=f"uid-new-{fact.name}") for fact in newcomers]
    foreseen = ahead(made, *coming)
    for fact in coming:
        made.apply(fact)
    decide(made, NOW, QUOTA_ONLY)
    for each in foreseen:
        standing = made.workloads[each.key]
        starts = standing.hold is not None and not standing.is_leaving
        assert starts == (each.outlook is Outlook.STARTS)
        assert bool(each.explanation.refusals) != starts


# ---------------------------------------------------------------------- with machines


@st.composite
def machines(draw: st.DrawFn) -> list[Node]:
    return [
        machine(f"n{at}", draw(st.integers(1, 6)), draw(st.integers(0, 4)), [("pool", draw(st.sampled_from("ab")))])
        for at in range(draw(st.integers(1, 3)))
    ]


@st.composite
def gangs(draw: st.DrawFn) -> list[Workload]:
    found = []
    for at in range(draw(st.integers(1, 6))):
        sets = pods(draw(st.integers(1, 4)), cpu=draw(st.integers(1, 4)), gpu=draw(st.integers(0, 2)))
        found.append(
            work(f"w{at}", draw(st.sampled_from(["q", "r"])), at=at, priority=draw(st.integers(0, 1)), pod_sets=[sets])
        )
    return found


@given(machines(), gangs(), st.integers(1, 12), st.integers(0, 6))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_with_machines_too_every_suggestion_starts_it_and_the_machines_bind_last(
    fleet: list[Node], waiting: list[Workload], cpu: int, gpu: int
) -> None:
    cells = {"f": {"cpu": cpu, "gpu": gpu}}
    made = world(queue("q", cells, within=LOWER), queue("r", cells))
    for node in fleet:
        made.apply(node)
    for fact in waiting:
        made.apply(fact)
    rules = Rules()
    decide(made, NOW, rules)
    for key in list(made.workloads):
        found = told(made, key[1], rules)
        for suggestion in found.suggestions:
            with made.trial():
                made.apply(changed(made, made.workloads[key].fact, suggestion.changes))
                decide(made, NOW, rules)
                assert made.workloads[key].hold is not None, f"{suggestion} was said to help {key}"
        if found.refusals:
            chain = (found.refusals[0], *found.behind)
            assert found.all_known, f"everything here can be lifted: {chain}"
            of_machines = [refusal.code in OF_THE_FLEET for refusal in chain]
            assert of_machines.count(True) <= 1
            assert not any(of_machines[:-1]) or chain[of_machines.index(True) + 1].code in AFTER_THE_FLEET


AFTER_THE_FLEET = (Code.WAITING_FOR_QUOTA, Code.EXCEEDS_MAX_QUOTA, Code.PENDING_PREEMPTION)
"""What may still bind when machines are endless: quota that only the fleet's refusal hid."""


def test_victims_that_were_only_just_admitted_can_be_thought_away_too() -> None:
    made = world(queue("q", {"f": {"cpu": 1, "gpu": 0}}, within=LOWER))
    for node in (machine("n0", 1, 1), machine("n1", 1)):
        made.apply(node)
    made.apply(work("in", "q", priority=1, pod_sets=[pods(cpu=1, gpu=1)]))
    made.apply(work("low", "q", at=1, pod_sets=[pods(cpu=1)]))
    decide(made, NOW, Rules())
    assert made.workloads["team", "low"].assumed is not None
    found = told(made, "in", Rules())
    assert [r.code for r in (found.refusals[0], *found.behind)] == [
        Code.WAITING_FOR_QUOTA,
        Code.EXCEEDS_MAX_QUOTA,
        Code.PENDING_PREEMPTION,
    ]
    assert found.all_known
