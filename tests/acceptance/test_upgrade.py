"""What an earlier version left behind (tests/data/upgrade), opened by the program as it is now, its old shims still
running."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roadstead.cli.processes import start_time
from roadstead.node.keeper import runs
from tests.acceptance.cluster import ROOT, Cluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
ARCHIVES = sorted((ROOT / "tests/data/upgrade").glob("*.tar.gz"))
PLACEHOLDER = "/roadstead-fixture-home"
START = """
import sys
sys.path.insert(0, sys.argv[1])
from roadstead.node.keeper import client
client.start(sys.argv[2], sys.argv[3])
"""


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.removesuffix(".tar.gz"))
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    """The unpacked home with one old shim running; nothing else of the cluster is up."""
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    cluster = Cluster(tmp_path / "home")
    for path in cluster.home.rglob("*.json"):
        path.write_text(path.read_text().replace(PLACEHOLDER, str(cluster.home)))
    (run,) = running_runs(cluster.home)
    path = cluster.home / "nodes/runs" / run
    spec = json.loads((path / "spec.json").read_text())
    (path / "spec.json").write_text(json.dumps({**spec, "boot": runs.boot_id()}))
    (path / "stage").mkdir()
    os.mkfifo(path / "control")
    Path(spec["cwd"]).mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [sys.executable, "-S", "-E", "-c", START, str(tmp_path), str(cluster.home / "nodes"), run],
        check=True, timeout=30, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield cluster
    finally:
        cluster.roadstead("down", check=False)
        cluster.until(lambda: not cluster.processes(), "no process of it is left")


def running_runs(home: Path) -> list[str]:
    top = home / "nodes/runs"
    return [str(path.relative_to(top)) for path in top.glob("*/*/*") if not (path / "exit.json").exists()]


def get(cluster: Cluster, path: str) -> Any:
    status, value = cluster.ask("GET", path)
    assert status == 200, value
    return value


def test_everything_is_there_and_goes_on(old: Cluster) -> None:
    (run,) = running_runs(old.home)
    top = old.home / "nodes/runs" / run
    old.until(lambda: (top / "started").exists(), "the old shim has started its process")
    process = json.loads((top / "started").read_text())["pid"]
    begun = start_time(process)

    old.roadstead("up", "--port", "0")
    jobs = "/apis/batch/v1/namespaces/team/jobs"
    states = {job["metadata"]["name"]: job["status"] for job in get(old, jobs)["items"]}
    assert states["done"]["succeeded"] == 1
    assert states["running"]["active"] == 1
    assert not states["waiting"].get("active")
    assert get(old, "/api/v1/namespaces/team/configmaps/settings")["data"] == {"rate": "0.1"}
    assert old.roadstead("logs", "-n", "team", "done").stdout == "done, as the old version wrote it\n"
    assert "nvidia.com/gpu" in old.roadstead("why", "-n", "team", "waiting").stdout
    old.until(
        lambda: old.roadstead("logs", "-n", "team", "running").stdout == "begun before the upgrade\n", "it is found"
    )
    assert begun == start_time(process) is not None, "the process was neither ended nor started again"

    (old.home / "go").touch()
    old.until(lambda: get(old, f"{jobs}/running")["status"].get("failed") == 1, "its exit code was not lost")
    (pod,) = [pod for pod in get(old, "/api/v1/namespaces/team/pods")["items"]
              if pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "running"]  # fmt: skip
    (container,) = pod["status"]["containerStatuses"]
    assert container["state"]["terminated"]["exitCode"] == 3
    assert container["restartCount"] == 0
    assert old.roadstead("logs", "-n", "team", "running").stdout == "begun before the upgrade\nended after it\n"

    old.until(lambda: get(old, f"{jobs}/waiting")["status"].get("succeeded") == 1, "who waited got the devices")
    assert old.roadstead("run", "--gpus", "8", "--", "echo", "new work").stdout == "new work\n"
