from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from roadstead.expr.quantity import parse
from roadstead.slurm.language.fleet import read
from roadstead.slurm.manifests import NODE_DEVICES, manifests

EXAMPLE = Path(__file__).parents[2] / "examples" / "slurm"


def imported(slurm_conf: str, gres_conf: str = "") -> tuple[dict[str, dict[str, Any]], list[str]]:
    objects, remarks = manifests(read(slurm_conf, gres_conf))
    found = {f"{each['kind']}/{each['metadata']['name']}": each for each in objects}
    assert len(found) == len(objects), "two objects of one kind and name"
    return found, remarks


def example() -> tuple[dict[str, dict[str, Any]], list[str]]:
    return imported((EXAMPLE / "slurm.conf").read_text(), (EXAMPLE / "gres.conf").read_text())


def test_nodes_hold_what_the_configuration_says() -> None:
    found, _ = example()
    assert [key for key in found if key.startswith("Node/")] == [f"Node/tux{number}" for number in range(8)]
    node = found["Node/tux5"]
    assert node["status"]["capacity"] == {"cpu": "8", "memory": "16000Mi", "nvidia.com/gpu": "4", "pods": "500"}
    names = [device["name"] for device in json.loads(node["metadata"]["annotations"][NODE_DEVICES])]
    assert names == ["gpu-0", "gpu-1", "gpu-2", "gpu-3"]


def test_mps_shares_are_capacity_of_the_same_gpu() -> None:
    found, _ = example()
    devices = found["ResourceSlice/tux0-gpu.nvidia.com"]["spec"]["devices"]
    assert [device["attributes"]["slurm.roadstead.dev/type"]["string"] for device in devices] == [
        "tesla",
        "tesla",
        "kepler",
        "kepler",
    ]
    for device in devices:
        assert device["allowMultipleAllocations"] is True
        shares = device["capacity"]["slurm.roadstead.dev/shares"]
        # Who asks for the GPU without a number takes all of it.
        assert (shares["value"], shares["requestPolicy"]["default"]) == ("100", "100")
        assert device["attributes"]["roadstead.dev/device"]["string"] == device["name"]


def test_partitions_that_overlap_do_not_count_a_node_twice() -> None:
    found, _ = example()
    groups = found["Cohort/slurm-tux"]["spec"]["resourceGroups"][0]
    totals: dict[str, float] = {}
    for flavor in groups["flavors"]:
        for quota in flavor["resources"]:
            totals[quota["name"]] = totals.get(quota["name"], 0) + parse(quota["nominalQuota"]).nano / 10**9
    assert totals == {"cpu": 64, "memory": 8 * 16000 * 2**20, "nvidia.com/gpu": 32}
    flavors_of = {
        name: [flavor["name"] for flavor in found[f"ClusterQueue/{name}"]["spec"]["resourceGroups"][0]["flavors"]]
        for name in ("batch", "debug")
    }
    assert flavors_of == {"batch": ["slurm-tux0", "slurm-tux2"], "debug": ["slurm-tux0"]}
    for node, group in (("tux1", "slurm-tux0"), ("tux7", "slurm-tux2")):
        labels = found[f"ResourceFlavor/{group}"]["spec"]["nodeLabels"]
        assert labels.items() <= found[f"Node/{node}"]["metadata"]["labels"].items()
    assert found["LocalQueue/debug"]["spec"] == {"clusterQueue": "debug"}


def test_what_cannot_be_expressed_is_said() -> None:
    _, remarks = example()
    text = "\n".join(remarks)
    assert "bandwidth:lustre is no_consume, a limit of 4G for each job" in text
    assert "maxtime=7-0 of batch has no counterpart" in text
    assert "batch is the default partition" in text
    assert len(remarks) == len(set(remarks))


def test_states_features_and_stocks() -> None:
    found, remarks = imported(
        "GresTypes=gpu,licence\n"
        "NodeName=a[0-1] CPUs=4 RealMemory=100 Gres=licence:seat:3 Features=fast,Rack_1 State=DRAIN\n"
        "NodeName=b CPUs=4 RealMemory=100 State=FUTURE Weight=3\n"
        "PartitionName=p Nodes=ALL State=DOWN PriorityTier=2\n"
    )
    node = found["Node/a1"]
    assert node["spec"] == {"unschedulable": True}
    assert node["status"]["allocatable"]["gres.roadstead.dev/licence-seat"] == "3"
    assert node["metadata"]["labels"]["feature.slurm.roadstead.dev/rack-1"] == "true"
    assert found["ClusterQueue/p"]["spec"]["stopPolicy"] == "Hold"
    assert any("State=FUTURE of b" in remark for remark in remarks)
    assert any("weight=3 has no counterpart" in remark for remark in remarks)
    assert any("prioritytier=2 of p" in remark for remark in remarks)


def test_gres_with_files_are_devices_of_a_driver_of_their_own() -> None:
    found, _ = imported(
        "GresTypes=nic\nNodeName=a CPUs=4 Gres=nic:2\nPartitionName=p Nodes=a\n",
        "Name=nic File=/dev/infiniband/mlx5_[0-1]\n",
    )
    spec = found["ResourceSlice/a-gres.roadstead.dev"]["spec"]
    assert [device["name"] for device in spec["devices"]] == ["nic-0", "nic-1"]
    assert "allowMultipleAllocations" not in spec["devices"][0]
    assert (
        'device.driver == "gres.roadstead.dev"'
        in found["DeviceClass/gres-nic"]["spec"]["selectors"][0]["cel"]["expression"]
    )
