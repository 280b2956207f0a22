"""What a run does: ends, signals, memory, leftovers, output; and that it happens once."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from roadstead.node.keeper import client, linux, runs, tree
from roadstead.node.keeper.runs import RunError
from tests.node.keeper.box import Box, is_gone, poll


@pytest.mark.parametrize(
    ("command", "code", "number", "reason"),
    [
        ("exit 0", 0, 0, "Completed"),
        ("exit 3", 3, 0, "Error"),
        ("exit 137", 137, 0, "Error"),
        ("kill -KILL $$", 137, 9, "Error"),
        ("kill -TERM $$", 143, 15, "Error"),
        ("kill -SEGV $$", 139, 11, "Error"),
    ],
)
def test_how_a_process_ended_is_recorded(box: Box, command: str, code: int, number: int, reason: str) -> None:
    end, _ = box.run(command)
    assert (end.exit_code, end.signal, end.reason) == (code, number, reason)
    assert 0 < end.started_at <= end.finished_at <= time.time_ns()


@pytest.mark.parametrize(
    ("argv", "spec", "text"),
    [
        (["no-such-program"], {}, 'exec: "no-such-program": executable file not found in PATH='),
        (["/no/such/file"], {}, 'exec: "/no/such/file": executable file not found'),
        (["/etc/passwd"], {}, 'exec: "/etc/passwd": permission denied'),
        (["true"], {"cwd": "/no/such"}, "working directory '/no/such' cannot be entered: No such file or directory"),
    ],
)
def test_a_program_that_cannot_be_executed_says_why(box: Box, argv: list[str], spec: runs.Json, text: str) -> None:
    run_id = box.fresh_id()
    box.prepare(run_id, *argv, "--", **spec)
    client.start(box.root, run_id)
    end = box.end_of(run_id)
    assert (end.exit_code, end.reason) == (128, "StartError")
    assert end.message.startswith(text)


def test_environment_directory_and_descriptors_are_exactly_what_the_spec_says(box: Box, tmp_path: Path) -> None:
    program = "import os; print(sorted(os.environ), os.getcwd(), sorted(map(int, os.listdir('/proc/self/fd'))))"
    end, log = box.run(sys.executable, "-S", "-c", program, env={"A": "1"}, cwd=os.fspath(tmp_path))
    assert end.exit_code == 0, log
    assert log.strip() == f"['A', 'LC_CTYPE', 'LEDGER', 'PATH', 'ROADSTEAD_RUN'] {tmp_path} [0, 1, 2, 3]"


def test_signals_are_as_a_shell_would_give_them(box: Box) -> None:
    end, log = box.run("grep -E 'Sig(Blk|Ign)' /proc/self/status")
    assert end.exit_code == 0
    reserved = 0b11 << 31  # signals 32 and 33 are the C library's own: nobody can set them, so they are as inherited
    assert [int(line.split()[1], 16) & ~reserved for line in log.splitlines()] == [0, 0]


def test_output_of_both_streams_is_in_one_file_in_the_order_of_writing(box: Box) -> None:
    _, log = box.run("for i in 1 2 3; do echo out $i; echo err $i >&2; done")
    assert log.splitlines() == ["out 1", "err 1", "out 2", "err 2", "out 3", "err 3"]


def test_the_time_of_output_is_noted(box: Box) -> None:
    before = time.time_ns()
    run_id = box.start("echo one; sleep 0.15; echo two")
    box.end_of(run_id)
    entries = [line.split() for line in Path(box.look(run_id).log + ".times").read_text().splitlines()]
    assert [int(size) for _, size in entries] == [4, 8]
    moments = [int(moment) for moment, _ in entries]
    assert before < moments[0] < moments[1] < time.time_ns()


def test_stop_signals_children_too_and_the_shell_may_still_clean_up(box: Box) -> None:
    run_id = box.start("trap 'echo bye; exit 5' TERM; echo up; sleep 100 & wait")
    box.until_log(run_id, "up")
    runs.request_stop(box.root, run_id, signal.SIGTERM, 30)
    assert box.end_of(run_id).exit_code == 5
    assert "bye" in box.log(run_id)


def test_a_process_that_ignores_the_signal_is_killed_after_the_grace(box: Box) -> None:
    run_id = box.start("trap '' TERM; echo up; while :; do sleep 100; done")
    box.until_log(run_id, "up")
    asked = time.time_ns()
    runs.request_stop(box.root, run_id, signal.SIGTERM, 0.3)
    end = box.end_of(run_id)
    assert (end.exit_code, end.signal) == (137, 9)
    assert end.finished_at - asked >= 300_000_000


def test_a_second_stop_can_shorten_the_grace_and_not_lengthen_it(box: Box) -> None:
    run_id = box.start("trap 'echo term' TERM; echo up; while :; do sleep 0.05; done")
    box.until_log(run_id, "up")
    runs.request_stop(box.root, run_id, signal.SIGTERM, 1000)
    box.until_log(run_id, "term")
    runs.request_stop(box.root, run_id, signal.SIGTERM, 0.1)
    runs.request_stop(box.root, run_id, signal.SIGTERM, 1000)
    assert box.end_of(run_id).signal == 9
    assert box.log(run_id).count("term") == 1


def test_a_request_to_stop_that_nobody_was_woken_for_is_still_obeyed(box: Box) -> None:
    run_id = box.start("sleep 100")
    run = box.until(run_id, runs.RUNNING)
    record = {"format": 1, "signal": signal.SIGTERM, "kill_at": time.time_ns() + 10**12}
    runs.replace_json(os.path.join(run.path, "stop.json"), record)
    assert box.end_of(run_id).signal == 15


def test_what_a_process_leaves_behind_is_killed_when_it_ends(box: Box) -> None:
    end, log = box.run("setsid sleep 100 & echo $!; (setsid sleep 100 & echo $!); exit 4")
    assert end.exit_code == 4
    assert [is_gone(int(line)) for line in log.split()] == [True, True]


def test_a_descendant_that_left_the_session_is_signalled_too(box: Box) -> None:
    child = "trap 'echo heard; exit' TERM; echo up; while :; do sleep 0.05; done"
    run_id = box.start(f'trap : TERM; setsid sh -c "{child}" & wait; wait; exit 3')
    box.until_log(run_id, "up")
    runs.request_stop(box.root, run_id, signal.SIGTERM, 1000)
    assert box.end_of(run_id).exit_code == 3
    assert "heard" in box.log(run_id)


def test_memory_beyond_the_limit_kills_the_whole_tree(box: Box) -> None:
    program = "import os,time; os.fork(); x = b'x' * 60_000_000; time.sleep(100)"
    end, _ = box.run(sys.executable, "-S", "-c", program, memory_bytes=80_000_000)
    assert (end.exit_code, end.signal, end.reason) == (137, 9, "OOMKilled")
    assert "the limit is 80000000" in end.message


def test_memory_that_forked_workers_share_counts_once(box: Box) -> None:
    program = (
        "import os,time\nx = b'x' * 40_000_000\npids = []\n"
        "for _ in range(4):\n    pid = os.fork()\n    if pid == 0:\n        time.sleep(0.4); os._exit(0)\n    pids.append(pid)\n"
        "for pid in pids: os.waitpid(pid, 0)"
    )
    end, log = box.run(sys.executable, "-S", "-c", program, memory_bytes=100_000_000)
    assert end.exit_code == 0, (end, log)


def test_many_threads_that_start_one_run_start_it_once(own_box: Box) -> None:
    run_id = own_box.fresh_id()

    def start() -> None:
        own_box.prepare(run_id, f"echo {run_id} >> $LEDGER; sleep 0.05")
        client.start(own_box.root, run_id)

    threads = [threading.Thread(target=start) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    own_box.end_of(run_id)
    client.start(own_box.root, run_id)
    client.ask(own_box.root, {"op": "ping"})
    assert own_box.ledger_lines() == [run_id]


def test_a_cancelled_run_never_starts(box: Box) -> None:
    run_id = box.fresh_id()
    box.prepare(run_id, f"echo {run_id} >> $LEDGER")
    assert box.look(run_id).state == runs.PREPARED
    runs.cancel(box.root, run_id)
    client.start(box.root, run_id)
    end = box.end_of(run_id)
    assert (end.exit_code, end.reason) == (137, "ContainerStatusUnknown")
    assert run_id not in box.ledger_lines()


def test_cancelling_a_running_run_changes_nothing(box: Box) -> None:
    run_id = box.start("sleep 0.2; exit 6")
    box.until(run_id, runs.RUNNING)
    runs.cancel(box.root, run_id)
    assert box.end_of(run_id).exit_code == 6


def test_a_spec_is_not_changed_by_preparing_again(box: Box) -> None:
    run_id = box.fresh_id()
    box.prepare(run_id, "exit 1")
    box.prepare(run_id, "exit 2")
    client.start(box.root, run_id)
    assert box.end_of(run_id).exit_code == 1


def test_a_run_of_an_earlier_boot_is_lost_and_not_started(box: Box) -> None:
    run_id = box.fresh_id()
    path = box.prepare(run_id, f"echo {run_id} >> $LEDGER")
    spec = json.loads(Path(path, "spec.json").read_text())
    Path(path, "spec.json").write_text(json.dumps({**spec, "boot": "another"}))
    assert box.look(run_id).state == runs.LOST
    client.start(box.root, run_id)
    poll(lambda: not tree.children(box.keeper_pid()), "the shim looked and left")
    client.settle(box.root, run_id)
    assert box.end_of(run_id).reason == "ShimLost"
    assert run_id not in box.ledger_lines()


def test_records_of_a_newer_format_are_refused_with_what_to_do(box: Box) -> None:
    run_id = box.fresh_id()
    path = box.prepare(run_id, "true")
    Path(path, "spec.json").write_text('{"format": 99}')
    with pytest.raises(
        RunError, match=rf"has format 99; this program reads up to {runs.FORMAT}: use the newer program"
    ):
        runs.look(box.root, run_id)
    assert run_id not in {run.run_id for run in runs.scan(box.root)}
    with pytest.raises(client.KeeperError, match="format 99"):
        client.settle(box.root, run_id)


def test_a_damaged_record_is_named(box: Box) -> None:
    run_id = box.fresh_id()
    path = box.prepare(run_id, "true")
    Path(path, "spec.json").write_text("{")
    with pytest.raises(RunError, match=r"spec\.json is damaged"):
        runs.look(box.root, run_id)


@pytest.mark.parametrize("run_id", ["a/b", "a/b/x", "../b/0", "a/../0", "/a/b/0", "a b/c/0", ""])
def test_ids_that_are_no_ids_are_refused(box: Box, run_id: str) -> None:
    with pytest.raises(RunError, match="is not <pod uid>/<container>/<attempt>"):
        runs.directory(box.root, run_id)
    with pytest.raises(client.KeeperError):
        client.start(box.root, run_id)


def test_a_pod_is_removed_only_when_nothing_of_it_runs(box: Box) -> None:
    run_id = box.start("sleep 100")
    box.until(run_id, runs.RUNNING)
    uid = run_id.partition("/")[0]
    assert not runs.remove_pod(box.root, uid)
    runs.request_stop(box.root, run_id, signal.SIGKILL, 0)
    box.end_of(run_id)
    poll(lambda: runs.remove_pod(box.root, uid), "the pod is removed")
    assert runs.look(box.root, run_id) is None


def test_state_directories_may_have_long_names(tmp_path: Path) -> None:
    box = Box(tmp_path / ("long-" * 30) / ("name-" * 30))
    try:
        assert box.run("exit 9")[0].exit_code == 9
    finally:
        box.close()


def test_scan_lists_what_is_on_disk(own_box: Box) -> None:
    first, second = own_box.start("exit 2"), own_box.start("sleep 100")
    own_box.end_of(first)
    own_box.until(second, runs.RUNNING)
    Path(own_box.root, "runs", "stranger").mkdir()
    found = {run.run_id: run.state for run in runs.scan(own_box.root)}
    assert found == {first: runs.EXITED, second: runs.RUNNING}


def test_the_processes_of_a_run_are_found_by_their_mark(box: Box) -> None:
    run_id = box.start("setsid sleep 100 & echo $!; sleep 100")
    poll(lambda: len(box.log(run_id).split()) == 1, "the pid is printed")
    child = int(box.log(run_id))
    assert {child, box.look(run_id).pid} <= set(tree.members(runs.mark(box.look(run_id).path)))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    place = tmp_path / "small"
    place.mkdir()
    linux.mount("small", os.fspath(place), "tmpfs", 0, "size=256k")
    yield place
    linux.unmount(os.fspath(place), linux.MNT_DETACH)


def test_a_full_disk_loses_no_exit_code_and_stops_can_still_be_asked_for(small_disk: Path) -> None:
    box = Box(small_disk)
    try:
        first = box.start(f"cat /dev/zero > {small_disk}/fill; exit 3")
        assert box.end_of(first).exit_code == 3
        (small_disk / "fill").unlink()
        second = box.start(
            f"trap 'exit 5' TERM; cat /dev/zero > {small_disk}/fill; echo full > /dev/null; while :; do sleep 0.02; done"
        )
        poll(lambda: os.statvfs(small_disk).f_bavail == 0, "the disk is full")
        runs.request_stop(box.root, second, signal.SIGTERM, 1000)
        assert box.end_of(second).exit_code == 5
        with pytest.raises(OSError, match="No space left"):
            box.prepare(box.fresh_id(), "true")
    finally:
        (small_disk / "fill").unlink(missing_ok=True)
        box.close()
