"""Watch fan-out: one change to 1,000 watchers, over the Unix socket and over TLS.

Boundary: durable updates of ConfigMaps (2 KB, and small ones of 350 bytes) made inside the server process through the
Cluster port, to the last byte of the last event at the last of the watchers. The watchers are one process with raw
sockets that counts lines (`_watch_consumer`); its CPU time is printed: when it is well below the time that passed, the
server was the bottleneck. Server and watchers share this machine's cores. Every watcher must have seen every event.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

WATCHERS = 1000
CHANGES = {2048: 1500, 350: 3000}
WRITERS = 32
FLOOR, TARGET = 200_000, 1_000_000
PATH = "/api/v1/namespaces/default/configmaps?watch=true&resourceVersion="


def run() -> Iterator[str]:
    """One line per transport and size."""
    yield f"{WATCHERS:,} watchers, {WRITERS} writers; floor {FLOOR:,} deliveries/s, target {TARGET:,}/s"
    with tempfile.TemporaryDirectory(prefix="roadstead-watch-") as directory:
        server = _Child("benchmarks._watch_server", directory)
        try:
            where = server.answer()
            for transport in ("Unix socket", "TLS"):
                for size, changes in CHANGES.items():
                    yield _measure(server, where, transport, size, changes)
        finally:
            server.end()


class _Child:
    """A process that is asked and answers in lines of JSON."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, question: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()

    def line(self) -> str:
        assert self._process.stdout is not None
        found = self._process.stdout.readline()
        if not found:
            raise RuntimeError(f"a process of the benchmark ended with {self._process.wait()}; see above")
        return found.strip()

    def answer(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.line())
        return found

    def end(self) -> None:
        """Close its stdin and wait."""
        self._process.communicate(timeout=60)


def _measure(server: _Child, where: dict[str, Any], transport: str, size: int, changes: int) -> str:
    server.ask({})
    version = server.answer()["version"]
    consumer = _Child("benchmarks._watch_consumer")
    try:
        address = (
            {"socket": where["socket"]} if transport == "Unix socket" else {"port": where["port"], "ca": where["ca"]}
        )
        path = PATH + version
        consumer.ask({**address, "token": where["token"], "path": path, "watchers": WATCHERS, "events": changes})
        consumer.line()
        server.ask({})  # counts CPU from here
        server.answer()
        server.ask({"changes": changes, "writers": WRITERS, "size": size})
        writing = server.answer()
        result = consumer.answer()
    finally:
        consumer.end()
    server.ask({})
    after = server.answer()
    seconds = result["last"] - writing["began"]
    rate = result["least"] * WATCHERS / seconds
    whole = (
        "" if result["least"] == result["most"] == changes else f"  EVENTS MISSING: {result['least']}..{result['most']}"
    )
    verdict = "" if rate >= FLOOR else "  BELOW THE FLOOR"
    return (
        f"   {transport:11} {size:5} B: {rate:10,.0f} deliveries/s, {result['bytes'] / seconds / 1e6:6,.0f} MB/s, "
        f"{changes / (writing['ended'] - writing['began']):6,.0f} durable writes/s meanwhile; "
        f"CPU {after['cpu']:.2f} s server, {result['cpu']:.2f} s watchers of {seconds:.2f} s; "
        f"server {after['resident'] / 1e6:.0f} MB{whole}{verdict}"
    )
