"""The conformance runner: what it prints, how it ends, and that recorded sessions really are judged."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from roadstead.testing.conformance import REPOSITORY, Report, Unusable, records
from roadstead.testing.conformance.__main__ import main

RECORDED = REPOSITORY / "tests" / "data" / "api"


def test_a_report_ends_with_the_sum() -> None:
    report = Report(remarks=["noticed"])
    report.passes("b", 3)
    report.fails("a", "FAIL a: expected 1, got 2")
    assert list(report.lines()) == [
        "FAIL a: expected 1, got 2",
        "noticed",
        "a: 0 passed, 1 failed",
        "b: 3 passed, 0 failed",
        "3 passed, 1 failed",
    ]
    assert report.exit_code == 1
    for _ in range(30):
        report.fails("a", "again")
    assert sum(line.startswith(("FAIL", "again")) for line in report.lines()) == 20


def test_records_are_read_packed_and_plain(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"
    plain.write_text('{"id": 1}\n\n{"id": 2}\n')
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert [record["id"] for record in records(plain)] == [record["id"] for record in records(packed)] == [1, 2]
    plain.write_text("{")
    with pytest.raises(Unusable, match=r"a\.jsonl, line 1 is not JSON"):
        list(records(plain))


@pytest.mark.parametrize("arguments", [[], ["api"], ["bogus", "x"], ["api", "missing.jsonl"]])
def test_what_cannot_run_is_said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err


def _session(tmp_path: Path, change: str = "") -> Path:
    """A recorded session about paths, as recorded or with one wrong expectation."""
    found = next(record for record in records(RECORDED / "errors.jsonl.gz") if record["id"] == "errors/unauthorized")
    if change:
        found["steps"][0]["response"]["json"]["message"] = change
    path = tmp_path / "session.jsonl"
    path.write_text(json.dumps(found) + "\n")
    return path


def test_a_session_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["api", str(_session(tmp_path))]) == 0
    assert capsys.readouterr().out.splitlines() == ["errors: 4 passed, 0 failed", "4 passed, 0 failed"]


def test_a_difference_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["api", str(_session(tmp_path, "something else"))]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("FAIL errors/unauthorized step 0: GET /api/v1/namespaces")
    assert lines[-1] == "3 passed, 1 failed"
