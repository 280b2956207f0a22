"""One load against one server: creates the Workloads, plays what runs, and writes down when what happened (as Kueue's
runner does).

A Workload is created at its time whatever happened to those before it; is it admitted, it gets Finished=True after its
runtime, counted from the moment at which the watch here showed it admitted; is it evicted, its runtime starts over with
its next admission. An evicted Workload gives its reservation back by the server's own controller, since no job stands
behind it (Kueue's runner clears it itself).
"""

from __future__ import annotations

import asyncio
import heapq
import os
import sqlite3
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson

from benchmarks import _kueue_loads as loads
from benchmarks._kueue_client import Pool, Refused, Watch
from benchmarks._kueue_loads import KUEUE, Class, Load

CONNECTIONS: Final = 32
HURRY_MS: Final = 2.0
PATIENCE_SECONDS: Final = 30.0
"""So long after the last Workload finished the queues' statuses may take to say that nothing is left."""
STALLED_SECONDS: Final = 60.0
"""So long without any Workload finishing: none will."""


class _Condition(msgspec.Struct):
    type: str
    status: str


class _Status(msgspec.Struct):
    conditions: list[_Condition] = []


class _Meta(msgspec.Struct):
    name: str = ""
    namespace: str = ""


class _Workload(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    status: _Status = msgspec.field(default_factory=_Status)


class _Event(msgspec.Struct):
    type: str
    object: _Workload


_decode = msgspec.json.Decoder(_Event).decode


class Life:
    """What happened to one Workload. Times are seconds of this process's monotonic clock."""

    __slots__ = ("admitted", "evictions", "finished", "first_admitted", "kind", "queue", "raw", "sent", "timer", "used")

    def __init__(self, kind: Class, queue: str) -> None:
        self.kind = kind
        self.queue = queue
        self.sent = 0.0
        self.admitted = 0.0  # the last time
        self.first_admitted = 0.0
        self.finished = 0.0
        self.evictions = 0
        self.used = 0.0  # seconds admitted, over all admissions
        self.timer: asyncio.TimerHandle | None = None
        self.raw = b""  # newest event line


@dataclass(slots=True)
class Usage:
    """What a process used."""

    cpu: float
    peak_mib: float


@dataclass(slots=True)
class Outcome:
    """All that was measured. `wall`: start of creation to the last Finished acknowledged; `said`: until the queues'
    statuses said so, too."""

    load: Load
    wall: float = 0.0
    said: float = 0.0
    created: float = 0.0
    server: Usage = field(default_factory=lambda: Usage(0.0, 0.0))
    harness_cpu: float = 0.0
    lives: list[Life] = field(default_factory=list)
    writes: Counter[tuple[str, str]] = field(default_factory=Counter)
    conflicts: int = 0


class Run:
    """Drive `load` against the server process `pid`, reached at `socket`, whose database is `store`."""

    def __init__(self, load: Load, socket: str, pid: int, store: Path) -> None:
        self._load = load
        self._socket = socket
        self._pid = pid
        self._store = store
        self._lives: dict[tuple[str, str], Life] = {}
        self._left = load.workloads
        self._out = Outcome(load)
        self._last_rv = 0

    async def run(self) -> Outcome:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._pool = await Pool().open(self._socket, CONNECTIONS)
        self._all_done: asyncio.Future[None] = loop.create_future()
        try:
            await self._prepare()
            watch = await self._watch()
            counting = loop.create_task(self._count_writes())
            before, own = _used(self._pid), time.process_time()
            self._began = loop.time()
            try:
                await self._create_all()
                await self._all_done
                self._out.wall = loop.time() - self._began
                await self._until_said()
                self._out.said = loop.time() - self._began
            finally:
                watch.close()
                counting.cancel()
            after = _used(self._pid)
            self._out.server = Usage(after.cpu - before.cpu, after.peak_mib)
            self._out.harness_cpu = time.process_time() - own
            self._count_new()
        finally:
            self._pool.close()
        self._out.lives = list(self._lives.values())
        return self._out

    async def _prepare(self) -> None:
        for path, value in loads.infrastructure(self._load):
            await self._make(path, value)
        for name in self._load.queue_names:
            for path, value in loads.queue(self._load, name):
                await self._make(path, value)
        deadline = self._loop.time() + PATIENCE_SECONDS
        while not all(_is_active(queue) for queue in await self._queues()):
            if self._loop.time() > deadline:
                raise RuntimeError(f"not all ClusterQueues are active after {PATIENCE_SECONDS:.0f} s")
            await asyncio.sleep(0.1)
        await asyncio.sleep(1.0)
        self._count_new()
        self._out.writes.clear()

    async def _make(self, path: str, value: loads.Json) -> None:
        made = await self._pool.ask("POST", path, value)
        if value["kind"] == "Node":
            where = f"{path}/{value['metadata']['name']}"
            made["spec"]["taints"] = []  # nodes are born not ready
            made = await self._pool.ask("PUT", where, made)
            await self._pool.ask("PUT", f"{where}/status", {**made, "status": value["status"]})

    async def _queues(self) -> list[Any]:
        items: list[Any] = (await self._pool.ask("GET", f"/apis/{KUEUE}/clusterqueues"))["items"]
        return items

    # ------------------------------------------------------------------ creating

    def _schedule(self) -> Iterator[tuple[float, Class, str, int]]:
        """(seconds after the start, class, queue, number) of every Workload, in order of time. Each set waits its
        interval first."""
        turns = [
            (each.interval / 1e3, queue, index, 0)
            for queue in self._load.queue_names
            for index, each in enumerate(self._load.classes)
        ]
        heapq.heapify(turns)
        while turns:
            at, queue, index, number = turns[0]
            each = self._load.classes[index]
            yield at, each, queue, number
            if number + 1 < each.count:
                heapq.heapreplace(turns, (at + each.interval / 1e3, queue, index, number + 1))
            else:
                heapq.heappop(turns)

    async def _create_all(self) -> None:
        waiting: deque[asyncio.Future[tuple[int, bytes]]] = deque()
        for at, each, queue, number in self._schedule():
            ahead = self._began + at - self._loop.time()
            if ahead > HURRY_MS / 1e3:
                await asyncio.sleep(ahead)
            elif len(waiting) >= 2 * CONNECTIONS:
                _check(await waiting.popleft())
            while waiting and waiting[0].done():
                _check(waiting.popleft().result())
            name = f"{each.name}-{number}"
            life = self._lives[queue, name] = Life(each, queue)
            life.sent = self._loop.time()
            path = f"/apis/{KUEUE}/namespaces/{queue}/workloads"
            waiting.append(self._pool.request("POST", path, loads.workload(each, queue, name)))
        for answer in waiting:
            _check(await answer)
        self._out.created = self._loop.time() - self._began

    # ------------------------------------------------------------------ what happens to them

    async def _watch(self) -> Watch:
        listed = await self._pool.ask("GET", f"/apis/{KUEUE}/workloads?limit=1")
        path = f"/apis/{KUEUE}/workloads?watch=1&resourceVersion={listed['metadata']['resourceVersion']}"
        _, watch = await self._loop.create_unix_connection(lambda: Watch(path, self._hear), self._socket)
        return watch

    def _hear(self, line: bytes) -> None:
        event = _decode(line)
        life = self._lives.get((event.object.metadata.namespace, event.object.metadata.name))
        if life is None or event.type not in ("ADDED", "MODIFIED"):
            return
        true = {each.type for each in event.object.status.conditions if each.status == "True"}
        life.raw = line
        if "Finished" in true:
            return
        is_in = "Admitted" in true and "Evicted" not in true
        if is_in and life.timer is None:
            life.admitted = self._loop.time()
            life.first_admitted = life.first_admitted or life.admitted
            life.timer = self._loop.call_later(life.kind.runtime / 1e3, self._finish, life)
        elif not is_in and life.timer is not None:
            life.timer.cancel()
            life.timer = None
            life.evictions += 1
            life.used += self._loop.time() - life.admitted

    def _finish(self, life: Life) -> None:
        value = orjson.loads(life.raw)["object"]
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        value["status"]["conditions"].append(
            {
                "type": "Finished",
                "status": "True",
                "reason": "ByTest",
                "message": "By test runner",
                "lastTransitionTime": now,
                "observedGeneration": 1,
            }
        )
        metadata = value["metadata"]
        path = f"/apis/{KUEUE}/namespaces/{metadata['namespace']}/workloads/{metadata['name']}/status"
        answer = self._pool.request("PUT", path, value)
        timer = life.timer
        answer.add_done_callback(lambda done: self._finished(life, timer, done))

    def _finished(self, life: Life, timer: asyncio.TimerHandle | None, done: asyncio.Future[tuple[int, bytes]]) -> None:
        if self._all_done.done():
            return
        status, body = done.result()
        if status == 409:  # it was evicted in the same moment, or something else was written: the next event says
            self._out.conflicts += 1
            if life.timer is timer:  # it runs as before, as far as we know
                life.timer = self._loop.call_later(0.01, self._finish, life)
            return
        if status >= 300:
            self._all_done.set_exception(Refused(status, body.decode()))
            return
        life.finished = self._loop.time()
        life.used += life.finished - life.admitted
        self._left -= 1
        if not self._left:
            self._all_done.set_result(None)

    async def _until_said(self) -> None:
        deadline = self._loop.time() + PATIENCE_SECONDS
        while any(
            queue["status"].get("pendingWorkloads") or queue["status"].get("reservingWorkloads")
            for queue in await self._queues()
        ):
            if self._loop.time() > deadline:
                raise RuntimeError(f"the queues' statuses still count workloads after {PATIENCE_SECONDS:.0f} s")
            await asyncio.sleep(0.5)

    # ------------------------------------------------------------------ writes

    async def _count_writes(self) -> None:
        """Rows are erased when they are old: count them while they are there. Ends the run if nothing moves any
        more."""
        left, since = self._left, self._loop.time()
        while True:
            await asyncio.sleep(1.0)
            self._count_new()
            if left != self._left:
                left, since = self._left, self._loop.time()
            elif self._loop.time() - since > STALLED_SECONDS and not self._all_done.done():
                why = f"no Workload finished in {STALLED_SECONDS:.0f} s, {left} of {len(self._lives)} are left"
                self._all_done.set_exception(RuntimeError(why))

    def _count_new(self) -> None:
        connection = sqlite3.connect(f"file:{self._store}?mode=ro", uri=True)
        rows = connection.execute("SELECT rv, key, op FROM log WHERE rv > ? ORDER BY rv", (self._last_rv,)).fetchall()
        connection.close()
        for rv, key, op in rows:
            self._out.writes[key.partition(":")[0].rpartition("/")[2], op] += 1
            self._last_rv = rv


def _check(answer: tuple[int, bytes]) -> None:
    status, body = answer
    if status >= 300:
        raise Refused(status, body.decode(errors="replace"))


def _is_active(queue: Any) -> bool:
    conditions = queue.get("status", {}).get("conditions", ())
    return any(each["type"] == "Active" and each["status"] == "True" for each in conditions)


def _used(pid: int) -> Usage:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu = (int(fields[11]) + int(fields[12]) + int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]
    return Usage(cpu, int(peak) / 1024)
