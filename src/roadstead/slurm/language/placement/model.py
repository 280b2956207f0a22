"""The nouns of placement: nodes with sockets, cores and devices, and the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU, or one other countable thing. `socket` is -1 if any core is as near as another."""

    name: str
    type: str
    index: int
    socket: int = -1
    shares: int = 0
    """Units of `mps` (or `shard`) that it can be cut into."""


@dataclass(frozen=True, slots=True)
class Stock:
    """A GRES without devices, e.g. `bandwidth:lustre:4G`."""

    name: str
    type: str
    count: int
    consumed: bool = True
    """False with `no_consume`: `count` is the most that one job may ask for, and nothing is taken."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node as far as placement is concerned, with what is free on it. Memory in MiB."""

    name: str
    sockets: int
    cores: int
    """Cores per socket."""
    threads: int = 1
    memory: int = 1
    devices: tuple[Device, ...] = ()
    stocks: tuple[Stock, ...] = ()
    weight: int = 1
    features: frozenset[str] = frozenset()
    free_cores: tuple[frozenset[int], ...] = ()
    """Free cores of every socket, numbered in the socket; empty: all are free."""
    free_memory: int = -1
    """-1: all of it."""
    busy: frozenset[tuple[str, int]] = frozenset()
    """Devices in use, as (name, index)."""

    @property
    def cpus(self) -> int:
        return self.sockets * self.cores * self.threads

    def cores_free(self, socket: int) -> int:
        return len(self.free_cores[socket]) if self.free_cores else self.cores

    @property
    def memory_free(self) -> int:
        return self.memory if self.free_memory < 0 else self.free_memory

    def free(self, name: str, kind: str = "") -> tuple[Device, ...]:
        """Free devices of a name and type ("" is any), by index."""
        return tuple(
            device
            for device in self.devices
            if device.name == name
            and (not kind or device.type == kind)
            and (device.name, device.index) not in self.busy
        )


@dataclass(frozen=True, slots=True)
class NodeShare:
    """What a job gets on one node. `devices`: indices by GRES name; `by_task`: what each task there sees of the GPUs."""

    node: str
    tasks: int
    cpus: int
    devices: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    by_task: tuple[tuple[int, ...], ...] = ()
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Placement:
    """A job's nodes in order. `step_error`: why a step that uses the whole job would be refused, although the job is accepted."""

    shares: tuple[NodeShare, ...]
    tasks: int
    step_error: str = ""


class Impossible(Exception):
    """No set of nodes will ever do. `before`: what is said besides."""

    def __init__(self, *before: str) -> None:
        super().__init__("; ".join(before) or "no nodes will do")
        self.before = before


class Waits(Exception):
    """The job is accepted and waits; `reason` as squeue(1) shows it. `said`: what the command prints at once."""

    def __init__(self, reason: str, said: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.said = said
