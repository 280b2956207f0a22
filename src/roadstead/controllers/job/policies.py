"""What failures and successes mean when the Job says so itself: podFailurePolicy (KEP-3329), limits per index
(KEP-3850), successPolicy (KEP-3998)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from roadstead.controllers.job.census import Census, JobPod
from roadstead.controllers.job.conditions import (
    FAILED_INDEXES,
    MAX_FAILED_INDEXES_EXCEEDED,
    POD_FAILURE_POLICY,
    SUCCESS_POLICY,
    Ending,
    failing,
    succeeding,
)
from roadstead.controllers.job.indexes import parse_indexes
from roadstead.kinds.object import Json
from roadstead.kinds.views.job import JobView
from roadstead.kinds.views.pod import PodView


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a failed pod means: does it count, and which rule said so ("" = none)."""

    is_counted: bool
    action: str = ""
    message: str = ""


BY_DEFAULT = Judgement(is_counted=True)


def judge(job: JobView, pod: JobPod) -> Judgement:
    """The first rule of podFailurePolicy that matches a failed pod; without one the failure counts."""
    policy = job.spec.pod_failure_policy
    for number, rule in enumerate((policy or {}).get("rules") or ()):
        action = rule["action"]
        matched = _matched(rule, pod.view)
        if matched is None:
            continue
        where = f"{pod.view.metadata.namespace}/{pod.name}"
        message = matched.format(pod=where) + f" matching {action} rule at index {number}"
        return Judgement(action != "Ignore", action, message)
    return BY_DEFAULT


def _matched(rule: Json, pod: PodView) -> str | None:
    if rule.get("onExitCodes") is not None:
        found = _exit_code(rule["onExitCodes"], pod)
        return None if found is None else f"Container {found[0]} for pod {{pod}} failed with exit code {found[1]}"
    for pattern in rule.get("onPodConditions") or ():
        for condition in pod.status.conditions:
            if condition.type == pattern["type"] and condition.status == (pattern.get("status") or "True"):
                return f"Pod {{pod}} has condition {condition.type}"
    return None


def _exit_code(requirement: Json, pod: PodView) -> tuple[str, int] | None:
    wanted = requirement.get("containerName")
    for container in (*(pod.status.container_statuses or ()), *(pod.status.init_container_statuses or ())):
        ended = container.state.terminated if container.state else None
        if ended is None or ended.exit_code == 0 or (wanted is not None and container.name != wanted):
            continue
        listed = ended.exit_code in requirement["values"]
        if listed == (requirement["operator"] == "In"):
            return container.name, ended.exit_code
    return None


def fail_job(census: Census) -> Ending | None:
    """The ending that a FailJob rule asks for."""
    if census.job.spec.pod_failure_policy is None:
        return None
    for pod in census.pods:
        if census.is_failed(pod):
            judgement = judge(census.job, pod)
            if judgement.action == "FailJob":
                return failing(POD_FAILURE_POLICY, judgement.message)
    return None


def has_limit_per_index(job: JobView) -> bool:
    return job.spec.backoff_limit_per_index is not None


def failed_indexes(census: Census) -> frozenset[int] | None:
    """Indexes that have failed for good; None if the Job has no limit per index."""
    job = census.job
    limit = job.spec.backoff_limit_per_index
    if limit is None:
        return None
    before = parse_indexes(job.status.failed_indexes or "", job.spec.completions or 0)
    new: set[int] = set()
    for pod in census.tracked:
        if pod.index is None or not census.has_valid_index(pod) or not census.is_failed(pod):
            continue
        judgement = judge(job, pod)
        if judgement.action == "FailIndex" or (judgement.is_counted and pod.index_failures >= limit):
            new.add(pod.index)
    return before | new


def index_limits(job: JobView, completed: frozenset[int], failed: frozenset[int]) -> Ending | None:
    """The ending that failed indexes ask for."""
    most = job.spec.max_failed_indexes
    if most is not None and len(failed) > most:
        return failing(MAX_FAILED_INDEXES_EXCEEDED, "Job has exceeded the specified maximal number of failed indexes")
    if failed and len(failed) + len(completed) >= (job.spec.completions or 0):
        return failing(FAILED_INDEXES, "Job has failed indexes")
    return None


def kept_for_replacement(census: Census, failed: frozenset[int]) -> dict[int, JobPod]:
    """Per open index, the failed pod with the most failures behind it: its finalizer stays until a replacement carries
    the count on, so that no failure of an index is forgotten (KEP-3850)."""
    busy = {pod.index for pod in census.active}
    kept: dict[int, JobPod] = {}
    for pod in census.tracked:
        index = pod.index
        if index is None or not census.has_valid_index(pod) or not census.is_failed(pod):
            continue
        if index in busy or index in failed or index in census.completed:
            continue
        best = kept.get(index)
        if best is None or _failures(pod) > _failures(best):
            kept[index] = pod
    return kept


def _failures(pod: JobPod) -> int:
    return pod.index_failures + pod.index_ignored_failures


def failure_counts(job: JobView, replaced: JobPod | None) -> tuple[int, int]:
    """(counted, ignored) failures of an index once `replaced` has failed; what its next pod carries."""
    if replaced is None:
        return 0, 0
    if judge(job, replaced).is_counted:
        return replaced.index_failures + 1, replaced.index_ignored_failures
    return replaced.index_failures, replaced.index_ignored_failures + 1


def success_policy(job: JobView, completed: frozenset[int]) -> Ending | None:
    """The ending that successPolicy asks for: its first rule that is met."""
    rules: list[dict[str, Any]] = (job.spec.success_policy or {}).get("rules") or []
    for number, rule in enumerate(rules):
        named, count = rule.get("succeededIndexes"), rule.get("succeededCount")
        needed = completed
        if named is not None:
            wanted = parse_indexes(named, job.spec.completions or 0)
            needed = completed & wanted
            count = len(wanted) if count is None else count
        if count is not None and len(needed) >= count:
            return succeeding(SUCCESS_POLICY, f"Matched rules at index {number}")
    return None
