"""The smallest change of a request that would start it now. Every change is tried on a trial before it is told.

Tried are: another LocalQueue of the namespace; tolerating a taint, leaving out a node selector, a looser topology,
where a flavor or the fleet refused for these; less of what is short; fewer pods. "None known" is an answer: two changes
of different kinds at once are not looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from msgspec.structs import replace

from roadstead.core.cycle import cycle
from roadstead.core.explain.lifting import anywhere_in, tolerating
from roadstead.core.explain.why import as_if_first
from roadstead.core.rules import Rules
from roadstead.core.settle import decide
from roadstead.core.world import World
from roadstead.model.amounts import CPU
from roadstead.model.queues import LocalQueue
from roadstead.model.refusals import Code, Refusal
from roadstead.model.workload import PodSet, TopologyRequest, Workload, WorkloadKey

MAX_CYCLES: Final = 2_000
"""A trial is given up after so many cycles: what had not started by then counts as waiting."""
MAX_LOOKS: Final = 96
"""So many changes are looked at, as if it were the workload's turn."""
MAX_TRIALS: Final = 24
MAX_HEADS: Final = 400
"""Those that look well are tried, in all, with at most so many trials and (after the first four) so many heads of
queues to decide about: each trial decides about every queue in which somebody's turn has come."""
TRY_CYCLES: Final = 64
"""So many cycles a trial gets: a change that starts the workload needs one or two in a world that has settled."""
MAX_QUEUES: Final = 16


class What(StrEnum):
    """What of a request is changed; the milder first."""

    ACTIVE = "active"
    QUEUE = "queue"
    TOLERATION = "toleration"
    NODE_SELECTOR = "nodeSelector"
    TOPOLOGY = "topology"
    REQUEST = "request"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to change. `subject`: the queue, taint, flavor, topology level or resource; `before` and `after`:
    amounts of one pod (canonical) for REQUEST, numbers of pods for COUNT."""

    what: What
    pod_set: str = ""
    subject: str = ""
    before: int = 0
    after: int = 0


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Changes that, all made, start the workload now: this was tried. `given_up` is the share of the request that is
    lost, 0 to 1."""

    changes: tuple[Change, ...]
    given_up: float = 0.0

    @property
    def order(self) -> tuple[float, int]:
        """Smaller is a smaller change: what is given up, then how far-reaching the kind of change is."""
        return (self.given_up, max(list(What).index(change.what) for change in self.changes))


def changed(world: World, fact: Workload, changes: Sequence[Change]) -> Workload:
    """The workload with these changes made."""
    for change in changes:
        match change.what:
            case What.ACTIVE:
                fact = replace(fact, active=True)
            case What.QUEUE:
                fact = replace(fact, queue=change.subject)
            case _:
                fact = replace(
                    fact,
                    pod_sets=tuple(
                        _changed_set(world, pod_set, change) if pod_set.name == change.pod_set else pod_set
                        for pod_set in fact.pod_sets
                    ),
                )
    return fact


def _changed_set(world: World, pod_set: PodSet, change: Change) -> PodSet:
    pod = pod_set.pod
    match change.what:
        case What.TOLERATION:
            return replace(pod_set, pod=tolerating(pod, change.subject))
        case What.NODE_SELECTOR:
            return replace(pod_set, pod=anywhere_in(world, pod, change.subject))
        case What.TOPOLOGY:
            return replace(pod_set, topology=TopologyRequest(preferred=change.subject) if change.subject else None)
        case What.REQUEST:
            amounts = tuple(
                (name, change.after if name == change.subject else amount)
                for name, amount in pod.requests
                if name != change.subject or change.after
            )
            return replace(pod_set, pod=replace(pod, requests=amounts))
        case _:
            smallest = pod_set.min_count
            return replace(
                pod_set,
                count=change.after,
                min_count=smallest if smallest is not None and smallest < change.after else None,
            )


def suggestions(
    world: World, key: WorkloadKey, refusals: Sequence[Refusal], now: int, rules: Rules
) -> tuple[Suggestion, ...]:
    """Changes that would start the workload now, the smallest first; () if none is known. `refusals`: what is in its
    way, also behind the binding one. The world is left as found. At most MAX_LOOKS evaluations of this one workload and
    MAX_TRIALS trials."""
    with world.trial():
        decide(world, now, rules, max_cycles=MAX_CYCLES)  # what others get anyway is theirs
        standing = world.workloads[key]
        if standing.hold is not None:
            return ()
        return _Search(world, standing.fact, refusals, now, rules).run()


def would_start(world: World, fact: Workload, now: int, rules: Rules, max_cycles: int) -> bool:
    """Would this workload, new or changed, be admitted within so many cycles? The world is left as found."""
    with world.trial():
        world.apply(fact)
        if world.unpark_requested:
            world.unpark(now)
        for _ in range(max_cycles):
            is_changed = world.assume(cycle(world, now, rules))
            standing = world.workloads[fact.key]
            if standing.hold is not None:
                return not standing.is_leaving
            if not is_changed:
                return False
        return False


class _Search:
    """The changes of one workload that are tried."""

    def __init__(self, world: World, fact: Workload, refusals: Sequence[Refusal], now: int, rules: Rules) -> None:
        self.world = world
        self.fact = fact
        self.refusals = refusals
        self.now = now
        self.rules = rules
        self.looks = MAX_LOOKS
        active = sum(1 for pending in world.pending.values() if pending.active_count)
        self.trials = min(MAX_TRIALS, max(4, MAX_HEADS // (active + 1)))
        self.base: tuple[Change, ...] = () if fact.active else (Change(What.ACTIVE),)

    def run(self) -> tuple[Suggestion, ...]:
        found: list[Suggestion] = []
        if self.base and self.works(()):
            found.append(Suggestion(self.base))
        for changes in (*self.other_queues(), *self.looser_templates()):
            if self.works(changes):
                found.append(Suggestion((*self.base, *changes)))
        found.extend(self.smaller())
        return tuple(sorted(found, key=lambda suggestion: suggestion.order))

    def fits(self, changes: Sequence[Change]) -> bool:
        """Looked at: would nothing be in its way if it were its turn? One evaluation."""
        self.looks -= 1
        if self.looks < 0:
            return False
        with self.world.trial():
            self.world.apply(changed(self.world, self.fact, (*self.base, *changes)))
            return not as_if_first(self.world, self.fact.key, self.now, self.rules)

    def works(self, changes: Sequence[Change]) -> bool:
        """Tried: would it start?"""
        if not self.trials or not self.fits(changes):
            return False
        self.trials -= 1
        fact = changed(self.world, self.fact, (*self.base, *changes))
        return would_start(self.world, fact, self.now, self.rules, TRY_CYCLES)

    def other_queues(self) -> Iterator[tuple[Change, ...]]:
        """The other LocalQueues of its namespace, by name."""
        namespace, queue = self.fact.namespace, self.fact.queue
        names = sorted(name for where, name in self.world.facts[LocalQueue] if where == namespace and name != queue)
        here = self.world.local_queue(namespace, queue)
        for name in names[:MAX_QUEUES]:
            local = self.world.local_queue(namespace, name)
            if local is not None and (
                here is None or local.cluster_queue != here.cluster_queue or here.stop != local.stop
            ):
                yield (Change(What.QUEUE, subject=name),)

    def looser_templates(self) -> Iterator[tuple[Change, ...]]:
        """What flavors and nodes refused for, given up."""
        for refusal in self.refusals:
            for name in (refusal.pod_set,) if refusal.pod_set else tuple(ps.name for ps in self.fact.pod_sets):
                match refusal.code:
                    case Code.UNTOLERATED_TAINT:
                        yield (Change(What.TOLERATION, name, refusal.subject),)
                    case Code.NODE_AFFINITY_MISMATCH:
                        yield (Change(What.NODE_SELECTOR, name, refusal.flavor),)
                    case Code.TOPOLOGY_FULL | Code.TOPOLOGY_TOO_SMALL:
                        request = next((ps.topology for ps in self.fact.pod_sets if ps.name == name), None)
                        if request is not None and request.required:
                            yield (Change(What.TOPOLOGY, name, request.required),)
                    case Code.FLAVOR_TOPOLOGY_MISMATCH if refusal.subject == "none":
                        yield (Change(What.TOPOLOGY, name),)

    def smaller(self) -> Iterator[Suggestion]:
        """Less of what is short, and fewer pods: as much as fits, found by halving."""
        missing = self.not_covered()
        if missing and self.works(missing):
            yield Suggestion((*self.base, *missing), 1.0)
        cells = self.scarce()
        if cells:
            changes = self.most_of_all(cells)
            if changes and self.works(changes):
                kept = [change.after / change.before for change in changes]
                yield Suggestion((*self.base, *changes), 1 - min(kept))
        for pod_set in self.fact.pod_sets:
            change = self.fewer(pod_set)
            if change is not None:
                yield Suggestion((*self.base, change), 1 - change.after / change.before)

    def fewer(self, pod_set: PodSet) -> Change | None:
        """As many pods of this set as start."""

        def of(count: int) -> Change:
            return Change(What.COUNT, pod_set.name, "", pod_set.count, count)

        if pod_set.count < 2:
            return None
        most = self.most(of, pod_set.count, (), self.fits)
        if most is None or self.works((most,)):
            return most
        return self.most(of, most.after, (), self.works)  # it fits, and somebody else is to have it

    def not_covered(self) -> tuple[Change, ...]:
        """Without the resources that the queue has no quota for."""
        names = {refusal.resource for refusal in self.refusals if refusal.code is Code.RESOURCE_NOT_COVERED}
        return tuple(
            Change(What.REQUEST, pod_set.name, name, amount)
            for pod_set in self.fact.pod_sets
            for name, amount in pod_set.pod.requests
            if name in names
        )

    def scarce(self) -> list[tuple[PodSet, str, int]]:
        """(pod set, resource, amount of one pod) of what refusals say is short, the binding one last: it gives way
        first."""
        cells: dict[tuple[str, str], tuple[PodSet, str, int]] = {}
        for refusal in self.refusals:
            for pod_set in self.fact.pod_sets:
                amount = dict(pod_set.pod.requests).get(refusal.resource, 0)
                if amount and refusal.pod_set in ("", pod_set.name):
                    cells.setdefault((pod_set.name, refusal.resource), (pod_set, refusal.resource, amount))
        return list(cells.values())[::-1]

    def most_of_all(self, cells: Sequence[tuple[PodSet, str, int]]) -> tuple[Change, ...]:
        """The most of each that fits, in turn, the others at their least; () if even the least of all does not."""
        least = {
            (ps.name, resource): Change(What.REQUEST, ps.name, resource, amount, min(amount, _step(resource, amount)))
            for ps, resource, amount in cells
        }
        if not self.fits(tuple(least.values())):
            return ()
        for pod_set, resource, amount in cells:
            others = tuple(change for at, change in least.items() if at != (pod_set.name, resource))
            step = _step(resource, amount)

            def of(k: int, ps: PodSet = pod_set, r: str = resource, a: int = amount, s: int = step) -> Change:
                return Change(What.REQUEST, ps.name, r, a, min(a, k * s))

            most = self.most(of, -(-amount // step) + 1, others, self.fits)
            if most is None:
                return ()
            least[pod_set.name, resource] = most
        return tuple(change for change in least.values() if change.after != change.before)

    @staticmethod
    def most(
        of: Callable[[int], Change], end: int, others: tuple[Change, ...], holds: Callable[[Sequence[Change]], bool]
    ) -> Change | None:
        """The change of the largest number below `end` for which `holds`, `others` made too. Asks O(log end) times."""
        low, high = 0, end
        while high - low > 1:
            middle = (low + high) // 2
            if holds((*others, of(middle))):
                low = middle
            else:
                high = middle
        return of(low) if low else None


def _step(resource: str, amount: int) -> int:
    """What amounts are rounded to, so that nobody is told to ask for 3 217 millicores: of at most 64 sizes each."""
    if resource == CPU:
        unit = 100 if amount > 100 else 1
    elif amount >= 1 << 20:
        unit = 1 << 20
    else:
        unit = 1
    return unit * max(1, -(-amount // (64 * unit)))
