"""One scheduling cycle. Start here: a breakpoint in `cycle` is hit by

    .venv/bin/python -m pytest tests/core/test_cycle.py -k first_in_first_out

`cycle(world, now, rules) -> Plan` does exactly what one cycle of Kueue does (kueue.md 3.4): one head of every active
ClusterQueue, decided together. It leaves the world as found; `World.assume(plan)` makes the next cycle see the plan,
and `World.forget(command)` takes back a command that could not be carried out. `settle.py` repeats it until nothing new
is decided.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from roadstead.core.departures import drain, give_up, next_time, out_of_patience
from roadstead.core.entry import IMMEDIATE, PARKS_CLASS, Entry, Outcome
from roadstead.core.explain.blockers import fleet_blockers
from roadstead.core.explain.entries import explained, feud_stopped
from roadstead.core.fairness.tournament import fair_turns
from roadstead.core.flavors.assignment import Assignment, Mode
from roadstead.core.fleet.ask import Ask, Found, PodSetAsk
from roadstead.core.memory import Memory, Moved, Place, Ran, Scanned, Stuck
from roadstead.core.nominate import evaluate, nominate
from roadstead.core.plan import Admit, BindPod, Command, Evict, EvictionReason, Plan, Requeue, Verdicts
from roadstead.core.preemption.classic import Target
from roadstead.core.queueing.turns import head_of
from roadstead.core.quota.holds import holder_of
from roadstead.core.quota.tree import QuotaNode, Usage
from roadstead.core.rules import Rules
from roadstead.core.world import World
from roadstead.model.refusals import Code, Level, Refusal, Verdict
from roadstead.model.workload import Admission, Placement, PodClass, PodSetAssignment, WorkloadKey

DEFAULT_LEVELS: Final = PodSetAsk("", 0, PodClass()).levels

FLEET_LEVELS: Final = (Level.FLEET, Level.NODE)


def cycle(world: World, now: int, rules: Rules) -> Plan:
    """Decide about one head of every active ClusterQueue, then about pods that no queue admits.

    Commands: evictions that stop policies, lost nodes and pods that are not ready ask for, then per entry, in order, an
    admission or the evictions that make room for it, then places for pods. Every workload evaluated and not admitted
    has Verdicts, the binding refusal first. Cost: O(queues with pending work + heads x flavors), independent of how
    many workloads wait behind the heads or hold quota, except where preemption has to look for candidates.
    """
    with world.trial():
        return _Cycle(world, now, rules).run()


class _Cycle:
    """The state of one cycle: entries, victims chosen so far, and the plan in the making."""

    def __init__(self, world: World, now: int, rules: Rules) -> None:
        self.world = world
        self.now = now
        self.rules = rules
        self.commands: list[Command] = []
        self.verdicts: list[Verdicts] = []
        self.memory: list[Memory] = [Ran(world.cycles + 1, now)]
        self.victims: dict[WorkloadKey, Target] = {}
        self.promised: list[tuple[QuotaNode, Usage]] = []  # quota kept for entries that are not admitted in this cycle
        self.fleet_changed = False

    def run(self) -> Plan:
        # 1. Holders that stop policies and deactivation send away, those whose nodes are lost, and those whose pods take too long.
        self.commands.extend(drain(self.world))
        self.commands.extend(give_up(self.world, self.now, self.rules))
        self.commands.extend(out_of_patience(self.world, self.now, self.rules))
        # 2. Heads: the workload whose turn it is, of every active ClusterQueue.
        # 3. Nominate: flavors, places and victims for each, against the world as it stands.
        tables = self.world.tables()
        entries: list[Entry] = []
        for name in sorted(tables):
            pending = self.world.pending.get(name)
            if pending is None or not pending.active_count or not tables[name].is_active:
                continue
            head = head_of(self.world, pending, tables[name].fact, self.rules)
            if head is not None:
                entries.append(nominate(self.world, tables[name], head, self.rules))
        # 4. Order: those that borrow least first, then priority, then time; or by fair share.
        # 5. Process one by one; each sees what the ones before it took.
        entries.sort(key=lambda entry: entry.order)
        for entry in fair_turns(self.world.tree, entries) if self.rules.fair_sharing else entries:
            if entry.assignment is not None:
                self.process(entry, entry.assignment)
        # 6. Requeue what was not admitted, with the reason why.
        for entry in entries:
            self.requeue(entry)
        # 7. Pods that no queue admits take what is left.
        if self.rules.place_all and self.world.waiting_pods:
            self.place_pods()
        return Plan(tuple(self.commands), tuple(self.verdicts), tuple(self.memory), next_time(self.world, self.rules))

    # --- one entry (kueue.md 3.9)

    def process(self, entry: Entry, assignment: Assignment) -> None:
        if assignment.mode is not Mode.NO_FIT and self._must_recompute(entry, assignment):
            assignment = self._recompute(entry, assignment)
        mode = assignment.mode
        node = entry.table.node
        if mode is Mode.NO_FIT:
            entry.outcome = Outcome.NO_FIT
            entry.refusals.extend(assignment.refusals)
            return
        if mode is Mode.PREEMPT and not entry.targets:
            entry.outcome = Outcome.NO_CANDIDATES
            entry.refusals.extend(assignment.refusals)
            entry.refusals.append(
                Refusal(Code.NO_PREEMPTION_CANDIDATES, Verdict.WAIT, Level.QUEUE, subject=entry.table.name)
            )
            if not entry.table.can_always_reclaim:
                self._promise(node, self._reservation(entry, assignment))
                self._reserve_nodes(entry)
            return
        if any(target.standing.key in self.victims for target in entry.targets) or not self._fits(entry, assignment):
            entry.outcome = Outcome.SKIPPED
            entry.refusals.append(self._overtaken(entry, assignment))
            return
        if mode is Mode.FIT and self._must_wait_for_pods():
            entry.outcome = Outcome.SKIPPED
            entry.refusals.append(
                Refusal(Code.WAITING_FOR_PODS_READY, Verdict.WAIT, Level.QUEUE, subject=entry.table.name)
            )
            return
        for target in entry.targets:
            self.victims[target.standing.key] = target
        if mode is Mode.PREEMPT:
            self._promise(node, assignment.cells)
        else:
            self.world.tree.add(node, assignment.cells)
        if entry.found is not None:
            place = entry.found.placement
            self.world.fleet.hold(holder_of(entry.standing.key), _kept(place) if mode is Mode.PREEMPT else place)
            self.fleet_changed = True
        if mode is Mode.PREEMPT:
            self._evict(entry)
            entry.outcome = Outcome.PENDING_PREEMPTION
            entry.refusals.append(self._pending(assignment, entry.targets))
            entry.refusals.extend(assignment.refusals)
        else:
            entry.outcome = Outcome.ADMITTED
            self.commands.append(self._admission(entry, assignment))

    def _must_wait_for_pods(self) -> bool:
        """With blockAdmission, everybody waits while the pods of somebody who is admitted are not all ready
        (KEP-349)."""
        policy = self.rules.pods_ready
        if policy is None or not policy.block_admission:
            return False
        return bool(self.world.standings.unready) or any(isinstance(command, Admit) for command in self.commands)

    def _promise(self, node: QuotaNode, usage: Usage) -> None:
        self.world.tree.add(node, usage)
        self.promised.append((node, usage))

    def _reserve_nodes(self, entry: Entry) -> None:
        """On flavors with a topology, capacity is kept too: where the workload would go in an empty cluster (kueue.md
        3.5.4)."""
        if entry.ask is None or not any(_has_topology(pod_set) for pod_set in entry.ask.pod_sets):
            return
        answer = self.world.fleet.could_ever_place(entry.ask)
        if isinstance(answer, Found):
            self.world.fleet.hold(holder_of(entry.standing.key), _kept(answer.placement))
            self.fleet_changed = True

    def _must_recompute(self, entry: Entry, assignment: Assignment) -> bool:
        """Only the place was taken meanwhile (3.9 step 2); overlapping victims are not recomputed (as in Kueue
        0.19)."""
        if assignment.mode is not Mode.FIT or entry.ask is None or not self.fleet_changed:
            return False
        if not self._cells_fit(entry, assignment):
            return False
        if entry.found is not None and self.world.fleet.still_fits(entry.ask, entry.found):
            return False
        answer = self.world.fleet.place(entry.ask)
        entry.found = answer if isinstance(answer, Found) else None
        return entry.found is None

    def _recompute(self, entry: Entry, assignment: Assignment) -> Assignment:
        """Nominate again, with the flavors nominated before: another place, or somebody who has to go for one."""
        allowed = [
            {resource: (choice.flavor,) for resource, choice in ps.choices.items()} for ps in assignment.pod_sets
        ]
        evaluate(self.world, entry, self.rules, allowed=allowed)
        assert entry.assignment is not None
        return entry.assignment

    def _cells_fit(self, entry: Entry, assignment: Assignment) -> bool:
        node = entry.table.node
        if not self.victims and not entry.targets:
            return all(amount <= node.free(slot) for slot, amount in assignment.usage.items())
        removed = [*self.victims.values(), *(t for t in entry.targets if t.standing.key not in self.victims)]
        parts: list[tuple[QuotaNode, Usage]] = []
        for target in removed:
            hold = target.standing.hold
            assert hold is not None
            parts.append((self.world.tree.queue(hold.admission.cluster_queue), hold.usage))
        for holder, usage in parts:
            for slot, amount in usage:
                holder.remove(slot, amount)
        fits = all(amount <= node.free(slot) for slot, amount in assignment.usage.items())
        for holder, usage in parts:
            for slot, amount in usage:
                holder.add(slot, amount)
        if not fits or assignment.mode is not Mode.FIT or not self.victims or not self.rules.beside_victims:
            return fits
        # Victims still hold what they have when this one starts.
        for holder, usage in self.promised:
            for slot, amount in usage:
                holder.remove(slot, amount)
        fits = all(amount <= node.free(slot) for slot, amount in assignment.usage.items())
        for holder, usage in self.promised:
            for slot, amount in usage:
                holder.add(slot, amount)
        return fits

    def _fits(self, entry: Entry, assignment: Assignment) -> bool:
        """Does it still fit after the entries before it, with its victims gone? Finds its place anew if the Fleet
        changed."""
        if not self._cells_fit(entry, assignment):
            return False
        if entry.ask is None:
            return True
        if assignment.mode is Mode.FIT:
            return entry.found is not None
        with self.world.trial():
            for target in entry.targets:
                self.world.holds.lift(target.standing)
            answer = self.world.fleet.place(entry.ask)
        if not isinstance(answer, Found):
            return False
        entry.found = answer  # kept free for it during this cycle
        return True

    def _reservation(self, entry: Entry, assignment: Assignment) -> Usage:
        """Capacity kept from others in this cycle although nothing can be preempted (3.9 step 5)."""
        node = entry.table.node
        kept: list[tuple[int, int]] = []
        for slot, amount in assignment.usage.items():
            used, nominal = node.usage.get(slot, 0), node.nominal.get(slot, 0)
            if assignment.level > 0:
                limit = node.borrow.get(slot)
                kept.append((slot, amount if limit is None else min(amount, nominal + limit - used)))
            else:
                kept.append((slot, max(0, min(amount, nominal - used))))
        return tuple((slot, amount) for slot, amount in kept if amount > 0)

    def _evict(self, entry: Entry) -> None:
        preemptor = entry.standing.fact
        for target in entry.targets:
            if target.standing.is_leaving:
                continue
            self.commands.append(
                Evict(
                    target.standing.key, target.standing.fact.uid, EvictionReason.PREEMPTED, preemptor.key, preemptor.uid,
                    target.reason.value,
                )
            )  # fmt: skip

    def _admission(self, entry: Entry, assignment: Assignment) -> Admit:
        fact = entry.standing.fact
        found = entry.found
        topologies = {}
        if found is not None and entry.ask is not None:
            names = [ps.name for ps in entry.ask.pod_sets if ps.levels and _has_topology(ps)]
            topologies = {
                n: t for n, t in zip([p.name for p in entry.ask.pod_sets], found.topologies, strict=True) if n in names
            }
        pod_sets = tuple(
            PodSetAssignment(
                name=choice.pod_set.name,
                count=choice.count,
                flavors=tuple([(resource, taken.flavor) for resource, taken in choice.choices.items()]),
                usage=tuple([(resource, choice.requests[resource]) for resource in choice.choices]),
                topology=topologies.get(choice.pod_set.name),
            )
            for choice in assignment.pod_sets
        )
        return Admit(
            fact.key, fact.uid, Admission(entry.table.name, pod_sets), found.placement if found else None,
            waits_for_pods=self.rules.pods_ready is not None,
        )  # fmt: skip

    # --- refusals

    def _pending(self, assignment: Assignment, targets: list[Target]) -> Refusal:
        return Refusal(
            Code.PENDING_PREEMPTION, Verdict.WAIT, Level.QUEUE, needed=len(targets),
            blockers=tuple(target.standing.key for target in targets),
        )  # fmt: skip

    def _overtaken(self, entry: Entry, assignment: Assignment) -> Refusal:
        """Skipped: its victims are an earlier entry's, or what it needs is taken (then with the first cell that is
        short)."""
        shared = tuple(target.standing.key for target in entry.targets if target.standing.key in self.victims)
        node = entry.table.node
        flavor = resource = ""
        needed = available = limit = 0
        for slot, amount in assignment.usage.items():
            if not shared and amount > node.free(slot):
                flavor, resource = self.world.tree.cells[slot]
                needed, available, limit = amount, node.free(slot), node.potential_available(slot)
                break
        return Refusal(
            Code.OVERTAKEN_IN_CYCLE, Verdict.WAIT, Level.COHORT, "", flavor, resource, needed, available, limit,
            entry.table.name, shared,
        )  # fmt: skip

    # --- after deciding

    def requeue(self, entry: Entry) -> None:
        if entry.outcome is Outcome.ADMITTED:
            return
        fact = entry.standing.fact
        tried = entry.assignment.tried if entry.assignment is not None else None
        if entry.outcome in (Outcome.PENDING_PREEMPTION, Outcome.SKIPPED):
            tried = None  # the next scan starts over
        if entry.outcome is Outcome.PENDING_PREEMPTION:
            self.memory.append(Stuck(entry.table.name, fact.key, fact.generation))
        if entry.assignment is not None:
            self.memory.append(Scanned(fact.key, tried.pod_sets if tried is not None else None))
        barred: tuple[WorkloadKey, ...] = ()
        if entry.outcome in PARKS_CLASS:
            barred = tuple(sorted(self.world.feuds.barred(fact.key, self.rules.feud_turns)))
            if barred:
                entry.refusals.append(feud_stopped(entry, barred, self.rules))
        strict = self.world.pending_queue(entry.table.name).is_strict
        immediate = (
            (strict and entry.outcome is not Outcome.NAMESPACE_MISMATCH)
            or entry.outcome in IMMEDIATE
            or (tried is not None and tried.is_pending)
        )
        for_fleet = self.rules.place_all and any(r.level in FLEET_LEVELS for r in entry.refusals)
        if not immediate:
            whole = not strict and entry.outcome in PARKS_CLASS and not barred
            self.memory.append(Moved(fact.key, fact.uid, Place.PARKED, whole, for_fleet))
        elif for_fleet:
            # The scan goes on with the next flavor; if that ends it for want of quota, nodes of this one would do all
            # the same.
            self.memory.append(Moved(fact.key, fact.uid, Place.HEAP, False, for_fleet))
        where = Requeue.HEAP if immediate else Requeue.PARKED
        self.verdicts.append(Verdicts(fact.key, fact.uid, explained(self.world, entry), where))

    def place_pods(self) -> None:
        refused: dict[PodClass, Refusal] = {}
        asks: dict[PodClass, Ask] = {}
        for pod in sorted(self.world.waiting_pods.values(), key=lambda p: (-p.priority, p.created_at, p.uid, p.key)):
            refusal = refused.get(pod.pod)
            if refusal is None:
                ask = asks.get(pod.pod)
                if ask is None:
                    ask = asks[pod.pod] = Ask((PodSetAsk("", 1, pod.pod),))
                answer = self.world.fleet.place(ask)
                if isinstance(answer, Found):
                    member = answer.placement.pod_sets[0].members[0]
                    command = BindPod(pod.key, pod.uid, member)
                    self.commands.append(command)
                    self.world.lone_pods.assume(pod, command)
                    continue
                refusal = answer
                if refusal.verdict is Verdict.WAIT and refusal.resource:
                    refusal = refusal.blocked_by(fleet_blockers(self.world, (), refusal.resource))
                refused[pod.pod] = refusal
            self.verdicts.append(Verdicts(pod.key, pod.uid, (refusal,)))


def _kept(placement: Placement) -> Placement:
    """A place that is kept for who does not start yet: what its ResourceClaims would be given there is nobody else's to
    rely on."""
    if not any(pod_set.shared for pod_set in placement.pod_sets):
        return placement
    return Placement(tuple(replace(pod_set, shared=()) for pod_set in placement.pod_sets))


def _has_topology(ask: PodSetAsk) -> bool:
    return ask.request is not None or ask.levels != DEFAULT_LEVELS
