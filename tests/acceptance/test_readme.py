"""The README's first minute, line by line, in a shell, as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.cluster import ROOT, Cluster, find_kubectl

pytestmark = pytest.mark.timeout(180)
STANDS_FOR = {
    "roadstead up --node gpu=h100x8": "roadstead up --port 0 --node gpu=h100x8,cpu=8,memory=16Gi",  # a free port, any machine
}


def shell_block(mark: str) -> list[str]:
    """The lines, without comments, of the shell block that holds `mark`."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.S | re.M)
    block = next(block for block in blocks if mark in block)
    found = [re.sub(r"\s+#.*", "", line).strip() for line in block.splitlines()]
    return [line for line in found if line]


def lines(of_kubectl: bool) -> list[str]:
    """The lines of the block that begins with `up`; those of kubectl on request."""
    return [line for line in shell_block("roadstead up") if of_kubectl or not line.startswith("kubectl")]


def ran() -> list[str]:
    """Every line that the tests below run."""
    return lines(of_kubectl=True)


def furnish(folder: Path) -> None:
    """Make a directory look like a clone: .venv/bin and examples; and tools/kubectl, the real one."""
    tools = folder / "tools"
    tools.mkdir()
    if program := find_kubectl():
        (tools / "kubectl").symlink_to(program)
    bin_folder = folder / ".venv" / "bin"
    bin_folder.mkdir(parents=True)
    (bin_folder / "roadstead").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m roadstead.cli "$@"\n')
    (bin_folder / "roadstead").chmod(0o755)
    (folder / "examples").symlink_to(ROOT / "examples")


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Cluster]:
    """A furnished directory with a home in it."""
    furnish(tmp_path)
    cluster = Cluster(tmp_path / "home")
    cluster.environment["PATH"] = f"{tmp_path / 'tools'}:{os.environ['PATH']}"
    yield cluster
    cluster.roadstead("down", check=False)


def run_block(cluster: Cluster, commands: list[str]) -> str:
    script = []
    for line in commands:
        for shown, meant in STANDS_FOR.items():
            line = line.replace(shown, meant)
        script.append(line)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(script)], cwd=cluster.home.parent, env=cluster.environment,
        capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_minute_without_kubectl(clone: Cluster) -> None:
    said = run_block(clone, lines(of_kubectl=False))
    assert re.search(r"^my GPUs: \d,\d$", said, re.M)
    assert "needs 2 nvidia.com/gpu" in said
    assert "stopped node" in said


@pytest.mark.kubectl
def test_the_first_minute(clone: Cluster) -> None:
    said = run_block(clone, lines(of_kubectl=True))
    assert "job.batch/hello created" in said
    assert "stopped node" in said
