"""Claims through whole cycles: admission with devices, preemption that frees them, pods that no queue admits."""

from __future__ import annotations

from msgspec.structs import replace

from roadstead.core.cycle import cycle
from roadstead.core.dump import digest, dump, load
from roadstead.core.fleet.ask import Ask
from roadstead.core.plan import Admit, BindPod
from roadstead.core.rules import Rules
from roadstead.core.world import World
from roadstead.model.dra import Claim, ResourceClaim
from roadstead.model.facts import Gone
from roadstead.model.refusals import Code
from roadstead.model.workload import Member, Placement, Pod, PodClass, Workload, WorkloadState
from tests.core.build import LOWER, SECOND, admitted, evicted, pods, queue, step, work, world
from tests.core.fleet.build import node, one
from tests.core.fleet.claiming import CLASS, claim, claiming, devices_of, given, published, resource_claim

PLACED = Rules()


def cluster(**gpus: int) -> World:
    made = world(queue("q", {"default": {"cpu": 1000}}, within=LOWER))
    made.apply(CLASS)
    for name, count in gpus.items():
        made.apply(node(name, 64, count))
        made.apply(published(name, count))
    return made


def gang(name: str, count: int, wanted: Claim | str, *, priority: int = 0, at: int = 0) -> Workload:
    return work(name, "q", pod_sets=[replace(pods(count, cpu=1), pod=claiming(wanted))], priority=priority, at=at)


def placed(made: World, fact: Workload) -> Workload:
    """The workload's facts once what was decided about it is written."""
    standing = made.workloads[fact.key]
    assert standing.assumed is not None
    done = replace(
        fact,
        state=WorkloadState.RESERVED,
        admission=standing.assumed.admission,
        placement=standing.assumed.placement,
        reserved_at=standing.assumed_at,
        admitted=True,
    )
    made.apply(done)
    return done


def placement(made: World, name: str) -> Placement:
    hold = made.workloads["team", name].hold
    assert hold is not None
    assert hold.placement is not None
    return hold.placement


def test_a_gang_is_admitted_with_the_devices_of_its_claims() -> None:
    made = cluster(a=2, b=2)
    made.apply(gang("first", 2, claim(2)))
    made.apply(gang("second", 1, claim(), at=1))

    plan = step(made, rules=PLACED)
    assert admitted(plan) == ["first"]
    assert devices_of(placement(made, "first")) == ["a: gpu-0 gpu-1", "b: gpu-0 gpu-1"]

    plan = step(made, rules=PLACED)
    assert not plan.commands
    [verdicts] = plan.verdicts
    assert (verdicts.refusals[0].code, verdicts.refusals[0].resource) == (Code.DEVICES_EXHAUSTED, "gpu")

    made.apply(Gone(Workload, ("team", "first")))
    made.unpark(SECOND)
    assert admitted(step(made, rules=PLACED)) == ["second"]


def test_preemption_frees_devices_and_asks_nobody_in_vain() -> None:
    """Four holders have one device each, on two nodes; two devices on one node are wanted: both of one node go, no
    others."""
    made = cluster(a=2, b=2)
    for at, name in enumerate(("w0", "w1", "w2", "w3")):
        made.apply(gang(name, 1, claim(), at=at))
    for _ in range(4):
        step(made, rules=PLACED)
    holders = [placed(made, made.workloads["team", name].fact) for name in ("w0", "w1", "w2", "w3")]
    assert devices_of(placement(made, "w2")) == ["b: gpu-0"]
    for at, holder in enumerate(holders):  # and their pods' claims say so
        [line] = devices_of(placement(made, holder.name))
        where, _, device = line.partition(": gpu-")
        made.apply(resource_claim(f"made-{at}", given=given(where, int(device))))

    made.apply(gang("high", 1, claim(2), priority=10, at=9))
    plan = step(made, rules=PLACED)

    gone = set(evicted(plan))
    assert gone in ({"w0", "w1"}, {"w2", "w3"})
    assert digest(made) == digest(load(dump(made)))


def test_what_was_decided_is_what_the_facts_say_in_the_end() -> None:
    made = cluster(a=2)
    made.apply(gang("w", 2, claim()))
    step(made, rules=PLACED)
    done = placed(made, made.workloads["team", "w"].fact)
    for at in range(2):
        made.apply(resource_claim(f"w-{at}", given=given("a", at)))

    again = cluster(a=2)
    for at in range(2):
        again.apply(resource_claim(f"w-{at}", given=given("a", at)))
    again.apply(done)
    assert digest(again) == digest(made)
    assert made.fleet.claims.usage.whole.total() == 2


def test_who_names_a_claim_that_is_missing_is_tried_again_once_it_is_there() -> None:
    made = cluster(a=2)
    made.apply(gang("w", 2, "common"))

    plan = step(made, rules=PLACED)
    assert plan.verdicts[0].refusals[0].code is Code.CLAIM_NOT_FOUND
    common = resource_claim("common")
    made.apply(replace(common, namespace="ns"))
    made.unpark(SECOND)

    assert admitted(step(made, rules=PLACED)) == ["w"]
    assert devices_of(placement(made, "w")) == ["a: gpu-0", "a: gpu-0"]


def lone(name: str, pod: PodClass, at: int = 0, **more: str) -> Pod:
    return Pod("team", name, f"uid-{name}", pod, at * SECOND, **more)  # type: ignore[arg-type]  # any field of Pod


def test_a_pod_of_no_queue_is_bound_with_what_its_claims_are_given() -> None:
    made = cluster(a=2)
    made.apply(resource_claim("mine", claim(2, name="mine")))
    made.apply(lone("p", claiming("mine")))

    [bind] = step(made, rules=PLACED).commands
    assert isinstance(bind, BindPod)
    assert bind.member == Member("a", (), bind.member.claims)
    [(name, allocation)] = bind.member.claims
    assert (name, [result.id.device for result in allocation.results]) == ("c0", ["gpu-0", "gpu-1"])

    # The pod is seen to be bound before its claim is seen to be allocated: nobody else gets the devices meanwhile.
    made.apply(lone("p", claiming("mine"), node="a"))
    made.apply(lone("p", claiming("mine"), at=0, node="a"))
    assert not made.fleet.can_place(_one(claim()))
    known: ResourceClaim = resource_claim("mine", claim(2, name="mine"), allocation, consumers=("uid-p",))
    made.apply(known)
    assert made.fleet.claims.usage.whole.total() == 2

    again = cluster(a=2)
    again.apply(known)
    again.apply(lone("p", claiming("mine"), node="a"))
    assert digest(again) == digest(made)

    made.apply(Gone(Pod, ("team", "p")))
    assert not made.fleet.can_place(_one(claim())), "as long as the claim is allocated its devices are in use"
    made.apply(replace(known, allocation=None, consumers=()))
    assert made.fleet.can_place(_one(claim(2)))


def _one(wanted: Claim) -> Ask:
    return one(1, claiming(wanted))


def test_a_binding_that_failed_gives_its_devices_back() -> None:
    made = cluster(a=2)
    made.apply(resource_claim("mine", claim(2, name="mine")))
    made.apply(lone("p", claiming("mine")))
    [bind] = step(made, rules=PLACED).commands
    made.forget(bind)
    assert made.fleet.claims.usage.whole.total() == 0
    assert step(made, rules=PLACED).commands == (bind,)


def test_facts_about_devices_survive_a_dump() -> None:
    made = cluster(a=2)
    made.apply(gang("w", 1, claim(2, match="gpu.example.com/numa")))
    made.apply(resource_claim("c", given=given("a", 0)))
    step(made, rules=PLACED)

    again = load(dump(made))
    assert digest(again) == digest(made)
    assert cycle(again, SECOND, PLACED) == cycle(made, SECOND, PLACED)
    assert isinstance(made, World)
    assert not any(isinstance(command, Admit) for command in cycle(made, SECOND, PLACED).commands)
