"""How long to wait before a failed pod is replaced: 10 s, doubling with every failure, at most 10 min
(backoff_utils.go)."""

from __future__ import annotations

from typing import Final

from roadstead.controllers.job.census import Census, JobPod
from roadstead.kinds.times import SECOND

FIRST: Final = 10 * SECOND
LONGEST: Final = 600 * SECOND


def delay(failures: int) -> int:
    """Nanoseconds to wait after the given number of failures in a row.

    >>> [delay(n) // SECOND for n in (0, 1, 2, 3, 7)]
    [0, 10, 20, 40, 600]
    """
    if failures <= 0:
        return 0
    return min(FIRST << min(failures - 1, 16), LONGEST)


def not_before(census: Census) -> int:
    """When the Job may create its next pod: so long after the newest failure as there were failures since the last
    success.

    Pods that the controller deleted itself (suspension, scale-down) gave up their finalizer while they still ran, and
    are told apart from failures by that: they are marked and neither tracked nor uncounted.
    """
    last_success = max((pod.finished for pod in census.pods if pod.phase == "Succeeded"), default=-1)
    failures = [pod.finished for pod in census.pods if _is_failure(census, pod) and pod.finished > last_success]
    if not failures:
        return 0
    return max(failures) + delay(len(failures))


def _is_failure(census: Census, pod: JobPod) -> bool:
    if not census.is_failed(pod):
        return False
    return not pod.is_marked or pod.is_tracked or pod.uid in census.uncounted_failed


def index_not_before(replaced: JobPod | None) -> int:
    """When a Job with a limit per index may replace the failed pod of one index."""
    if replaced is None:
        return 0
    return replaced.finished + delay(replaced.index_failures + replaced.index_ignored_failures + 1)
