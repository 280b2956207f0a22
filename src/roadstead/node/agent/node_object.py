"""The Node object and its Lease, as dicts. Pure; what others wrote on the node (labels, taints, conditions) stays."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson

import roadstead
from roadstead.expr.quantity import normalize
from roadstead.kinds.names import HOSTNAME_LABEL, NODE_DEVICES_ANNOTATION, NODE_SIMULATED_LABEL
from roadstead.kinds.object import Json, Object, owner_reference
from roadstead.kinds.times import format_micro_time, format_time
from roadstead.node.agent import health
from roadstead.node.agent.isolation import LABEL as ISOLATION_LABEL
from roadstead.node.agent.options import NodeOptions
from roadstead.node.agent.profiles import profile

LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 40

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_CONDITIONS = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "node agent has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "node agent has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "node agent has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "node agent is posting ready status"),
)


def machine_memory() -> str:
    """Physical memory as a quantity in Ki, as kubelets write it."""
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // 1024}Ki"


def machine_cpus() -> str:
    """Processors that we may use."""
    return str(len(os.sched_getaffinity(0)))


def allocatable(options: NodeOptions) -> dict[str, str]:
    """What the node offers, by resource, as quantities, written as a server stores them."""
    looks = profile(options.profile)
    cpu = options.cpu or (looks.cpu if options.simulate else machine_cpus())
    memory = options.memory or (looks.memory if options.simulate else machine_memory())
    offered = {"cpu": normalize(cpu), "memory": normalize(memory), "pods": str(options.pods)}
    if looks.resource and not options.by_claims:
        offered[looks.resource] = str(looks.devices)
    return offered


def labels(options: NodeOptions, tier: str) -> dict[str, str]:
    looks = profile(options.profile)
    found = {
        HOSTNAME_LABEL: options.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture(),
        "node.kubernetes.io/instance-type": options.profile,
        **looks.labels,
        **dict(options.labels),
    }
    if looks.devices:
        found["nvidia.com/gpu.count"] = str(looks.devices)
    if options.simulate:
        found[NODE_SIMULATED_LABEL] = "all"
    else:
        found[ISOLATION_LABEL] = tier
        if looks.devices:
            found[NODE_SIMULATED_LABEL] = "devices"
    return found


def architecture() -> str:
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def node(options: NodeOptions, tier: str, address: str, port: int, old: Json | None, now: int) -> Json:
    """The whole Node, from the one stored (None: a new one). Its log port is at `address`."""
    value: Json = old or {"apiVersion": "v1", "kind": "Node", "metadata": {"name": options.name}, "spec": {}}
    metadata = value["metadata"]
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels(options, tier)}
    annotations = metadata.get("annotations") or {}
    gone = health.lost(annotations)
    counted = [] if options.by_claims else profile(options.profile).inventory
    inventory = [{**one, "healthy": one["name"] not in gone} for one in counted]
    metadata["annotations"] = {**annotations, NODE_DEVICES_ANNOTATION: orjson.dumps(inventory).decode()}
    if old is None and options.taints:
        value["spec"]["taints"] = [asdict(taint) for taint in options.taints]
    value["status"] = _status(options, address, port, value.get("status") or {}, now)
    return value


def _status(options: NodeOptions, address: str, port: int, old: Json, now: int) -> Json:
    offered = allocatable(options)
    return {
        **old,
        "capacity": offered,
        "allocatable": offered,
        "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": options.name}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "nodeInfo": _info(),
        "conditions": _conditions(old.get("conditions") or [], now),
    }


def _info() -> Json:
    uname = os.uname()
    return {
        "machineID": _line("/etc/machine-id"),
        "systemUUID": "",
        "bootID": _line("/proc/sys/kernel/random/boot_id"),
        "kernelVersion": uname.release,
        "osImage": _os_name(),
        "containerRuntimeVersion": f"process://{roadstead.__version__}",
        "kubeletVersion": f"v{roadstead.__version__}-roadstead",
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": architecture(),
    }


def _line(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().strip()
    except OSError:
        return ""


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"


def _conditions(old: list[Json], now: int) -> list[Json]:
    known = {one["type"]: one for one in old}
    text = format_time(now)
    for kind, value, reason, message in _CONDITIONS:
        before = known.get(kind)
        same = before is not None and before["status"] == value
        known[kind] = {
            "type": kind,
            "status": value,
            "lastHeartbeatTime": text,
            "lastTransitionTime": before["lastTransitionTime"] if before is not None and same else text,
            "reason": reason,
            "message": message,
        }
    return list(known.values())


def says_the_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Equal, heartbeat times apart."""

    def bare(value: Mapping[str, Any]) -> Any:
        status = value.get("status") or {}
        conditions = [
            {key: item for key, item in condition.items() if key not in ("lastHeartbeatTime", "lastTransitionTime")}
            for condition in status.get("conditions") or []
        ]
        meta = value["metadata"]
        rest = {key: item for key, item in status.items() if key != "conditions" and item not in (None, {}, [])}
        return meta.get("labels"), meta.get("annotations"), rest, conditions

    return bool(bare(one) == bare(other))


def lease(name: str, owner: Object | None, old: Json | None, now: int) -> Json:
    """The node's Lease, renewed now."""
    value: Json = old or {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": LEASE_NAMESPACE},
    }
    if owner is not None:
        reference = owner_reference(owner)
        value["metadata"]["ownerReferences"] = [{key: reference[key] for key in ("apiVersion", "kind", "name", "uid")}]
    value["spec"] = {
        **(value.get("spec") or {}),
        "holderIdentity": name,
        "leaseDurationSeconds": LEASE_SECONDS,
        "renewTime": format_micro_time(now),
    }
    return value
