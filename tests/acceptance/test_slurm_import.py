"""A Slurm configuration comes in whole, and its jobs go where Slurm would put them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from roadstead.slurm.language.commands import submit
from roadstead.slurm.language.fleet import read
from tests.acceptance.cluster import EXAMPLES, Cluster

PATHS = {
    "Node": "/api/v1/nodes",
    "ResourceSlice": "/apis/resource.k8s.io/v1/resourceslices",
    "DeviceClass": "/apis/resource.k8s.io/v1/deviceclasses",
    "ResourceFlavor": "/apis/kueue.x-k8s.io/v1beta2/resourceflavors",
    "Cohort": "/apis/kueue.x-k8s.io/v1beta2/cohorts",
    "ClusterQueue": "/apis/kueue.x-k8s.io/v1beta2/clusterqueues",
    "LocalQueue": "/apis/kueue.x-k8s.io/v1beta2/namespaces/default/localqueues",
}


def test_the_tux_cluster_is_imported_whole(cluster: Cluster) -> None:
    done = cluster.roadstead("import", str(EXAMPLES / "slurm" / "slurm.conf"))
    assert "bandwidth:lustre is no_consume" in done.stderr
    objects: list[dict[str, Any]] = list(yaml.safe_load_all(done.stdout))
    for each in objects:
        status, answer = cluster.ask("POST", PATHS[each["kind"]], each)
        assert status == 201, answer
    node = cluster.ask("GET", "/api/v1/nodes/tux7")[1]
    assert node["status"]["allocatable"] == {"cpu": "8", "memory": "16000Mi", "nvidia.com/gpu": "4", "pods": "500"}
    assert {"batch", "debug"} <= {
        each["metadata"]["name"] for each in cluster.ask("GET", PATHS["ClusterQueue"])[1]["items"]
    }
    for each in reversed(objects):
        status, answer = cluster.ask("DELETE", f"{PATHS[each['kind']]}/{each['metadata']['name']}")
        assert status in (200, 202), answer


@pytest.mark.parametrize(
    ("options", "tasks", "gpus"),
    [
        ("--gres=gpu:tesla:1,gpu:kepler:1,bandwidth:lustre:2G -n2", [2], [(0, 2)]),
        ("--gpus=6", [1, 1], [(0, 1, 2, 3), (0, 1)]),
        ("-N2 --gpus-per-node=tesla:2", [1, 1], [(0, 1), (0, 1)]),
        ("--sockets-per-node=2 --gpus-per-socket=1 -n2", [2], [(0, 2)]),
        ("-n4 --gpus-per-task=2", [2, 2], [(0, 1, 2, 3), (0, 1, 2, 3)]),
        ("--gres=mps:50", [1], [(0,)]),
    ],
)
def test_requests_go_where_slurm_would_put_them(options: str, tasks: list[int], gpus: list[tuple[int, ...]]) -> None:
    folder = EXAMPLES / "slurm"
    tux = read((folder / "slurm.conf").read_text(), (folder / "gres.conf").read_text())
    answer = submit(["sbatch", *options.split(), "job.sh"], tux)
    assert (answer.exit, answer.stderr) == (0, "")
    assert answer.placement is not None
    assert [share.tasks for share in answer.placement.shares] == tasks
    assert [share.devices["gpu"] for share in answer.placement.shares] == gpus


def test_what_slurm_refuses_is_refused_in_its_words() -> None:
    tux = read((EXAMPLES / "slurm" / "slurm.conf").read_text())
    answer = submit(["sbatch", "-N4", "--gpus=3", "job.sh"], tux)
    assert answer.exit == 1
    assert answer.stderr == (
        "sbatch: error: Failed to validate job spec, --gpus < -N\n"
        "sbatch: error: Invalid generic resource (gres) specification\n"
    )
