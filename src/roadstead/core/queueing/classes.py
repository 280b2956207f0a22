"""Interning: equal pods share one instance, equal workloads one number (kueue.md 3.12)."""

from __future__ import annotations

from typing import TypeAlias

from msgspec.structs import replace

from roadstead.model.workload import PodClass, TopologyRequest, Workload

ShapeKey: TypeAlias = tuple[int, tuple[tuple[str, PodClass, int, int | None, TopologyRequest | None], ...]]
"""What makes two workloads equivalent: priority; per pod set name, pods, pods still needed, smallest size, topology."""


class Classes:
    """Grows with the number of different pods and workloads, never with how many there are of each."""

    def __init__(self) -> None:
        self._pods: dict[PodClass, PodClass] = {}
        self._numbers: dict[ShapeKey, int] = {}
        self._keys: list[ShapeKey] = []

    def interned(self, fact: Workload) -> Workload:
        """The same workload with its pods' classes replaced by the instances known."""
        pods = self._pods
        pod_sets = tuple(
            ps if (known := pods.setdefault(ps.pod, ps.pod)) is ps.pod else replace(ps, pod=known)
            for ps in fact.pod_sets
        )
        if all(a is b for a, b in zip(pod_sets, fact.pod_sets, strict=True)):
            return fact
        return replace(fact, pod_sets=pod_sets)

    def shape(self, fact: Workload) -> int:
        """The equivalence class of a workload: equal workloads get the same verdict."""
        done = dict(fact.reclaimable)
        sets = tuple(
            (ps.name, ps.pod, ps.count - done.get(ps.name, 0), ps.min_count, ps.topology) for ps in fact.pod_sets
        )
        return self.number((fact.priority, sets))

    def number(self, key: ShapeKey) -> int:
        """The number of a class: an address within this process, nothing is ever ordered by it."""
        known = self._numbers.get(key)
        if known is None:
            known = self._numbers[key] = len(self._keys)
            self._keys.append(key)
        return known

    def key(self, shape: int) -> ShapeKey:
        """The inverse of `number`."""
        return self._keys[shape]
