"""The API server alone, durable, for the watch benchmark: `python -m benchmarks._watch_server DIRECTORY`.

Each line on stdin, `{"changes": N, "writers": W, "size": BYTES}`, makes W writers update one ConfigMap each, N times in
all, through the Cluster port; the answer says when they began and ended, and the CPU used since. Ends when stdin
closes.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from benchmarks._api_server import serving
from benchmarks._restart import resident_bytes
from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.kinds.names import CONFIG_MAPS
from roadstead.kinds.object import Json
from roadstead.runtime.cluster import Create, Outcome, Update


async def _serve(directory: Path) -> None:
    async with serving(directory) as resources:
        cluster = EmbeddedCluster(resources)
        used = time.process_time()
        while line := await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
            asked = json.loads(line)
            if asked.get("changes"):
                began = time.monotonic()
                await _change(cluster, asked)
                answer: dict[str, Any] = {"began": began, "ended": time.monotonic()}
            else:
                answer = {
                    "version": resources.current_rv(),
                    "cpu": time.process_time() - used,
                    "resident": resident_bytes(),
                }
                used = time.process_time()
            print(json.dumps(answer), flush=True)


async def _change(cluster: EmbeddedCluster, asked: dict[str, int]) -> None:
    left = asked["changes"]
    pause = asked["writers"] / asked["rate"] if asked.get("rate") else 0.0

    async def write(name: str) -> None:
        nonlocal left
        value: Json = {"metadata": {"name": name, "namespace": "default"}, "data": {"a": "x" * (asked["size"] - 250)}}
        outcome: Outcome | None = None
        while left > 0:
            left -= 1
            if outcome is None:
                outcome = await cluster.write(Create(CONFIG_MAPS, value))
            else:
                assert outcome.object is not None, outcome.message
                value = outcome.object.decode()
                value["data"]["n"] = str(left)
                outcome = await cluster.write(Update(CONFIG_MAPS, value))
            if pause:
                await asyncio.sleep(pause)

    mark = time.monotonic_ns()
    await asyncio.gather(*(write(f"c-{mark}-{number}") for number in range(asked["writers"])))


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1])))
