"""Process trees, read from /proc: who descends from whom, how much memory they hold, who belongs to a run."""

from __future__ import annotations

import contextlib
import os
import signal
import time

PAGE = os.sysconf("SC_PAGE_SIZE")
MARK = "ROADSTEAD_RUN"
"""Environment variable that every process of a run inherits; its value is the run's directory, which no other run
has."""


def children(pid: int) -> list[int]:
    """Direct children, zombies included. Empty if the process is gone."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                found += map(int, file.read().split())
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def descendants(pid: int) -> list[int]:
    """All below `pid`, parents before children. O(descendants)."""
    found: list[int] = []
    todo = children(pid)
    while todo:
        current = todo.pop()
        found.append(current)
        todo += children(current)
    return found


def stat(pid: int) -> tuple[str, int, int, int] | None:
    """(state letter, parent, session, start time in ticks since boot), or None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0].decode(), int(fields[1]), int(fields[3]), int(fields[19])


def start_ticks(pid: int) -> int:
    """When the process started, in ticks since boot: with the pid it names one process for good. 0 if it is gone."""
    found = stat(pid)
    return found[3] if found else 0


def runs_still(pid: int, ticks: int) -> bool:
    """Does the process that started at `ticks` still run (and is not just waiting to be reaped)?"""
    found = stat(pid)
    return found is not None and found[0] != "Z" and found[3] == ticks


def resident_bytes(pids: list[int]) -> int:
    """Sum of resident sizes. Pages that several processes share count several times: an upper bound, cheap."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/statm", "rb") as file:
                total += int(file.read().split()[1])
        except (FileNotFoundError, ProcessLookupError, IndexError):
            continue
    return total * PAGE


def proportional_bytes(pids: list[int]) -> int:
    """Sum of proportional set sizes: shared pages are split among their sharers. True, and slower (a page table
    walk)."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
                total += next((int(line.split()[1]) for line in file if line.startswith(b"Pss:")), 0)
        except (FileNotFoundError, ProcessLookupError):
            continue
        except PermissionError:
            total += resident_bytes([pid]) // 1024  # a set-uid program: its resident size is all we may see
    return total * 1024


def send(pid: int, number: int) -> None:
    """Signal a process; one that is gone is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def send_group(leader: int, number: int) -> None:
    """Signal the process group of `leader`."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def members(mark: str) -> list[int]:
    """Processes that carry the mark of a run whose shim is gone. O(processes of the machine).

    Only the mark is believed: a pid or session number that was written down may belong to somebody else by now.
    """
    wanted = f"{MARK}={mark}".encode()
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if wanted in file.read().split(b"\0"):
                    found.append(int(name))
        except OSError:
            continue  # another user's, or gone
    return found


def kill_members(mark: str, rounds: int = 20) -> None:
    """Kill what `members` finds until it finds none, so that no fork escapes; at most `rounds` times."""
    for _ in range(rounds):
        found = members(mark)
        if not found:
            return
        for pid in found:
            send(pid, signal.SIGKILL)
        time.sleep(0.001)
