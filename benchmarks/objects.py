"""100,000 objects: restart and memory, of the store alone and of the whole server with its controllers.

A fresh process opens a data directory that a server like it has left. Boundaries, all counted from the start of
opening: *store*: until all objects can be read; *API*: until another process has got its first answer over the Unix
socket; *decided*: until every informer has listed and the first decision is made (a little more than what `roadstead
up` waits for); *at rest*: until every controller has looked at all that it should look at. CPU seconds are those of the
process, seconds are on the wall. Memory is resident, above a process that has imported everything, at rest. Pods are
2.3 KB: Jobs of 100 running pods, outside of any queue; `mixed` is half pods, half ConfigMaps, Secrets, Leases and
Events.
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
            used = Path(made) / "used"
            shutil.copytree(filled, used)
            _child(used, whole=True)  # so that nothing is left to be made at a first start
            store, whole = _child(used, whole=False), _child(used, whole=True)
            yield f"   {what}, {store['disk_megabytes']:.0f} MB on disk:"
            yield _store(store)
            yield from _whole(whole)
            shutil.rmtree(used)


def _child(directory: Path, *, whole: bool) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks._restart", str(directory), *(["whole"] if whole else [])]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    found: dict[str, float] = json.loads(text)
    return found


def _store(found: dict[str, float]) -> str:
    return (
        f"      store: {found['seconds']:.2f} s (CPU {found['cpu']:.2f} s), {found['megabytes']:.0f} MB"
        f"{_verdict(found['cpu'], found['megabytes'])}"
    )


def _whole(found: dict[str, float]) -> Iterator[str]:
    yield f"      whole server, API: first answer after {found['answer_seconds']:.2f} s"
    yield (
        f"      whole server, decided: {found['seconds']:.2f} s (CPU {found['cpu']:.2f} s)"
        f"{_verdict(found['cpu'], found['megabytes'])}"
    )
    yield (
        f"      whole server, at rest: {found['rest_seconds']:.2f} s (CPU {found['rest_cpu']:.2f} s), "
        f"{found['megabytes']:.0f} MB"
    )


def _verdict(seconds: float, megabytes: float) -> str:
    """CPU time is judged: on a busy machine the wall says how busy it is."""
    return "  BELOW THE FLOOR" if seconds > FLOOR_SECONDS or megabytes > FLOOR_MEGABYTES else ""
