"""Durable writes in process with full API semantics; restart and memory of the store.

Method: a closed loop of W writers, each creating Pods of about 1.7 KB one after another through the Cluster port
(decoding, schema, defaults, admission chain, validation, SQLite commit), for about two seconds, after a warm-up.
Boundary: from `cluster.write` to its outcome, in one process, no HTTP. `full` means that the batch was synced to disk
before the outcome.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from roadstead.cluster.embedded.log import Durability
from roadstead.cluster.embedded.plugins import default_plugins
from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.names import CONFIG_MAPS, NAMESPACES, PODS, SERVICE_ACCOUNTS
from roadstead.kinds.object import Json
from roadstead.kinds.served import default_registry
from roadstead.runtime.cluster import Create, Update

WRITERS = (1, 16, 256)
SECONDS = 2.0
STORED = 20_000
FLOOR, TARGET = 5_000, 10_000


def pod(name: str) -> Json:
    """A worker of a training job as a job controller makes it, about 1.7 KB when stored."""
    return {
        "metadata": {
            "namespace": "bench",
            "name": name,
            "labels": {"batch.kubernetes.io/job-name": "train", "kueue.x-k8s.io/podset": "main"},
            "annotations": {"kueue.x-k8s.io/workload": "job-train-0f3a1", "note": "y" * 150},
            "ownerReferences": [
                {"apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": "u-1", "controller": True}
            ],
            "finalizers": ["batch.kubernetes.io/job-tracking"],
        },
        "spec": {
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": "main",
                    "image": "example.com/train:1",
                    "command": ["python", "train.py", "--epochs", "90"],
                    "env": [{"name": f"SETTING_{index}", "value": "v" * 40} for index in range(6)],
                    "resources": {
                        "requests": {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"},
                        "limits": {"nvidia.com/gpu": "1"},
                    },
                    "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
                }
            ],
            "volumes": [{"name": "scratch", "emptyDir": {}}],
        },
    }


def run() -> Iterator[str]:
    """Rates per durability and number of writers; then restart time and memory."""
    with tempfile.TemporaryDirectory(prefix="roadstead-bench-") as made:
        directory = Path(made)
        yield f"   disk: {made}, one fsync of 4 KB takes {_fsync_seconds(directory) * 1e6:.0f} us"
        durabilities: tuple[Durability, ...] = ("full", "normal")
        for durability in durabilities:
            for writers in WRITERS:
                rate, cpu, size = asyncio.run(_creates(directory / f"{durability}-{writers}", durability, writers))
                yield (
                    f"   create pods ({size} B), durability={durability:6} {writers:4} writers: {rate:8,.0f} writes/s, "
                    f"{cpu * 1e6:4.0f} us CPU a write"
                )
        rate = asyncio.run(_updates(directory / "updates"))
        yield f"   update configmaps (2 KB), durability=full,    16 writers: {rate:8,.0f} writes/s"
        yield f"   (floor {FLOOR:,}/s with concurrency, target {TARGET:,}/s)"
        asyncio.run(_fill(directory / "restart"))
        found = json.loads(
            subprocess.run(
                [sys.executable, "-m", "benchmarks._restart", str(directory / "restart")],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        yield (
            f"   restart with {found['objects']:,} pods: {found['seconds']:.2f} s from opening to serving; "
            f"{found['megabytes']:.0f} MB resident above an empty process; {found['disk_megabytes']:.0f} MB on disk"
        )


def _fsync_seconds(directory: Path) -> float:
    with open(directory / "probe", "wb") as file:
        started = time.monotonic()
        for _ in range(50):
            file.write(b"x" * 4096)
            file.flush()
            os.fdatasync(file.fileno())
        return (time.monotonic() - started) / 50


async def _open(directory: Path, durability: Durability) -> tuple[Store, EmbeddedCluster]:
    store = Store.open(directory, durability)
    cluster = EmbeddedCluster(Resources(store, default_registry(), default_plugins()))
    for first in (
        Create(NAMESPACES, {"metadata": {"name": "bench"}}),
        Create(SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": "bench"}}),
    ):
        outcome = await cluster.write(first)
        if not outcome.is_done:
            raise RuntimeError(outcome.message)
    return store, cluster


async def _creates(directory: Path, durability: Durability, writers: int) -> tuple[float, float, int]:
    store, cluster = await _open(directory, durability)
    done = 0
    until = time.monotonic() + 0.3

    async def work(name: str) -> None:
        nonlocal done
        index = 0
        while time.monotonic() < until:
            index += 1
            outcome = await cluster.write(Create(PODS, pod(f"{name}-{index}")))
            if not outcome.is_done:
                raise RuntimeError(outcome.message)
            done += 1

    await asyncio.gather(*(work(f"warm-{writer}") for writer in range(writers)))
    gc.collect()
    gc.freeze()  # as the server does
    done, started, used = 0, time.monotonic(), time.process_time()
    until = started + SECONDS
    await asyncio.gather(*(work(f"w-{writer}") for writer in range(writers)))
    rate, cpu = done / (time.monotonic() - started), (time.process_time() - used) / done
    size = len(store.list(PODS)[0].raw)
    await store.close()
    gc.unfreeze()
    return rate, cpu, size


async def _updates(directory: Path) -> float:
    store, cluster = await _open(directory, "full")
    done = 0
    started = time.monotonic()
    until = started + SECONDS

    async def work(name: str) -> None:
        nonlocal done
        value: Json = {"metadata": {"name": name, "namespace": "bench"}, "data": {"a": "x" * 1800}}
        outcome = await cluster.write(Create(CONFIG_MAPS, value))
        while time.monotonic() < until:
            if outcome.object is None:
                raise RuntimeError(outcome.message)
            value = outcome.object.decode()
            value["data"]["n"] = str(done)
            outcome = await cluster.write(Update(CONFIG_MAPS, value))
            done += 1

    await asyncio.gather(*(work(f"c-{writer}") for writer in range(16)))
    rate = done / (time.monotonic() - started)
    await store.close()
    return rate


async def _fill(directory: Path) -> None:
    store, cluster = await _open(directory, "normal")
    names = iter(range(STORED))

    async def work() -> None:
        for index in names:
            await cluster.write(Create(PODS, pod(f"p-{index}")))

    await asyncio.gather(*(work() for _ in range(64)))
    await store.close()
