"""Where state lives, what is remembered there, what is removed again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from roadstead.cli.failure import Failure
from roadstead.cli.home import SOCKET_PATH_LIMIT, Home, find_home, read_record, write_record
from roadstead.cli.nodes import chosen_nodes, parse_node, remember_nodes, this_machine
from roadstead.cli.processes import DidNotStart, myself, running, start, start_time, stop, tail_of


@pytest.mark.parametrize(
    ("explicit", "environment", "root"),
    [
        ("/a", {"ROADSTEAD_HOME": "/b", "XDG_STATE_HOME": "/c"}, "/a"),
        (None, {"ROADSTEAD_HOME": "/b", "XDG_STATE_HOME": "/c"}, "/b"),
        (None, {"XDG_STATE_HOME": "/c"}, "/c/roadstead"),
        (None, {"ROADSTEAD_HOME": "", "XDG_STATE_HOME": ""}, os.path.expanduser("~/.local/state/roadstead")),
    ],
)
def test_which_home(explicit: str | None, environment: dict[str, str], root: str) -> None:
    assert find_home(explicit, environment).root == Path(root)


def test_a_deep_home_has_its_socket_elsewhere(tmp_path: Path) -> None:
    shallow, deep = Home(Path("/s")), Home(tmp_path / ("x" * 120))
    assert shallow.socket == Path("/s/api.sock")
    assert len(str(deep.socket)) <= SOCKET_PATH_LIMIT
    assert deep.socket != Home(tmp_path / ("y" * 120)).socket


def test_everything_is_private(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    write_record(home.record("server"), {"pid": 1})
    assert all(path.stat().st_mode & 0o077 == 0 for path in (home.root, *home.root.rglob("*")))


def test_forgetting_removes_what_is_ours_and_nothing_else(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    write_record(home.record("server"), {"pid": 1})
    home.kubeconfig.write_text("x")
    (tmp_path / "thesis.tex").write_text("years of work")
    home.forget()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    (tmp_path / "thesis.tex").unlink()
    home.prepare()
    home.forget()
    assert not tmp_path.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", "\x00", '{"pid": "1", "started": 2}', '{"pid": 1}'])
def test_a_record_that_says_nothing(content: str, tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    home.record("server").write_text(content)
    assert running(home, "server") is None


def test_a_recycled_pid_is_not_the_process_that_wrote_the_record(tmp_path: Path) -> None:
    home = Home(tmp_path)
    me = myself()
    write_record(home.record("server"), me)
    found = running(home, "server")
    assert found is not None
    assert found.pid == os.getpid()
    write_record(home.record("server"), {**me, "started": me["started"] - 1})
    assert running(home, "server") is None
    assert not stop(home, "server"), "and is not stopped either"
    assert read_record(home.record("server")) is None, "a stale record is cleared away"


def test_stopping_finds_what_was_still_starting(tmp_path: Path) -> None:
    """Whoever started it may be gone by now."""
    home = Home(tmp_path)
    home.prepare()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    write_record(home.record("node-starting"), {"pid": child.pid, "started": start_time(child.pid)})
    assert running(home, "node") is None
    assert stop(home, "node")
    assert start_time(child.pid) is None
    child.wait(timeout=10)


def test_a_part_that_ends_before_it_is_ready(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    with pytest.raises(DidNotStart, match="ended with exit code 1") as failure:
        start(home, "node", [])
    assert "no cluster is up" in failure.value.tail
    assert not stop(home, "node")


def test_a_part_that_never_says_it_is_ready(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    with pytest.raises(DidNotStart, match="was not ready after 0 s"):
        start(home, "server", [], ready_seconds=0.0)
    assert running(home, "server") is None
    assert not home.record("server-starting").exists()


def test_the_tail_of_a_log_is_of_this_start_alone(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("old\n" * 20)
    begin = log.stat().st_size
    with log.open("a") as file:
        file.write("".join(f"{i}\n" for i in range(20)))
    assert tail_of(log, begin, lines=3) == "17\n18\n19"
    assert tail_of(tmp_path / "none") == ""


def test_nodes_are_remembered(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert chosen_nodes(home, ()) == (this_machine(),)
    remember_nodes(home, ["gpu=h100x8,cpu=2"])
    assert chosen_nodes(home, ()) == ("gpu=h100x8,cpu=2",)
    assert chosen_nodes(home, ("a=cpu", "b=l4x1")) == ("a=cpu", "b=l4x1")


@pytest.mark.parametrize("amount", ["cpu=x", "cpu=0", "memory=-1Gi", "memory=4Gigs"])
def test_amounts_of_a_node(amount: str) -> None:
    with pytest.raises(Failure, match=f"node a: {amount} is not an amount above 0"):
        parse_node(f"a=h100x8,{amount}")


def test_this_machine_has_a_name_that_the_server_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("Box_1.example.com", "-x-", "_", "x" * 200):
        monkeypatch.setattr("socket.gethostname", lambda name=name: name)
        assert parse_node(this_machine()).name
