"""Scenarios recorded from Kubernetes' own allocator, replayed: `python -m roadstead.testing.conformance dra
FILE...`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from roadstead.testing.conformance import records
from roadstead.testing.conformance.dra import answers_to, brief, run

DATA = Path(__file__).parents[2] / "data" / "dra"
FILES = sorted(path for path in DATA.glob("*.jsonl.gz"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.split(".")[0])
def test_every_recording_is_reproduced(path: Path) -> None:
    report = run([path])
    assert report.differences == []
    assert report.passed.total() == (38 if path.name.startswith("00") else 80)


def test_what_was_written_by_hand_agrees_too() -> None:
    """The tiny scenarios carry their answer in short, written by a person and not by a program."""
    for record in records(DATA / "00-tiny.jsonl.gz"):
        names = [claim["metadata"]["name"] for claim in record["scenario"]["claims"]]
        for hand, answer in zip(record["hand"], answers_to(record["scenario"]), strict=True):
            if answer["outcome"] == "error":
                assert hand == f"error:{answer['kind']}", record["note"]
            elif answer["outcome"] == "no_fit":
                assert hand == "no_fit", record["note"]
            else:
                text = brief(answer)
                if text == "allocated nothing":
                    text = ""
                words = [word.partition(".") for word in text.split()]
                assert re.sub(r"[({][^)}]*[)}]", "", hand).split() == [
                    f"{names[int(number)]}.{rest}" for number, _, rest in words
                ], record["note"]
