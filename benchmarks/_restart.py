"""Child of the benchmarks: opens a store, or with `whole` the whole embedded server, in a fresh process and reports
time and memory as JSON.

Of the whole server three moments are reported, each in seconds since the opening began and in CPU seconds of this
process: the first answer to a client (another process, which asks for one object over the Unix socket, again and
again), every informer listed and the first decision made, and all at rest: every controller has looked at all that it
should look at.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import uvloop

from roadstead.cluster.embedded.store import Store
from roadstead.compose.embedded import ServerOptions, serving
from roadstead.controllers.admission import AdmissionDecider
from roadstead.kinds.names import PODS
from roadstead.kinds.served import default_registry
from roadstead.runtime import collector
from roadstead.runtime.step import Action

QUESTION = b"GET /api/v1/namespaces/bench HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
ASK_SECONDS = 0.005
REST_SECONDS = 0.25
PATIENCE_SECONDS = 120.0


def resident_bytes() -> int:
    """Resident memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def main(directory: Path, *, whole: bool) -> None:
    """Report seconds, CPU seconds, resident `megabytes` above a process that has imported everything, and what is on
    the disk."""
    default_registry()
    gc.collect()
    before = resident_bytes()
    disk = sum(path.stat().st_size for path in directory.iterdir() if path.is_file())
    found = uvloop.run(_whole(directory)) if whole else asyncio.run(_store(directory))
    found["megabytes"] -= before / 1e6
    print(json.dumps({**found, "disk_megabytes": disk / 1e6}))


class _Watch:
    """Time and CPU time since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def now(self) -> tuple[float, float]:
        return time.monotonic() - self._wall, time.process_time() - self._cpu

    def since(self, monotonic: float) -> float:
        return monotonic - self._wall


async def _store(directory: Path) -> dict[str, float]:
    watch = _Watch()
    store = Store.open(directory)
    listed = len(store.list(PODS))
    seconds, cpu = watch.now()
    gc.collect()
    found = {"objects": listed, "seconds": seconds, "cpu": cpu, "megabytes": resident_bytes() / 1e6}
    await store.close()
    return found


async def _whole(directory: Path) -> dict[str, float]:
    options = ServerOptions(directory, directory / "pki", socket=directory / "api.sock")
    decided = asyncio.Event()
    decide = AdmissionDecider.decide

    def noticed(decider: AdmissionDecider, now: int) -> tuple[list[Action], int | None]:
        actions, again_at = decide(decider, now)
        decided.set()
        return list(actions), again_at

    command = [sys.executable, "-S", "-c", _ASKING, str(options.socket)]
    client = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert client.stdout is not None
    await client.stdout.readline()  # it is ready to ask
    watch = _Watch()
    gc.disable()  # as the server does
    with mock.patch.object(AdmissionDecider, "decide", noticed):
        async with serving(options):
            collector.begin()
            await decided.wait()
            seconds, cpu = watch.now()
            answered = watch.since(float(await client.stdout.readline()))
            await client.wait()
            rest_seconds, rest_cpu = await _at_rest(watch)
            return {
                "answer_seconds": answered,
                "seconds": seconds,
                "cpu": cpu,
                "rest_seconds": rest_seconds,
                "rest_cpu": rest_cpu,
                "megabytes": resident_bytes() / 1e6,
            }


async def _at_rest(watch: _Watch) -> tuple[float, float]:
    """The last moment at which this process had something to do."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    last = watch.now()
    while time.monotonic() < deadline:
        await asyncio.sleep(REST_SECONDS)
        now = watch.now()
        if now[1] - last[1] < REST_SECONDS / 20:
            return last
        last = now
    raise RuntimeError(f"the server did not come to rest within {PATIENCE_SECONDS:.0f} s")


_ASKING = f"""
import socket, sys, time
print(flush=True)
while True:
    try:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(sys.argv[1])
            asking.sendall({QUESTION!r})
            if asking.recv(12) == b"HTTP/1.1 200":
                break
    except OSError:
        pass
    time.sleep({ASK_SECONDS})
print(time.monotonic(), flush=True)
"""


if __name__ == "__main__":
    main(Path(sys.argv[1]), whole=sys.argv[2:] == ["whole"])
