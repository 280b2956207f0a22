"""A machine that `roadstead node` joins to the whole cluster, and kubectl to look at it from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from roadstead.kinds.object import Json
from tests.acceptance.cluster import find_kubectl
from tests.node.agent.world import stop_everything
from tests.realcluster.server import RealServer, end_with_parent

T = TypeVar("T")

TAINT = "roadstead.dev/processes"
"""On every machine here: pods of other tests stay away."""
DEADLINE_SECONDS = 40.0


def until(holds: Callable[[], T], what: str, seconds: float = DEADLINE_SECONDS) -> T:
    """The first true answer; fails the test, naming `what`, when none came in time."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)
    return found


class Kubectl:
    """kubectl as an administrator, in a namespace of its own."""

    def __init__(self, server: RealServer) -> None:
        program = find_kubectl()
        if program is None:
            pytest.skip("kubectl is not on the PATH")
        self._words = [program, "--kubeconfig", str(server.kubeconfig())]
        self.namespace = f"node-{uuid.uuid4().hex[:10]}"
        self("create", "namespace", self.namespace)
        self._words += ["--namespace", self.namespace]
        until(lambda: self.run("get", "serviceaccount", "default").returncode == 0, "the account of the namespace")

    def start(self, *words: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen([*self._words, *words], stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._words, *words], input=given, capture_output=True, text=True, timeout=60, check=False
        )

    def __call__(self, *words: str, given: str = "") -> str:
        done = self.run(*words, given=given)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
        return done.stdout

    def get(self, *words: str) -> Json:
        found: Json = json.loads(self("get", *words, "-o", "json"))
        return found

    def apply(self, manifest: Json) -> None:
        self("apply", "-f", "-", given=json.dumps(manifest))

    def pods(self, job: str) -> list[Json]:
        """The job's pods, by name."""
        found: list[Json] = self.get("pods", "-l", f"job-name={job}", "--sort-by=metadata.name")["items"]
        return found

    def until_condition(self, job: str, kind: str) -> Json:
        """The job, once it has this condition."""

        def look() -> Json | None:
            found = self.get("job", job)
            conditions = found["status"].get("conditions", [])
            return found if any(one["type"] == kind and one["status"] == "True" for one in conditions) else None

        found = until(look, f"job {job} is {kind}")
        assert found is not None
        return found

    def until_running(self, job: str, count: int) -> list[Json]:
        """The job's pods, once so many run."""

        def look() -> list[Json]:
            running = [pod for pod in self.pods(job) if pod["status"].get("phase") == "Running"]
            return running if len(running) == count else []

        return until(look, f"{count} pods of job {job} run")


def job(name: str, command: str, node: str, *, count: int = 1, container: Json | None = None, **spec: Any) -> Json:
    """A Job of `count` parallel pods that run a shell command on one node (several: those with the label `group`)."""
    pod: Json = {
        "restartPolicy": "Never",
        "nodeSelector": {"group": node},
        "tolerations": [{"key": TAINT, "operator": "Exists"}],
        "terminationGracePeriodSeconds": 5,
        "containers": [{"name": "main", "image": "none", "command": ["sh", "-c", command], **(container or {})}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"completions": count, "parallelism": count, "template": {"spec": pod}, **spec},
    }


class Machine:
    """`roadstead node` as a child process, with a home of its own. Its nodes bear the label group=GROUP."""

    def __init__(self, server: RealServer, home: Path, node: str, group: str, *labels: str) -> None:
        """`node`: as --node says it. It is the node itself that asks the server, as a kubelet does."""
        self.name = node.partition("=")[0]
        self.home = home
        self.log = home / "node.log"
        own = server.kubeconfig(f"system:node:{self.name}", ("system:nodes",))
        self._words = ["--home", str(home), "--kubeconfig", str(own), "--node", node]
        self._words += ["--taint", f"{TAINT}=true:NoSchedule", "--label", f"group={group}"]
        self._words += [word for label in labels for word in ("--label", label)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it says that it is ready."""
        with self.log.open("ab") as log:
            self._process = process = subprocess.Popen(
                [sys.executable, "-m", "roadstead.cli", "node", *self._words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,
            )

        def is_ready() -> bool:
            assert process.poll() is None, self.log.read_text()[-2000:]
            records = list(self.home.glob("joined/*/run/node.json"))
            return bool(records) and json.loads(records[0].read_text())["pid"] == process.pid

        until(is_ready, "the node agent is ready")

    def kill(self) -> None:
        """As `kill -9` does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        """End the agent and everything that it started."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(20)
        for state in self.home.glob("joined/*/nodes"):
            stop_everything(state)


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def command_line(*words: str) -> subprocess.CompletedProcess[str]:
    """`roadstead WORDS`, to its end."""
    environment = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    return subprocess.run(
        [sys.executable, "-m", "roadstead.cli", *words],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
