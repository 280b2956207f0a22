"""Child of the store benchmark: opens a store in a fresh process and reports time and memory as JSON."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from pathlib import Path

from roadstead.cluster.embedded.store import Store
from roadstead.kinds.names import PODS
from roadstead.kinds.served import default_registry


def resident_bytes() -> int:
    """Resident memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def main(directory: Path) -> None:
    default_registry()
    gc.collect()
    before = resident_bytes()
    disk = sum(path.stat().st_size for path in directory.iterdir())
    started = time.monotonic()
    store = Store.open(directory)
    objects = len(store.list(PODS))
    seconds = time.monotonic() - started
    gc.collect()
    found = {
        "objects": objects,
        "seconds": seconds,
        "megabytes": (resident_bytes() - before) / 1e6,
        "disk_megabytes": disk / 1e6,
    }
    print(json.dumps(found))
    asyncio.run(store.close())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
