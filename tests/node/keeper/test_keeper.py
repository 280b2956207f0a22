"""Keeper and shim deaths: who notices, and what is recorded."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from roadstead.node.keeper import client, main, notify, runs, tree
from tests.node.keeper.box import Box, is_gone, poll


def test_a_killed_shim_takes_its_process_along_and_the_run_is_recorded_as_lost(own_box: Box) -> None:
    run_id = own_box.start("echo up; sleep 100 & sleep 100")
    own_box.until_log(run_id, "up")
    pid = own_box.look(run_id).pid
    os.kill(own_box.shim_of(run_id), signal.SIGKILL)
    end = own_box.end_of(run_id)
    assert (end.exit_code, end.signal, end.reason) == (137, 9, "ShimLost")
    assert is_gone(pid)
    client.start(own_box.root, run_id)
    assert own_box.end_of(run_id) == end


def test_descendants_of_a_killed_shim_die_too(own_box: Box) -> None:
    run_id = own_box.start("setsid sleep 100 & echo $!; exec sleep 100")
    poll(lambda: own_box.log(run_id).endswith("\n"), "the pid is printed")
    stray = int(own_box.log(run_id))
    os.kill(own_box.shim_of(run_id), signal.SIGKILL)
    assert own_box.end_of(run_id).reason == "ShimLost"
    poll(lambda: is_gone(stray), "the stray is killed")


def test_the_end_of_a_run_does_not_touch_one_with_the_same_id_elsewhere(own_box: Box, tmp_path: Path) -> None:
    other = Box(tmp_path)
    try:
        mine, theirs = own_box.start("sleep 100"), other.start("sleep 0.3; exit 3")
        assert mine == theirs
        own_box.until(mine, runs.RUNNING)
        os.kill(own_box.shim_of(mine), signal.SIGKILL)
        assert own_box.end_of(mine).reason == "ShimLost"
        assert other.end_of(theirs).exit_code == 3
    finally:
        other.close()


def test_orphans_that_hide_their_origin_die_with_a_killed_shim(own_box: Box) -> None:
    run_id = own_box.start("env -i setsid /bin/sleep 100 & echo $!; exec sleep 100")
    poll(lambda: own_box.log(run_id).endswith("\n"), "the pid is printed")
    stray = int(own_box.log(run_id))
    poll(lambda: tree.stat(stray) is not None, "it runs")
    os.kill(own_box.shim_of(run_id), signal.SIGKILL)
    assert own_box.end_of(run_id).reason == "ShimLost"
    poll(lambda: is_gone(stray), "the stray is killed")


def test_a_run_whose_directory_is_removed_under_it_ends(own_box: Box) -> None:
    run_id = own_box.start("setsid sleep 100 & exec sleep 100")
    shim, run = own_box.shim_of(run_id), own_box.look(run_id)
    shutil.rmtree(run.path)
    poll(lambda: is_gone(run.pid) and is_gone(shim), "process and shim are gone")
    assert own_box.run("exit 4")[0].exit_code == 4


def test_a_keeper_whose_state_directory_is_removed_leaves(tmp_path: Path) -> None:
    program = "import sys; from roadstead.node.keeper import main; main._LOOK_SECONDS = 0.05; main.main(sys.argv[1])"
    keeper = subprocess.Popen([sys.executable, "-c", program, os.fspath(tmp_path)])
    try:
        poll(lambda: (tmp_path / main.SOCKET).exists(), "it listens")
        shutil.rmtree(tmp_path)
        assert keeper.wait(20) == 0
    finally:
        keeper.kill()


def test_a_killed_keeper_costs_nothing(own_box: Box) -> None:
    run_id = own_box.start("sleep 0.2; exit 3")
    own_box.until(run_id, runs.RUNNING)
    first = own_box.keeper_pid()
    os.kill(first, signal.SIGKILL)
    assert own_box.end_of(run_id).exit_code == 3
    assert own_box.run("exit 4")[0].exit_code == 4
    assert own_box.keeper_pid() != first


def test_keeper_and_shim_killed_is_settled_by_the_next_keeper(own_box: Box) -> None:
    run_id = own_box.start("echo up; sleep 100 & sleep 100")
    own_box.until_log(run_id, "up")
    os.kill(own_box.keeper_pid(), signal.SIGKILL)
    os.kill(own_box.shim_of(run_id), signal.SIGKILL)
    own_box.until(run_id, runs.LOST)
    client.settle(own_box.root, run_id)
    assert own_box.end_of(run_id).reason == "ShimLost"


def test_settling_a_run_that_is_not_lost_does_nothing(own_box: Box) -> None:
    run_id = own_box.start("sleep 0.1; exit 8")
    client.settle(own_box.root, run_id)
    assert own_box.end_of(run_id).exit_code == 8
    client.settle(own_box.root, run_id)
    assert own_box.end_of(run_id).exit_code == 8


def test_there_is_one_keeper(own_box: Box) -> None:
    pid = own_box.keeper_pid()
    main.main(own_box.root)  # returns: the lock is taken
    assert own_box.keeper_pid() == pid


def test_shims_ignore_the_signals_of_a_closing_terminal(own_box: Box) -> None:
    run_id = own_box.start("sleep 0.2; exit 2")
    shim = own_box.shim_of(run_id)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(shim, number)
    assert own_box.end_of(run_id).exit_code == 2


def test_the_keeper_leaves_when_asked_and_shims_go_on(own_box: Box) -> None:
    run_id = own_box.start("sleep 0.2; exit 5")
    client.quit_keeper(own_box.root)
    poll(lambda: not client.is_alive(own_box.root), "the keeper is gone")
    assert own_box.end_of(run_id).exit_code == 5


def test_the_agent_is_told_of_start_and_end(own_box: Box) -> None:
    with notify.listen(own_box.root) as listener:
        run_id = own_box.start("true")
        own_box.end_of(run_id)
        listener.settimeout(10)
        assert [listener.recv(100).decode() for _ in range(2)] == [run_id, run_id]


def test_telling_nobody_is_no_error(own_box: Box) -> None:
    notify.tell(own_box.root, "pod/main/0")
    notify.tell(own_box.root + "/missing", "pod/main/0")


@pytest.mark.parametrize("bytes_sent", [b"", b"\0\0", b"\xff\xff\xff\xff", b"\0\0\0\2[]", b"\0\0\0\4nope"])
def test_nonsense_on_the_socket_harms_nobody(own_box: Box, bytes_sent: bytes) -> None:
    client.ensure(own_box.root)
    here = os.open(own_box.root, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(f"/proc/self/fd/{here}/{main.SOCKET}")
        connection.sendall(bytes_sent)
    os.close(here)
    assert own_box.run("exit 1")[0].exit_code == 1


def test_an_operation_that_does_not_exist_is_named(own_box: Box) -> None:
    with pytest.raises(client.KeeperError, match="no operation 'dance': ping, start, settle and quit are known"):
        client.ask(own_box.root, {"op": "dance", "run": "a/b/0"})


def test_the_socket_is_ours_alone(own_box: Box) -> None:
    client.ensure(own_box.root)
    assert os.stat(os.path.join(own_box.root, main.SOCKET)).st_mode & 0o777 == 0o600


def test_a_keeper_that_is_killed_as_it_starts_is_followed_by_another(
    own_box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawn, spawned = client._spawn, []

    def killed_at_first(root: str) -> None:
        spawned.append(root)
        if len(spawned) == 2:  # a third that starts late would outlive the test
            spawn(root)

    monkeypatch.setattr(client, "_spawn", killed_at_first)
    monkeypatch.setattr(client, "_SPAWN_SECONDS", 0.02)
    assert own_box.run("exit 6")[0].exit_code == 6
    assert len(spawned) > 1
