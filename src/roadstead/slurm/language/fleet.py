"""`slurm.conf` and `gres.conf` as values: nodes with what they hold, partitions, and the settings that placement depends on.

Source: slurm.conf(5) ("NODE CONFIGURATION", "PARTITION CONFIGURATION"), gres.conf(5).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from roadstead.slurm.language.configuration import ConfigurationError, Record, records
from roadstead.slurm.language.gresline import MAX_FILES, GresLine, NodeGres, gres_lines, node_gres
from roadstead.slurm.language.hostlist import Hostlist, HostlistError
from roadstead.slurm.language.placement.model import Device, Node, Stock
from roadstead.slurm.language.request import GPU, SHARED_GPUS

RECORD_KEYS: Final = frozenset({"nodename", "nodeset", "partitionname", "downnodes", "frontendname"})


@dataclass(frozen=True, slots=True)
class NodeLine:
    """One node as configured. Memory in MiB; `attributes`: every key, defaults applied."""

    name: str
    sockets: int
    cores_per_socket: int
    threads_per_core: int
    cpus: int
    memory: int
    weight: int
    features: tuple[str, ...]
    gres: tuple[NodeGres, ...]
    attributes: Mapping[str, str]
    where: str


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition. `attributes`: every key, defaults applied."""

    name: str
    nodes: tuple[str, ...]
    default: bool
    attributes: Mapping[str, str]
    where: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """A whole configuration."""

    gres_types: tuple[str, ...]
    nodes: tuple[NodeLine, ...]
    partitions: tuple[Partition, ...]
    settings: Mapping[str, str]
    """Plain `Key=value` lines, keys in lower case."""
    devices: tuple[GresLine, ...] = ()
    remarks: tuple[str, ...] = field(default=())
    """What gres.conf says that does not go together with slurm.conf, and was left out."""

    @property
    def memory_per_cpu(self) -> int | None:
        """MiB that a job gets for each CPU if it says nothing."""
        return _number(self.settings.get("defmempercpu"))

    def partition(self, name: str = "") -> Partition | None:
        """The partition of a name; without, the default one."""
        return next((each for each in self.partitions if (each.name == name if name else each.default)), None)

    def placement_nodes(self, names: Iterable[str] | None = None) -> tuple[Node, ...]:
        """The nodes (all, or those named) for `placement.place`, in the order of the configuration, with everything free."""
        wanted = None if names is None else set(names)
        return tuple(_placed(self, node) for node in self.nodes if wanted is None or node.name in wanted)


def read(
    slurm_conf: str,
    gres_conf: str = "",
    included: Mapping[str, str] | None = None,
    *,
    file: str = "slurm.conf",
    gres_file: str = "gres.conf",
) -> Cluster:
    """The cluster that the texts describe. ConfigurationError where Slurm's daemons would refuse to start. `included`: texts of files
    that `Include` names; `file` and `gres_file`: what errors call the texts."""
    lines = list(_with_includes(slurm_conf, file, included or {}))
    settings = {r.key: r.value for r in lines if r.key not in RECORD_KEYS}
    gres_types = tuple(filter(None, settings.get("grestypes", "").split(",")))
    nodes = _nodes(lines, gres_types)
    sets = {r.value: r for r in lines if r.key == "nodeset"}
    devices = gres_lines(list(_with_includes(gres_conf, gres_file, included or {})), gres_types)
    cluster = Cluster(gres_types, nodes, _partitions(lines, nodes, sets), settings, devices)
    for node in nodes:
        _check_devices(cluster, node)
    remarks = tuple(dict.fromkeys(remark for node in nodes for remark in _mismatches(cluster, node)))
    return Cluster(gres_types, nodes, cluster.partitions, settings, devices, remarks)


def _with_includes(text: str, file: str, included: Mapping[str, str], depth: int = 0) -> Iterable[Record]:
    for record in records(text, file):
        if record.key != "include":
            yield record
            continue
        if record.value not in included:
            raise ConfigurationError(f"{record.where}: Include {record.value}, which was not given.")
        if depth > 8:
            raise ConfigurationError(
                f"{record.where}: Include {record.value} is the ninth inside of another. Is there a circle?"
            )
        yield from _with_includes(included[record.value], record.value, included, depth + 1)


# --- nodes


def _nodes(lines: Sequence[Record], gres_types: Sequence[str]) -> tuple[NodeLine, ...]:
    default: dict[str, str] = {}
    nodes: dict[str, NodeLine] = {}
    for record in lines:
        if record.key != "nodename":
            continue
        if record.value.upper() == "DEFAULT":
            for key in ("nodehostname", "nodeaddr"):
                if key in record.attributes:
                    raise ConfigurationError(f"{record.where}: {key} not allowed with NodeName=DEFAULT")
            default |= record.attributes
            continue
        attributes = {**default, **record.attributes}
        for name in _names(record.value, record):
            if name in nodes:
                raise ConfigurationError(
                    f"{record.where}: Duplicated NodeName {name} in the config file, see {nodes[name].where} too."
                )
            nodes[name] = _node(name, attributes, gres_types, record)
    return tuple(nodes.values())


def _node(name: str, attributes: Mapping[str, str], gres_types: Sequence[str], record: Record) -> NodeLine:
    def count(key: str, otherwise: int) -> int:
        text = attributes.get(key)
        if text is None:
            return otherwise
        if not text.isdigit() or int(text) < 1:
            raise ConfigurationError(f"{record.where}: {key}={text} of node {name} is not a number above 0.")
        return int(text)

    boards = count("boards", 1)
    per_board = count("socketsperboard", 0)
    sockets = count("sockets", boards * per_board if per_board else 1)
    threads = count("threadspercore", 1)
    given = count("cpus", 0) or count("procs", 0)
    cores = count("corespersocket", max(given // (sockets * threads), 1) if given else 1)
    cpus = given or sockets * cores * threads
    if cpus not in (sockets * cores * threads, sockets * cores) and "corespersocket" in attributes:
        raise ConfigurationError(
            f"{record.where}: node {name} has CPUs={cpus}, but {sockets} sockets x {cores} cores x {threads} threads. "
            "Leave CPUs out, or make them agree."
        )
    features = attributes.get("features", attributes.get("feature", ""))
    return NodeLine(
        name,
        sockets,
        cores,
        threads if cpus == sockets * cores * threads else 1,
        cpus,
        count("realmemory", 1),
        count("weight", 1),
        tuple(filter(None, features.split(","))),
        node_gres(attributes.get("gres", ""), gres_types, f"{record.where}, node {name}"),
        attributes,
        record.where,
    )


def _names(text: str, record: Record) -> list[str]:
    try:
        return list(Hostlist.parse(text))
    except HostlistError as err:
        raise ConfigurationError(f"{record.where}: {err.explained}") from err


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


# --- partitions


def _partitions(
    lines: Sequence[Record], nodes: Sequence[NodeLine], sets: Mapping[str, Record]
) -> tuple[Partition, ...]:
    default: dict[str, str] = {}
    found: dict[str, Partition] = {}
    for record in lines:
        if record.key != "partitionname":
            continue
        if record.value.upper() == "DEFAULT":
            default |= record.attributes
            continue
        attributes = {**default, **record.attributes}
        for name in _names(record.value, record):
            if name in found:
                raise ConfigurationError(
                    f"{record.where}: Duplicated PartitionName {name}, see {found[name].where} too."
                )
            members = _members(attributes.get("nodes", ""), nodes, sets, record)
            is_default = attributes.get("default", "no").lower() in ("yes", "true", "1")
            found[name] = Partition(name, members, is_default, attributes, record.where)
    return tuple(found.values())


def _members(text: str, nodes: Sequence[NodeLine], sets: Mapping[str, Record], record: Record) -> tuple[str, ...]:
    known = [node.name for node in nodes]
    if text.upper() == "ALL":
        return tuple(known)
    wanted: set[str] = set()
    for name in _names(text, record):
        if name in sets:
            chosen = sets[name].attributes
            wanted |= set(_names(chosen.get("nodes", ""), sets[name]))
            wanted |= {node.name for node in nodes if chosen.get("feature") in node.features}
        elif name in known:
            wanted.add(name)
        else:
            raise ConfigurationError(
                f"{record.where}: partition {record.value} has the node {name}, which no NodeName line defines."
            )
    return tuple(name for name in known if name in wanted)


# --- devices


def lines_for(cluster: Cluster, node: NodeLine) -> list[GresLine]:
    """The lines of gres.conf that hold for a node."""
    return [line for line in cluster.devices if not line.nodes or node.name in line.nodes]


def _is_device(item: NodeGres, lines: Iterable[GresLine]) -> bool:
    """GPUs are devices, and what has files."""
    return item.name == GPU or any(line.files for line in lines if line.name == item.name)


def _check_devices(cluster: Cluster, node: NodeLine) -> None:
    lines = lines_for(cluster, node)
    counts: dict[str, int] = {}
    for item in node.gres:
        if item.name not in SHARED_GPUS and _is_device(item, lines):
            counts[item.name] = counts.get(item.name, 0) + item.count
    for name, count in counts.items():
        if count > MAX_FILES:
            raise ConfigurationError(
                f"{node.where}: node {node.name} has {count} devices of {name}, at most {MAX_FILES} are possible. "
                "Correct the count in its Gres=."
            )


def _mismatches(cluster: Cluster, node: NodeLine) -> Iterable[str]:
    configured: dict[tuple[str, str], int] = {}
    for item in node.gres:
        configured[item.name, item.type] = configured.get((item.name, item.type), 0) + item.count
    for line in lines_for(cluster, node):
        if line.name in SHARED_GPUS:
            continue
        key = (line.name, line.type) if (line.name, line.type) in configured else (line.name, "")
        there = configured.get(key, 0)
        if line.count > there:
            yield (
                f"{line.where}: {line.count} of {line.name}{':' if line.type else ''}{line.type}, but slurm.conf gives node {node.name} "
                f"{there}. Those beyond are ignored."
            )
        elif key in configured:
            configured[key] -= line.count


def _placed(cluster: Cluster, node: NodeLine) -> Node:
    devices: list[Device] = []
    stocks: list[Stock] = []
    for item in node.gres:
        if item.name in SHARED_GPUS:
            continue
        lines = [line for line in lines_for(cluster, node) if line.name == item.name and line.type in ("", item.type)]
        if not _is_device(item, lines):
            stocks.append(Stock(item.name, item.type, item.count, item.consumed))
            continue
        sockets: list[int] = []
        for line in lines:
            used = {core // node.cores_per_socket for core in line.cores}
            sockets += [used.pop() if len(used) == 1 else -1] * min(line.count, item.count)
        sockets = (sockets + [-1] * item.count)[: item.count]
        first = sum(1 for device in devices if device.name == item.name)
        devices += [Device(item.name, item.type, first + number, socket) for number, socket in enumerate(sockets)]
    shares = sum(item.count for item in node.gres if item.name in SHARED_GPUS)
    gpus = sum(1 for device in devices if device.name == GPU)
    if shares and gpus:
        devices = [Device(d.name, d.type, d.index, d.socket, shares // gpus) if d.name == GPU else d for d in devices]
    return Node(
        node.name,
        node.sockets,
        node.cores_per_socket,
        node.threads_per_core,
        node.memory,
        tuple(devices),
        tuple(stocks),
        node.weight,
        frozenset(node.features),
    )
