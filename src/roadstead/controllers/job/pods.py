"""Which pods a running Job should create or delete now (workloads.md section 3.5; job_controller.go manageJob)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from roadstead.controllers.job import backoff
from roadstead.controllers.job.census import Census, JobPod, is_indexed, only_replaces_failed
from roadstead.controllers.job.policies import has_limit_per_index
from roadstead.kinds.names import JOB_TRACKING_FINALIZER
from roadstead.kinds.object import Json
from roadstead.runtime.cluster import Write
from roadstead.runtime.step import Stage

MOST_AT_ONCE: Final = 500
"""Pods created or deleted in one step."""


@dataclass(frozen=True, slots=True)
class Change:
    """Pods to delete, or places to fill (index None in a NonIndexed Job), never both; and when to look again."""

    delete: tuple[JobPod, ...] = ()
    create: tuple[int | None, ...] = ()
    again_at: int | None = None


def wanted_active(census: Census, active: int, succeeded: int, failed_indexes: frozenset[int]) -> int:
    """How many pods should be active now that `active` are."""
    spec = census.job.spec
    parallelism = 1 if spec.parallelism is None else spec.parallelism
    if spec.completions is None:
        # A work queue: after the first success nobody knows whether there is work left, so nothing new is started.
        return active if succeeded else parallelism
    return max(0, min(parallelism, spec.completions - succeeded - len(failed_indexes)))


def change(
    census: Census,
    succeeded: int,
    failed_indexes: frozenset[int],
    kept: dict[int, JobPod],
    now: int,
) -> Change:
    """What to do to get from the pods there are to the pods there should be. O(pods log pods)."""
    # An active pod without the finalizer was being deleted by us when something broke off: it will never be counted.
    lost = [pod for pod in census.active if not pod.is_tracked]
    held = [pod for pod in census.active if pod.is_tracked]
    wanted = wanted_active(census, len(held), succeeded, failed_indexes)
    surplus = lost + _surplus(census, held, max(0, len(held) - wanted))
    if surplus:
        return Change(delete=tuple(surplus[:MOST_AT_ONCE]))
    room = wanted - len(held) - (len(census.terminating) if only_replaces_failed(census.job) else 0)
    room = min(room, MOST_AT_ONCE)
    if room <= 0:
        return Change()
    if not has_limit_per_index(census.job):
        earliest = backoff.not_before(census)
        if earliest > now:
            return Change(again_at=earliest)
    if not is_indexed(census.job):
        return Change(create=(None,) * room)
    return _fill_indexes(census, failed_indexes, kept, room, now)


def _fill_indexes(census: Census, failed: frozenset[int], kept: dict[int, JobPod], room: int, now: int) -> Change:
    busy = {pod.index for pod in census.active}
    if only_replaces_failed(census.job):
        busy |= {pod.index for pod in census.terminating}
    closed = census.completed | failed
    limited = has_limit_per_index(census.job)
    ripe: list[int | None] = []
    later: list[int] = []
    for index in range(census.job.spec.completions or 0):
        if len(ripe) == room:
            break
        if index in busy or index in closed:
            continue
        earliest = backoff.index_not_before(kept.get(index)) if limited else 0
        if earliest <= now:
            ripe.append(index)
        else:
            later.append(earliest)
    return Change(create=tuple(ripe), again_at=min(later, default=None))


def _surplus(census: Census, held: Sequence[JobPod], least: int) -> list[JobPod]:
    """At least `least` pods to remove: first those whose index is a duplicate or exists no longer, then the least
    valuable."""
    removed: list[JobPod] = []
    left = list(held)
    if is_indexed(census.job):
        left = []
        valid = [pod for pod in held if census.has_valid_index(pod)]
        removed = [pod for pod in held if not census.has_valid_index(pod)]
        for _, same in groupby(sorted(valid, key=_by_index), key=lambda pod: pod.index):
            *duplicates, best = same
            removed += duplicates
            left.append(best)
    if len(removed) < least:
        removed += sorted(left, key=_value)[: least - len(removed)]
    return removed


def _by_index(pod: JobPod) -> tuple[int, tuple[bool, int, bool, int, int, int, str]]:
    return pod.index or 0, _value(pod)


_PHASE_VALUE: Final = {"Pending": 0, "Unknown": 1, "Running": 2}


def _value(pod: JobPod) -> tuple[bool, int, bool, int, int, int, str]:
    """Least valuable first (controller_utils.go ActivePods): unbound, pending, not ready, ready for a short time,
    restarted often, young."""
    ready_since = pod.ready_changed if pod.is_ready and pod.ready_changed else 0
    return (
        bool(pod.view.spec.node_name),
        _PHASE_VALUE.get(pod.phase, 1),
        pod.is_ready,
        -ready_since,
        -pod.restarts,
        -pod.created,
        pod.name,
    )


def slow_start(writes: Sequence[Write]) -> list[Stage]:
    """Batches of 1, 2, 4, ...: what every pod is refused is found out with one request, not with five hundred."""
    batches: list[Stage] = []
    start, size = 0, 1
    while start < len(writes):
        batches.append(tuple(writes[start : start + size]))
        start, size = start + size, size * 2
    return batches


def without_tracking(pod: JobPod) -> Json:
    """The pod as it is to be written so that it is tracked no longer."""
    value = pod.obj.decode()
    left = [name for name in value["metadata"]["finalizers"] if name != JOB_TRACKING_FINALIZER]
    if left:
        value["metadata"]["finalizers"] = left
    else:
        del value["metadata"]["finalizers"]
    return value
