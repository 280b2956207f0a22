"""CDI specs on the machine: found by claim and device, later directories first, and carried out as far as a process
can."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from roadstead.kinds.object import Json
from roadstead.node.agent.claims import cdi
from roadstead.node.agent.problems import CannotStart


def spec(kind: str, *devices: Json, **more: Any) -> Json:
    return {"cdiVersion": "0.8.0", "kind": kind, "devices": list(devices), **more}


def device(name: str, **edits: Any) -> Json:
    return {"name": name, "containerEdits": edits}


def put(directory: Path, name: str, value: Json | str) -> None:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(value if isinstance(value, str) else json.dumps(value))


def test_what_was_prepared_for_a_claim_is_found_under_the_names_that_drivers_use(tmp_path: Path) -> None:
    put(tmp_path, "claim.json", spec("k8s.gpu.example.com/claim", device("uid-gpu-0"), device("other-gpu-0")))
    put(tmp_path, "all.json", spec("k8s.gpu.example.com/device", device("gpu-0"), device("gpu-1")))
    put(tmp_path, "plain.json", spec("gpu.example.com/gpu", device("gpu-0")))
    put(tmp_path, "vendor.json", spec("example.com/gpu", device("gpu-0")))
    assert cdi.load([tmp_path]).find("gpu.example.com", "gpu-0", "uid") == [
        "gpu.example.com/gpu=gpu-0",
        "k8s.gpu.example.com/claim=uid-gpu-0",
        "k8s.gpu.example.com/device=gpu-0",
    ]
    assert cdi.load([tmp_path / "nothing"]).find("gpu.example.com", "gpu-0", "uid") == []


def test_edits_of_the_spec_and_of_its_devices_apply_in_order(tmp_path: Path) -> None:
    text = """
cdiVersion: 0.6.0
kind: k8s.x.example.com/claim
containerEdits:
  env: [A=all, B=all]
devices:
- name: one
  containerEdits:
    env: [B=one, C=x=y]
"""
    put(tmp_path, "x.yaml", text)
    registry = cdi.load([tmp_path])
    edits = registry.edits(["k8s.x.example.com/claim=one"])
    assert cdi.variables(edits) == {"A": "all", "B": "one", "C": "x=y"}
    with pytest.raises(CannotStart, match=r"CDI device k8s\.x\.example\.com/claim=two is not there any more"):
        registry.edits(["k8s.x.example.com/claim=two"])


def test_a_later_directory_is_meant_and_two_of_one_directory_are_not(tmp_path: Path) -> None:
    etc, run = tmp_path / "etc", tmp_path / "run"
    for directory, value in ((etc, "etc"), (run, "run")):
        put(directory, "a.json", spec("v.com/c", device("d", env=[f"FROM={value}"])))
    assert cdi.variables(cdi.load([etc, run]).edits(["v.com/c=d"])) == {"FROM": "run"}
    put(etc, "b.json", spec("v.com/c", device("d"), device("e")))
    assert cdi.variables(cdi.load([etc, run]).edits(["v.com/c=d"])) == {"FROM": "run"}
    put(run, "b.json", spec("v.com/c", device("d")))
    registry = cdi.load([etc, run])
    assert list(registry.devices) == ["v.com/c=e"]
    assert any("neither is used" in problem for problem in registry.problems)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "unexpected end"),
        ('{"cdiVersion": "0.5.0", "devices": []}', "missing required field `kind`"),
        ('{"cdiVersion": "2.0.0", "kind": "a/b"}', "cdiVersion '2.0.0' is newer"),
        ('{"cdiVersion": "0.5.0", "kind": "ab"}', "kind 'ab' is not vendor/class"),
    ],
)
def test_a_spec_that_cannot_be_read_costs_only_its_own_devices(tmp_path: Path, text: str, problem: str) -> None:
    put(tmp_path, "bad.json", text)
    put(tmp_path, "bad.yaml", "a: [")
    put(tmp_path, "good.json", spec("v.com/c", device("d")))
    registry = cdi.load([tmp_path])
    assert list(registry.devices) == ["v.com/c=d"]
    assert len(registry.problems) == 2
    assert any(problem in one for one in registry.problems)


def test_mounts_and_nodes_that_are_where_they_should_be_need_nothing() -> None:
    mount = cdi.Mount("/usr/lib/x", "/usr/lib/x", ("rbind",))
    guarded = cdi.Mount("/usr/lib/x", "/usr/lib/x", ("ro", "rbind"))
    moved = cdi.Mount("/opt/x", "/usr/lib/x")
    node = cdi.DeviceNode("/dev/null")
    renamed = cdi.DeviceNode("/dev/x0", "/dev/x7")
    edits = [cdi.Edits(mounts=(mount, guarded, moved), device_nodes=(node, renamed), hooks=({},))]
    assert cdi.binds(edits) == [
        {"source": "/usr/lib/x", "target": "/usr/lib/x", "read_only": True},
        {"source": "/opt/x", "target": "/usr/lib/x", "read_only": False},
        {"source": "/dev/x7", "target": "/dev/x0", "read_only": False},
    ]
    assert cdi.left_out(edits, mounts=True) == "1 CDI hooks are not run"
    assert "not mounted: /usr/lib/x at /usr/lib/x, /opt/x at" in cdi.left_out(edits, mounts=False)
    assert cdi.left_out([cdi.Edits(mounts=(mount,))], mounts=False) == ""


def test_a_device_node_must_exist_and_open(tmp_path: Path) -> None:
    cdi.check_nodes([cdi.Edits(device_nodes=(cdi.DeviceNode("/dev/null", permissions="rw"),))])
    missing = str(tmp_path / "x0")
    with pytest.raises(CannotStart, match="x0 does not exist on this machine: load the device's kernel driver"):
        cdi.check_nodes([cdi.Edits(device_nodes=(cdi.DeviceNode(missing),))])
    closed = tmp_path / "closed"
    closed.touch(mode=0o000)
    if os.geteuid() == 0:
        pytest.skip("root may open everything")
    with pytest.raises(CannotStart, match=r"closed may not be opened \(rw\) by user"):
        cdi.check_nodes([cdi.Edits(device_nodes=(cdi.DeviceNode(str(closed)),))])
