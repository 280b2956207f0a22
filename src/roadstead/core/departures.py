"""Who has to give up quota although nobody preempts it: stop policies, lost nodes, pods that are not ready in time; and
when next.

Called by `cycle` before it looks at any head.
"""

from __future__ import annotations

from collections.abc import Iterator

from roadstead.core.plan import Evict, EvictionReason
from roadstead.core.queueing.readiness import back_off
from roadstead.core.queueing.timers import Timers
from roadstead.core.rules import Rules, WaitForPodsReady
from roadstead.core.world import World
from roadstead.model.workload import WorkloadKey


def drain(world: World) -> tuple[Evict, ...]:
    """Evictions of holders that are deactivated, or whose queue is stopped and drained (kueue.md 2.8, 2.9), by key."""
    return tuple(Evict(key, world.workloads[key].fact.uid, world.draining[key]) for key in sorted(world.draining))


def give_up(world: World, now: int, rules: Rules) -> tuple[Evict, ...]:
    """Evictions of holders whose place is lost: a node is gone, or not ready for too long, or nothing says any more
    where they run (kueue.md 4.8, failing fast), by key. They return to their queue and are placed anew."""
    return tuple(
        Evict(key, world.workloads[key].fact.uid, world.stranded[key][1])
        for key in sorted(world.stranded)
        if rules.place_all and _patience_ends(world, key, rules) <= now
    )


def _patience_ends(world: World, key: WorkloadKey, rules: Rules) -> int:
    since, _ = world.stranded[key]
    return since + rules.node_tolerance if since else 0


def out_of_patience(world: World, now: int, rules: Rules) -> tuple[Evict, ...]:
    """Evictions of holders whose pods were not ready in time, by key (kueue.md 2.7). O(their number x log n)."""
    policy = rules.pods_ready
    if policy is None:
        return ()
    found: dict[WorkloadKey, Evict] = {}
    for timers, patience in _patience_with_pods(world, policy):
        while (key := timers.pop_due(now - patience)) is not None:
            fact = world.workloads[key].fact
            count = fact.requeue_count + 1
            found[key] = Evict(
                key, fact.uid, EvictionReason.PODS_READY_TIMEOUT, cause=fact.pods_wait,
                requeue_count=count, requeue_at=now + back_off(count, policy),
            )  # fmt: skip
    return tuple(found[key] for key in sorted(found))


def _patience_with_pods(world: World, policy: WaitForPodsReady) -> Iterator[tuple[Timers, int]]:
    yield world.standings.starting, policy.timeout
    if policy.recovery_timeout:
        yield world.standings.recovering, policy.recovery_timeout


def next_time(world: World, rules: Rules) -> int | None:
    """When time alone changes what is decided, at the earliest: a back-off ends, or the patience with a node or with
    pods that are not ready. None: never."""
    times = [_patience_ends(world, key, rules) for key in world.stranded] if rules.place_all else []
    if rules.pods_ready is not None:
        for timers, patience in _patience_with_pods(world, rules.pods_ready):
            if timers.next is not None:
                times.append(timers.next + patience)
    if world.next_timer is not None:
        times.append(world.next_timer)
    return min(times, default=None)
