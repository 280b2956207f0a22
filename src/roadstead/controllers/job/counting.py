"""Counting every pod exactly once, whatever crashes in between (KEP-2307).

A pod's outcome moves in steps, each of them safe to repeat:

1. The pod ends. It carries the tracking finalizer, so it cannot vanish.
2. Its uid is written to `status.uncountedTerminatedPods` (for a success of an Indexed Job its index to `completedIndexes`: the
   index itself tells that it was counted).
3. Its finalizer is removed.
4. A uid whose pod is tracked no longer moves from the uncounted set into the counter, in one write.

Only step 2 looks at phases, and only for tracked pods whose uid is not uncounted yet; step 4 only at uids. So no order
of crashes loses or doubles a pod. When the same write also finishes the Job, nothing will ever be counted again, and
steps 2 and 4 are one write: counters and terminal condition together, finalizers afterwards.
"""

from __future__ import annotations

from typing import Any, Final

from roadstead.controllers.job.census import Census, JobPod, is_indexed
from roadstead.controllers.job.conditions import Ending
from roadstead.controllers.job.indexes import format_indexes
from roadstead.controllers.job.policies import judge
from roadstead.kinds.object import Json

MOST_UNCOUNTED: Final = 500
"""Outcomes written down at once: bounds the size of a Job's status."""


def settle(census: Census, status: Json) -> None:
    """Step 4: count the uids whose pods have lost their finalizer."""
    tracked = {pod.uid for pod in census.tracked}
    uncounted: dict[str, list[str]] = {}
    for name, uids in (("succeeded", census.uncounted_succeeded), ("failed", census.uncounted_failed)):
        waiting = [uid for uid in _listed(status, name) if uid in tracked]
        if not (name == "succeeded" and is_indexed(census.job)):
            _add(status, name, len(uids) - len(waiting))
        if waiting:
            uncounted[name] = waiting
    if uncounted != (status.get("uncountedTerminatedPods") or {}):
        status["uncountedTerminatedPods"] = uncounted


def may_let_go(census: Census, pod: JobPod, ending: Ending | None, kept: dict[int, JobPod]) -> bool:
    """The pod's outcome is settled as far as this Job is concerned."""
    if census.job.metadata.deletion_timestamp or ending is not None or pod.phase == "Succeeded":
        return True
    if not census.is_failed(pod):
        return False
    return pod.index is None or kept.get(pod.index) is not pod


def move(census: Census, status: Json, ending: Ending | None, kept: dict[int, JobPod]) -> list[JobPod]:
    """Step 2: write down outcomes; gives the pods whose finalizer may be removed once the status is stored."""
    uncounted: dict[str, Any] = status.get("uncountedTerminatedPods") or {}
    indexes = set(census.completed_before)
    let_go: list[JobPod] = []
    moved = sum(len(uids) for uids in uncounted.values())
    for pod in census.tracked:
        if moved >= MOST_UNCOUNTED:
            break
        if not may_let_go(census, pod, ending, kept):
            continue
        let_go.append(pod)
        outcome = _outcome(census, pod, ending)
        if outcome == "succeeded" and is_indexed(census.job):
            assert pod.index is not None
            moved += pod.index not in indexes
            indexes.add(pod.index)
        elif outcome and pod.uid not in (census.uncounted_failed | census.uncounted_succeeded):
            uncounted.setdefault(outcome, []).append(pod.uid)
            moved += 1
    if uncounted:
        status["uncountedTerminatedPods"] = uncounted
    _write_indexes(census, status, frozenset(indexes))
    return let_go


def finish(census: Census, status: Json, ending: Ending) -> list[JobPod]:
    """Steps 2 and 4 at once, for the write that finishes the Job; gives the pods to let go of afterwards."""
    settle(census, status)
    let_go = list(census.tracked)
    counts = {name: len(uids) for name, uids in (status.get("uncountedTerminatedPods") or {}).items()}
    indexes = set(census.completed_before)
    for pod in let_go:
        outcome = _outcome(census, pod, ending)
        if outcome == "succeeded" and is_indexed(census.job):
            assert pod.index is not None
            indexes.add(pod.index)
        elif outcome and pod.uid not in (census.uncounted_failed | census.uncounted_succeeded):
            counts[outcome] = counts.get(outcome, 0) + 1
    for name, count in counts.items():
        _add(status, name, count)
    status["uncountedTerminatedPods"] = {}
    _write_indexes(census, status, frozenset(indexes))
    return let_go


def write_failed_indexes(status: Json, failed: frozenset[int] | None) -> None:
    if failed or (failed is not None and "failedIndexes" in status):
        status["failedIndexes"] = format_indexes(failed)


def _outcome(census: Census, pod: JobPod, ending: Ending | None) -> str:
    """Which counter the pod belongs to: "succeeded", "failed" or "" (none)."""
    if not census.has_valid_index(pod):
        return ""
    if pod.phase == "Succeeded" and pod.uid not in census.uncounted_failed:
        return "succeeded"
    # Once the Job has failed, what still runs will not succeed any more: it counts as failed.
    if census.is_failed(pod) or (ending is not None and ending.is_failure):
        return "failed" if judge(census.job, pod).is_counted else ""
    return ""


def _write_indexes(census: Census, status: Json, indexes: frozenset[int]) -> None:
    if is_indexed(census.job):
        text = format_indexes(indexes)
        if text or "completedIndexes" in status:
            status["completedIndexes"] = text
            status["succeeded"] = len(indexes)


def _listed(status: Json, name: str) -> list[str]:
    uids: list[str] = (status.get("uncountedTerminatedPods") or {}).get(name) or []
    return uids


def _add(status: Json, counter: str, count: int) -> None:
    if count:
        status[counter] = status.get(counter, 0) + count
