"""The facts by kind and key, and their hash. Kept apart from what is derived from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from roadstead.core.encoding import fact_hash
from roadstead.core.undo import UndoLog
from roadstead.model.dra import DeviceClass, DeviceTaintRule, ResourceClaim, ResourceSlice
from roadstead.model.facts import Noun
from roadstead.model.nodes import Node
from roadstead.model.queues import (
    AdmissionCheck,
    ClusterQueue,
    Cohort,
    LocalQueue,
    Namespace,
    ResourceFlavor,
    Topology,
)
from roadstead.model.workload import Pod, Workload

FactKey: TypeAlias = tuple[str, str]

NOUNS: Final[tuple[type[Noun], ...]] = (
    Namespace, Topology, Node, DeviceClass, ResourceSlice, DeviceTaintRule, ResourceFlavor, AdmissionCheck, Cohort,
    ClusterQueue, LocalQueue, ResourceClaim, Workload, Pod,
)  # fmt: skip


def key_of(fact: Noun) -> FactKey:
    """(namespace, name); ("", name) for what has no namespace."""
    return (getattr(fact, "namespace", ""), fact.name)


class FactBook:
    """All facts. Each change can be undone."""

    def __init__(self, undo: UndoLog) -> None:
        self._undo = undo
        self.tables: dict[type[Noun], dict[FactKey, Any]] = {noun: {} for noun in NOUNS}
        self._hashes: dict[tuple[str, FactKey], int] = {}
        self._hash_sum = 0
        self._unhashed: dict[tuple[type[Noun], FactKey], None] = {}

    def put(self, noun: type[Noun], key: FactKey, fact: Noun | None) -> None:
        """Store a fact in place of the one with the same key, or forget that one."""
        before = self.tables[noun].get(key)
        self._put(noun, key, fact)
        if self._undo.is_recording:
            self._undo.record(lambda: self._put(noun, key, before))

    def _put(self, noun: type[Noun], key: FactKey, fact: Noun | None) -> None:
        if fact is None:
            self.tables[noun].pop(key, None)
        else:
            self.tables[noun][key] = fact
        self._unhashed[(noun, key)] = None

    def all(self) -> Iterator[Noun]:
        """Every fact, in a fixed order."""
        for noun in NOUNS:
            for key in sorted(self.tables[noun]):
                yield self.tables[noun][key]

    def hash(self) -> int:
        """A hash of all facts, the same in whatever order they came. O(facts changed since the last call)."""
        for noun, key in self._unhashed:
            name = (noun.__name__, key)
            fact = self.tables[noun].get(key)
            new = 0 if fact is None else fact_hash(fact)
            self._hash_sum += new - self._hashes.get(name, 0)
            self._hashes[name] = new
        self._unhashed = {}
        return self._hash_sum
