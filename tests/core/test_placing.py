"""Quota and nodes together: gangs get nodes and devices, or others make room, or nobody starts; pods of no queue come
after."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from roadstead.core.cycle import cycle
from roadstead.core.departures import next_time
from roadstead.core.dump import digest, dump, load, memory_digest
from roadstead.core.memory import Place
from roadstead.core.plan import Admit, BindPod, Plan
from roadstead.core.rules import Rules
from roadstead.core.settle import settle
from roadstead.core.world import World
from roadstead.model.facts import Gone
from roadstead.model.nodes import Device, Node
from roadstead.model.queues import ResourceFlavor, Topology
from roadstead.model.refusals import Code, Verdict
from roadstead.model.selection import Taint, Toleration
from roadstead.model.workload import Member, Pod, PodClass, TopologyRequest, Workload, WorkloadState
from tests.core.build import LOWER, SECOND, admitted, evicted, pods, queue, step, work, world

PLACED = Rules()
GPU = "nvidia.com/gpu"


def node(name: str, cpu: int = 8, gpus: int = 4, *, labels: dict[str, str] | None = None, **more: object) -> Node:
    known = {"kubernetes.io/hostname": name, **(labels or {})}
    made = Node(
        name,
        tuple(sorted(known.items())),
        allocatable=(("cpu", cpu * 1000), (GPU, gpus), ("pods", 110)),
        devices=tuple(Device(f"gpu-{i}", GPU, i) for i in range(gpus)),
    )
    return replace(made, **more)  # any field of Node


def gang(name: str, count: int, gpu: int, *, priority: int = 0, at: int = 0, **more: object) -> Workload:
    set_ = replace(pods(count, cpu=1), pod=PodClass((("cpu", 1000), (GPU, gpu))))
    return work(name, "q", pod_sets=[replace(set_, **more)], priority=priority, at=at)


def cluster(*nodes: Node, gpus: int = 100, **more: object) -> World:
    made = world(queue("q", {"default": {"cpu": 1000, GPU: gpus}}, **more))  # type: ignore[arg-type]
    for each in nodes:
        made.apply(each)
    return made


def members(plan: Plan, name: str) -> list[Member]:
    for command in plan.commands:
        if isinstance(command, Admit) and command.workload[1] == name:
            assert command.placement is not None
            return [member for pod_set in command.placement.pod_sets for member in pod_set.members]
    raise AssertionError(f"{name} was not admitted")


def test_every_member_of_a_gang_gets_a_node_and_its_own_devices() -> None:
    made = cluster(node("a"), node("b"))
    made.apply(gang("g", 4, 2))
    got = members(step(made, rules=PLACED), "g")
    assert len(got) == 4
    devices = [(member.node, device) for member in got for device in member.devices]
    assert len(set(devices)) == 8


def test_a_gang_that_does_not_fit_whole_starts_no_member_and_says_what_is_missing() -> None:
    made = cluster(node("a"), node("b"))
    made.apply(gang("first", 3, 2, at=1))
    made.apply(gang("second", 2, 2, at=2))
    step(made, rules=PLACED)
    plan = step(made, rules=PLACED)
    assert plan.is_idle
    refusal = plan.verdicts[0].refusals[0]
    assert (refusal.code, refusal.resource, refusal.needed, refusal.available) == (Code.DEVICES_EXHAUSTED, GPU, 4, 2)
    assert refusal.blockers == (("team", "first"),)


def two_queues() -> World:
    """Two ClusterQueues without a cohort, each with quota enough, and one node for both."""
    made = world(
        queue("q", {"default": {"cpu": 100, GPU: 100}}),
        queue("r", {"default": {"cpu": 100, GPU: 100}}),
        queue("s", {"default": {"cpu": 100, GPU: 1}}),
    )
    made.apply(node("a"))
    return made


@pytest.mark.parametrize("way", ["finished", "evicted", "gone", "forgotten"])
def test_nodes_given_back_by_one_queue_are_a_new_chance_for_all_who_wait_for_nodes(way: str) -> None:
    made = two_queues()
    made.apply(gang("holds", 1, 4, at=1))
    (admission,) = [command for command in step(made, rules=PLACED).commands if isinstance(command, Admit)]
    fact = made.workloads[("team", "holds")].fact
    reserved = replace(
        fact, state=WorkloadState.RESERVED, admission=admission.admission, placement=admission.placement, admitted=True
    )
    if way != "forgotten":
        made.apply(reserved)
    made.apply(replace(gang("waits", 1, 4, at=2), queue="r"))
    made.apply(replace(gang("lacks-quota", 1, 2, at=3), queue="s"))
    settled(made)
    assert {made.workloads[("team", name)].place for name in ("waits", "lacks-quota")} == {Place.PARKED}
    assert not made.unpark_requested
    copy = load(dump(made))
    for each in (made, copy):
        match way:
            case "finished":
                each.apply(replace(reserved, state=WorkloadState.FINISHED, placement=None))
            case "evicted":
                each.apply(replace(reserved, state=WorkloadState.PENDING, admission=None, placement=None, active=False))
            case "gone":
                each.apply(Gone(Workload, fact.key))
            case "forgotten":
                each.apply(replace(fact, active=False))
                each.forget(admission)
        with each.trial():
            each.unpark(2000 * SECOND)
            assert each.workloads[("team", "waits")].place is Place.HEAP
            assert each.workloads[("team", "lacks-quota")].place is Place.PARKED, "what it lacks was not given back"
        assert settled(each) == ["waits"]


def settled(made: World) -> list[str]:
    """Admitted by `settle`, which is assumed."""
    found = []
    for plan in settle(made, 2000 * SECOND, PLACED).plans:
        made.assume(plan)
        found += admitted(plan)
    return found


def running(made: World, name: str) -> Workload:
    """Admit the only workload that waits, as its objects would say it."""
    (command,) = [command for command in step(made, rules=PLACED).commands if isinstance(command, Admit)]
    fact = replace(
        made.workloads[("team", name)].fact,
        state=WorkloadState.RESERVED,
        admission=command.admission,
        placement=command.placement,
        admitted=True,
    )
    made.apply(fact)
    return fact


def test_a_gang_waits_for_a_node_that_is_not_ready_and_then_is_placed_anew() -> None:
    made = cluster(node("a"))
    made.apply(gang("g", 2, 2))
    fact = running(made, "g")
    rules = Rules(node_tolerance=60 * SECOND)
    assert next_time(made, rules) is None
    made.apply(node("a", ready=False, unready_since=100 * SECOND))
    made.apply(node("b"))
    assert step(made, now=159, rules=rules).commands == ()
    assert cycle(made, 159 * SECOND, rules).again_at == next_time(made, rules) == 160 * SECOND
    made.apply(node("a"))
    assert next_time(made, rules) is None
    assert step(made, now=160, rules=rules).commands == ()
    made.apply(node("a", ready=False, unready_since=100 * SECOND))
    assert cycle(made, 160 * SECOND, Rules(place_all=False)).commands == ()
    plan = step(made, now=160, rules=rules)
    assert evicted(plan) == {"g": "NodeFailures"}
    assert step(made, now=161, rules=rules).commands == (), "asked once"
    assert next_time(made, rules) is None
    made.apply(replace(fact, state=WorkloadState.PENDING, admission=None, placement=None, admitted=False))
    assert {member.node for member in members(step(made, now=162, rules=rules), "g")} == {"b"}


def test_a_gang_does_not_wait_for_a_node_that_is_gone() -> None:
    made = cluster(node("a"))
    made.apply(gang("g", 1, 2))
    running(made, "g")
    made.apply(Gone(Node, ("", "a")))
    plan = cycle(made, SECOND, PLACED)
    assert evicted(plan) == {"g": "NodeFailures"}
    made.assume(plan)
    made.forget(plan.commands[0])
    assert evicted(cycle(made, SECOND, PLACED)) == {"g": "NodeFailures"}, "the write failed: it is asked for again"


def test_a_reservation_without_a_placement_is_given_up() -> None:
    made = cluster(node("a"))
    made.apply(gang("g", 1, 2))
    fact = running(made, "g")
    rebuilt = World()
    for noun in made.book.all():
        rebuilt.apply(replace(noun, placement=None) if noun == fact else noun)
    assert evicted(step(rebuilt, rules=PLACED)) == {"g": "PlacementLost"}


def test_more_than_the_fleet_could_ever_hold_is_another_answer() -> None:
    made = cluster(node("a"), node("b"))
    made.apply(gang("huge", 3, 4))
    refusal = step(made, rules=PLACED).verdicts[0].refusals[0]
    assert (refusal.code, refusal.verdict.value) == (Code.TOPOLOGY_TOO_SMALL, "change")


def test_lower_priorities_make_room_on_nodes_although_quota_is_free() -> None:
    made = cluster(node("a"), node("b"), within=LOWER)
    made.apply(gang("one", 1, 4, at=1))
    made.apply(gang("two", 1, 3, at=2, priority=1))
    for _ in range(2):
        step(made, rules=PLACED)
    made.apply(gang("urgent", 1, 4, priority=9, at=3))
    plan = step(made, rules=PLACED)
    assert evicted(plan) == {"one": "InClusterQueue"}
    assert step(made, rules=PLACED).is_idle
    made.apply(Gone(Workload, ("team", "one")))
    assert admitted(step(made, rules=PLACED)) == ["urgent"]


def test_nobody_is_sent_away_if_that_would_not_make_room() -> None:
    made = cluster(node("a"), node("b"), within=LOWER)
    made.apply(gang("low", 1, 2, at=1))
    made.apply(gang("high", 1, 2, at=2, priority=20))
    made.apply(gang("other", 1, 4, at=3, priority=20))
    for _ in range(3):
        step(made, rules=PLACED)
    made.apply(gang("urgent", 1, 4, priority=9))
    assert evicted(step(made, rules=PLACED)) == {}


def test_only_nodes_of_the_flavor_are_used() -> None:
    made = World()
    spot = ResourceFlavor("spot", (("pool", "spot"),), (Taint("spot", "yes"),), (Toleration("spot", "Equal", "yes"),))
    made = world(spot, queue("q", {"spot": {"cpu": 100}}))
    made.apply(node("plain"))
    made.apply(node("spotty", labels={"pool": "spot"}, taints=(Taint("spot", "yes"),)))
    made.apply(work("in", "q", 1))
    assert [member.node for member in members(step(made, rules=PLACED), "in")] == ["spotty"]


def test_a_topology_flavor_keeps_a_gang_in_one_rack() -> None:
    made = World()
    flavor = ResourceFlavor("f", (("pool", "x"),), topology="racks")
    made = world(flavor, queue("q", {"f": {"cpu": 100}}))
    made.apply(Topology("racks", ("rack", "kubernetes.io/hostname")))
    for rack in ("r1", "r2"):
        for at in (1, 2):
            made.apply(node(f"{rack}-n{at}", cpu=2 if rack == "r1" else 1, labels={"pool": "x", "rack": rack}))
    together = replace(pods(3, cpu=1), topology=TopologyRequest(required="rack"))
    made.apply(work("in", "q", pod_sets=[together]))
    (command,) = step(made, rules=Rules(place_all=False)).commands
    assert isinstance(command, Admit)
    topology = command.admission.pod_sets[0].topology
    assert topology is not None
    assert topology.domains == ((("r1-n1",), 2), (("r1-n2",), 1))


def pod(name: str, cpu: int, *, priority: int = 0, at: int = 0, on: str = "") -> Pod:
    return Pod("team", name, f"uid-{name}", PodClass((("cpu", cpu * 1000),)), at, priority, on)


def bound(plan: Plan) -> dict[str, str]:
    return {command.pod[1]: command.member.node for command in plan.commands if isinstance(command, BindPod)}


def test_pods_of_no_queue_come_after_workloads_by_priority_then_time() -> None:
    made = cluster(node("a", cpu=4))
    made.apply(pod("late", 1, at=9))
    made.apply(pod("early", 1, at=1))
    made.apply(pod("high", 1, at=9, priority=5))
    made.apply(gang("w", 2, 0))
    plan = step(made, rules=PLACED)
    assert admitted(plan) == ["w"]
    assert list(bound(plan)) == ["high", "early"]
    (verdicts,) = plan.verdicts
    assert verdicts.workload == ("team", "late")
    refusal = verdicts.refusals[0]
    assert (refusal.code, refusal.needed, refusal.available) == (Code.NODES_EXHAUSTED, 1000, 0)
    assert refusal.blockers[0] == ("team", "w")


def test_a_bound_pod_occupies_its_node_until_it_is_gone() -> None:
    made = cluster(node("a", cpu=2))
    made.apply(pod("runs", 2, on="a"))
    made.apply(gang("w", 2, 0))
    assert step(made, rules=PLACED).is_idle
    made.apply(Gone(Pod, ("team", "runs")))
    made.unpark(SECOND)
    assert admitted(step(made, rules=PLACED)) == ["w"]


def test_an_assumed_binding_is_seen_and_can_be_forgotten() -> None:
    made = cluster(node("a", cpu=2))
    made.apply(pod("p", 2))
    before = digest(made)
    plan = step(made, rules=PLACED)
    assert bound(plan) == {"p": "a"}
    assert step(made, rules=PLACED).is_idle
    made.apply(pod("p", 2, priority=1))  # changed before the binding was seen
    assert step(made, rules=PLACED).is_idle
    made.apply(pod("p", 2))
    made.forget(plan.commands[0])
    assert digest(made) == before
    assert bound(step(made, rules=PLACED)) == {"p": "a"}


def test_the_place_survives_from_plan_to_fact() -> None:
    made = cluster(node("a"))
    made.apply(gang("g", 1, 2))
    (command,) = step(made, now=5, rules=PLACED).commands
    assert isinstance(command, Admit)
    fact = made.workloads[command.workload].fact
    reserved = replace(
        fact, state=WorkloadState.RESERVED, admission=command.admission, reserved_at=5 * SECOND, admitted=True
    )
    for seen in (reserved, replace(reserved, placement=command.placement)):
        made.apply(seen)
        assert made.fleet.held("workload:team/g") == command.placement
    rebuilt = World()
    for noun in made.book.all():
        rebuilt.apply(noun)
    assert digest(rebuilt) == digest(made)
    assert step(made, rules=PLACED).is_idle
    made.apply(replace(reserved, placement=None))  # its Placement was deleted, and what was started there still runs
    assert made.fleet.held("workload:team/g") == command.placement
    assert evicted(step(made, rules=PLACED)) == {"g": "PlacementLost"}


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=8),
)
@settings(max_examples=60, deadline=None)
def test_no_device_twice_no_node_beyond_what_it_has_and_gangs_whole(
    gpus: list[int], gangs: list[tuple[int, int, int]]
) -> None:
    made = cluster(*(node(f"n{at}", cpu=4, gpus=count) for at, count in enumerate(gpus)), within=LOWER)
    for at, (count, gpu, priority) in enumerate(gangs):
        made.apply(gang(f"g{at}", count, gpu, priority=priority, at=at))
        made.apply(pod(f"p{at}", 1, at=at))
    for now in range(1, 30):
        before = digest(made), memory_digest(made)
        plan = cycle(made, now * SECOND, PLACED)
        assert (digest(made), memory_digest(made)) == before
        if not made.assume(plan):
            break
        taken: list[tuple[str, str]] = []
        cpu = {f"n{at}": 0 for at in range(len(gpus))}
        for standing in made.workloads.values():
            if standing.hold is None:
                continue
            assert standing.hold.placement is not None
            (pod_set,) = standing.hold.placement.pod_sets
            assert len(pod_set.members) == standing.fact.pod_sets[0].count
            for member in pod_set.members:
                cpu[member.node] += 1
                assert len(member.devices) == dict(standing.fact.pod_sets[0].pod.requests)[GPU]
                taken += [(member.node, device) for device in member.devices]
        for command in made.bound_pods.values():
            cpu[command.member.node] += 1
        assert len(taken) == len(set(taken))
        assert max(cpu.values()) <= 4


def test_a_queued_gang_waits_for_pods_of_no_queue_and_is_not_told_to_ask_for_less() -> None:
    made = cluster(node("a", cpu=8))
    made.apply(pod("greedy", 5, on="a"))
    made.apply(gang("w", 8, 0))
    plan = step(made, rules=PLACED)
    (verdicts,) = plan.verdicts
    refusal = verdicts.refusals[0]
    assert (refusal.code, refusal.verdict, refusal.available) == (Code.NODES_EXHAUSTED, Verdict.WAIT, 3000)
    made.apply(Gone(Pod, ("team", "greedy")))
    made.unpark(2000 * SECOND)
    assert admitted(step(made, 2000, PLACED)) == ["w"]


def test_what_no_node_has_even_without_them_is_told() -> None:
    made = cluster(node("a", cpu=8))
    made.apply(pod("greedy", 5, on="a"))
    made.apply(work("w", "q", pod_sets=[pods(1, cpu=9)]))
    (verdicts,) = step(made, rules=PLACED).verdicts
    assert verdicts.refusals[0].verdict is Verdict.CHANGE
