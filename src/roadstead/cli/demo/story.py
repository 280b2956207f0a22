"""The demo's story as a table: what is submitted when, what is looked for, and how it must have ended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from roadstead.kinds.object import Json


@dataclass(frozen=True, slots=True)
class Part:
    """One job of the story."""

    name: str
    namespace: str
    says: str
    manifest: str
    least_accuracy: float
    members: int = 1


DIGITS = Part("digits", "vision", "a long training, low priority, 4 GPUs", "digits.yaml", 0.9)
TOGETHER = Part("together", "speech", "one model in two members, 2 GPUs each", "together.yaml", 0.9, members=2)
SWEEP = Part("sweep", "speech", "one more training, 2 GPUs: does not fit beside it", "sweep.yaml", 0.9)
URGENT = Part("urgent", "vision", "a deadline: high priority, all 4 GPUs", "urgent.yaml", 0.9)
PARTS = (DIGITS, TOGETHER, SWEEP, URGENT)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the stored objects say about one part at the end."""

    job: Json | None
    workload: Json | None
    reports: Sequence[Json]
    was_preempted: bool


def report_of(pod: Json) -> Json | None:
    """The JSON that a training left as its container's termination message."""
    for status in pod.get("status", {}).get("containerStatuses") or ():
        ended = status.get("state", {}).get("terminated")
        if ended and ended.get("exitCode") == 0 and ended.get("message"):
            try:
                value = json.loads(ended["message"])
            except json.JSONDecodeError:
                return None
            return value if isinstance(value, dict) else None
    return None


def is_true(obj: Json | None, condition: str) -> bool:
    conditions: list[dict[str, Any]] = (obj or {}).get("status", {}).get("conditions") or []
    return any(entry["type"] == condition and entry["status"] == "True" for entry in conditions)


def judge(seen: dict[str, Seen]) -> list[str]:
    """Everything in the stored objects that is not as it must be; empty = the story went well."""
    wrong: list[str] = []
    for part in PARTS:
        facts = seen[part.name]
        if not is_true(facts.job, "Complete"):
            wrong.append(f"job {part.name} is not Complete")
        if not is_true(facts.workload, "Finished"):
            wrong.append(f"the workload of {part.name} is not Finished")
        if len(facts.reports) != part.members:
            wrong.append(f"{part.name}: {len(facts.reports)} of {part.members} members reported a result")
        wrong += [
            f"{part.name}: accuracy {report['accuracy']} is below {part.least_accuracy}"
            for report in facts.reports
            if report.get("accuracy", 0) < part.least_accuracy
        ]
    if not seen[DIGITS.name].was_preempted:
        wrong.append("digits was never preempted")
    if any(report.get("resumed_from", 0) <= 0 for report in seen[DIGITS.name].reports):
        wrong.append("digits started again from step 0")
    if any(seen[part.name].was_preempted for part in PARTS if part is not DIGITS):
        wrong.append("somebody else than digits was preempted")
    if len({report.get("weights") for report in seen[TOGETHER.name].reports}) != 1:
        wrong.append("the members of together ended with different weights")
    return wrong
