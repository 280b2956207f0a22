"""The admission Decider: what informers see becomes facts, what the core decides becomes writes (main path, steps 4 and 5).

It is the sole creator of Placements and the sole writer of QuotaReserved=True, Admitted=True and Evicted=True. It decides nothing
itself: every command comes out of `core.settle.decide`. An admission is two writes, Placement first, so that the one object that
says where a gang runs exists before anything can start; a crash between the two leaves an orphan Placement, which is undone.

Decisions are assumed in the World as soon as they are made. A write that fails is forgotten and decided again; one that succeeded
stays assumed until an informer shows it (`known.py` tells older versions from newer ones).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from msgspec.structs import replace

from roadstead.controllers.admission.dependents import Dependents
from roadstead.controllers.admission.doubts import Doubts, Fence, fence, is_doubtful
from roadstead.controllers.admission.known import Known
from roadstead.controllers.admission.pending import Told
from roadstead.controllers.admission.refusals import Refusals, WaitingClassKey
from roadstead.controllers.admission.steps import step_of
from roadstead.controllers.admission.strays import Look, Strays, Undo
from roadstead.core.departures import next_time
from roadstead.core.explain.explanation import Explanation, explain
from roadstead.core.explain.foresight import Foreseen, foresee
from roadstead.core.explain.why import why
from roadstead.core.given import Given, give
from roadstead.core.memory import Moved, Place
from roadstead.core.plan import Admit, BindPod, Command, Evict, Forgotten, Plan, Verdicts
from roadstead.core.queueing.counted import counted
from roadstead.core.queueing.turns import everyone
from roadstead.core.rules import Rules
from roadstead.core.settle import decide
from roadstead.core.world import World, key_of
from roadstead.ingest import CLAIM_RESOURCES, RESOURCES, Trouble, fact
from roadstead.kinds.names import (
    LIMIT_RANGES,
    PLACEMENTS,
    PODS,
    TOPOLOGIES,
    WORKLOADS,
)
from roadstead.kinds.object import Object, Resource
from roadstead.model.facts import Fact, Gone
from roadstead.model.queues import (
    AdmissionCheck,
    ClusterQueue,
    Cohort,
    LocalQueue,
    Namespace,
    ResourceFlavor,
    Topology,
)
from roadstead.model.workload import Workload, WorkloadState
from roadstead.runtime.cluster import Create, Delete, Outcome, Result, Update, Write
from roadstead.runtime.step import Action, Key

Journal: TypeAlias = Callable[[Sequence[Given], int, Sequence[Plan]], None]
"""Told all that the world was given since the last decision, the time, and the plans made and assumed: enough to replay it all."""

PLACE_ALL: Final = Rules(place_all=True)

_OPEN_AND_CLOSE: Final = frozenset(
    (Namespace, LocalQueue, ClusterQueue, Cohort, ResourceFlavor, Topology, AdmissionCheck)
)
"""Nouns that decide whether a queue takes anybody."""


@dataclass(frozen=True, slots=True)
class Decided:
    """Subject of an Action: the command, and the version of the object that it was decided on."""

    command: Command | Fence | Undo | Look | Told
    version: tuple[str, str] = ("", "")


class AdmissionDecider:
    """See the module. One instance per cluster; what it remembers may be lost at any time (a restart lists everything again)."""

    name: ClassVar[str] = "admission"
    resources: Sequence[Resource]

    def __init__(
        self,
        rules: Rules = PLACE_ALL,
        journal: Journal | None = None,
        served: Iterable[Resource] = RESOURCES,
        world: World | None = None,
    ) -> None:
        """`served`: the resources that are looked at; others are not watched. Without Topologies a flavor is a quota, whichever
        topology it names. `world`: where facts and decisions go; empty."""
        self.resources = tuple(resource for resource in (*RESOURCES, *CLAIM_RESOURCES) if resource in set(served))
        self.world = world if world is not None else World()
        self.troubles: dict[tuple[Resource, Key], tuple[str, ...]] = {}
        self._rules = rules
        self._journal = journal
        self._known: dict[Resource, Known] = {resource: Known() for resource in self.resources}
        self._changed: dict[tuple[Resource, Key], None] = {}
        self._in_flight: set[Key] = set()  # workloads whose admission is being written
        self._refusals = Refusals()
        self._given: list[Given] = []  # to the world since the last decision
        self._must_decide = True
        self._dependents = Dependents()
        self._strays = Strays(self._known[PLACEMENTS], self._known[WORKLOADS])
        self._put_off: dict[Key, Evict] = {}  # assumed, and waiting for the admission of the same workload
        self._doubts = Doubts()
        self._now = 0  # of the last decision

    # ------------------------------------------------------------------ what informers see

    def observe(self, resource: Resource, key: Key, current: Object | None) -> None:
        known = self._known[resource]
        before = known.get(key)
        if known.observe(key, current):
            self._changed[(resource, key)] = None
            self._dependents.follow(resource, key, before, current)

    def _lookup(self, resource: Resource, namespace: str, name: str) -> Object | None:
        known = self._known.get(resource)
        return known.get((namespace, name)) if known is not None else None

    def _ranges(self, namespace: str) -> Sequence[Object]:
        known = self._known.get(LIMIT_RANGES)
        if known is None:
            return ()
        return [found for key in self._dependents.ranges(namespace) if (found := known.get(key)) is not None]

    def _take_in(self, now: int) -> None:
        """Bring the world up to date with everything observed. O(changes). What is known does not change meanwhile, so whose facts
        depend on several that have changed is looked at once."""
        made: set[tuple[Resource, Key]] = set()
        while self._changed:
            changed, self._changed = self._changed, {}
            left = iter(changed)
            try:
                for subject in left:
                    if subject not in made:
                        made.add(subject)
                        self._take_in_one(subject, now)
            finally:
                # Should an object be more than we can take, all others are still there when the runner asks again.
                self._changed = dict.fromkeys(left) | self._changed

    def _take_in_one(self, subject: tuple[Resource, Key], now: int) -> None:
        resource, key = subject
        obj = self._known[resource].get(key)
        held = self._holds(key) if resource == WORKLOADS else None
        troubles: list[Trouble] = []
        for found in fact(resource, key, obj, self._lookup, troubles, self._ranges):
            seen = self._as_seen(found)
            if self._is_news(seen):
                self._give(seen)
        if troubles:
            self.troubles[subject] = tuple(trouble.message for trouble in troubles)
        else:
            self.troubles.pop(subject, None)
        if obj is None:
            self._refusals.drop(subject)
        if (doubted := self._doubts.ended_by(subject, obj)) is not None:
            if isinstance(doubted, Admit):
                self._has_landed(doubted.workload)
            self._refusals.tell_anew(subject)
            self._forget(doubted)
        if resource in (WORKLOADS, PLACEMENTS):
            self._strays.watch(key, now, in_flight=key in self._in_flight)
        self._changed.update((subject, None) for subject in self._dependents.of(resource, key, self._known))
        if resource == WORKLOADS and held != self._holds(key):
            self._changed.update((subject, None) for subject in self._dependents.of(PLACEMENTS, key, self._known))

    def _holds(self, workload: Key) -> str:
        """The uid of a workload that holds a reservation, as its facts say; "" if none does. Its pods are counted by its Placement then."""
        found: Workload | None = self.world.facts[Workload].get(workload)
        return found.uid if found is not None and found.state is WorkloadState.RESERVED else ""

    def _give(self, given: Given) -> None:
        give(self.world, given)
        self._given.append(given)

    def _as_seen(self, found: Fact) -> Fact:
        if isinstance(found, ResourceFlavor) and found.topology and TOPOLOGIES not in self._known:
            return replace(found, topology="")
        return counted(found, self._rules) if isinstance(found, Workload) else found

    def _is_news(self, found: Fact) -> bool:
        """False if the world knows it already: most changes of objects are none of ours (heartbeats, statuses, counts)."""
        if isinstance(found, Gone):
            return found.key in self.world.facts[found.noun]
        return bool(self.world.facts[type(found)].get(key_of(found)) != found)

    # ------------------------------------------------------------------ deciding

    def decide(self, now: int) -> tuple[Sequence[Action], int | None]:
        self._now = now
        self._take_in(now)
        actions: list[Action] = []
        timer = next_time(self.world, self._rules)
        if self._given or self._must_decide or (timer is not None and timer <= now):
            given = self._given
            actions += self._settle(given, now)
            self._given, self._must_decide = [], False
        actions += self._tell(now)
        actions += self._end_doubts(now)
        for subject, obj, step in self._strays.due(now, self._in_flight):
            actions.append(Action(Decided(subject, obj.version), step))
        return actions, self._next_time(now)

    def _settle(self, given: Sequence[Given], now: int) -> list[Action]:
        plans = decide(self.world, now, self._rules).plans
        if self._journal is not None:
            self._journal(given, now, plans)
        actions: list[Action] = []
        for plan in plans:
            actions += [self._action(command, now) for command in plan.commands if not self._is_put_off(command)]
            whole = {item.workload for item in plan.memory if isinstance(item, Moved) and item.whole_class}
            for verdicts in plan.verdicts:
                self._refusals.add(self._about(verdicts), verdicts)
                if verdicts.workload in whole:
                    self._refuse_class(verdicts)
            for command in plan.commands:
                self._granted(command)
        self._refuse_unseen(given, now)
        return actions

    def _is_put_off(self, command: Command) -> bool:
        """Nobody is evicted whose admission is still on its way: what became of that comes first."""
        if not isinstance(command, Evict) or command.workload not in self._in_flight:
            return False
        self._put_off[command.workload] = command
        return True

    def _refuse_class(self, verdicts: Verdicts) -> None:
        """Its whole class was parked with it: members that nobody looks at share the verdict."""
        standing = self.world.workloads.get(verdicts.workload)
        if standing is None or not verdicts.refusals:
            return
        pending, shape = self.world.pending_queue(standing.cluster_queue), standing.shape
        self._refusals.parked(
            (pending.name, shape), verdicts, lambda: [(WORKLOADS, member) for member in pending.members(shape)]
        )

    def _parked_in(self, subject: tuple[Resource, Key]) -> WaitingClassKey | None:
        standing = self.world.workloads.get(subject[1]) if subject[0] == WORKLOADS else None
        if standing is None or standing.line is None or not standing.line.is_parked:
            return None
        return (standing.cluster_queue, standing.shape)

    def _refuse_unseen(self, given: Sequence[Given], now: int) -> None:
        """Verdicts for pending workloads that no cycle will ever look at: their queue is missing, stopped or inactive. One that
        changed is looked at by itself; when something changed that opens or closes a queue, all of them are. O(those)."""
        keys = {found.key for found in given if isinstance(found, Workload)}
        if any(_may_open_a_queue(found) for found in given):
            keys = set(self.world.workloads)
        tables = self.world.tables()
        shared: dict[tuple[object, ...], Verdicts] = {}  # what keeps one out, keeps out all who ask for the same
        for key in sorted(keys):
            standing = self.world.workloads.get(key)
            if standing is None or standing.hold is not None or standing.fact.state is not WorkloadState.PENDING:
                continue
            table = tables.get(standing.cluster_queue)
            if standing.place is Place.NOWHERE or table is None or not table.is_active:
                fact = standing.fact
                alike = (
                    fact.namespace, fact.queue, fact.active, fact.kept_out, fact.gated_by, fact.requeue_blocked,
                    fact.requeue_at, fact.evicted,
                )  # fmt: skip
                verdicts = shared.get(alike)
                if verdicts is None:
                    verdicts = shared[alike] = why(self.world, key, now, self._rules)
                if verdicts.refusals:
                    self._refusals.add((WORKLOADS, key), replace(verdicts, workload=key, uid=fact.uid))
                continue
            self._refusals.back_in_line((WORKLOADS, key), self._known[WORKLOADS].get(key))
            if standing.line is not None:
                waiting = (standing.cluster_queue, standing.shape)
                if standing.line.is_parked:
                    self._refusals.joined(waiting, (WORKLOADS, key))
                else:
                    self._refusals.in_line(waiting, (WORKLOADS, key))

    def _about(self, verdicts: Verdicts) -> tuple[Resource, Key]:
        workload = self._known[WORKLOADS].get(verdicts.workload)
        is_workload = workload is not None and workload.meta.uid == verdicts.uid
        return (WORKLOADS if is_workload else PODS, verdicts.workload)

    def _granted(self, command: Command) -> None:
        """What was refused before and granted now has no verdict any more."""
        match command:
            case Admit():
                self._refusals.drop((WORKLOADS, command.workload))
            case BindPod():
                self._refusals.drop((PODS, command.pod))
            case Evict():
                pass

    def _next_time(self, now: int) -> int | None:
        times = list(self._strays.next_times())
        times += [timer for timer in (next_time(self.world, self._rules), self._doubts.next_time) if timer is not None]
        if self._refusals.has_more:
            times.append(now)
        return max(now, min(times)) if times else None

    # ------------------------------------------------------------------ commands -> writes

    def _action(self, command: Command, now: int) -> Action:
        obj, step = step_of(command, self._lookup, self._cluster_queue_of, now)
        if isinstance(command, Admit):
            self._in_flight.add(command.workload)
            self._strays.forget(command.workload)
        return Action(Decided(command, obj.version), step)

    def _cluster_queue_of(self, workload: Key) -> str:
        standing = self.world.workloads.get(workload)
        return standing.cluster_queue if standing is not None else ""

    # ------------------------------------------------------------------ refusals -> conditions

    def _tell(self, now: int) -> list[Action]:
        found = self._refusals.to_tell(lambda subject: self._known[subject[0]].get(subject[1]), now, self._parked_in)
        return [Action(Decided(told, obj.version), told.step) for told, obj in found]

    def _end_doubts(self, now: int) -> list[Action]:
        actions: list[Action] = []
        for wanted in self._doubts.due(now):
            obj = self._known[wanted.resource].get(wanted.key)
            if obj is not None and (step := fence(wanted.resource, obj, now)).stages:
                actions.append(Action(Decided(wanted, obj.version), step))
        return actions

    # ------------------------------------------------------------------ outcomes

    def concluded(self, action: Action, outcomes: Sequence[Outcome]) -> None:
        decided = action.subject
        assert isinstance(decided, Decided)
        done = len(outcomes) == len(action.step.writes) and all(outcome.is_done for outcome in outcomes)
        for write, outcome in zip(action.step.writes, outcomes, strict=False):
            self._learn(write, outcome, decided)
        command = decided.command
        match command:
            case Admit():
                self._changed[(WORKLOADS, command.workload)] = None
                if not done and len(outcomes) == len(action.step.writes) and is_doubtful(outcomes, decided.version):
                    self._doubts.begin((WORKLOADS, command.workload), command, decided.version, self._now)
                    return
                self._has_landed(command.workload)
                if not done:
                    self._forget(command)
            case BindPod() if not done and is_doubtful(outcomes, decided.version):
                self._changed[(PODS, command.pod)] = None
                self._doubts.begin((PODS, command.pod), command, decided.version, self._now)
            case Evict() | BindPod():
                if not done:
                    self._forget(command)
            case Fence():
                pass  # the next version of the object ends the doubt
            case Undo():
                self._strays.forget(command.key)
                self._changed[(PLACEMENTS, command.key)] = None
            case Look():
                self._strays.created(command.key, self._now)
            case Told():
                if done:
                    self._refusals.was_told(command)

    def _has_landed(self, workload: Key) -> None:
        """The admission is on its way no more, whatever became of it: evictions that waited for that are decided anew."""
        self._in_flight.discard(workload)
        if (eviction := self._put_off.pop(workload, None)) is not None:
            self._forget(eviction)

    def _forget(self, command: Command) -> None:
        self._give(Forgotten(command))

    def _learn(self, write: Write, outcome: Outcome, decided: Decided) -> None:
        """What a write tells about the object, before an informer does."""
        known = self._known[write.resource]
        key = (write.ref.namespace, write.ref.name)
        changed = outcome.is_done
        match write:
            case Delete() if outcome.result in (Result.DONE, Result.MISSING) and outcome.object is None:
                known.deleted(key, write.uid)
                changed = True
            case Create() if outcome.is_done and outcome.object is not None and not write.subresource:
                known.created(key, outcome.object)
                if write.resource == PLACEMENTS:
                    self._strays.created(key, self._now)
            case Update() if outcome.result is Result.MISSING:
                known.deleted(key, write.value["metadata"].get("uid", ""))
                changed = True
            case Create() | Update() if outcome.is_done and outcome.object is not None:
                known.updated(key, decided.version, outcome.object)
            case _:
                return
        if changed:
            self._changed[(write.resource, key)] = None

    # ------------------------------------------------------------------ questions

    def verdicts(self, key: Key) -> Verdicts | None:
        """What the last evaluation of this workload (or bare pod) refused, in full; None if nothing is refused."""
        subject = (WORKLOADS, key)
        waiting = self._parked_in(subject)
        shared = self._refusals.of_class(waiting) if waiting is not None else None
        if shared is not None:
            return replace(shared, workload=key, uid=self.world.workloads[key].fact.uid)
        return self._refusals.get(subject) or self._refusals.get((PODS, key))

    def why(self, key: Key, now: int) -> Verdicts:
        """What keeps this workload (or bare pod) from starting, evaluated anew on a trial. KeyError if nothing has this name."""
        self._take_in(now)
        return why(self.world, key, now, self._rules)

    def line(self, cluster_queue: str, now: int) -> Sequence[Key] | None:
        """All workloads that wait in a ClusterQueue, in the order of their turns; None if there is no such queue. O(n log n)."""
        self._take_in(now)
        table = self.world.tables().get(cluster_queue)
        if table is None:
            return None
        pending = self.world.pending_queue(cluster_queue)
        return [standing.key for standing in everyone(self.world, pending, table.fact, self._rules)]

    def explain(self, key: Key, now: int) -> Explanation:
        """The same with what would bind next and what would help. KeyError if nothing has this name."""
        self._take_in(now)
        return explain(self.world, key, now, self._rules)

    def foresee(self, facts: Sequence[Fact], now: int) -> Sequence[Foreseen]:
        """What would become of the workloads and pods among these facts, tried on a trial; nothing of it is kept."""
        self._take_in(now)
        return foresee(self.world, facts, now, self._rules)


def _may_open_a_queue(given: Given) -> bool:
    noun = given.noun if isinstance(given, Gone) else type(given)
    return noun in _OPEN_AND_CLOSE
