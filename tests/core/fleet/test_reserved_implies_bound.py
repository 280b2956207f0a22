"""Reserved implies bound: whoever is admitted has a node, devices and allocations for every member, and nothing of it
is ever needed to be decided again, whatever happens to the fleet meanwhile.

A world is drawn from a seed: nodes with GPUs in racks, published as slices that lag behind, gangs that ask by claims or
by count, with and without topology, pods of no queue, priorities that preempt. It then lives through decisions whose
writes succeed or fail, nodes that are lost, devices that are tainted, claims that are allocated pod by pod and given
back late. After every event an independent checker looks at all members. `python -m
tests.core.fleet.test_reserved_implies_bound 10000` plays that many seeds and prints the result.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from functools import partial

import pytest
from msgspec.structs import replace

from roadstead.core.cycle import cycle
from roadstead.core.dump import digest, dump, load
from roadstead.core.plan import Admit, BindPod, Command, Evict
from roadstead.core.rules import Rules
from roadstead.core.world import World
from roadstead.model.dra import Allocation, Claim, Constraint, DeviceTaintRule, PodClaim, ResourceClaim
from roadstead.model.facts import Fact, Gone
from roadstead.model.nodes import Node
from roadstead.model.queues import LocalQueue, Namespace, ResourceFlavor, Topology
from roadstead.model.selection import Taint
from roadstead.model.workload import Pod, PodClass, PodSet, TopologyRequest, Workload, WorkloadState
from tests.core.build import LOWER, SECOND, queue
from tests.core.fleet.build import GPU, LEVELS, node
from tests.core.fleet.checking import listed_as, offered, satisfies
from tests.core.fleet.claiming import CLASS, DRIVER, claim, published

RULES = Rules(node_tolerance=3 * SECOND)
Key = tuple[str, str]


class Story:
    """One world and all that happens to it."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.now = SECOND
        self.world = World()
        self.facts: dict[tuple[type, Key], Fact] = {}
        self.nodes: dict[str, Node] = {}
        self.made: dict[Key, tuple[Key, int, str]] = {}  # claim -> (workload or pod, member, pod's name for it)
        self.bound = 0
        self.tell(Namespace("team"), ResourceFlavor("default", topology="t"), Topology("t", LEVELS), CLASS)
        self.tell(queue("q", {"default": {"cpu": 40}}, within=LOWER), LocalQueue("team", "q", "q"))
        for at in range(self.draw.randint(1, 5)):
            name = f"n{at}"
            rack = self.draw.randint(1, 2)
            gpus = self.draw.choice((0, 2, 4, 8))
            self.nodes[name] = node(name, self.draw.choice((2, 8)), gpus, labels={"block": "b", "rack": f"b-{rack}"})
            self.tell(self.nodes[name])
            self.tell(published(name, gpus))

    def tell(self, *facts: Fact) -> None:
        for fact in facts:
            self.world.apply(fact)
            if isinstance(fact, Gone):
                self.facts.pop((fact.noun, fact.key), None)
            else:
                self.facts[type(fact), (getattr(fact, "namespace", ""), fact.name)] = fact

    # --- what happens

    def play(self, steps: int) -> None:
        happenings = (
            self.submit, self.submit, self.lone_pod, self.decide, self.decide, self.decide, self.allocate, self.allocate,
            self.finish, self.release_late, self.lose_node, self.return_node, self.taint, self.republish,
        )  # fmt: skip
        for _ in range(steps):
            self.now += SECOND
            self.draw.choice(happenings)()
            self.check()
        again = World()
        for fact in self.draw.sample(list(self.facts.values()), len(self.facts)):
            again.apply(fact)
        assert digest(again) == digest(self.world), "a world made anew from its facts is another one"
        assert digest(load(dump(self.world))) == digest(self.world)

    def claims(self) -> tuple[Claim, ...]:
        wanted = []
        for _ in range(self.draw.choice((1, 1, 1, 2))):
            count = self.draw.choice((1, 1, 2, 4))
            match = Constraint(match=f"{DRIVER}/numa")
            wanted.append(replace(claim(count), constraints=(match,) if self.draw.random() < 0.4 else ()))
        return tuple(wanted)

    def pod(self) -> PodClass:
        if self.draw.random() < 0.3:
            return PodClass(tuple(sorted({"cpu": 1000, GPU: self.draw.choice((0, 1, 2))}.items())))
        named = tuple(PodClaim(f"c{at}", each) for at, each in enumerate(self.claims()))
        return PodClass((("cpu", 1000),), claims=named)

    def submit(self) -> None:
        topology = self.draw.choice(
            (TopologyRequest(required="rack"), TopologyRequest(preferred="rack"), TopologyRequest(unconstrained=True))
        )
        name = f"w{self.draw.randint(0, 11)}"
        if (Workload, ("team", name)) in self.facts:
            return
        sets = (PodSet("main", self.draw.randint(1, 4), self.pod(), topology=topology),)
        priority = self.draw.choice((0, 0, 0, 5))
        self.tell(Workload("team", name, f"uid-{name}-{self.now}", "q", sets, self.now, self.now, priority))

    def lone_pod(self) -> None:
        name = f"p{self.draw.randint(0, 5)}"
        if (Pod, ("team", name)) in self.facts:
            return
        pod = self.pod()
        shared = []
        for each in pod.claims:
            assert each.claim is not None
            made = f"{name}-{each.name}"
            self.made["team", made] = (("team", name), 0, each.name)
            uid = f"uid-{made}-{self.now}"
            self.tell(
                ResourceClaim("team", made, uid, replace(each.claim, namespace="team", name=made), owner_pod=name)
            )
            shared.append(PodClaim(each.name, shared=("team", made)))
        self.tell(Pod("team", name, f"uid-{name}-{self.now}", replace(pod, claims=tuple(shared)), self.now))

    def decide(self) -> None:
        self.world.unpark(self.now)
        for _ in range(4):
            plan = cycle(self.world, self.now, RULES)
            self.world.assume(plan)
            for command in plan.commands:
                if self.draw.random() < 0.15:
                    self.world.forget(command)
                else:
                    self.write(command)

    def write(self, command: Command) -> None:
        if isinstance(command, Admit):
            fact = self.world.workloads[command.workload].fact
            self.tell(
                replace(
                    fact,
                    state=WorkloadState.RESERVED,
                    admission=command.admission,
                    placement=command.placement,
                    reserved_at=self.now,
                    admitted=True,
                )
            )
        elif isinstance(command, Evict):
            fact = self.world.workloads[command.workload].fact
            self.tell(replace(fact, evicted=command.reason.value))
            if self.draw.random() < 0.8:
                self.leave(fact)
        else:
            self.bind(command)

    def bind(self, command: BindPod) -> None:
        pod = self.facts[Pod, command.pod]
        assert isinstance(pod, Pod)
        done = replace(pod, node=command.member.node, devices=command.member.devices)
        claims = [(each.shared, dict(command.member.claims)[each.name]) for each in pod.pod.claims if each.shared]
        tell = [partial(self.tell, done), *(partial(self.give, key, given, pod.uid) for key, given in claims)]
        for each in self.draw.sample(tell, len(tell)):  # informers show them in any order
            each()
            self.check()
        self.bound += 1

    def give(self, key: Key, allocation: Allocation, consumer: str) -> None:
        fact = self.facts[ResourceClaim, key]
        assert isinstance(fact, ResourceClaim)
        self.tell(replace(fact, allocation=allocation, consumers=(consumer,)))

    def leave(self, fact: Workload) -> None:
        """Its pods are gone: it is pending again. Its claims may take longer."""
        self.tell(
            replace(fact, state=WorkloadState.PENDING, admission=None, placement=None, admitted=False, evicted="")
        )

    def running(self) -> list[Workload]:
        return [f for f in self.facts.values() if isinstance(f, Workload) and f.placement is not None]

    def allocate(self) -> None:
        """The binder writes what a Placement says into the claims of one member, without asking anybody."""
        running = self.running()
        if not running:
            return
        fact = self.draw.choice(running)
        assert fact.placement is not None
        [pod_set] = fact.placement.pod_sets
        number = self.draw.randrange(len(pod_set.members))
        for name, allocation in pod_set.members[number].claims:
            key = ("team", f"{fact.name}-{number}-{name}")
            self.made[key] = (fact.key, number, name)
            wanted = next(each.claim for each in fact.pod_sets[0].pod.claims if each.name == name)
            assert wanted is not None
            self.tell(ResourceClaim(*key, f"uid-{key[1]}", replace(wanted, namespace=key[0], name=key[1]), allocation))
        self.bound += 1

    def finish(self) -> None:
        gone = [
            f for f in self.facts.values()
            if (isinstance(f, Workload) and f.placement is not None) or (isinstance(f, Pod) and f.node)
        ]  # fmt: skip
        if gone:
            fact = self.draw.choice(gone)
            self.tell(Gone(type(fact), fact.key))

    def release_late(self) -> None:
        """The claims of those who are gone are deallocated."""
        for key, (owner, number, name) in list(self.made.items()):
            fact = self.facts.get((ResourceClaim, key))
            pod, workload = self.facts.get((Pod, owner)), self.facts.get((Workload, owner))
            if isinstance(workload, Workload) and workload.placement is not None and isinstance(fact, ResourceClaim):
                members = workload.placement.pod_sets[0].members
                if number < len(members) and dict(members[number].claims).get(name) == fact.allocation:
                    continue
            if pod is None and self.draw.random() < 0.7:
                self.tell(Gone(ResourceClaim, key))
                del self.made[key]

    def lose_node(self) -> None:
        name = self.draw.choice(sorted(self.nodes))
        lost = replace(self.nodes[name], ready=False, unready_since=self.now)
        self.tell(lost if self.draw.random() < 0.7 else Gone(Node, ("", name)))

    def return_node(self) -> None:
        self.tell(self.nodes[self.draw.choice(sorted(self.nodes))])

    def taint(self) -> None:
        rule = DeviceTaintRule("r", Taint("broken", "", "NoSchedule"), device=f"gpu-{self.draw.randint(0, 7)}")
        self.tell(rule if self.draw.random() < 0.5 else Gone(DeviceTaintRule, ("", "r")))

    def republish(self) -> None:
        """The driver starts anew: its slices go and come back."""
        name = self.draw.choice(sorted(self.nodes))
        of = published(name, len(self.nodes[name].devices))
        self.tell(Gone(type(of), ("", of.name)))
        self.check()
        self.tell(of)

    # --- who looks on

    def check(self) -> None:
        whole: Counter[tuple[str, str]] = Counter()
        slices = [published(name, len(known.devices)) for name, known in self.nodes.items()]
        held: dict[str, Counter[str]] = {name: Counter() for name in self.nodes}
        spoken: set[tuple[Key, int, str]] = set()
        for key, standing in self.world.workloads.items():
            if standing.hold is None:
                continue
            fact, placement = standing.fact, standing.hold.placement
            assert placement is not None, f"{key} holds quota and no place"
            for pod_set, asked in zip(placement.pod_sets, fact.pod_sets, strict=True):
                assert len(pod_set.members) == asked.count, f"{key} is not whole"
                racks = {dict(self.nodes[member.node].labels)["rack"] for member in pod_set.members}
                if asked.topology is not None and asked.topology.required:
                    assert len(racks) == 1, f"{key} is in {racks}"
                for number, member in enumerate(pod_set.members):
                    held[member.node].update({**dict(asked.pod.requests), "pods": 1})
                    assert len(member.devices) == dict(asked.pod.requests).get(GPU, 0)
                    whole.update((member.node, name) for name in member.devices)
                    seen = offered(slices, member.node)
                    given = dict(member.claims)
                    for each in asked.pod.claims:
                        devices = [seen[result.id] for result in given[each.name].results]
                        assert each.claim is not None
                        assert satisfies(each.claim, devices), f"{key}: {each.claim} was given {given[each.name]}"
                        whole.update((member.node, listed_as(device)) for device in devices)
                        spoken.add((key, number, each.name))
        for key, command in self.world.bound_pods.items():
            self._pod(key, command.member.node, command.member.devices, held, whole)
        for known in self.facts.values():
            if isinstance(known, Pod) and known.node:
                self._pod(known.key, known.node, known.devices, held, whole)
            elif isinstance(known, ResourceClaim) and known.allocation is not None:
                owner, number, name = self.made[known.key]
                holder = self.world.workloads.get(owner)
                placed = holder.hold.placement if holder is not None and holder.hold is not None else None
                members = placed.pod_sets[0].members if placed is not None else ()
                if number < len(members) and dict(members[number].claims).get(name) == known.allocation:
                    continue  # counted with its member
                whole.update((result.id.pool, result.id.device) for result in known.allocation.results)
        for key, command in self.world.bound_pods.items():
            pod = self.facts[Pod, key]
            assert isinstance(pod, Pod)
            for each in pod.pod.claims:
                claimed = self.facts.get((ResourceClaim, each.shared or ("", "")))
                if isinstance(claimed, ResourceClaim) and claimed.allocation is None:
                    given_to = dict(command.member.claims)[each.name]
                    whole.update((result.id.pool, result.id.device) for result in given_to.results)
        twice = {device for device, count in whole.items() if count > 1}
        assert not twice, f"given twice: {twice}"
        for name, amounts in held.items():
            allocatable = dict(self.nodes[name].allocatable)
            over = {r: n for r, n in amounts.items() if n > allocatable.get(r, 0)}
            assert not over, f"{name} is overfilled: {over}"

    def _pod(
        self,
        key: Key,
        where: str,
        devices: tuple[str, ...],
        held: dict[str, Counter[str]],
        whole: Counter[tuple[str, str]],
    ) -> None:
        pod = self.facts[Pod, key]
        assert isinstance(pod, Pod)
        held[where].update({**dict(pod.pod.requests), "pods": 1})
        whole.update((where, name) for name in devices)


def play(seed: int, steps: int = 60) -> int:
    """One story; how many members were bound without a further decision. AssertionError if the law is broken."""
    story = Story(seed)
    story.play(steps)
    return story.bound


@pytest.mark.parametrize("first", range(0, 100, 10))
def test_reserved_implies_bound(first: int) -> None:
    assert sum(play(seed) for seed in range(first, first + 10)) > 0


def main(count: int) -> int:
    bound, failures = 0, 0
    for seed in range(count):
        try:
            bound += play(seed)
        except AssertionError as error:
            failures += 1
            print(f"seed {seed}: {error}")
    print(f"{count} seeds, {bound} members bound as reserved, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
