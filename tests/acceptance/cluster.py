"""A whole embedded cluster, started as a user would, in a home of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from roadstead.cli.home import Home
from roadstead.cli.processes import running

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
DEADLINE_SECONDS = 40.0


def find_kubectl() -> str | None:
    """A real kubectl 1.32: $KUBECTL, kubectl.1.32 on PATH or beside the kubectl of PATH, or that one itself."""
    if named := os.environ.get("KUBECTL"):
        return named
    if found := shutil.which("kubectl.1.32"):
        return found
    general = shutil.which("kubectl")
    if general is None:
        return None
    beside = Path(general).resolve().parent / "kubectl.1.32"
    return str(beside) if beside.exists() else general


@dataclass
class Cluster:
    """`roadstead` and `kubectl` with the environment of one home."""

    home: Path
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.environment = {
            **os.environ,
            "ROADSTEAD_HOME": str(self.home),
            "KUBECONFIG": str(self.home / "kubeconfig"),
            "KUBECACHEDIR": str(self.home / "kube-cache"),
            "NO_COLOR": "1",
        }

    def roadstead(
        self, *words: str, check: bool = True, cwd: Path | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        return self._run([sys.executable, "-m", "roadstead.cli", *words], check, cwd, timeout)

    def kubectl(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        program = find_kubectl()
        assert program is not None, "no kubectl on this machine: set KUBECTL to a real one"
        return self._run([program, *words], check, None)

    def ask(
        self, method: str, path: str, body: object = None, content_type: str = "application/json"
    ) -> tuple[int, Any]:
        """One request over the Unix socket, as kubectl would send it: status and decoded body. Bytes are sent as they
        are."""
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        socket = str(Home(self.home).socket)
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=socket), base_url="http://localhost", timeout=30) as http:
            response = http.request(method, path, content=content, headers={"content-type": content_type})
        is_json = "json" in response.headers.get("content-type", "")
        return response.status_code, json.loads(response.content) if is_json else response.text

    def everything(self) -> dict[str, str]:
        """Which objects there are, in which generation: what a refused request must not change. (Controllers may write
        status meanwhile.)"""
        found = {}
        for path in ("api/v1/namespaces", "api/v1/configmaps", "api/v1/pods", "apis/batch/v1/jobs",
                     "apis/kueue.x-k8s.io/v1beta2/workloads", "apis/kueue.x-k8s.io/v1beta2/clusterqueues",
                     "apis/kueue.x-k8s.io/v1beta2/localqueues"):  # fmt: skip
            status, listing = self.ask("GET", f"/{path}")
            assert status == 200, listing
            for item in listing["items"]:
                metadata = item["metadata"]
                version = metadata.get("generation", metadata["resourceVersion"])
                found[f"{path}/{metadata['name']}/{metadata['uid']}"] = str(version)
        return found

    def pid(self, part: str) -> int:
        found = running(Home(self.home), part)
        assert found is not None, f"no {part} is running"
        return found.pid

    def processes(self) -> list[int]:
        """Every process of this home: server, agent, keeper, shims, and what they run in it."""
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(str(self.home).encode() in word for word in words):
                found.append(int(folder.name))
        return found

    def _run(
        self, words: Sequence[str], check: bool, cwd: Path | None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            words,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
        )
        if check and done.returncode:
            logs = "\n".join(path.read_text()[-3000:] for path in sorted((self.home / "logs").glob("*.log")))
            raise AssertionError(f"{' '.join(words)} gave {done.returncode}\n{done.stdout}\n{done.stderr}\n{logs}")
        return done

    def until(self, check: Callable[[], bool], what: str) -> None:
        """Look again and again until something holds; a test's only way of waiting."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not check():
            assert time.monotonic() < deadline, f"{what}: not within {DEADLINE_SECONDS:.0f} s"
            time.sleep(0.1)
