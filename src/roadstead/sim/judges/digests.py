"""What the deciding core believes follows from the objects alone: its digest equals that of a world built anew from
them.

Compared after every decision that left nothing assumed and on its way, and whose informers have shown all that the
decider knows from its own writes: between a decision and its conclusion the world is ahead of the objects on purpose.
While a reservation has lost its Placement only the facts are compared: the living world still keeps the places that it
knew, because what was started there may run (`queueing.standings._bring_in_line`), and a new one counts the bound pods,
which then speak for themselves (`ingest.registry`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from roadstead.controllers.admission import AdmissionDecider
from roadstead.controllers.admission.decider import Journal
from roadstead.core.dump import digest
from roadstead.core.given import Given
from roadstead.core.world import World, key_of
from roadstead.ingest import fact
from roadstead.kinds.names import LIMIT_RANGES, PLACEMENTS, RUNTIME_CLASSES, WORKLOAD_ANNOTATION, WORKLOADS
from roadstead.kinds.object import Object, Resource
from roadstead.model.facts import Gone, Noun
from roadstead.runtime.cluster import Outcome
from roadstead.runtime.step import Action, Key
from roadstead.runtime.view import Cache

READ_WITH_ALL = (LIMIT_RANGES, RUNTIME_CLASSES)
"""What the facts of any workload may depend on."""


class WatchedDecider(AdmissionDecider):
    """The production decider, looked at after every decision."""

    def __init__(self, served: Sequence[Resource], complain: Callable[[str, str], None], journal: Journal) -> None:
        super().__init__(served=served, journal=journal)
        self._complain = complain
        self._was_given = True
        self._made: dict[tuple[Resource, Key], tuple[object, list[Noun]]] = {}
        self.caches: Mapping[Resource, Cache] = {}
        """What the informers have shown: set once the runner is there."""
        self.compared = 0

    def decide(self, now: int) -> tuple[Sequence[Action], int | None]:
        changed = bool(self._changed)
        decided = super().decide(now)
        if changed and not decided[0]:
            self.compare()
        return decided

    def is_settled(self) -> bool:
        """Nothing is assumed, and the informers have caught up with our own writes."""
        if self._in_flight or self.world.bound_pods:
            return False
        for one in self.world.workloads.values():
            if one.assumed is not None or one.evicting is not None:
                return False
        return all(
            {key: obj.version for key, obj in self._known[resource].objects.items()}
            == {obj.key: obj.version for obj in self.caches[resource].list()}
            for resource in self.resources
        )

    def compare(self) -> None:
        """Complain if the living world is not the one that its objects make. The facts are held against each other
        every time, the ledgers only when the world has been given something since the last time."""
        if not self.is_settled():
            return
        self.compared += 1
        found = self.facts()
        living = self.world.facts
        are_same = sum(map(len, living.values())) == len(found) and all(
            living[type(one)].get(key_of(one)) == one for one in found
        )
        has_lost = any(one.hold is not None and one.fact.placement is None for one in self.world.workloads.values())
        if are_same and (has_lost or not self._was_given):
            return
        self._was_given = False
        rebuilt = World()
        for one in found:
            rebuilt.apply(one)
        if not are_same or digest(self.world) != digest(rebuilt):
            self._complain(
                "digest", f"the decider's world differs from one built anew: {difference(self.world, rebuilt)}"
            )

    def facts(self) -> list[Noun]:
        """The facts of nothing but the objects that the informers have shown. Each is made once for the versions that
        it is made of."""
        made: dict[tuple[Resource, Key], tuple[object, list[Noun]]] = {}
        beside = tuple(
            obj.version for resource in READ_WITH_ALL if resource in self.caches for obj in self.caches[resource].list()
        )
        for resource in self.resources:
            for obj in self.caches[resource].list():
                of = (obj.version, self._version(PLACEMENTS, obj), self._version(WORKLOADS, obj), beside)
                known = self._made.get((resource, obj.key))
                if known is None or known[0] != of:
                    found = map(self._as_seen, fact(resource, obj.key, obj, self._shown, None, self._shown_ranges))
                    known = (of, [one for one in found if not isinstance(one, Gone)])
                made[resource, obj.key] = known
        self._made = made
        unique = {(type(one), key_of(one)): one for _, found in made.values() for one in found}
        return list(unique.values())

    def _version(self, resource: Resource, obj: Object) -> object:
        """Of the object that another one's facts may depend on: the Workload or Placement that it is, or is a member
        of."""
        name = obj.meta.annotations.get(WORKLOAD_ANNOTATION, obj.meta.name)
        found = self._shown(resource, obj.meta.namespace, name)
        return found.version if found is not None else None

    def _shown(self, resource: Resource, namespace: str, name: str) -> Object | None:
        cache = self.caches.get(resource)
        return cache.get((namespace, name)) if cache is not None else None

    def _shown_ranges(self, namespace: str) -> Sequence[Object]:
        cache = self.caches.get(LIMIT_RANGES)
        return cache.list(namespace) if cache is not None else ()

    def _give(self, given: Given) -> None:
        self._was_given = True
        super()._give(given)

    def concluded(self, action: Action, outcomes: Sequence[Outcome]) -> None:
        self._was_given = True
        super().concluded(action, outcomes)


def difference(living: World, rebuilt: World) -> str:
    """Where two worlds differ, in words."""
    found: list[str] = []
    for noun, table in living.facts.items():
        other: Mapping[Key, Any] = rebuilt.facts[noun]
        for key in sorted(table.keys() | other.keys()):
            if table.get(key) != other.get(key):
                found.append(f"{noun.__name__} {key}: {table.get(key)} instead of {other.get(key)}")
    if found:
        return "; ".join(found[:3])
    for name in sorted(living.tree.queues.keys() | rebuilt.tree.queues.keys()):
        ours, theirs = _usage(living, name), _usage(rebuilt, name)
        if ours != theirs:
            found.append(f"usage of {name}: {ours} instead of {theirs}")
    here, there = list(map(str, living.fleet.digest_parts())), list(map(str, rebuilt.fleet.digest_parts()))
    found += [f"fleet: {part} is not in the rebuilt one" for part in here if part not in there]
    found += [f"fleet: {part} is missing" for part in there if part not in here]
    if living.draining != rebuilt.draining:
        found.append(f"draining: {dict(living.draining)} instead of {dict(rebuilt.draining)}")
    return "; ".join(found[:4]) or "facts and ledgers are the same; holders differ"


def _usage(world: World, queue: str) -> dict[Any, int]:
    node = world.tree.queues.get(queue)
    return {world.tree.cells[slot]: amount for slot, amount in node.usage.items() if amount} if node else {}
