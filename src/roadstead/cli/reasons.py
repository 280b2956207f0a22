"""Refusals and suggestions on the terminal, the same for `why` and `plan`."""

from __future__ import annotations

from typing import Any

VERDICTS = {
    "wait": "wait: time alone solves it",
    "change": "change the request",
    "ask": "ask an administrator",
}


def reason_lines(answer: dict[str, Any]) -> list[str]:
    """What stands behind a headline that says the binding reason: the verdict, who holds what is missing, what would
    bind next, what was refused beside it, and what would help."""
    reasons = answer.get("reasons") or []
    if not reasons:
        return []
    lines = [f"verdict: {VERDICTS.get(answer.get('verdict', ''), answer.get('verdict', ''))}"]
    if reasons[0]["holders"]:
        lines.append(reasons[0]["holders"])
    coming = answer.get("next") or []
    for reason in coming:
        lines.append(f"then ({reason['verdict']}): {reason['sentence']}")
        if reason["holders"]:
            lines.append(f"  {reason['holders']}")
    told = {reasons[0]["sentence"], *(reason["sentence"] for reason in coming)}
    for reason in reasons[1:]:
        if reason["sentence"] not in told:
            told.add(reason["sentence"])
            lines.append(f"also ({reason['verdict']}): {reason['sentence']}")
    changes = answer.get("changes") or []
    if changes:
        lines.append(f"would start now: {changes[0]['sentence']}")
        lines += [f"             or: {change['sentence']}" for change in changes[1:4]]
    elif reasons[0]["code"] != "NotEvaluated" and answer.get("verdict") not in (
        "change",
        "ask",
    ):  # those say what to do
        lines.append("no change of the request is known that would start it now")
    return lines
