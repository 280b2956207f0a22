"""Why a gang found no place, as one Refusal with the numbers that prove it."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from roadstead.core.fleet.ask import PodSetAsk
from roadstead.core.fleet.counting import Counts
from roadstead.core.fleet.domain import Values
from roadstead.core.fleet.matching import TEMPORARY
from roadstead.core.fleet.search import Shortfall, Want
from roadstead.model.amounts import PODS, ResourceName
from roadstead.model.refusals import Code, Level, Refusal, Verdict


def no_level(pod_set: PodSetAsk, level: str) -> Refusal:
    """The flavor's topology has no such level, or not in this order."""
    return Refusal(Code.TOPOLOGY_TOO_SMALL, Verdict.CHANGE, Level.FLAVOR, pod_set=pod_set.name, subject=level)


def refuse(
    pod_set: PodSetAsk,
    counts: Counts,
    want: Want,
    short: Shortfall,
    *,
    assume_empty: bool,
    by_device: Callable[[ResourceName], bool],
) -> Refusal:
    """What stands in the way as things are; `by_device`: is a resource handed out by device?

    `counts` says how many nodes were left out by each cause, and how many have no room for even one pod by the resource
    that is scarcest there. `needed` is the amount of `resource` that the pods ask for, `available` what found room
    together, `limit` what would if no workload used anything; for a single pod, the most that one node has of it.
    `subject` is the topology level.
    """
    causes = _causes(counts)
    if not counts.node_count:
        is_temporary = any(cause in TEMPORARY for cause, _ in causes) or not causes
        verdict = Verdict.ASK if is_temporary else Verdict.CHANGE
        return Refusal(Code.NO_NODE_MATCHES, verdict, Level.NODE, pod_set=pod_set.name, counts=causes)
    resource = _scarcest(counts)
    amount = dict(counts.demand.requests).get(resource, 0)
    if want.count == 1:
        needed, available = amount, counts.shortages.closest(resource)
    else:
        needed, available = amount * want.count, amount * short.fit * counts.demand.slice_size
    return Refusal(
        Code.TOPOLOGY_TOO_SMALL if assume_empty else _code_when_full(counts, want, by_device(resource)),
        Verdict.CHANGE if assume_empty else Verdict.WAIT,
        Level.FLEET,
        pod_set=pod_set.name,
        resource=resource,
        needed=needed,
        available=available,
        limit=available if assume_empty else needed,
        subject="" if want.unconstrained else counts.demand.levels[want.level],
        counts=causes,
        closest="" if want.unconstrained or want.count == 1 else "/".join(roomiest(counts, want.level)),
    )


def roomiest(counts: Counts, level: int) -> Values:
    """The domain of a level with the most room; ties: by name. () if none has any."""
    domains = counts.domains[level].values()
    return min(((-domain.slices, domain.values) for domain in domains if domain.slices), default=(0, ()))[1]


def never(now: Refusal, when_empty: Refusal) -> Refusal:
    """The refusal of an ask that an empty fleet refuses too: waiting won't help, and the empty fleet's numbers are the
    limit."""
    if (now.pod_set, now.resource) != (when_empty.pod_set, when_empty.resource):
        return when_empty
    return replace(now, code=when_empty.code, verdict=when_empty.verdict, limit=when_empty.available)


def _causes(counts: Counts) -> tuple[tuple[str, int], ...]:
    found = [*counts.left_out.items(), *counts.shortages.counts().items()]
    return tuple(sorted((cause, count) for cause, count in found if count))


def _scarcest(counts: Counts) -> ResourceName:
    """The resource that leaves the most nodes without room for one pod; where every node has room for one, the first
    device or amount asked for (the gang is too large for what is left of it)."""
    short = counts.shortages.counts()
    if short:
        return min(short, key=lambda name: (-short[name], name))
    rooms: dict[ResourceName, int] = {}
    for line in counts.lines():
        room = line.room(without_workloads=counts.demand.without_workloads)
        for name, amount in counts.demand.requests:
            rooms[name] = rooms.get(name, 0) + max(room.get(name, 0), 0) // amount
    return min(rooms, key=lambda name: (rooms[name], name == PODS, name))


def _code_when_full(counts: Counts, want: Want, by_device: bool) -> Code:
    slices = want.count // counts.demand.slice_size
    if not want.unconstrained and sum(domain.slices for domain in counts.domains[0].values()) >= slices:
        return Code.TOPOLOGY_FULL  # there is room, but not close enough together
    return Code.DEVICES_EXHAUSTED if by_device else Code.NODES_EXHAUSTED
