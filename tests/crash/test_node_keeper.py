"""kill -9 at every numbered step of starting and stopping a run, judged by a ledger outside the product.

Every process appends its run id to the ledger before anything else. Afterwards: no id is there twice, and every run has
an exit record that agrees with what its process did. The same judge turns red on a product with a lock or a claim taken
out.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import roadstead
from roadstead.node import keeper
from roadstead.node.keeper import client, commands, runs, tree
from tests.node.keeper.box import Box, is_gone, poll

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]

SOURCE = Path(roadstead.__file__).parent.parent
DRIVER = Path(__file__).with_name("keeper_driver.py")
STEPS = re.findall(r"`\[([a-z0-9.-]+)\]`", keeper.__doc__ or "")
COMMAND_STEPS = [step for step in STEPS if ".exec-" in step]
START_STEPS = [step for step in STEPS if "stop" not in step and step not in COMMAND_STEPS]
SHIM_LOST_STEPS = ("shim.4-started", "shim.5-released", "shim.6-executed")
"""Killed there, the shim takes its process with it."""
STOP_STEPS = [step for step in STEPS if "stop" in step]


def test_the_steps_are_those_that_the_documentation_numbers() -> None:
    code = "".join(path.read_text() for path in (SOURCE / "roadstead/node/keeper").glob("*.py"))
    assert sorted(re.findall(r'crashpoint\("([^"]+)"\)', code)) == sorted(STEPS)
    assert len(START_STEPS) >= 13
    assert len(STOP_STEPS) >= 5
    assert COMMAND_STEPS == ["shim.exec-1-forked", "shim.exec-2-ended"]


class Trial:
    """One run, driven to its end through a crash."""

    def __init__(self, path: Path, source: Path = SOURCE) -> None:
        self.box = Box(path)
        self.source = source
        self.run_id = "pod-1/main/0"
        self.crashes = 0

    def drive(self, step: str, command: str, mode: str = "run") -> runs.Exit:
        """Run the driver until it lives to the end; the exit record."""
        once = self.box.path / "crashed"
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.fspath(self.source),
            "ROADSTEAD_CRASH_AT": f"{step}@{once}",
            "ROADSTEAD_CRASH_SIGNAL": "STOP" if mode in ("cont", "kill") else "",
        }
        words = f"echo {self.run_id} >> {self.box.ledger}; {command}"
        arguments = [self.box.root, self.run_id, mode, words]
        for _ in range(4):
            done = subprocess.run(
                [sys.executable, os.fspath(DRIVER), *arguments],
                env=environment,
                capture_output=True,
                timeout=200,
                check=False,
            )
            if done.returncode != -signal.SIGKILL:
                break
        assert done.returncode == 0, done.stderr.decode()
        self.crashes = int(once.exists())
        end = self.box.look(self.run_id).exit
        assert end is not None
        return end

    def judge(self, end: runs.Exit, own_code: int) -> None:
        """Started at most once; the code is the process's own, or says that its shim was killed."""
        times = Counter(self.box.ledger_lines())
        assert times[self.run_id] <= 1, f"started {times[self.run_id]} times"
        if end.reason != "ShimLost":
            assert times[self.run_id] == 1
            assert end.exit_code == own_code, end
        else:
            assert end.exit_code == 137

    def close(self) -> None:
        self.box.close()


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    made = Trial(tmp_path / "state")
    yield made
    made.close()


@pytest.mark.parametrize("step", START_STEPS)
def test_killed_at_a_step_of_starting_and_ending(trial: Trial, step: str) -> None:
    is_lost = step in SHIM_LOST_STEPS
    end = trial.drive(step, f"sleep {100 if is_lost else 0.05}; exit 7")
    assert trial.crashes == 1, f"nothing was killed at {step}"
    trial.judge(end, 7)
    assert (end.reason == "ShimLost") == is_lost


@pytest.mark.parametrize("step", STOP_STEPS)
def test_killed_at_a_step_of_stopping(trial: Trial, step: str) -> None:
    ready = trial.box.path / "runs" / trial.run_id / "ready"
    ignores = "trap '' TERM" if step == "shim.stop-3-killed" else "trap 'exit 5' TERM"
    mode = "stop-soon" if step == "shim.stop-3-killed" else "stop"
    end = trial.drive(step, f"{ignores}; touch {ready}; while :; do sleep 0.01; done", mode)
    assert trial.crashes == 1, f"nothing was killed at {step}"
    trial.judge(end, 5)


@pytest.mark.parametrize("step", COMMAND_STEPS)
def test_killed_at_a_step_of_a_further_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """The container is lost with its shim, the command with its container; who waits for it is told, nothing is
    left."""
    once = tmp_path / "crashed"
    monkeypatch.setenv("ROADSTEAD_CRASH_AT", f"{step}@{once}")
    box = Box(tmp_path / "state")
    try:
        run_id = box.start("sleep 100")
        path = box.until(run_id, runs.RUNNING).path
        pid_file = tmp_path / "pid"
        lasting = "exec sleep 100" if step == "shim.exec-1-forked" else "exit 3"
        lock = commands.prepare(path, "c1", ["/bin/sh", "-c", f"echo $$ > {pid_file}; {lasting}"], None, [])
        done = os.open(os.path.join(commands.directory(path, "c1"), "done"), os.O_RDONLY | os.O_NONBLOCK)
        commands.ask(path, "c1")
        box.until(run_id, runs.LOST, runs.EXITED)
        poll(lambda: _settled(box, run_id), "the run is settled, as the agent does it")
        assert box.end_of(run_id).reason == "ShimLost"
        assert once.exists()
        poll(lambda: os.read(done, 1) == b"", "whoever waits is told")
        assert commands.ended(path, "c1") is None
        poll(lambda: not pid_file.exists() or is_gone(int(pid_file.read_text() or 0)), "the command is gone")
        os.close(done)
        os.close(lock)
        assert box.run("exit 4")[0].exit_code == 4
    finally:
        box.close()


def _settled(box: Box, run_id: str) -> bool:
    client.settle(box.root, run_id)
    return box.look(run_id).state == runs.EXITED


def test_random_kills_of_keeper_and_shims_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """Forty runs, and a kill of the keeper or of a shim every few milliseconds while they run."""
    box, dice = Box(tmp_path / "state"), random.Random(1)
    try:
        gate = box.path / "gate"
        ids = [f"pod-{index}/main/0" for index in range(40)]
        codes = {run_id: dice.randrange(1, 100) for run_id in ids}
        for run_id in ids:
            box.prepare(
                run_id, f"echo {run_id} >> $LEDGER; until [ -e {gate} ]; do sleep 0.02; done; exit {codes[run_id]}"
            )
        deadline, kills = time.monotonic() + 100, 0
        while True:
            states = {run_id: box.look(run_id) for run_id in ids}
            left = [run for run in states.values() if run.state != runs.EXITED]
            if not left:
                break
            assert time.monotonic() < deadline, left
            for run in left:
                if run.state == runs.LOST:
                    client.settle(box.root, run.run_id)
                elif run.state == runs.PREPARED:
                    client.start(box.root, run.run_id)
            running = [run for run in left if run.state == runs.RUNNING]
            if kills == 25:
                gate.touch()
            elif running:
                kills += 1
                about = tree.stat(dice.choice(running).pid)
                victim = about[1] if about and dice.random() < 0.5 else box.keeper_pid()
                if victim > 1:
                    tree.send(victim, signal.SIGKILL)
            time.sleep(0.01)
        assert kills == 25
        assert Counter(box.ledger_lines()).most_common(1)[0][1] == 1
        ends = {run_id: run.exit for run_id, run in states.items()}
        wrong = {i: e for i, e in ends.items() if e is None or (e.reason != "ShimLost" and e.exit_code != codes[i])}
        assert not wrong
        assert sum(end is not None and end.reason != "ShimLost" for end in ends.values()) >= 15
    finally:
        box.close()


@pytest.mark.parametrize("mode", ["cont", "kill"])
@pytest.mark.parametrize("step", ["shim.1-forked", "shim.2-locked", "shim.3-child"])
def test_a_shim_that_hesitates_has_no_rival(trial: Trial, step: str, mode: str) -> None:
    end = trial.drive(step, "exit 7", mode)
    trial.judge(end, 7)
    assert end.exit_code == 7


UNLOCKED = ("shim.py", "    if lock is None:\n        return\n", "    if lock is None:\n        lock = 0\n")
UNCLAIMED = ("shim.py", 'for name in ("started", "exit.json")', "for name in ()")
UNLINKED = ("shim.py", "if not is_ours:", "if not is_ours and False:")
IMPATIENT = ("process.py", 'os.read(go, 1) != b"!"', "go < 0")
REAPED = ("shim.py", "os.WEXITED | os.WNOWAIT)", "os.WEXITED)")
MUTANTS = {
    "the lock is ignored": ([UNLOCKED, UNLINKED], "shim.3-child", "cont"),
    "the claim is skipped": ([UNCLAIMED, UNLINKED], "none", "run"),
    "the child does not wait for leave": ([IMPATIENT], "shim.3-child", "kill"),
    "the exit is reaped before it is recorded": ([REAPED], "shim.7-ended", "run"),
}


ATTEMPTS = 8
"""What is wrong shows only if the process is quicker than the kill, as it nearly always is."""


@pytest.mark.parametrize("name", MUTANTS)
def test_the_judge_sees_a_product_in_which(name: str, tmp_path: Path) -> None:
    """A copy of the product with a guard taken out must come out wrong."""
    edits, step, mode = MUTANTS[name]
    source = tmp_path / "src"
    shutil.copytree(SOURCE / "roadstead/node/keeper", source / "roadstead/node/keeper")
    for package in ("roadstead", "roadstead/node"):
        (source / package / "__init__.py").touch()
    for file, right, wrong in edits:
        mutated = source / "roadstead/node/keeper" / file
        text = mutated.read_text()
        assert text.count(right) == 1
        mutated.write_text(text.replace(right, wrong))
    for attempt in range(ATTEMPTS):
        trial = Trial(tmp_path / f"state{attempt}", source)
        try:
            _judge_strictly(trial, step, mode)
        except AssertionError as error:
            if re.search(r"started \d times|ShimLost|did not end", str(error)):
                return
            raise
        finally:
            trial.close()
    pytest.fail(f"came out right {ATTEMPTS} times")


def _judge_strictly(trial: Trial, step: str, mode: str) -> None:
    end = trial.drive(step, "sleep 0.05; exit 7", mode)
    trial.judge(end, 7)
    assert end.reason != "ShimLost", end
