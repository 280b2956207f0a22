"""Runs of the version before: their shims go on, their files are read, their keeper makes room."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import roadstead
from roadstead.node.agent.executions import Execution
from roadstead.node.agent.logs import LogRequest, read_log
from roadstead.node.keeper import client, commands, runs
from tests.node.keeper.box import Box, is_gone, poll

SOURCE = Path(roadstead.__file__).parent.parent
T0 = 1_800_000_000_000_000_000


def copy_of_format_1(directory: Path) -> Path:
    """The keeper's source as a program that calls itself older."""
    shutil.copytree(SOURCE / "roadstead/node/keeper", directory / "roadstead/node/keeper")
    for package in ("roadstead", "roadstead/node"):
        (directory / package / "__init__.py").touch()
    module = directory / "roadstead/node/keeper/runs.py"
    text = module.read_text()
    assert text.count("FORMAT: Final = 2") == 1
    module.write_text(text.replace("FORMAT: Final = 2", "FORMAT: Final = 1"))
    return directory


def start_with(source: Path, root: str, run_id: str, command: str) -> None:
    program = (
        "import sys, os; from roadstead.node.keeper import client, runs; root, run, command = sys.argv[1:]; "
        "runs.prepare(root, run, {'argv': ['/bin/sh', '-c', command], 'env': dict(os.environ), 'cwd': '/'}); "
        "client.start(root, run)"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(source)}
    subprocess.run([sys.executable, "-c", program, root, run_id, command], env=environment, check=True, timeout=30)


def test_an_older_keeper_makes_room_and_its_shims_go_on(own_box: Box, tmp_path: Path) -> None:
    source = copy_of_format_1(tmp_path / "source")
    os.mkfifo(f"{own_box.root}/gate")
    start_with(source, own_box.root, "old/main/0", f"echo up; read x < {own_box.root}/gate; echo $x; exit 6")
    own_box.until_log("old/main/0", "up")
    assert runs.format_of(own_box.look("old/main/0").path) == 1
    older = client._call(own_box.root, {"op": "ping"})
    assert older["format"] == 1
    assert own_box.run("exit 3")[0].exit_code == 3, "a run of this version needs a keeper of this version"
    poll(lambda: is_gone(older["pid"]), "the older keeper left")
    assert own_box.look("old/main/0").state == runs.RUNNING
    with pytest.raises(runs.RunError, match="was started by an older version"):
        Execution.begin(own_box.root, "old/main/0", ["true"])
    Path(own_box.root, "gate").write_text("down\n")
    assert own_box.end_of("old/main/0").exit_code == 6
    assert own_box.log("old/main/0") == "up\ndown\n"


def test_files_of_format_1_are_read(tmp_path: Path) -> None:
    """As that version left them: the process wrote to the log itself, times are a second apart."""
    path = tmp_path / "runs/old/main/0"
    path.mkdir(parents=True)
    ended: runs.Json = {
        "exit_code": 7,
        "signal": 0,
        "reason": "Error",
        "message": "",
        "started_at": T0,
        "finished_at": T0 + 9,
    }
    records = {
        "spec.json": {
            "format": 1,
            "run_id": "old/main/0",
            "boot": "b",
            "argv": ["x"],
            "env": {},
            "cwd": "/",
            "level": 0,
        },
        "started": {"format": 1, "pid": 1, "ticks": 1, "at": T0, "boot": "b"},
        "exit.json": {"format": 1, **ended},
    }
    for name, record in records.items():
        (path / name).write_text(json.dumps(record))
    (path / "lock").touch()
    (path / "log").write_text("one\ntwo\n")
    (path / "log.times").write_text(f"{T0} 4\n{T0 + 1_000_000_000} 8\n")
    run = runs.look(str(tmp_path), "old/main/0")
    assert run is not None
    assert (run.state, run.exit) == (runs.EXITED, runs.Exit(**ended))

    async def read(request: LogRequest) -> bytes:
        return b"".join([piece async for piece in read_log(run.log, request, lambda: True)])

    assert asyncio.run(read(LogRequest(since=T0 + 1))) == b"two\n"
    stamped = asyncio.run(read(LogRequest(timestamps=True, tail_lines=1)))
    assert stamped == b"2027-01-15T08:00:01.000000000Z two\n"


def test_a_lost_run_of_format_1_is_settled(own_box: Box) -> None:
    path = Path(own_box.prepare("old/main/0", "true"))
    (path / "output").unlink()
    spec = json.loads((path / "spec.json").read_text())
    (path / "spec.json").write_text(json.dumps({**spec, "format": 1, "boot": "another boot"}))
    (path / "log").write_text("what it had written\n")
    client.settle(own_box.root, "old/main/0")
    assert own_box.end_of("old/main/0").reason == "ShimLost"
    assert own_box.log("old/main/0") == "what it had written\n"


def test_commands_need_the_format_that_brought_them() -> None:
    assert commands.FORMAT_NEEDED == 2 <= runs.FORMAT
