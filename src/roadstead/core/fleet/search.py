"""Phase 2 of placement: which domains take how many pods (Kueue 4.4: findLevelWithFitDomains and the descent to the
leaves).

Two profiles (Kueue KEP-2724, TASProfileMixed): unconstrained requests take the *least free* domains that do, so that
large holes stay whole; required and preferred ones take the *best fit*, so that few domains are used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from roadstead.core.fleet.counting import Counts
from roadstead.core.fleet.domain import Domain


@dataclass(frozen=True, slots=True)
class Want:
    """How a number of pods shall be spread: the level to begin at, and whether coarser levels may be tried."""

    count: int
    level: int
    required: bool = False
    unconstrained: bool = False


@dataclass(frozen=True, slots=True)
class Shortfall:
    """No place: at `level` only `fit` of `needed` slices (pods, where a slice is one pod) found room together."""

    level: int
    fit: int
    needed: int


class Pick:
    """A chosen domain with the counts that are still to be cut down to what it is given."""

    __slots__ = ("domain", "leaders", "pods", "pods_with_leader", "slices", "slices_with_leader")

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self.pods = domain.pods
        self.slices = domain.slices
        self.leaders = domain.leaders
        self.pods_with_leader = domain.pods_with_leader
        self.slices_with_leader = domain.slices_with_leader


def search(counts: Counts, want: Want) -> list[Pick] | Shortfall:
    """Leaves with the pods (and leader) they get, sorted by label values.

    O(levels x children of the chosen domains), apart from asking for several domains or a leader at the first level.
    """
    leaders = 0 if counts.demand.leader is None else 1
    found = _search(counts, want, leaders, leader_first=False)
    if isinstance(found, Shortfall) and leaders and found.fit >= found.needed:
        found = _search(counts, want, leaders, leader_first=True)
    return found


def _search(counts: Counts, want: Want, leaders: int, *, leader_first: bool) -> list[Pick] | Shortfall:
    """One try. `leader_first`: in the descent, the domain that hosts the leader is taken before larger ones."""
    demand = counts.demand
    best_fit = not want.unconstrained
    chosen = _choose(counts, want, want.level, leaders)
    if isinstance(chosen, Shortfall):
        return chosen
    level, found = chosen
    last = len(demand.levels) - 1
    needed = want.count // demand.slice_size
    picks = _distribute(found, want.count, leaders, demand.slice_size, best_fit, by_slices=True)
    # Above the slice level all children of the chosen domains compete; what their parents were given is not kept.
    while picks is not None and level < min(last, demand.slice_level):
        lower = _in_order([Pick(child) for pick in picks for child in pick.domain.children.values()], best_fit)
        if leader_first:
            lower = _leader_first(lower, needed, by_slices=True)
        picks = _distribute(lower, want.count, leaders, demand.slice_size, best_fit, by_slices=True)
        level += 1
    # From the slice level down each domain passes on exactly what it was given.
    while picks is not None and level < last:
        picks = _pass_down(picks, (demand.inner[level + 1] if demand.inner else 0) or 1, best_fit, leader_first)
        level += 1
    if picks is None:
        return Shortfall(want.level, needed, needed)  # room for all at one level, but not at the next
    used = [pick for pick in picks if pick.pods or pick.leaders]
    used.sort(key=lambda pick: pick.domain.values)
    return used


def _pass_down(picks: Sequence[Pick], unit: int, best_fit: bool, leader_first: bool) -> list[Pick] | None:
    """Each domain's pods (in slices of `unit`) and leader to its own children."""
    below: list[Pick] = []
    for pick in picks:
        children = _in_order([Pick(child) for child in pick.domain.children.values()], best_fit)
        if unit > 1:
            for child in children:
                child.slices, child.slices_with_leader = child.pods // unit, child.pods_with_leader // unit
        if leader_first and pick.leaders:
            children = _leader_first(children, pick.pods // unit, by_slices=unit > 1)
        given = _distribute(children, pick.pods, pick.leaders, unit, best_fit, by_slices=unit > 1)
        if given is None:
            return None
        below += given
    return below


def _leader_first(picks: list[Pick], needed: int, *, by_slices: bool) -> list[Pick]:
    """The first domain that can host the leader and still leaves room for everybody moves to the front (Kueue 4.4,
    2b)."""
    total = sum(pick.slices if by_slices else pick.pods for pick in picks)
    for at, pick in enumerate(picks):
        loss = pick.slices - pick.slices_with_leader if by_slices else pick.pods - pick.pods_with_leader
        if pick.leaders and total - loss >= needed:
            return [pick, *picks[:at], *picks[at + 1 :]]
    return picks


def _choose(counts: Counts, want: Want, level: int, leaders: int) -> tuple[int, list[Pick]] | Shortfall:
    """Phase 2a: the level at which the pods are assigned, and the domains there."""
    if leaders:
        return _choose_with_leader(counts, want, level)
    needed = want.count // counts.demand.slice_size
    single = counts.smallest(level, needed)
    if single is not None:
        return level, [Pick(single)]
    if want.required:
        return Shortfall(level, counts.most_slices(level), needed)
    if level and not want.unconstrained:
        return _choose(counts, want, level - 1, leaders)
    found: list[Pick] = []
    left = needed
    candidates = counts.least_free_first(level) if want.unconstrained else counts.most_free_first(level)
    for domain in candidates:
        if not want.unconstrained and domain.slices >= left:
            fitting = counts.smallest(level, left)  # optimise the last one
            if fitting is not None and fitting.slices < domain.slices:
                domain = fitting
        found.append(Pick(domain))
        left -= domain.slices
        if left <= 0:
            return level, found
    return Shortfall(level, needed - left, needed)


def _choose_with_leader(counts: Counts, want: Want, level: int) -> tuple[int, list[Pick]] | Shortfall:
    """Phase 2a for a pod set with a leader: domains that can host it come first."""
    needed = want.count // counts.demand.slice_size
    best_fit = not want.unconstrained
    picks = [Pick(domain) for domain in counts.domains[level].values()]
    if not picks:
        return Shortfall(level, 0, needed)
    picks.sort(
        key=lambda p: (
            -p.leaders,
            -p.slices_with_leader if best_fit else p.slices_with_leader,
            p.pods_with_leader,
            p.domain.values,
        )
    )
    top = picks[0]
    if best_fit:
        if top.leaders and top.slices_with_leader >= needed:
            top = _best_fit([pick for pick in picks if pick.leaders], needed, with_leader=True, by_slices=True)
            return level, [top]
    else:
        for pick in picks:
            if pick.leaders and pick.slices_with_leader >= needed:
                return level, [pick]
    if want.required:
        return Shortfall(level, top.slices_with_leader if top.leaders else 0, needed)
    if level and not want.unconstrained:
        return _choose_with_leader(counts, want, level - 1)
    if not top.leaders:
        return Shortfall(level, 0, needed)
    first = top
    if best_fit and first.slices_with_leader >= needed:
        first = _best_fit([pick for pick in picks if pick.leaders], needed, with_leader=True, by_slices=True)
    found = [first]
    left = needed - first.slices_with_leader
    rest = _in_order([pick for pick in picks if pick is not first], best_fit)
    for at, pick in enumerate(rest):
        if left <= 0:
            break
        if best_fit and pick.slices >= left:
            pick = _best_fit(rest[at:], left, with_leader=False, by_slices=True)
        if pick.slices > 0:
            found.append(pick)
            left -= pick.slices
    return Shortfall(level, needed - left, needed) if left > 0 else (level, found)


def _in_order(picks: Iterable[Pick], best_fit: bool) -> list[Pick]:
    """Slices (best fit: most first; least free: fewest first), then fewest pods, then label values."""
    if best_fit:
        return sorted(picks, key=lambda pick: (-pick.slices, pick.pods, pick.domain.values))
    return sorted(picks, key=lambda pick: (pick.slices, pick.pods, pick.domain.values))


def _best_fit(picks: Sequence[Pick], needed: int, *, with_leader: bool, by_slices: bool) -> Pick:
    """The first of the smallest that hold `needed`; the first of all if none does."""

    def size(pick: Pick) -> int:
        if with_leader:
            return pick.slices_with_leader if by_slices else pick.pods_with_leader
        return pick.slices if by_slices else pick.pods

    best = picks[0]
    for pick in picks:
        if needed <= size(pick) < size(best):
            best = pick
    return best


def _distribute(
    picks: Sequence[Pick], count: int, leaders: int, unit: int, best_fit: bool, *, by_slices: bool
) -> list[Pick] | None:
    """Phase 2b, one level: take domains fully in turn until `count` pods (and the leader) have a place. None if they
    have not: with a leader, room for all at one level does not always mean room at the next.

    Units are slices of `unit` pods (`by_slices`) or single pods. For best fit the last domain is the smallest that
    holds the rest.
    """
    taken: list[Pick] = []
    left = count // unit if by_slices else count
    for at, pick in enumerate(picks):
        if pick in taken:
            continue
        if leaders:
            room = pick.slices_with_leader if by_slices else pick.pods_with_leader
            if best_fit and room >= left and pick.leaders >= leaders:
                able = [each for each in picks[at:] if each.leaders >= leaders]
                pick = _best_fit(able, left, with_leader=True, by_slices=by_slices)
                room = pick.slices_with_leader if by_slices else pick.pods_with_leader
        else:
            pick.leaders = 0
            room = pick.slices if by_slices else pick.pods
            if best_fit and room >= left:
                pick = _best_fit(picks[at:], left, with_leader=False, by_slices=by_slices)
                pick.leaders = 0
                room = pick.slices if by_slices else pick.pods
        given = min(room, left)
        pick.pods = given * unit if by_slices else given
        pick.slices = given
        left -= given
        leaders -= pick.leaders
        taken.append(pick)
        if left <= 0 and not leaders:
            return taken
    return None
