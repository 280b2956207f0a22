"""A Slurm configuration as Kubernetes objects: nodes, devices, flavors and queues. Pure: a `Cluster` in, objects and remarks out.

Partitions overlap, quotas must not: nodes are grouped by the partitions they are in and by what they hold, every group is a
ResourceFlavor, the cohort of the cluster holds each group's amounts once, and a partition is a ClusterQueue that borrows from it. A
GPU that `mps` (or `shard`) can cut is one shareable device with as many units; asking for it without a number takes all of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from roadstead.slurm.language.fleet import Cluster, NodeLine, Partition
from roadstead.slurm.language.numbers import spelled
from roadstead.slurm.language.placement.model import Device, Node
from roadstead.slurm.language.request import GPU, SHARED_GPUS

Json = dict[str, Any]

GROUP_LABEL: Final = "slurm.roadstead.dev/group"
FEATURE_LABEL: Final = "feature.slurm.roadstead.dev/"
TYPE_DOMAIN: Final = "slurm.roadstead.dev"
NODE_DEVICES: Final = "roadstead.dev/node-devices"
DEVICE_ATTRIBUTE: Final = "roadstead.dev/device"
GPU_RESOURCE: Final = "nvidia.com/gpu"
GPU_DRIVER: Final = "gpu.nvidia.com"
OTHER_DRIVER: Final = "gres.roadstead.dev"
PODS: Final = 500
MAX_NAME: Final = 63
_NODE_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")

_NODE_KEYS: Final = (
    "nodename nodehostname nodeaddr bcastaddr port boards sockets socketsperboard corespersocket threadspercore cpus procs realmemory "
    "features feature gres state reason"
)
_PARTITION_KEYS: Final = "partitionname nodes default state"
_PLUMBING: Final = (
    "clustername slurmctldhost slurmuser slurmduser authtype authinfo cryptotype credtype slurmctldport slurmdport statesavelocation "
    "slurmdspooldir slurmctldpidfile slurmdpidfile slurmctldlogfile slurmdlogfile slurmctlddebug slurmddebug slurmdparameters "
    "proctracktype taskplugin mpidefault switchtype plugindir returntoservice slurmctldtimeout slurmdtimeout firstjobid grestypes "
    "messagetimeout maxjobcount minjobage"
)
"""Keys that say how Slurm's daemons run, and nothing about jobs or machines: nothing is lost with them."""


class NameRefused(ValueError):
    """A name that cannot be had: where, both names, and in `hint` what to do."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.hint = hint


def manifests(cluster: Cluster, namespace: str = "default") -> tuple[list[Json], list[str]]:
    """(objects in the order in which to apply them, what could not be expressed, a sentence each). NameRefused if two things would
    get one name, or a node one that Kubernetes refuses."""
    _check_names(cluster)
    remarks = list(cluster.remarks)
    groups = _groups(cluster)
    placed = {node.name: node for node in cluster.placement_nodes()}
    objects: list[Json] = []
    objects += _device_classes(placed.values())
    for name, nodes in groups.items():
        for node in nodes:
            objects.append(_node(node, placed[node.name], name, remarks))
            objects += _slices(placed[node.name])
    objects += [_flavor(name) for name in groups]
    cohort = _name(f"slurm-{cluster.settings.get('clustername', 'cluster')}")
    resources = sorted(
        {resource for nodes in groups.values() for node in nodes for resource in _amounts(node, placed[node.name])}
    )
    objects.append(_cohort(cohort, groups, placed, resources))
    for partition in cluster.partitions:
        objects += _queue(partition, cohort, groups, resources, namespace, remarks)
    remarks += _unspoken(cluster)
    _check_objects(objects)
    return objects, list(dict.fromkeys(remarks))


def _check_names(cluster: Cluster) -> None:
    for node in cluster.nodes:
        if len(node.name) > MAX_NAME or not _NODE_NAME.fullmatch(node.name):
            suggestion = _name(node.name)
            raise NameRefused(
                f"{node.where}: Kubernetes takes no node named {node.name}; it would have to be {suggestion or 'another'}: at most "
                f"{MAX_NAME} lower-case letters, digits, dashes and dots.",
                "Rename it in the configuration, and as the machine's agent is to call it.",
            )
    queues: dict[str, Partition] = {}
    for partition in cluster.partitions:
        name = _name(partition.name)
        if not name:
            raise NameRefused(
                f"{partition.where}: nothing is left of the partition name {partition.name} for a ClusterQueue: it has no letter a-z and "
                "no digit.",
                "Rename the partition in the configuration.",
            )
        other = queues.setdefault(name, partition)
        if other is not partition:
            raise NameRefused(
                f"{partition.where}: the partitions {other.name} ({other.where}) and {partition.name} would both be the ClusterQueue {name}.",
                "Rename one of them in the configuration.",
            )


def _check_objects(objects: Sequence[Json]) -> None:
    """What is left: GRES, types and long names that differ only in what names of Kubernetes cannot hold."""
    seen: set[tuple[str, str]] = set()
    for each in objects:
        key = (each["kind"], each["metadata"]["name"])
        if key in seen:
            raise NameRefused(
                f"Two things of the configuration would both be the {key[0]} {key[1]}: their names differ only in capitals, in signs other "
                f"than dashes, or after {MAX_NAME} letters.",
                "Rename one of them in the configuration.",
            )
        seen.add(key)


def _groups(cluster: Cluster) -> dict[str, list[NodeLine]]:
    """Nodes by the partitions they are in and by their hardware, in the order of the configuration."""
    found: dict[tuple[Any, ...], list[NodeLine]] = {}
    for node in cluster.nodes:
        inside = tuple(partition.name for partition in cluster.partitions if node.name in partition.nodes)
        key = (inside, node.cpus, node.memory, node.gres, node.features)
        found.setdefault(key, []).append(node)
    named: dict[str, list[NodeLine]] = {}
    for nodes in found.values():
        first = named.setdefault(_name(f"slurm-{nodes[0].name}"), nodes)[0]
        if first is not nodes[0]:
            raise NameRefused(
                f"{nodes[0].where}: the flavors of {first.name} ({first.where}) and {nodes[0].name} would have one name, which ends after "
                f"{MAX_NAME} letters.",
                "Give one of the nodes a shorter name.",
            )
    return named


# --- nodes and devices


def _amounts(node: NodeLine, placed: Node) -> dict[str, str]:
    amounts = {"cpu": str(node.cpus), "memory": f"{node.memory}Mi"}
    gpus = sum(1 for device in placed.devices if device.name == GPU)
    if gpus:
        amounts[GPU_RESOURCE] = str(gpus)
    for stock in placed.stocks:
        if stock.consumed:
            amounts[f"{OTHER_DRIVER}/{_name(stock.name + (f'-{stock.type}' if stock.type else ''))}"] = str(stock.count)
    return amounts


def _node(node: NodeLine, placed: Node, group: str, remarks: list[str]) -> Json:
    labels = {"kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux", GROUP_LABEL: group}
    for feature in node.features:
        labels[FEATURE_LABEL + _name(feature)] = "true"
    amounts = _amounts(node, placed) | {"pods": str(PODS)}
    meta: Json = {"name": node.name, "labels": labels}
    inventory = [
        {"name": _device_name(device), "resource": GPU_RESOURCE, "index": device.index, "healthy": True}
        for device in placed.devices
        if device.name == GPU
    ]
    if inventory:
        meta["annotations"] = {NODE_DEVICES: json.dumps(inventory, separators=(",", ":"))}
    state = node.attributes.get("state", "UNKNOWN").upper().split("+")[0]
    spec: Json = {"unschedulable": True} if state in ("DOWN", "DRAIN", "FAIL", "FAILING") else {}
    if state in ("FUTURE", "CLOUD"):
        remarks.append(
            f"{node.where}: State={state} of {node.name}: Roadstead starts no machines; the node counts as there."
        )
    for stock in placed.stocks:
        if not stock.consumed:
            remarks.append(
                f"{node.where}: {stock.name}{':' if stock.type else ''}{stock.type} is no_consume, a limit of {spelled(stock.count)} "
                "for each job and no stock. There is no such limit for pods; nothing is refused and nothing is counted."
            )
    if node.threads_per_core > 1:
        remarks.append(
            f"{node.where}: threads and cores of {node.name} are told apart by Slurm only; a pod gets any {node.cpus} CPUs."
        )
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": meta,
        "spec": spec,
        "status": {"capacity": amounts, "allocatable": dict(amounts)},
    }


def _device_name(device: Device) -> str:
    return _name(f"{device.name}-{device.index}")


def _slices(placed: Node) -> Iterator[Json]:
    """What the drivers of a node's devices would publish."""
    for driver in (GPU_DRIVER, OTHER_DRIVER):
        devices = [device for device in placed.devices if (device.name == GPU) == (driver == GPU_DRIVER)]
        if not devices:
            continue
        yield {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "ResourceSlice",
            "metadata": {"name": _name(f"{placed.name}-{driver}")},
            "spec": {
                "driver": driver,
                "nodeName": placed.name,
                "pool": {"name": placed.name, "generation": 1, "resourceSliceCount": 1},
                "devices": [_published(device) for device in devices],
            },
        }


def _published(device: Device) -> Json:
    attributes: Json = {f"{TYPE_DOMAIN}/name": {"string": device.name}, f"{TYPE_DOMAIN}/index": {"int": device.index}}
    if device.type:
        attributes[f"{TYPE_DOMAIN}/type"] = {"string": device.type}
    if device.socket >= 0:
        attributes["resource.kubernetes.io/numaNode"] = {"int": device.socket}
    if device.name == GPU:
        attributes[DEVICE_ATTRIBUTE] = {"string": _device_name(device)}
    published: Json = {"name": _device_name(device), "attributes": attributes}
    if device.shares:
        units = str(device.shares)
        published["allowMultipleAllocations"] = True
        published["capacity"] = {
            f"{TYPE_DOMAIN}/shares": {
                "value": units,
                "requestPolicy": {"default": units, "validRange": {"min": "1", "step": "1", "max": units}},
            }
        }
    return published


def _device_classes(nodes: Any) -> Iterator[Json]:
    """One for each GRES with devices, and one for each of its types."""
    kinds = {(device.name, kind) for node in nodes for device in node.devices for kind in ("", device.type)}
    for name, kind in sorted(kinds):
        driver = GPU_DRIVER if name == GPU else OTHER_DRIVER
        ours = f'device.attributes["{TYPE_DOMAIN}"]'
        tests = [f'device.driver == "{driver}"', f"has({ours}.name)", f"{ours}.name == {json.dumps(name)}"]
        if kind:
            tests += [f"has({ours}.type)", f"{ours}.type == {json.dumps(kind)}"]
        yield {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "DeviceClass",
            "metadata": {"name": _name(f"gres-{name}{'-' if kind else ''}{kind}")},
            "spec": {"selectors": [{"cel": {"expression": " && ".join(tests)}}]},
        }


# --- flavors and queues


def _flavor(group: str) -> Json:
    return {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "ResourceFlavor",
        "metadata": {"name": group},
        "spec": {"nodeLabels": {GROUP_LABEL: group}},
    }


def _cohort(
    name: str, groups: Mapping[str, Sequence[NodeLine]], placed: Mapping[str, Node], resources: Sequence[str]
) -> Json:
    flavors = []
    for group, nodes in groups.items():
        totals = dict.fromkeys(resources, 0)
        for node in nodes:
            for resource, amount in _amounts(node, placed[node.name]).items():
                totals[resource] += int(amount.removesuffix("Mi"))
        flavors.append(_quotas(group, totals))
    return {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "Cohort",
        "metadata": {"name": name},
        "spec": {"resourceGroups": [{"coveredResources": list(resources), "flavors": flavors}]},
    }


def _quotas(group: str, totals: Mapping[str, int]) -> Json:
    return {
        "name": group,
        "resources": [
            {"name": resource, "nominalQuota": f"{total}Mi" if resource == "memory" and total else str(total)}
            for resource, total in totals.items()
        ],
    }


def _queue(
    partition: Partition,
    cohort: str,
    groups: Mapping[str, Sequence[NodeLine]],
    resources: Sequence[str],
    namespace: str,
    remarks: list[str],
) -> Iterator[Json]:
    name = _name(partition.name)
    state = partition.attributes.get("state", "UP").upper()
    flavors = [
        _quotas(group, dict.fromkeys(resources, 0))
        for group, nodes in groups.items()
        if any(node.name in partition.nodes for node in nodes)
    ]
    spec: Json = {"cohortName": cohort, "namespaceSelector": {}, "queueingStrategy": "BestEffortFIFO"}
    if flavors:
        spec["resourceGroups"] = [{"coveredResources": list(resources), "flavors": flavors}]
    if state != "UP":
        spec["stopPolicy"] = "Hold"
        if state != "DOWN":
            remarks.append(
                f"{partition.where}: State={state} of {partition.name} is held like DOWN: jobs are taken and do not start."
            )
    yield {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "ClusterQueue", "metadata": {"name": name}, "spec": spec}
    yield {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "LocalQueue",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterQueue": name},
    }
    if partition.default and name != "default":
        remarks.append(
            f"{partition.where}: {partition.name} is the default partition; here work names its queue, or goes to the LocalQueue "
            f"called default. Let that one lead to the ClusterQueue {name} if you want the same."
        )


# --- what is left


def _unspoken(cluster: Cluster) -> Iterator[str]:
    plumbing = set(_PLUMBING.split())
    for key in cluster.settings:
        if key not in plumbing:
            yield f"slurm.conf: {key}={cluster.settings[key]} has no counterpart and is left out."
    for node in cluster.nodes:
        for key in sorted(set(node.attributes) - set(_NODE_KEYS.split())):
            yield f"{node.where}: {key}={node.attributes[key]} has no counterpart and is left out."
    for partition in cluster.partitions:
        for key in sorted(set(partition.attributes) - set(_PARTITION_KEYS.split())):
            yield f"{partition.where}: {key}={partition.attributes[key]} of {partition.name} has no counterpart and is left out."
    for line in cluster.devices:
        for what, given in (("Links", line.links), ("Flags", line.flags - {"countonly"})):
            if given:
                yield f"{line.where}: {what} of {line.name} has no counterpart and is left out."
        if line.cores and line.name not in SHARED_GPUS and line.name != GPU:
            yield f"{line.where}: Cores of {line.name} are published as a NUMA node; nothing is bound to them."


def _name(text: str) -> str:
    """A name that Kubernetes takes: lower case, digits and dashes."""
    return re.sub(r"[^a-z0-9.-]+", "-", text.lower()).strip("-.")[:MAX_NAME].rstrip("-.")
