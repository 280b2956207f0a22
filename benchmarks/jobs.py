"""Jobs through a whole embedded cluster: latency, API writes per Job, completed Jobs per second.

Method: `roadstead up` in a temporary home (server and node agent as processes of their own, durability full), one-pod
queued Jobs of a real process (`sh`) submitted over the Unix socket. Boundaries: *submit* is the moment before the
create request leaves this process; *running* is the moment that the process itself writes down first; *finished* is
when a watch in this process shows the Job Complete. Writes are the rows that the store's log gained between two quiet
moments, each one change that got a resourceVersion, by resource and kind of change; Events, Leases and Nodes apart:
what the database says, nothing sampled.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from roadstead.cli.home import Home
from roadstead.cli.jobs import Request, job_manifest
from roadstead.cluster.embedded.log import DATABASE_FILE
from roadstead.cluster.remote import RemoteCluster
from roadstead.kinds.names import JOBS
from roadstead.kinds.object import Object
from roadstead.kinds.views.common import has_condition
from roadstead.kinds.views.job import JobView
from roadstead.runtime.cluster import Create, EventType

ONE_BY_ONE = 20
BURST = 50
CPUS = 64
NARROW = 16
LONG_SECONDS = (15, 40, 75)
"""Below and above the times after which ClusterQueues and LocalQueues write what runs in them
(controllers/queues/patience.py)."""
QUIET_SECONDS = 64.0
"""Longer than any status is put off."""
PATIENCE_SECONDS = 240.0
APART = ("events", "leases", "nodes")
"""Written whether anything runs or not (an agent reports its node every few minutes), or beside the work."""


def run() -> Iterator[str]:
    """Latency and writes one at a time, then two bursts."""
    with tempfile.TemporaryDirectory(prefix="roadstead-bench-") as made:
        home = Home(Path(made) / "home")
        _command(home, "up", "--port", "0", "--node", f"bench=cpu,cpu={CPUS},memory=64Gi")
        try:
            yield from _measure(home, Path(made))
        finally:
            _command(home, "down")


def _command(home: Home, *words: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "roadstead.cli", words[0], "--home", str(home.root), *words[1:]],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=PATIENCE_SECONDS,
    )


def _measure(home: Home, scratch: Path) -> Iterator[str]:
    store = home.data / DATABASE_FILE
    asyncio.run(_one_by_one(home, scratch, "warm", 2))
    mark = _quiet(store)
    times = asyncio.run(_one_by_one(home, scratch, "one", ONE_BY_ONE))
    running = [begun - sent for sent, begun, _ in times]
    whole = [ended - sent for sent, _, ended in times]
    yield (
        f"   {ONE_BY_ONE} Jobs one at a time, submit -> process running: median {_ms(running)} ms, "
        f"slowest {max(running) * 1e3:.0f} ms (floor 300, target 50)"
    )
    yield f"   {ONE_BY_ONE} Jobs one at a time, submit -> seen Complete: median {_ms(whole)} ms"
    before, mark = mark, _quiet(store)
    yield from _writes(store, before, mark, ONE_BY_ONE, "one at a time")
    for length in LONG_SECONDS:
        asyncio.run(_one_by_one(home, scratch, f"long{length}", 1, length))
        before, mark = mark, _quiet(store)
        yield from _writes(store, before, mark, 1, f"one of {length} s with nobody beside it")
    for cpu, label in (
        ("1", f"burst of {BURST}, room for all"),
        (str(CPUS // NARROW), f"burst of {BURST}, room for {NARROW}"),
    ):
        seconds = asyncio.run(_burst(home, scratch, f"burst{cpu}", cpu))
        yield f"   {label}: {BURST / seconds:.1f} completed Jobs/s, first submit -> last seen Complete ({seconds:.2f} s)"
        before, mark = mark, _quiet(store)
        yield from _writes(store, before, mark, BURST, label)


def _ms(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1e3:.0f}"


# ---------------------------------------------------------------------- Jobs


async def _one_by_one(
    home: Home, scratch: Path, prefix: str, count: int, seconds: int = 0
) -> list[tuple[float, float, float]]:
    """(submitted, running, finished) of each, in seconds since the epoch."""
    found = []
    cluster = RemoteCluster("http://localhost", uds=home.socket)
    try:
        ends = _Ends(cluster)
        async with ends:
            for number in range(count):
                name = f"{prefix}-{number}"
                sent = time.time()
                await _submit(cluster, scratch, name, "1", seconds)
                ended = await ends.of(name)
                found.append((sent, int((scratch / name).read_text()) / 1e9, ended))
                await asyncio.sleep(0.5)  # an idle machine between two Jobs
    finally:
        await cluster.close()
    return found


async def _burst(home: Home, scratch: Path, prefix: str, cpu: str) -> float:
    cluster = RemoteCluster("http://localhost", uds=home.socket)
    try:
        async with _Ends(cluster) as ends:
            began = time.time()
            names = [f"{prefix}-{number}" for number in range(BURST)]
            await asyncio.gather(*(_submit(cluster, scratch, name, cpu) for name in names))
            return max([await ends.of(name) for name in names]) - began
    finally:
        await cluster.close()


async def _submit(cluster: RemoteCluster, scratch: Path, name: str, cpu: str, seconds: int = 0) -> None:
    words = ("sh", "-c", f"date +%s%N > {scratch / name}{f'; sleep {seconds}' if seconds else ''}")
    value = job_manifest(Request(words, cpus=cpu, name=name), directory=str(scratch), shell=os.environ)
    outcome = await cluster.write(Create(JOBS, value))
    if not outcome.is_done:
        raise RuntimeError(f"the Job {name} was refused: {outcome.result} {outcome.message}")


class _Ends:
    """When a watch showed each Job Complete."""

    def __init__(self, cluster: RemoteCluster) -> None:
        self._cluster = cluster
        self._ended: dict[str, asyncio.Future[float]] = {}
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> _Ends:
        listing = await self._cluster.list(JOBS)
        self._task = asyncio.create_task(self._watch(listing.resource_version))
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait((self._task,))

    def _future(self, name: str) -> asyncio.Future[float]:
        return self._ended.setdefault(name, asyncio.get_running_loop().create_future())

    async def of(self, name: str) -> float:
        return await asyncio.wait_for(asyncio.shield(self._future(name)), PATIENCE_SECONDS)

    async def _watch(self, version: str) -> None:
        async for event in self._cluster.watch(JOBS, version):
            if event.object is not None and event.type is EventType.MODIFIED:
                self._see(event.object)

    def _see(self, job: Object) -> None:
        future = self._future(job.meta.name)
        conditions = job.view(JobView).status.conditions
        if has_condition(conditions, "Failed") and not future.done():
            future.set_exception(RuntimeError(f"the Job {job.meta.name} failed"))
        elif has_condition(conditions, "Complete") and not future.done():
            future.set_result(time.time())


# ---------------------------------------------------------------------- writes


def _rows(store: Path, after: int) -> list[tuple[int, str, str]]:
    """(rv, resource, operation) of every change after a resourceVersion."""
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as connection:
        rows = connection.execute("SELECT rv, key, op FROM log WHERE rv > ? ORDER BY rv", (after,)).fetchall()
    connection.close()
    return [(rv, _resource(key), op) for rv, key, op in rows]


def _resource(key: str) -> str:
    """Keys are `group/plural:namespace/name` (cluster/embedded/store.py)."""
    return key.partition(":")[0].rpartition("/")[2]


def _quiet(store: Path) -> int:
    """The newest resourceVersion, once nothing but what is counted apart has been written for a while."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    last, since = -1, time.monotonic()
    while time.monotonic() < deadline:
        newest = max((rv for rv, resource, _ in _rows(store, last) if resource not in APART), default=last)
        if newest != last:
            last, since = newest, time.monotonic()
        elif time.monotonic() - since > QUIET_SECONDS:
            return max((rv for rv, _, _ in _rows(store, last)), default=last)
        time.sleep(0.2)
    raise RuntimeError(f"the cluster did not come to rest within {PATIENCE_SECONDS:.0f} s")


def _writes(store: Path, after: int, until: int, jobs: int, label: str) -> Iterator[str]:
    rows = [row for row in _rows(store, after) if row[0] <= until]
    counted = Counter((resource, op) for _, resource, op in rows if resource not in APART)
    apart = sum(resource in APART for _, resource, _ in rows)
    total = sum(counted.values())
    yield (
        f"   {label}: {total / jobs:.2f} API writes per completed Job (target 12, floor 16), "
        f"and {apart / jobs:.1f} Events, Leases and Nodes"
    )
    names = {"ADDED": "create", "MODIFIED": "update", "DELETED": "delete"}
    parts = [f"{resource} {names[op]} {count / jobs:.2f}" for (resource, op), count in sorted(counted.items())]
    for at in range(0, len(parts), 5):
        yield f"      {', '.join(parts[at : at + 5])}"
