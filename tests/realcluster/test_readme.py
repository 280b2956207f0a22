"""What the README shows for a Kubernetes cluster, line by line, in a shell, as it stands there."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.test_readme import furnish, shell_block
from tests.node.agent.world import stop_everything
from tests.realcluster.machine import Kubectl
from tests.realcluster.server import RealServer

pytestmark = [pytest.mark.realcluster, pytest.mark.timeout(180)]


def ran() -> list[str]:
    """Every line that the test below runs."""
    return shell_block("roadstead operator")


def test_the_lines_for_a_cluster(whole_cluster: RealServer, tmp_path: Path) -> None:
    furnish(tmp_path)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path / 'tools'}:{os.environ['PATH']}",
        "KUBECONFIG": str(whole_cluster.kubeconfig()),
        "ROADSTEAD_HOME": str(tmp_path / "home"),
        "NO_COLOR": "1",
    }
    kubectl = Kubectl(whole_cluster)
    shell = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", "\n".join(ran())], cwd=tmp_path, env=environment, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        said = []
        assert shell.stdout is not None
        for line in shell.stdout:  # operator and node write on: until the last thing that the job says
            said.append(line)
            if line == "hello 5\n":
                break
        assert said[-1:] == ["hello 5\n"], "".join(said)
        assert shell.wait(30) == 0
        assert "job.batch/hello condition met\n" in said
        workload = kubectl.get("workloads", "--namespace=default")["items"][0]
        assert {"Admitted", "Finished"} <= {each["type"] for each in workload["status"]["conditions"]}
    finally:
        os.killpg(shell.pid, signal.SIGTERM)
        for state in tmp_path.glob("home/joined/*/nodes"):
            stop_everything(state)
        kubectl("delete", "--ignore-not-found", "--namespace=default", "job/hello", "localqueue/astronomy")
        kubectl("delete", "--ignore-not-found", "node/here", "clusterqueue/astronomy", "--wait=false")
