"""Child of the benchmarks: opens a store, or with `whole` the whole embedded server, in a fresh process and reports time and memory as JSON."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from pathlib import Path

import uvloop

from roadstead.cluster.embedded.store import Store
from roadstead.compose.embedded import ServerOptions, serving
from roadstead.kinds.names import PODS
from roadstead.kinds.served import default_registry

SETTLE_SECONDS = 3.0


def resident_bytes() -> int:
    """Resident memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def main(directory: Path, *, whole: bool) -> None:
    """Report `seconds` (and `cpu` seconds) from opening to serving, resident `megabytes` above an empty process, and what is on the disk."""
    default_registry()
    gc.collect()
    before = resident_bytes()
    disk = sum(path.stat().st_size for path in directory.iterdir() if path.is_file())
    started, used = time.monotonic(), time.process_time()
    if whole:
        found = uvloop.run(_whole(directory, started))
    else:
        store = Store.open(directory)
        found = {"objects": len(store.list(PODS)), "seconds": time.monotonic() - started}
        found["cpu"] = time.process_time() - used
        gc.collect()
        found["megabytes"] = (resident_bytes() - before) / 1e6
        asyncio.run(store.close())
    if whole:
        found["megabytes"] -= before / 1e6
        found["cpu"] -= used
    print(json.dumps({**found, "disk_megabytes": disk / 1e6}))


async def _whole(directory: Path, started: float) -> dict[str, float]:
    gc.disable()  # as the server does
    options = ServerOptions(directory, directory / "pki", socket=directory / "api.sock")
    async with serving(options):
        seconds, used = time.monotonic() - started, time.process_time()
        gc.collect()
        gc.freeze()
        gc.enable()
        await asyncio.sleep(SETTLE_SECONDS)  # controllers have their first look at everything
        return {"objects": 0, "seconds": seconds, "cpu": used, "megabytes": resident_bytes() / 1e6}


if __name__ == "__main__":
    main(Path(sys.argv[1]), whole=sys.argv[2:] == ["whole"])
