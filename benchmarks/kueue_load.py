"""Kueue's own loads, end to end through our API server, short: `kueue-baseline`, `kueue-large-scale`, `kueue-tas` by
name are whole.

Boundary: Workloads are created, watched and finished over HTTP on the Unix socket by one process (this one); the server
(API, durable storage, admission, controllers of queues and workloads, Events; no client throttle) is another. Only
Workload objects: no Jobs, no pods; quota decides, and only flavors with a topology are placed, as there. CPU and memory
are the server's, this process's CPU is told apart. Kueue's numbers were recorded with its own runner on a machine of
this size (two cores): manager, kube-apiserver and etcd together.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import uvloop

from benchmarks import _kueue_loads as loads
from benchmarks._kueue_report import report
from benchmarks._kueue_run import Run
from roadstead.cluster.embedded.log import DATABASE_FILE

SHORT = 0.1


def run() -> Iterator[str]:
    """A tenth of the baseline: 1,500 workloads, which take 6.6 s at best."""
    yield "   a tenth of the load: what is ideal shrinks with it, and of Kueue's numbers only those by workload compare"
    yield from measure(loads.BASELINE.scaled(SHORT))


def baseline() -> Iterator[str]:
    yield from measure(_asked(loads.BASELINE))


def large_scale() -> Iterator[str]:
    yield from measure(_asked(loads.LARGE_SCALE))


def tas() -> Iterator[str]:
    yield from measure(_asked(loads.TAS))


def _asked(load: loads.Load) -> loads.Load:
    """All of it, or the share that the environment variable SHARE names (for somebody who works on it)."""
    return load.scaled(float(os.environ.get("SHARE", "1")))


def measure(load: loads.Load) -> Iterator[str]:
    """Run a load against a server of its own; lines of the report."""
    with tempfile.TemporaryDirectory(prefix="roadstead-kueue-") as directory, _server(Path(directory)) as (socket, pid):
        outcome = uvloop.run(Run(load, socket, pid, Path(directory) / "data" / DATABASE_FILE).run())
    yield from report(outcome)


@contextlib.contextmanager
def _server(directory: Path) -> Iterator[tuple[str, int]]:
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks._kueue_server", str(directory)], stdout=subprocess.PIPE
    )
    try:
        assert server.stdout is not None
        where = json.loads(server.stdout.readline())
        yield where["socket"], where["pid"]
        server.send_signal(signal.SIGTERM)
        server.wait(30)
    finally:
        server.kill()
        server.wait()
