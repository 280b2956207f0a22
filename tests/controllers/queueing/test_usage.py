"""Admission Fair Sharing served: LocalQueues are sampled, and take turns by what they used (kueue.md 3.11)."""

from __future__ import annotations

import pytest

from roadstead.controllers.admission import AdmissionDecider
from roadstead.controllers.queues import ClusterQueueController, LocalQueueController, UsageController
from roadstead.core.rules import AdmissionFairSharing, Rules
from roadstead.kinds.names import JOBS, LOCAL_QUEUES
from roadstead.kinds.object import Json
from roadstead.runtime.step import SECOND
from roadstead.testing.controllers import Fault
from tests.controllers.queueing.lab import QueueLab, all_controllers, job, local_queue

SHARING = AdmissionFairSharing(half_life=600 * SECOND, interval=300 * SECOND)
BY_USAGE = {"admissionScope": {"admissionMode": "UsageBasedAdmissionFairSharing"}}


def laboratory(cpu: str = "4", faults: dict[int, Fault] | None = None, lag: int = 0) -> QueueLab:
    lab = QueueLab(
        controllers=lambda: [
            *all_controllers(), ClusterQueueController(), LocalQueueController(), UsageController(SHARING)
        ],
        decider=lambda: AdmissionDecider(Rules(admission_sharing=SHARING)),
        faults=faults,
        lag=lag,
    )  # fmt: skip
    lab.furnish(cpu="8", quota={"cpu": cpu}, queue=BY_USAGE)
    for name in "ab":
        lab.create(LOCAL_QUEUES, local_queue(name, "default"))
    return lab


def of(queue: str) -> dict[str, str]:
    return {"kueue.x-k8s.io/queue-name": queue}


def consumed(lab: QueueLab, queue: str) -> str | None:
    status: Json = lab.the(LOCAL_QUEUES, queue).get("status", {}).get("fairSharing", {})
    found = status.get("admissionFairSharingStatus", {}).get("consumedResources", {})
    value = found.get("cpu")
    return None if value is None else str(value)


def milli(lab: QueueLab, queue: str) -> int:
    text = consumed(lab, queue) or "0"
    return int(text[:-1]) if text.endswith("m") else 1000 * int(text)


def test_a_queue_is_sampled_while_it_is_used_and_forgets_afterwards() -> None:
    with laboratory() as lab:
        lab.create(JOBS, job("w", cpu="4", seconds=900, labels=of("a")))
        lab.settle()
        start = lab.clock
        seen: list[int] = []
        while lab.clock < start + 3000 * SECOND:
            lab.advance(10)
            if not seen or milli(lab, "a") != seen[-1]:
                seen.append(milli(lab, "a"))
        assert consumed(lab, "b") is None
        peak = seen.index(max(seen))
        assert seen[: peak + 1] == sorted(seen[: peak + 1])
        assert max(seen) < 4000
        assert seen[peak:] == sorted(seen[peak:], reverse=True)
        assert seen[peak + 2] == pytest.approx(max(seen) / 2, abs=2), "half of it ten minutes later"


def test_many_short_jobs_of_one_queue_do_not_keep_the_other_waiting() -> None:
    with laboratory(cpu="1") as lab:
        for at in range(6):
            lab.create(JOBS, job(f"a{at}", seconds=50, labels=of("a")))
        lab.advance(10)
        for at in range(3):
            lab.create(JOBS, job(f"b{at}", seconds=50, labels=of("b")))
        lab.settle()
        line = lab.decider.line("default", lab.clock) or ()
        assert [name[4:6] for _, name in line] == ["b0", "b1", "b2", "a1", "a2", "a3", "a4", "a5"]
        order: list[str] = []
        for _ in range(120):
            lab.advance(5)
            for name in [*(f"a{i}" for i in range(6)), *(f"b{i}" for i in range(3))]:
                if name not in order and lab.job_state(name) != "suspended":
                    order.append(name)
        assert order[:6] == ["a0", "b0", "a1", "b1", "a2", "b2"]


@pytest.mark.parametrize("kind", [Fault.CRASH_AFTER, Fault.LOST_ANSWER, Fault.CONFLICT])
@pytest.mark.parametrize("at", range(1, 14, 3))
def test_a_fault_at_any_write_loses_no_usage(kind: Fault, at: int) -> None:
    with laboratory(faults={at: kind}) as lab:
        lab.create(JOBS, job("w", cpu="4", seconds=None, labels=of("a")))
        lab.advance(1400)
        assert milli(lab, "a") == pytest.approx(3000, abs=500)
