"""A server's journal, also of one that was killed: the deciding core decides all of it again."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from roadstead.cli.home import Home
from roadstead.cli.processes import running
from tests.acceptance.cluster import Cluster

pytestmark = [pytest.mark.timeout(180)]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Cluster]:
    found = Cluster(tmp_path / "home")
    yield found
    found.roadstead("down", check=False)


def test_a_real_servers_journal_replays(own: Cluster) -> None:
    own.roadstead("up", "--port", "0", "--node", "gpu=h100x8,cpu=8,memory=16Gi")
    for at in range(3):
        own.roadstead("run", "--gpus", "4", "--detach", "--name", f"long-{at}", "--", "sleep", "300")
    own.roadstead("run", "--gpus", "8", "--detach", "--priority", "high", "--name", "urgent", "--", "true")
    own.until(lambda: job_is_done(own, "urgent"), "the urgent job takes the place of others and ends")
    own.roadstead("why", "long-2")
    assert re.fullmatch(r"The same: \d+ decisions \([1-9]\d* commands\) in 1 file\.\n", own.roadstead("replay").stdout)
    os.kill(own.pid("server"), signal.SIGKILL)
    own.until(lambda: running(Home(own.home), "server") is None, "the server is gone")
    own.roadstead("up", "--port", "0")
    assert own.roadstead("run", "--", "echo", "again").stdout.endswith("again\n")
    own.until(lambda: "in 2 files" in own.roadstead("replay").stdout, "what was decided after the crash replays too")
    own.roadstead("down")
    assert own.roadstead("replay").stdout.startswith("The same: ")


def job_is_done(cluster: Cluster, name: str) -> bool:
    _, job = cluster.ask("GET", f"/apis/batch/v1/namespaces/default/jobs/{name}")
    return any(each["type"] == "Complete" for each in job.get("status", {}).get("conditions") or ())
