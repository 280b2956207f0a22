"""Recorded sessions of a real kube-apiserver, replayed against the embedded server over TLS; kubectl scripts beside
them.

The judges are the recorder's own (`tests/data/api`). Every session needs one of three servers, each with its own empty
data: one without controllers; one with garbage collection, namespaces and service accounts (`kcm`); one whose watch
history does not reach back to version 1 (`old-history`). They run in threads of this process and are started when first
needed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import uvloop

from roadstead.apiserver.serve import ApiServer
from roadstead.testing.conformance import Report, judge, records
from roadstead.testing.conformance.api_server import Flavor, embedded

WORKERS: Final = 12
"""Sessions mostly wait: for events that must not come, for time limits."""
KUBECTL_VERSION: Final = "1.32"
START_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one session or script: class, steps passed, and a text per failed step."""

    name: str
    passed: int
    differences: tuple[str, ...]


def run(files: Sequence[Path]) -> Report:
    """Replay all records of these files; see the package."""
    everything = [record for path in files for record in records(path)]
    replay, e2e = judge("api/replay.py"), judge("api/e2e.py")
    report = Report()
    with tempfile.TemporaryDirectory(prefix="roadstead-conformance-") as directory:
        servers = Servers(Path(directory))
        try:
            with ThreadPoolExecutor(WORKERS) as pool:
                # kubectl scripts last: they take longest, each in processes of their own.
                ordered = sorted(everything, key=_is_script)
                for outcome in pool.map(lambda record: _play(record, servers, replay, e2e), ordered):
                    report.passes(outcome.name, outcome.passed)
                    for difference in outcome.differences:
                        report.fails(outcome.name, difference)
        finally:
            servers.stop()
    return report


def _is_script(record: dict[str, Any]) -> bool:
    return any("argv" in step for step in record["steps"])


def _play(record: dict[str, Any], servers: Servers, replay: ModuleType, e2e: ModuleType) -> Outcome:
    server = servers.for_needs(record.get("needs", ()))
    if _is_script(record):
        return _play_script(record, server, e2e)
    return _play_session(record, server, replay)


def _play_session(session: dict[str, Any], server: ApiServer, replay: ModuleType) -> Outcome:
    target = replay.Server(server.url, server.token, ca=str(server.ca_file))
    options = argparse.Namespace(managed_fields="exact", lenient=False)
    passed, differences = 0, []
    for index, label, diffs, counted, _ in replay.play(session, target, options):
        if diffs:
            lines = [f"FAIL {session['id']} step {index}: {label}"]
            for path, expected, actual, why in diffs[:4]:
                lines.append(f"    {path}: {why}")
                lines.append(f"      expected {replay.short(expected)}")
                lines.append(f"      actual   {replay.short(actual)}")
            differences.append("\n".join(lines))
        elif counted:
            passed += 1
    return Outcome(session["class"], passed, tuple(differences))


def _play_script(script: dict[str, Any], server: ApiServer, e2e: ModuleType) -> Outcome:
    name = script.get("class", "kubectl-e2e")
    kubectl = find_kubectl()
    if kubectl is None:
        steps = sum(1 for step in script["steps"] if "expect" in step)
        missing = f"FAIL {script['id']}: kubectl {KUBECTL_VERSION} is not on this machine; set KUBECTL to its path"
        return Outcome(name, 0, (missing,) * steps)
    token = e2e.new_token()
    passed, differences = 0, []
    with tempfile.TemporaryDirectory() as directory:
        config = os.path.join(directory, "kubeconfig")
        e2e.kubeconfig(config, server.url, server.token, str(server.ca_file), f"ns-{token}")
        for step, code, out, err in e2e.run_script(script, kubectl, config, token):
            if step.get("setup"):
                continue
            got = {"exit": code, "stdout": e2e.normal(out, token), "stderr": e2e.normal(err, token)}
            expected = {
                key: value.replace(token, "${u}") if isinstance(value, str) else value
                for key, value in step["expect"].items()
            }
            if got == expected:
                passed += 1
                continue
            command = " ".join(step.get("argv", [step.get("wait_for", "")]))
            lines = [f"FAIL {script['id']} kubectl {command[:150]}"]
            for key in expected:
                if expected[key] != got.get(key):
                    lines.append(
                        f"    {key}\n      expected {str(expected[key])[:700]!r}\n      actual   {str(got.get(key))[:700]!r}"
                    )
            differences.append("\n".join(lines))
    return Outcome(name, passed, tuple(differences))


def find_kubectl() -> str | None:
    """kubectl of the version that the scripts were recorded with: KUBECTL, `kubectl.1.32` on PATH, or beside the
    resolved `kubectl` (which may be a program that picks a version by the server's)."""
    named = os.environ.get("KUBECTL") or shutil.which(f"kubectl.{KUBECTL_VERSION}")
    if named:
        return named
    found = shutil.which("kubectl")
    if found is None:
        return None
    beside = Path(found).resolve().parent / f"kubectl.{KUBECTL_VERSION}"
    return str(beside) if os.access(beside, os.X_OK) else found


class Servers:
    """The servers, started on demand; safe to use from several threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._running: dict[Flavor, _Running] = {}

    def for_needs(self, needs: Sequence[str]) -> ApiServer:
        """The server that a session with these needs wants."""
        flavor = Flavor.OLD_HISTORY if "old-history" in needs else Flavor.CONTROLLERS if "kcm" in needs else Flavor.BARE
        with self._lock:
            running = self._running.get(flavor)
            if running is None:
                running = self._running[flavor] = _Running(flavor, self._directory / flavor.value)
        return running.server

    def stop(self) -> None:
        for running in self._running.values():
            running.stop()


class _Running:
    """One server in a thread with a loop of its own."""

    def __init__(self, flavor: Flavor, directory: Path) -> None:
        self._flavor = flavor
        self._directory = directory
        self._is_ready = threading.Event()
        self._failure: BaseException | None = None
        self._server: ApiServer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name=f"server-{flavor.value}", daemon=True)
        self._thread.start()
        self._is_ready.wait(START_SECONDS)
        if self._server is None:
            raise RuntimeError(f"The {flavor.value} server did not start.") from self._failure

    @property
    def server(self) -> ApiServer:
        assert self._server is not None
        return self._server

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as err:
            self._failure = err
        finally:
            self._is_ready.set()

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        async with embedded(self._flavor, self._directory) as server:
            self._server = server
            self._is_ready.set()
            await self._stopping.wait()

    def stop(self) -> None:
        if self._loop is not None and self._stopping is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(START_SECONDS)
