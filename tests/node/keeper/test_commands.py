"""Further commands in a running container: what they see, how they end, and that nobody's death leaves them behind."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from roadstead.node.keeper import commands, runs, tree
from roadstead.node.keeper.commands import Ended
from tests.node.keeper.box import Box, is_gone, poll


class Asked:
    """A command with stdout and stderr read together, as a caller without an event loop would do it."""

    def __init__(self, box: Box, run_id: str, *argv: str, name: str = "c1", timeout: float | None = None) -> None:
        self.path = box.until(run_id, runs.RUNNING).path
        self.name = name
        words = ["/bin/sh", "-c", *argv] if len(argv) == 1 else list(argv)
        self.lock = commands.prepare(self.path, name, words, timeout, ["stdout"])
        self.here = commands.directory(self.path, name)
        self.stdout = os.open(os.path.join(self.here, "stdout"), os.O_RDONLY | os.O_NONBLOCK)
        self.text = ""

    def ask(self) -> Asked:
        commands.ask(self.path, self.name)
        return self

    def read(self) -> str:
        with contextlib.suppress(BlockingIOError):
            self.text += os.read(self.stdout, 65536).decode()
        return self.text

    def end(self) -> Ended:
        found = poll(lambda: commands.ended(self.path, self.name), "the command ends")
        assert isinstance(found, Ended)
        self.read()
        return found

    def until_text(self, text: str) -> None:
        poll(lambda: text in self.read(), text)

    def close(self) -> None:
        os.close(self.lock)
        os.close(self.stdout)


def in_container(box: Box, *argv: str, **more: Any) -> tuple[Ended, str]:
    run_id = box.start("sleep 100", env={"WORD": "a b"})
    asked = Asked(box, run_id, *argv, **more).ask()
    found = asked.end()
    asked.close()
    return found, asked.text


@pytest.mark.parametrize(
    ("argv", "code", "number", "reason"),
    [
        (["true"], 0, 0, "Completed"),
        (["exit 7"], 7, 0, "Error"),
        (["kill -9 $$"], 137, 9, "Error"),
        (["kill -TERM $$"], 143, 15, "Error"),
        (["/no/such", "program"], 127, 0, "StartError"),
        (["/etc", "passwd"], 126, 0, "StartError"),
    ],
)
def test_how_commands_end(box: Box, argv: list[str], code: int, number: int, reason: str) -> None:
    found, _ = in_container(box, *argv)
    assert (found.exit_code, found.signal, found.reason) == (code, number, reason)


def test_a_command_has_the_containers_environment_directory_and_mark(box: Box) -> None:
    _, text = in_container(box, 'echo "$WORD"; pwd; echo $ROADSTEAD_RUN; echo err >&2; cat')
    word, directory, mark, err = text.splitlines()
    assert (word, directory, err) == ("a b", "/", "err")
    assert mark.startswith(os.path.realpath(box.root))


@pytest.mark.parametrize("isolation", ["userns", "root"])
def test_a_command_is_in_the_containers_name_spaces(box: Box, isolation: str, tmp_path: Path) -> None:
    if isolation == "root" and os.geteuid() != 0:
        pytest.skip("needs root")
    (tmp_path / "file").write_text("inside\n")
    binds = [{"source": str(tmp_path), "target": "/deep/volume", "read_only": True}]
    run_id = box.start("sleep 100", isolation=isolation, hostname="boat", binds=binds)
    asked = Asked(box, run_id, "cat /deep/volume/file; uname -n").ask()
    found = asked.end()
    if found.reason == "StartError":
        pytest.skip(f"this machine has no {isolation}: {found.message}")
    assert (found.exit_code, asked.text) == (0, "inside\nboat\n")
    asked.close()


def test_a_command_is_killed_with_all_below_it_when_its_time_is_up(box: Box) -> None:
    found, text = in_container(box, "sleep 100 & echo $!; wait", timeout=0.3)
    assert found == Ended(137, 9, "Timeout", "timed out after 0.3s")
    poll(lambda: is_gone(int(text)), "its child is gone")


def test_a_command_ends_with_its_container(box: Box) -> None:
    os.makedirs(box.root, exist_ok=True)
    os.mkfifo(f"{box.root}/gate")
    run_id = box.start("read x < $GATE", env={"GATE": f"{box.root}/gate"})
    asked = Asked(box, run_id, "echo $$; sleep 100").ask()
    asked.until_text("\n")
    runs.request_stop(box.root, run_id, signal.SIGKILL, 0)
    box.end_of(run_id)
    assert asked.end().reason in ("ContainerEnded", "Error")
    assert is_gone(int(asked.text))
    asked.close()


def test_a_command_whose_caller_dies_is_killed_and_forgotten(box: Box) -> None:
    run_id = box.start("sleep 100")
    asked = Asked(box, run_id, "echo $$; sleep 100").ask()
    asked.until_text("\n")
    asked.close()
    poll(lambda: is_gone(int(asked.text)), "the command is gone")
    poll(lambda: not os.path.exists(asked.here), "its directory is gone")
    assert box.look(run_id).state == runs.RUNNING


def test_a_command_dies_with_its_shim(own_box: Box) -> None:
    run_id = own_box.start("sleep 100")
    asked = Asked(own_box, run_id, "echo $$; sleep 100").ask()
    asked.until_text("\n")
    os.kill(own_box.shim_of(run_id), signal.SIGKILL)
    assert own_box.end_of(run_id).reason == "ShimLost"
    poll(lambda: is_gone(int(asked.text)), "the command is gone")
    asked.close()


def test_a_call_that_got_lost_is_found(box: Box) -> None:
    run_id = box.start("sleep 100")
    asked = Asked(box, run_id, "exit 4")  # and nobody pokes the shim
    assert asked.end().exit_code == 4
    asked.close()


def test_a_command_counts_against_the_containers_memory(box: Box) -> None:
    run_id = box.start("sleep 100", memory_bytes=64 << 20)
    asked = Asked(box, run_id, "python3", "-c", "x = b'x' * (200 << 20); import time; time.sleep(100)").ask()
    assert box.end_of(run_id).reason == "OOMKilled"
    asked.close()


def test_only_so_many_at_a_time(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = box.start("sleep 100")
    asked = [Asked(box, run_id, "sleep 100", name=f"c{index}") for index in range(commands.LIMIT + 1)]
    for one in asked:
        one.ask()
    refused = poll(lambda: [end for one in asked if (end := commands.ended(one.path, one.name))], "one is refused")
    assert [end.reason for end in refused] == ["Refused"]
    for one in asked:
        one.close()


def test_commands_that_are_over_and_forgotten_cost_no_memory(tmp_path: Path) -> None:
    known = commands.Commands(os.fspath(tmp_path), {}, 1)
    for index in range(10):
        os.close(commands.prepare(os.fspath(tmp_path), f"c{index}", ["true"], None, []))
        known.begin(f"c{index}")  # its caller is gone already
        known.find()
    assert os.listdir(tmp_path / "exec") == []
    assert not known._seen


def test_a_command_whose_end_could_not_be_written_down_does_not_begin_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = os.fspath(tmp_path)
    lock = commands.prepare(path, "c1", ["true"], None, [])
    known = commands.Commands(path, {}, 1)
    monkeypatch.setattr(runs, "link_json", full_disk)
    begun: list[str] = []

    def fork(command: commands._Command, spec: Any) -> None:
        begun.append(command.here)
        raise OSError("not now")

    monkeypatch.setattr(known, "_fork", fork)
    for _ in range(3):
        known.find()
    assert len(begun) == 1
    os.close(lock)


def full_disk(*_: object) -> bool:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("missing", ["pidfd_open", "fork"])
def test_a_command_that_cannot_be_watched_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    def fail(*_: object) -> int:
        raise OSError(24, "Too many open files")

    path = os.fspath(tmp_path)
    lock = commands.prepare(path, "c1", ["/bin/sleep", "30"], 1.0, [])
    known = commands.Commands(path, {"cwd": "/", "env": {"PATH": "/bin:/usr/bin"}}, os.getpid())
    children, descriptors = tree.children(os.getpid()), os.listdir("/proc/self/fd")
    monkeypatch.setattr(os, missing, fail)
    known.begin("c1")
    assert tree.children(os.getpid()) == children
    assert os.listdir("/proc/self/fd") == descriptors
    assert commands.ended(path, "c1") == Ended(126, 0, "StartError", "[Errno 24] Too many open files")
    os.close(lock)


@pytest.mark.parametrize("name", ["", "../x", "a/b", "x" * 99])
def test_ids_that_are_none(name: str) -> None:
    with pytest.raises(runs.RunError, match="letters, digits"):
        commands.directory("/run", name)
