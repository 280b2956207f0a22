"""What `roadstead doctor` looks at: one function per question, each answering with findings. Nothing is changed
anywhere.

`Machine` is what they look at, so that a test can show them another one.
"""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from roadstead.cli.home import Home
from roadstead.cli.processes import running

LEAST_DISK: Final = 1 << 30
LEAST_FILES: Final = 4096
"""Open files that a server with a thousand watchers and an agent with five hundred pods need."""
SOON_DAYS: Final = 30


class Level(StrEnum):
    """`problem`: something will not work. `note`: it works, and something is not as on a real cluster, or soon will not
    be."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer: about what, how bad, what was seen (with numbers), and what to do (empty where nothing is to be
    done)."""

    about: str
    level: Level
    seen: str
    advice: str = ""


def _tier(tier: str, state: Path) -> str:
    from roadstead.node.agent.isolation import try_tier

    return try_tier(tier, state)


@dataclass(frozen=True, slots=True)
class Machine:
    """Where to look. `try_tier(tier, scratch)` says why an isolation tier does not work; "" if it does."""

    home: Home
    root: Path = Path("/")
    user: int = field(default_factory=os.geteuid)
    open_files: int = field(default_factory=lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    find_program: Callable[[str], str | None] = shutil.which
    try_tier: Callable[[str, Path], str] = _tier
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


def examine(machine: Machine) -> list[Finding]:
    """Every finding, in the order in which a person would ask."""
    return [finding for question in QUESTIONS for finding in question(machine)]


def _running(machine: Machine) -> Iterator[Finding]:
    server, agent = running(machine.home, "server"), running(machine.home, "node")
    if server is None:
        yield Finding("cluster", Level.NOTE, f"no cluster is up in {machine.home.root}", "Start it: roadstead up")
        return
    yield Finding("cluster", Level.OK, f"up at {server.record.get('url')} (pid {server.pid}, {machine.home.root})")
    if agent is None:
        yield Finding("cluster", Level.PROBLEM, "its node agent is down: nothing new runs", "Start it: roadstead up")


def _programs(machine: Machine) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", Level.OK, f"{version}, SQLite {sqlite3.sqlite_version}")
    found = machine.find_program("kubectl")
    if found is None:
        yield Finding("kubectl", Level.NOTE, "not on the PATH; roadstead's own commands work without it",
                      "Install it from https://kubernetes.io/docs/tasks/tools/ to use manifests.")  # fmt: skip
    else:
        yield Finding("kubectl", Level.OK, found)


def _state(machine: Machine) -> Iterator[Finding]:
    root = machine.home.root
    there = next(path for path in (root, *root.parents) if path.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        yield Finding("state", Level.PROBLEM, f"{there} cannot be written by user {machine.user}",
                      "Set ROADSTEAD_HOME to a directory of your own, or give --home.")  # fmt: skip
        return
    free = shutil.disk_usage(there).free
    if free < LEAST_DISK:
        yield Finding("state", Level.PROBLEM, f"{_gib(free)} GiB free at {there}; objects and logs want {_gib(LEAST_DISK)} GiB",
                      "Free space there, or set ROADSTEAD_HOME to a larger disk.")  # fmt: skip
    else:
        yield Finding("state", Level.OK, f"{root}, {_gib(free)} GiB free")
    if root.exists() and root.stat().st_mode & 0o077:
        yield Finding("state", Level.PROBLEM, f"{root} is open to others (mode {root.stat().st_mode & 0o777:o}): it holds keys",
                      f"Close it: chmod 700 {root}")  # fmt: skip


def _data(machine: Machine) -> Iterator[Finding]:
    from roadstead.cluster.embedded.log import DATABASE_FILE, FORMAT

    path = machine.home.data / DATABASE_FILE
    if not path.exists():
        return
    try:
        with sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True) as connection:
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            (count,) = connection.execute("SELECT count(*) FROM current").fetchone()
            (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        connection.close()
    except sqlite3.Error as error:
        yield Finding("data", Level.PROBLEM, f"{path} cannot be read: {error}",
                      f"Restore it from a backup, or move {machine.home.data} away to start empty.")  # fmt: skip
        return
    if state != "ok":
        yield Finding("data", Level.PROBLEM, f"{path} is damaged: {state}",
                      "Stop the cluster and restore the file from a backup.")  # fmt: skip
    elif found > FORMAT:
        yield Finding("data", Level.PROBLEM, f"{path} has format {found}; this version reads up to {FORMAT}",
                      "Use the version that wrote it, or a newer one.")  # fmt: skip
    else:
        note = "" if found == FORMAT else f"; the next start makes it format {FORMAT} and keeps a backup beside it"
        yield Finding("data", Level.OK, f"{count} objects, {path.stat().st_size / 1e6:.1f} MB, format {found}{note}")


def _certificates(machine: Machine) -> Iterator[Finding]:
    from cryptography import x509

    for path in sorted(machine.home.pki.glob("*.crt")):
        try:
            ends = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
        except ValueError as error:
            yield Finding("certificates", Level.PROBLEM, f"{path} cannot be read: {error}",
                          "Restore it from a backup, or remove it: it is made anew at the next start.")  # fmt: skip
            continue
        left = (ends - machine.now()).days
        if left < SOON_DAYS:
            advice = "A restart makes a new one: roadstead down, roadstead up"
            if path.name == "ca.crt":
                advice = f"Stop the cluster and remove ca.crt and ca.key in {path.parent}: both and every kubeconfig are made anew."
            level = Level.PROBLEM if left < 0 else Level.NOTE
            yield Finding("certificates", level, f"{path} ends on {ends:%Y-%m-%d} ({left} days from now)", advice)


def _isolation(machine: Machine) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory(prefix="roadstead-doctor-") as scratch:
        refused = {}
        for tier in ("root", "userns") if machine.user == 0 else ("userns",):
            why = machine.try_tier(tier, Path(scratch))
            if not why:
                yield Finding("isolation", Level.OK, f"{tier}: volumes are mounted where pods ask for them")
                break
            refused[tier] = why
        else:
            tried = "; ".join(f"{tier}: {why}" for tier, why in refused.items())
            yield Finding("isolation", Level.NOTE, f"bare: pods see the machine as it is ({tried})",
                          "Volumes are found by ROADSTEAD_VOLUME_<NAME>. Where it is allowed: sysctl kernel.unprivileged_userns_clone=1")  # fmt: skip
    yield Finding(
        "isolation",
        Level.NOTE,
        "CPU limits, securityContext and images are not enforced: processes are yours, on this machine",
    )
    yield Finding("isolation", Level.NOTE, "memory limits are kept by watching resident size, a few times a second")
    yield Finding("isolation", Level.NOTE, "roles decide about the API, not about processes: a pod can read what the owner of the server can",
                  "Give rights only to people to whom you would give a shell; docs/security.md says what is not kept apart.")  # fmt: skip


def _limits(machine: Machine) -> Iterator[Finding]:
    if machine.open_files != resource.RLIM_INFINITY and machine.open_files < LEAST_FILES:
        yield Finding("limits", Level.NOTE, f"a process may open {machine.open_files} files; busy clusters want {LEAST_FILES}",
                      f"Raise it before `up`: ulimit -n {LEAST_FILES}")  # fmt: skip
    elif machine.open_files == resource.RLIM_INFINITY:
        yield Finding("limits", Level.OK, "a process may open any number of files")
    else:
        yield Finding("limits", Level.OK, f"a process may open {machine.open_files} files")


def _devices(machine: Machine) -> Iterator[Finding]:
    found = sorted((machine.root / "proc/driver/nvidia/gpus").glob("*"))
    if found:
        yield Finding("devices", Level.NOTE, f"{len(found)} NVIDIA GPUs are in this machine and not found by themselves yet",
                      "Name a profile with as many: roadstead up --node NAME=h100x8 (CUDA_VISIBLE_DEVICES is set for each job).")  # fmt: skip
    else:
        yield Finding(
            "devices", Level.OK, "no GPUs here; nodes may have simulated ones: roadstead up --node gpu=h100x8"
        )


QUESTIONS: Final[Sequence[Callable[[Machine], Iterator[Finding]]]] = (
    _running,
    _programs,
    _state,
    _data,
    _certificates,
    _isolation,
    _limits,
    _devices,
)


def _gib(amount: int) -> str:
    return f"{amount / (1 << 30):.1f}"
