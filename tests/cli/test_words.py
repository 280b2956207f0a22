"""The words of the command line: help without weight, slips that are told, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from roadstead.cli import VERBS, main

HEAVY = ("uvloop", "httpx2", "uvicorn", "cryptography", "sqlite3", "msgspec", "orjson", "yaml", "rich")


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    said = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, said.out, said.err


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_is_complete_and_loads_nothing_heavy(verb: str) -> None:
    program = (
        "import sys; from roadstead.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as e: assert not e.code, e.code\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "assert not loaded, loaded"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *([verb] if verb else []), "--help"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: roadstead {verb}")
    if verb:
        options = [line for line in done.stdout.splitlines() if line.strip().startswith("-")]
        assert all(len(line.split()) > 1 for line in options)
    else:
        assert all(f"  {name} " in done.stdout for name in VERBS)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["sail"], "there is no command 'sail'; there are: up, down,"),
        (["run"], "Missing argument"),
        (["run", "--gpus", "two", "--", "true"], "'two' is not a whole number."),
        (["run", "--gpus", "-1", "--", "true"], "-1 is not in the range 0<=x<=1000000"),
        (["run", "--env", "A", "--", "true"], "--env 'A': expected NAME=VALUE"),
        (["run", "--cpus", "banana", "--", "true"], "--cpus 'banana' is not an amount"),
        (["run", "--cpus", "0", "--", "true"], "--cpus '0' is not above 0"),
        (["run", "--memory", "4Gigs", "--", "true"], "--memory '4Gigs' is not an amount"),
        (["run", "-o", "json", "--", "true"], "it needs --detach"),
        (["run", "--colour", "--", "true"], "No such option"),
        (["queue", "-o", "xml"], "'xml' is not one of"),
        (["up", "--port", "65536"], "65536 is not in the range 0<=x<=65535"),
        (["up", "--node", "gpu=h900"], "no node profile 'h900'; there are a100x4"),
        (["up", "--node", "gpu=h100x8,cpu=many"], "cpu=many is not an amount above 0"),
        (["up", "--node", "gpu=h100x8,colour=red"], "no setting 'colour'; there are cpu, memory, pods"),
        (["up", "--node", "GPU!=h100x8"], "does not name a node"),
        (["up", "--node", "a=cpu", "--node", "a=cpu"], "--node names a 2 times"),
    ],
)
def test_a_slip_is_told_and_changes_nothing(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("ROADSTEAD_HOME", str(home))
    code, out, err = call(capsys, *words)
    assert code == 2
    assert out == ""
    assert says in err
    assert err.startswith("error: ")
    assert len(err.splitlines()) >= 2, "what to do comes last"
    assert not home.exists()


@pytest.mark.parametrize(
    "words",
    [["status"], ["queue"], ["why", "x"], ["logs", "x"], ["kubeconfig"], ["run", "--", "true"], ["node"]],
    ids=lambda words: words[0],
)
def test_no_cluster_is_up(
    words: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROADSTEAD_HOME", str(tmp_path / "home"))
    code, out, err = call(capsys, *words)
    assert (code, out) == (1, "")
    assert err == f"error: no cluster is up (state: {tmp_path}/home).\nStart one with: roadstead up\n"
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("words", [("--home", "{0}", "status"), ("status", "--home", "{0}")])
def test_the_home_stands_before_or_after_the_verb(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, err = call(capsys, *(word.format(tmp_path / "there") for word in words))
    assert err.startswith(f"error: no cluster is up (state: {tmp_path}/there).")


def test_down_without_a_cluster(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROADSTEAD_HOME", str(tmp_path / "home"))
    assert call(capsys, "down") == (0, "nothing was running\n", "")


def test_a_home_that_is_a_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("ROADSTEAD_HOME", str(tmp_path / "file" / "home"))
    code, out, err = call(capsys, "up", "--port", "0")
    assert (code, out) == (1, "")
    assert f"cannot use {tmp_path}/file/home: Not a directory." in err
    assert "Set ROADSTEAD_HOME" in err
    assert (tmp_path / "file").read_text() == "mine"


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    """`roadstead --help | head -0`: no traceback."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "roadstead.cli", "--help"], stdout=write, stderr=subprocess.PIPE, text=True, timeout=60
    )
    os.close(write)
    assert done.returncode == 1
    assert done.stderr == ""
