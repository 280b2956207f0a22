"""`roadstead sim`: what it says about good seeds and bad ones, and how it ends."""

from __future__ import annotations

import pytest

from roadstead.cli import main
from roadstead.controllers.job import JobController
from roadstead.runtime.step import Key, Read, Step


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["sim", *words])
    said = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, said.out, said.err


@pytest.fixture
def a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(self: JobController, key: Key, read: Read, now: int) -> Step:
        raise ValueError("a bug")

    monkeypatch.setattr(JobController, "reconcile", stumble)


def test_a_good_seed_is_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "--seed", "6")
    assert code == 0
    assert out.startswith("seed 6 is good: ")
    assert len(out.splitlines()) == 1


def test_trace_shows_everything_that_happens(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "--seed", "6", "--trace")
    assert code == 0
    assert "submits JobPlan" in out
    assert "ADDED batch/jobs:" in out
    assert "from here on nothing goes wrong" in out


@pytest.mark.usefixtures("a_bug")
def test_a_bad_seed_says_what_why_and_how_to_see_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "--seed", "6")
    assert code == 1
    for expected in (
        "what goes wrong by plan:",
        "the last that happened:",
        "what is stored:",
        "seed 6 FAILED",
        "log: job failed on",
        "roadstead sim --seed 6 --trace",
    ):
        assert expected in out


@pytest.mark.usefixtures("a_bug")
def test_a_range_counts_and_fails_as_a_whole(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "--seeds", "1..3", "--jobs", "1")
    assert code == 1
    assert "0 passed, 3 failed" in out
    assert "3 of 3 seeds failed: 1, 2, 3." in err


def test_a_range_on_several_processes(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "--seeds", "6..9", "--jobs", "2")
    assert code == 0
    assert out.startswith("4 passed, 0 failed: ")


def test_a_range_ends_when_its_time_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "--seeds", "1..2000", "--minutes", "0.001", "--jobs", "1")
    assert code == 0
    assert out.startswith("1 passed, 0 failed: ")


def test_random_seeds_for_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "--minutes", "0.005", "--jobs", "1")
    assert (code, "0 failed" in out) == (0, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say one of --seed N, --seeds A..B (with or without --minutes M), --minutes M."),
        (("--seed", "1", "--minutes", "1"), "say one of"),
        (("--seeds", "7"), "--seeds 7 is no range: write the first and the last, as in 1..2000."),
        (("--seeds", "9..7"), "is no range"),
        (("--seeds", "1..2", "--trace"), "--trace shows one seed"),
    ],
)
def test_slips_are_told(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, *words)
    assert code == 2
    assert said in err
