"""Condition PodsReady of a Workload: whether all pods of its job run and are ready, or have ended well (kueue 2.2, 2.7;
KEP-349).

Kept only where pods are waited for. Admission begins it, in the write that reserves quota; the job's reconciler follows
its pods; the end of a reservation begins it anew.
"""

from __future__ import annotations

from typing import Final

from roadstead.controllers.conditions import get_condition, set_condition
from roadstead.core.queueing.readiness import WAIT_FOR_RECOVERY, WAIT_FOR_START
from roadstead.kinds.object import Json

PODS_READY: Final = "PodsReady"
_NOT_YET: Final = "Not all pods are ready or succeeded"
_RECOVERING: Final = "At least one pod has failed, waiting for recovery"
_READY: Final = "All pods reached readiness and the workload is running"


def say_waiting(value: Json, now: int) -> None:
    """Its pods have to come yet."""
    set_condition(value, PODS_READY, False, WAIT_FOR_START, _NOT_YET, now)


def start_over(value: Json, now: int) -> None:
    """Its pods are gone: if they were waited for, the next ones are."""
    if get_condition(value, PODS_READY) is not None:
        say_waiting(value, now)


def follow(value: Json, are_ready: bool, now: int) -> bool:
    """Bring the condition of an admitted Workload in line with its pods, in place; True if it changed."""
    known = get_condition(value, PODS_READY)
    status, reason = (known["status"], known.get("reason", "")) if known is not None else ("", "")
    if are_ready:
        if status == "True":
            return False
        again = "Recovered" if reason == WAIT_FOR_RECOVERY else "Started"
        return set_condition(value, PODS_READY, True, again, _READY, now)
    if status == "True":
        return set_condition(value, PODS_READY, False, WAIT_FOR_RECOVERY, _RECOVERING, now)
    if status == "":
        return set_condition(value, PODS_READY, False, WAIT_FOR_START, _NOT_YET, now)
    return False
