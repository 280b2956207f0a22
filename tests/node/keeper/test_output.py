"""Output on its way from a process into the log: nothing lost, whoever dies; the limit; how it looks to a script."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import struct
import termios
import time
from pathlib import Path

import pytest

from roadstead.node.keeper import client, linux, main, output, runs, tree
from tests.node.keeper.box import Box, poll


def test_a_script_that_opens_its_streams_again_loses_nothing(box: Box) -> None:
    end, log = box.run(
        "echo one; echo two > /dev/stderr; echo three > /dev/stdout; echo four >> /proc/self/fd/1; echo five >&2"
    )
    assert (end.exit_code, log) == (0, "one\ntwo\nthree\nfour\nfive\n")


def test_both_streams_keep_the_order_of_the_writes(box: Box) -> None:
    _, log = box.run("for i in 1 2 3 4 5 6 7 8 9; do echo $i; echo e$i >&2; done")
    assert log.split() == [word for i in range(1, 10) for word in (str(i), f"e{i}")]


def test_output_right_before_the_end_is_in_the_log_when_the_end_is_known(box: Box) -> None:
    for _ in range(5):
        _, log = box.run("head -c 300000 /dev/zero | tr '\\0' x; echo end")
        assert (len(log), log[-4:]) == (300004, "end\n")


def test_a_process_that_closed_its_streams_costs_no_processor(box: Box) -> None:
    run_id = box.start("exec >/dev/null 2>&1; sleep 0.6")
    shim = box.shim_of(run_id)
    box.until(run_id, runs.RUNNING)
    before = _ticks(shim)
    time.sleep(0.4)
    assert _ticks(shim) - before < 10, "the shim waits for output that cannot come"
    assert box.end_of(run_id).exit_code == 0


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_a_background_child_that_outlives_the_process_does_not_hold_up_its_end(box: Box) -> None:
    end, log = box.run("(sleep 100; echo late) & echo now; exit 3")
    assert (end.exit_code, log) == (3, "now\n")


def test_the_limit_comes_with_the_run(box: Box) -> None:
    run_id = box.start("i=0; while [ $((i=i+1)) -le 20000 ]; do echo line $i; done", log_limit=[20_000, 3])
    box.end_of(run_id)
    path = box.look(run_id).log
    begin = output.read_begin(path)
    kept = Path(path).read_bytes()[begin:]
    assert kept.startswith(b"line ")
    assert kept.endswith(b"line 20000\n")
    assert 40_000 - 100 <= len(kept) <= 60_000 + 65_536
    assert os.stat(path).st_blocks * 512 < 200_000


def test_every_byte_has_a_time(box: Box) -> None:
    run_id = box.start("echo one; sleep 0.05; echo two")
    box.end_of(run_id)
    path = box.look(run_id).log
    entries = [tuple(map(int, line.split())) for line in Path(f"{path}.times").read_text().splitlines()]
    sizes = [size for _, size in entries]
    assert (sizes[0], sizes[-1]) == (4, 8)
    assert entries[-1][0] - entries[0][0] > 40_000_000


def test_what_a_killed_shim_had_not_moved_yet_is_moved_by_the_keeper(own_box: Box) -> None:
    run_id = own_box.start(
        "echo first; read x < $GATE; echo second; read x < $GATE", env={"GATE": f"{own_box.root}/gate"}
    )
    os.mkfifo(f"{own_box.root}/gate")
    own_box.until_log(run_id, "first")
    shim = own_box.shim_of(run_id)
    os.kill(shim, signal.SIGSTOP)
    poll(lambda: (about := tree.stat(shim)) and about[0] == "T", "the shim stands still")
    Path(own_box.root, "gate").write_text("go\n")
    fifo = output.open_fifo(own_box.look(run_id).path)
    poll(lambda: _waiting(fifo), "the second line is in the fifo")
    os.close(fifo)
    os.kill(shim, signal.SIGKILL)
    assert own_box.end_of(run_id).reason == "ShimLost"
    assert own_box.log(run_id) == "first\nsecond\n"


def _waiting(fifo: int) -> int:
    size: int = struct.unpack("i", fcntl.ioctl(fifo, termios.FIONREAD, b"\0" * 4))[0]
    return size


def test_a_keeper_that_was_killed_has_a_successor_that_holds_output_again(own_box: Box) -> None:
    run_id = own_box.start(
        "echo first; read x < $GATE; echo second; read x < $GATE", env={"GATE": f"{own_box.root}/gate"}
    )
    os.mkfifo(f"{own_box.root}/gate")
    own_box.until_log(run_id, "first")
    os.kill(own_box.keeper_pid(), signal.SIGKILL)
    poll(lambda: not client.is_alive(own_box.root), "the keeper is gone")
    shim = own_box.shim_of(run_id)
    client.ensure(own_box.root)
    os.kill(shim, signal.SIGSTOP)
    Path(own_box.root, "gate").write_text("go\n")
    fifo = output.open_fifo(own_box.look(run_id).path)
    poll(lambda: _waiting(fifo), "the second line is in the fifo")
    os.close(fifo)
    os.kill(shim, signal.SIGKILL)
    own_box.until(run_id, runs.LOST)
    client.settle(own_box.root, run_id)
    assert own_box.log(run_id) == "first\nsecond\n"


def test_a_keeper_keeps_descriptors_for_itself(own_box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = main.Keeper(own_box.root, -1)
    ids = [own_box.fresh_id() for _ in range(3)]
    for run_id in ids:
        own_box.prepare(run_id, "true")
    monkeypatch.setattr(main, "_held_limit", lambda: 2)
    for run_id in ids:
        keeper._hold_output(run_id)
    assert list(keeper.outputs) == ids[:2]
    for run_id in ids:
        keeper._drop_output(run_id)


def test_an_index_that_grows_notes_more_rarely(tmp_path: Path) -> None:
    output.make_fifo(str(tmp_path))
    moved = output.Output(str(tmp_path))
    fifo = output.open_for_process(str(tmp_path))
    moved._index_size = 12 << 20
    os.write(fifo, b"one\n")
    moved.drain()
    os.write(fifo, b"two\n")
    moved.drain()
    wait = moved.note()
    assert wait is not None
    assert 0.5 < wait <= 1.0
    os.close(fifo)
    moved.close()
    assert Path(tmp_path, "log.times").read_text().split()[1::2] == ["4", "8"]


def test_where_blocks_cannot_be_given_back_the_log_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int, offset: int, length: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "not here")

    monkeypatch.setattr(linux, "punch_hole", refuse)
    output.make_fifo(str(tmp_path))
    moved = output.Output(str(tmp_path), (1000, 2))
    fifo = output.open_for_process(str(tmp_path))
    for _ in range(10):
        os.write(fifo, b"x" * 999 + b"\n")
        moved.drain()
    os.close(fifo)
    moved.close()
    assert Path(tmp_path, "log").read_bytes() == (b"x" * 999 + b"\n") * 10
    assert output.read_begin(str(tmp_path / "log")) == 0
