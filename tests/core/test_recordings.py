"""Scenarios recorded from the real Kueue 0.19, replayed: `python -m roadstead.testing.conformance kueue FILE...`."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from roadstead.testing.conformance import judge, records
from roadstead.testing.conformance.kueue import Player, run

DATA = Path(__file__).parents[1] / "data" / "kueue"

WHOLE = ("flavors", "control", "eligibility", "cohort", "preemption", "partial", "tas", "slices")
"""Classes in which every recording is reproduced."""

KNOWN_DIFFERENCES = {
    # Which resource a scan looks at first is map order inside Kueue, and here it decides (timingSensitive: concurrent).
    "fungibility": {"fungibility-23"},
}


def differences(record: dict[str, Any]) -> list[str]:
    got = Player(record["scenario"]).settles()
    found: list[str] = judge("kueue/judge.py").differences(record["expected"], got)
    return found


@pytest.mark.parametrize("name", [*WHOLE, "fungibility"])
def test_the_first_recordings_of_a_class(name: str) -> None:
    for record in islice(records(DATA / f"{name}.jsonl.gz"), 5):
        assert differences(record) == [], record["scenario"]["name"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*WHOLE, "fungibility"])
def test_all_recordings_of_a_class(name: str) -> None:
    report = run([DATA / f"{name}.jsonl.gz"])
    failed = {text.partition(":")[0] for text in report.differences}
    assert failed == KNOWN_DIFFERENCES.get(name, set())
    assert report.passed[name] + len(failed) == 60
