"""100,000 objects: restart and memory, of the store alone and of the whole server with its controllers.

Boundary: a fresh process opens a data directory. Store: until all objects can be read. Whole server: until every informer has listed and
the API listens (what `roadstead up` waits for); memory after the controllers had their first look. Memory is resident, above a process
that has imported everything. Pods are 2.3 KB: Jobs of 100 running pods; `mixed` is half pods, half ConfigMaps, Secrets, Leases and Events.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks._population import fill

OBJECTS = 100_000
FLOOR_SECONDS, FLOOR_MEGABYTES = 3.0, 1000


def run() -> Iterator[str]:
    """One line for each population and boundary."""
    yield f"floors: {FLOOR_SECONDS:.0f} s, {FLOOR_MEGABYTES} MB; targets: 1 s, 650 MB"
    with tempfile.TemporaryDirectory(prefix="roadstead-objects-") as made:
        for mixed in (False, True):
            filled = Path(made) / f"mixed-{mixed}"
            size = asyncio.run(fill(filled, OBJECTS, mixed=mixed))
            what = f"{OBJECTS:,} objects, half pods" if mixed else f"{OBJECTS:,} pods of {size} B"
            for whole in (False, True):
                used = Path(made) / "used"
                shutil.copytree(filled, used)
                yield _line(used, what, whole=whole)
                shutil.rmtree(used)


def _line(directory: Path, what: str, *, whole: bool) -> str:
    command = [sys.executable, "-m", "benchmarks._restart", str(directory), *(["whole"] if whole else [])]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    found = json.loads(text)
    over = found["megabytes"] > FLOOR_MEGABYTES or (found["seconds"] > FLOOR_SECONDS and not whole)
    return (
        f"   {what}, {'whole server' if whole else 'store'}: {found['seconds']:.2f} s (CPU {found['cpu']:.2f} s), {found['megabytes']:.0f} MB resident, "
        f"{found['disk_megabytes']:.0f} MB on disk{'  BELOW THE FLOOR' if over else ''}"
    )
