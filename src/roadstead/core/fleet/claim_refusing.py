"""Why pods' claims found no devices: which nodes lack what, and which came closest. Worked out only when somebody is
refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from roadstead.core.dra.inventory import Inventory
from roadstead.core.dra.nodes import NodeFacts
from roadstead.core.dra.outcome import AllocationError, Failed, Scope
from roadstead.core.dra.search import InUse
from roadstead.core.dra.selecting import selectable
from roadstead.core.dra.taints import tolerated
from roadstead.core.fleet.ask import PodSetAsk
from roadstead.core.fleet.claim_room import ClaimRoom, Claims, fewest
from roadstead.core.fleet.claims import ClaimBook
from roadstead.core.fleet.counting import Counts
from roadstead.core.fleet.ledger import NodeLine, fits
from roadstead.core.fleet.refusing import roomiest
from roadstead.core.fleet.search import Shortfall, Want
from roadstead.model.dra import DeviceRequest
from roadstead.model.refusals import Code, Level, Refusal, Verdict

UNMATCHED: Final = "devices.unmatched"
TAINTED: Final = "devices.tainted"
IN_USE: Final = "devices.inUse"
APART: Final = "devices.apart"
"""Causes, one per node: too few devices that match; too few of them that are not tainted; too few of those that are
free; enough, but not in a combination that the claims allow (constraints, shared counters, capacity)."""


class Lack(NamedTuple):
    """What one node lacks for one pod's claims: the device class, how many of it, and how many it has."""

    cause: str
    device_class: str
    needed: int
    available: int


def invalid(pod_set: str, failed: Failed, names: Sequence[str]) -> Refusal:
    """No node would do: the allocator stops at an error that lies in the claims themselves, or in the classes they
    name. `names`: what the pod calls the claims that were asked for. `resource` is the class at fault, if it is one."""
    which = f"claim {names[failed.claim]}" if 0 <= failed.claim < len(names) else "claims"
    what = f"{which} cannot be allocated on any node: {failed.message}"
    return Refusal(Code.CLAIM_INVALID, Verdict.CHANGE, Level.FLEET, pod_set, resource=failed.device_class, subject=what)


def refuse_claims(
    pod_set: PodSetAsk,
    counts: Counts,
    want: Want,
    short: Shortfall,
    names: Sequence[str],
    book: ClaimBook,
    room: ClaimRoom,
    *,
    empty: bool,
) -> Refusal | None:
    """The refusal, or None if it is not claims that stand in the way. `names`: what the pod calls its claims. O(nodes x
    devices).

    `resource` is the device class that the closest node lacks, `needed` the devices that all pods' claims take at
    least, `available` what found room together (for a single pod: what the closest node has of that class); `closest`
    is that node, or the topology domain with the most room.
    """
    demand = counts.demand
    rooms = [(line, fits(line.room(without_workloads=empty), demand.requests)) for line in counts.lines()]
    able = sorted((line.name, line, limit) for line, limit in rooms if limit)
    if not able:
        return None
    found = {name: room.pods(line, demand, limit) for name, line, limit in able}
    lacks: dict[str, Lack] = {}
    failed: list[Failed] = []
    for name, line, limit in able:
        if found[name] < min(limit, want.count):
            plan = room.plan(line.facts, demand.claims, limit, empty=empty)
            if plan.failed is not None and plan.failed.scope is Scope.FATAL and not plan.pods:
                failed.append(plan.failed)
            lacks[name] = _lack(line, demand.claims, book, empty=empty)
    if not lacks:
        return None
    if len(failed) == len(able):
        return invalid(pod_set.name, failed[0], names)
    closest = max(lacks, key=lambda name: (found[name], -_missing(lacks[name]), [-ord(char) for char in name]))
    lack = lacks[closest]
    causes = Counter(lacks[name].cause for name in lacks if not found[name])
    # Nodes that lack a resource, too: as for everybody else.
    causes.update(counts.left_out)
    if want.count == 1:
        needed, available = lack.needed, lack.available
    else:
        one = max(fewest(demand.claims), 1)
        needed, available = one * want.count, one * short.fit * demand.slice_size
        if not want.unconstrained:
            closest = "/".join(roomiest(counts, want.level)) or closest
    return Refusal(
        Code.TOPOLOGY_TOO_SMALL if empty else _code(counts, want),
        Verdict.CHANGE if empty else Verdict.WAIT,
        Level.FLEET,
        pod_set=pod_set.name,
        resource=lack.device_class,
        needed=needed,
        available=available,
        limit=available if empty else needed,
        subject="" if want.unconstrained else demand.levels[want.level],
        counts=tuple(sorted((cause, count) for cause, count in causes.items() if count)),
        closest=closest,
    )


def _missing(lack: Lack) -> int:
    return max(0, lack.needed - lack.available)


def _code(counts: Counts, want: Want) -> Code:
    slices = want.count // counts.demand.slice_size
    if not want.unconstrained and sum(domain.slices for domain in counts.domains[0].values()) >= slices:
        return Code.TOPOLOGY_FULL
    return Code.DEVICES_EXHAUSTED


def _lack(line: NodeLine, claims: Claims, book: ClaimBook, *, empty: bool) -> Lack:
    """What the node lacks most for one pod's claims."""
    use = book.nothing.view() if empty else book.usage.view()
    worst: Lack | None = None
    last = Lack(APART, "", fewest(claims), fewest(claims))
    for claim in claims:
        for request in claim.requests:
            options = [_lack_of(book.inventory, line.facts, body, use) for body in request.alternatives]
            lack = min(options, key=_missing, default=None)
            if lack is None:
                continue
            if lack.cause == APART:
                last = Lack(APART, lack.device_class, last.needed, last.available)
            elif worst is None or _missing(lack) > _missing(worst):
                worst = lack
    return worst or last


def _lack_of(inventory: Inventory, node: NodeFacts, body: DeviceRequest, use: InUse) -> Lack:
    device_class = inventory.classes.get(body.device_class)
    matching = untainted = free = 0
    try:
        for candidate in inventory.view(node).order if device_class is not None else ():
            if device_class is None or not selectable(
                candidate, node, body.name, body, device_class, inventory.features
            ):
                continue
            matching += 1
            if not tolerated(candidate.device.taints, body.tolerations):
                continue
            untainted += 1
            free += candidate.id not in use.whole or bool(body.admin)
    except AllocationError:
        pass
    needed = body.count if body.mode == "ExactCount" else matching
    for cause, have in ((UNMATCHED, matching), (TAINTED, untainted), (IN_USE, free)):
        if have < needed:
            return Lack(cause, body.device_class, needed, have)
    return Lack(APART, body.device_class, needed, free)
