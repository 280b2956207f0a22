"""The demo's story as a table: what is submitted when, what is looked for, and how it must have ended."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from roadstead.kinds.object import Json

GPU = "nvidia.com/gpu"
WITHIN_QUEUE = "InClusterQueue"
WITHIN_COHORT = "InCohortReclamation"


@dataclass(frozen=True, slots=True)
class Part:
    """One job of the story. `yields`: the reason of condition Preempted that it must come to have, "" if it must run
    through."""

    name: str
    namespace: str
    says: str
    manifest: str
    least_accuracy: float
    members: int = 1
    yields: str = ""


DIGITS = Part("digits", "vision", "a long training, low priority, 4 GPUs", "digits.yaml", 0.9, yields=WITHIN_QUEUE)
SURVEY = Part(
    "survey", "vision", "another one, 4 GPUs more than the team has", "survey.yaml", 0.9, yields=WITHIN_COHORT
)
URGENT = Part("urgent", "vision", "a deadline: high priority, 4 GPUs", "urgent.yaml", 0.9)
TOGETHER = Part(
    "together", "speech", "one model in two members, 2 GPUs each: the team's and the department's", "together.yaml", 0.9,
    members=2,
)  # fmt: skip
SWEEP = Part("sweep", "speech", "one more training, 2 GPUs: does not fit beside it", "sweep.yaml", 0.9)
PARTS = (DIGITS, SURVEY, URGENT, TOGETHER, SWEEP)
BORROWER = "vision"
LENT = {"vision": 4, "speech": 2}
"""GPUs that each team must come to borrow at least: from the other department; from the pool of its own."""
TEAMS = tuple(LENT)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the stored objects say about one part at the end, and the reasons for which it was preempted on the way."""

    job: Json | None
    workload: Json | None
    reports: Sequence[Json]
    preempted: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Borrowed:
    """GPUs that a team's stored ClusterQueue status called borrowed: the most of them, and at the end."""

    most: int = 0
    at_the_end: int = 0


def borrowed(queue: Json) -> int:
    """GPUs that this ClusterQueue uses beyond its own quota, as its status says."""
    return sum(
        int(entry.get("borrowed", 0))
        for flavor in queue.get("status", {}).get("flavorsReservation") or ()
        for entry in flavor["resources"]
        if entry["name"] == GPU
    )


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


def true_condition(obj: Json | None, name: str) -> Json | None:
    """The condition of this type if it is True."""
    conditions: list[Json] = (obj or {}).get("status", {}).get("conditions") or []
    return next((entry for entry in conditions if entry["type"] == name and entry["status"] == "True"), None)


def is_true(obj: Json | None, condition: str) -> bool:
    return true_condition(obj, condition) is not None


def judge(seen: Mapping[str, Seen], loans: Mapping[str, Borrowed]) -> list[str]:
    """Everything in the stored objects that is not as it must be; empty = the story went well."""
    wrong: list[str] = []
    for part in PARTS:
        wrong += _judge_part(part, seen[part.name])
    if len({report.get("weights") for report in seen[TOGETHER.name].reports}) != 1:
        wrong.append("the members of together ended with different weights")
    for team in TEAMS:
        loan = loans[team]
        if loan.most < LENT[team]:
            wrong.append(f"ClusterQueue {team} borrowed {loan.most} GPUs at most, expected {LENT[team]}")
        if loan.at_the_end:
            wrong.append(f"ClusterQueue {team} still has {loan.at_the_end} GPUs borrowed")
    return wrong


def _judge_part(part: Part, facts: Seen) -> list[str]:
    wrong: list[str] = []
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
    expected = {part.yields} - {""}
    if set(facts.preempted) != expected:
        wrong.append(f"{part.name} was preempted for {_listed(facts.preempted)}, expected {_listed(expected)}")
    if part.yields and any(report.get("resumed_from", 0) <= 0 for report in facts.reports):
        wrong.append(f"{part.name} started again from step 0")
    return wrong


def _listed(reasons: Collection[str]) -> str:
    return ", ".join(sorted(reasons)) or "nothing"
