"""The quota tree: nominal quota, lending, borrowing and usage for every ClusterQueue and Cohort, at any depth.

Amounts live in integer slots, one for each (flavor, resource) cell. Usage is kept incrementally: adding or removing a
workload costs O(cells x depth), asking what is available costs O(depth); neither looks at the other members of a cohort.
The shape of the tree (parents, quotas) is rebuilt whole when a ClusterQueue or Cohort changes, which is rare.

Rules: Kueue KEP-79 "Hierarchical Cohorts" (`pkg/cache/scheduler/resource_node.go`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from roadstead.core.undo import UndoLog
from roadstead.model.amounts import Cell
from roadstead.model.queues import ClusterQueue, Cohort, ResourceGroup

Slot: TypeAlias = int
Usage: TypeAlias = tuple[tuple[Slot, int], ...]
"""What one workload uses: (slot, amount), one entry per slot."""

MAX_DEPTH = 1000
"""More cohorts above one another than this count as a cycle; real trees have a handful of levels."""


class QuotaNode:
    """One ClusterQueue or Cohort. Slots that are missing in a mapping count as 0 (or as unlimited, for limits)."""

    __slots__ = (
        "borrow",
        "borrowers",
        "changed",
        "children",
        "cyclic",
        "generation",
        "height",
        "is_queue",
        "lend",
        "local",
        "members",
        "name",
        "nominal",
        "parent",
        "potential",
        "root",
        "subtree",
        "usage",
        "weight_milli",
    )

    def __init__(self, name: str, is_queue: bool) -> None:
        self.name = name
        self.is_queue = is_queue
        self.parent: QuotaNode | None = None
        self.root: QuotaNode = self
        self.children: list[QuotaNode] = []
        self.members: tuple[QuotaNode, ...] | None = None  # see `queues`
        self.cyclic = False
        self.height = 0
        self.weight_milli = 1000
        self.nominal: dict[Slot, int] = {}
        self.borrow: dict[Slot, int] = {}
        self.lend: dict[Slot, int] = {}
        self.subtree: dict[Slot, int] = {}
        self.local: dict[Slot, int] = {}
        self.usage: dict[Slot, int] = {}
        self.potential: dict[Slot, int] = {}
        self.borrowers: dict[Slot, set[QuotaNode]] = {}  # children that use more than their own quota, see `borrowing`
        self.changed = 0  # generation of the last change here that may have freed quota
        self.generation = 0  # of the whole tree, the latest of its members; kept at its root

    def available(self, slot: Slot) -> int:
        """How much more the node may use now; negative where quota was cut below usage. O(depth)."""
        parent = self.parent
        used = self.usage.get(slot, 0)
        if parent is None:
            return self.subtree.get(slot, 0) - used
        above = parent.available(slot)
        local = self.local.get(slot, 0) if self.local else 0
        if self.borrow:
            limit = self.borrow.get(slot)
            if limit is not None:
                stored = self.subtree.get(slot, 0) - local
                above = min(above, stored - max(0, used - local) + limit)
        return above if used >= local else local - used + above

    def free(self, slot: Slot) -> int:
        """What the scheduler counts as available: never negative."""
        available = self.available(slot)
        return available if available > 0 else 0

    def local_available(self, slot: Slot) -> int:
        """What is left of the part that this node never lends."""
        return max(0, self.local.get(slot, 0) - self.usage.get(slot, 0))

    def potential_available(self, slot: Slot) -> int:
        """The most that could ever be available here: nothing in use anywhere in the tree."""
        known = self.potential.get(slot)
        if known is not None:
            return known
        subtree = self.subtree.get(slot, 0)
        if self.parent is None:
            most = subtree
        else:
            most = self.local.get(slot, 0) + self.parent.potential_available(slot)
            limit = self.borrow.get(slot)
            if limit is not None:
                most = min(most, subtree + limit)
        self.potential[slot] = most
        return most

    def would_borrow(self, slot: Slot, amount: int) -> bool:
        """True if with `amount` more the node would use more than its own (subtree) quota."""
        return self.usage.get(slot, 0) + amount > self.subtree.get(slot, 0)

    def is_borrowing(self, slot: Slot) -> bool:
        return self.usage.get(slot, 0) > self.subtree.get(slot, 0)

    def borrowing(self, slots: Iterable[Slot]) -> list[QuotaNode]:
        """Children that use more than their own (subtree) quota in one of these slots, in the order of `children`. O(b log b),
        b their number, however many children there are."""
        found: set[QuotaNode] = set()
        for slot in slots:
            found.update(self.borrowers.get(slot, ()))
        return sorted(found, key=_place)

    def lowest_fit(self, slot: Slot, amount: int) -> tuple[int, bool]:
        """(height of the smallest subtree whose quota holds `amount` more, may it be reclaimed from above that subtree).

        kueue.md 3.6.4. Height 0 is the queue itself; if nothing holds it, the root's height and False.
        """
        if self.parent is None:
            return 0, False
        if not self.would_borrow(slot, amount):
            return 0, True
        remaining = amount - self.local_available(slot)
        node = self.parent
        while True:
            if not node.would_borrow(slot, remaining):
                return node.height, node.parent is not None
            if node.parent is None:
                return node.height, False
            remaining -= node.local_available(slot)
            node = node.parent

    def add(self, slot: Slot, amount: int) -> None:
        """Count `amount` more as used here and, beyond what is local, in the cohorts above. O(depth)."""
        node: QuotaNode | None = self
        while node is not None and amount:
            usage = node.usage
            used = usage.get(slot, 0)
            usage[slot] = used + amount
            parent = node.parent
            if parent is not None and used <= node.subtree.get(slot, 0) < used + amount:
                parent.borrowers.setdefault(slot, set()).add(node)
            if node.local:
                amount -= min(amount, max(0, node.local.get(slot, 0) - used))
            node = parent

    def remove(self, slot: Slot, amount: int) -> None:
        """The exact inverse of `add`."""
        node: QuotaNode | None = self
        while node is not None and amount:
            usage = node.usage
            used = usage.get(slot, 0)
            usage[slot] = used - amount
            parent = node.parent
            if parent is not None and used - amount <= node.subtree.get(slot, 0) < used:
                parent.borrowers[slot].discard(node)
            if node.local:
                amount = min(amount, max(0, used - node.local.get(slot, 0)))
            elif used < amount:
                amount = max(0, used)
            node = parent

    def path(self) -> list[QuotaNode]:
        """This node and its ancestors, root last."""
        nodes = [self]
        while nodes[-1].parent is not None:
            nodes.append(nodes[-1].parent)
        return nodes

    def queues(self) -> tuple[QuotaNode, ...]:
        """ClusterQueues in this subtree, in a fixed order (by name at each node). Gathered once until the tree changes shape."""
        if self.members is None:
            own = (self,) if self.is_queue else ()
            self.members = (*own, *(queue for child in self.children for queue in child.queues()))
        return self.members


class QuotaTree:
    """All nodes by name, and the interning of cells into slots."""

    def __init__(self, undo: UndoLog) -> None:
        self._undo = undo
        self._slots: dict[Cell, Slot] = {}
        self.cells: list[Cell] = []
        self.queues: dict[str, QuotaNode] = {}
        self.cohorts: dict[str, QuotaNode] = {}
        self._generation = 0

    def slot(self, cell: Cell) -> Slot:
        """The slot of a cell; new cells get the next number. Slots are an address only: nothing is ever ordered by them."""
        known = self._slots.get(cell)
        if known is None:
            known = self._slots[cell] = len(self.cells)
            self.cells.append(cell)
        return known

    def queue(self, name: str) -> QuotaNode:
        """The node of a ClusterQueue; one without quota if no such queue exists (workloads may still hold quota there)."""
        node = self.queues.get(name)
        if node is None:
            node = self.queues[name] = QuotaNode(name, is_queue=True)
        return node

    def add(self, node: QuotaNode, usage: Usage) -> None:
        """A workload starts to use quota. Undoable."""
        for slot, amount in usage:
            node.add(slot, amount)
        if self._undo.is_recording:
            self._undo.record(lambda: _remove_all(node, usage))

    def remove(self, node: QuotaNode, usage: Usage) -> None:
        """A workload stops using quota. Undoable."""
        _remove_all(node, usage)
        if self._undo.is_recording:
            self._undo.record(lambda: _add_all(node, usage))

    def touch(self, node: QuotaNode) -> None:
        """Quota may have become free somewhere in the node's tree: scans of flavors start over (kueue.md 3.5.5). Undoable."""
        root = node.root
        before = node.changed, root.generation
        self._generation += 1
        node.changed = root.generation = self._generation
        if self._undo.is_recording:

            def back() -> None:
                node.changed, root.generation = before

            self._undo.record(back)

    @property
    def newest_generation(self) -> int:
        """The last generation given to any tree."""
        return self._generation

    def rebuild(self, cluster_queues: Mapping[str, ClusterQueue], cohorts: Mapping[str, Cohort]) -> None:
        """Wire the tree anew from the facts. Nodes keep their identity and queues their usage. O(queues x cells)."""
        for node in (*self.queues.values(), *self.cohorts.values()):
            self._reset(node)
        for name in sorted(cluster_queues):
            queue = cluster_queues[name]
            node = self.queue(name)
            node.weight_milli = queue.fair_weight_milli
            self._set_quotas(node, queue.resource_groups)
            if queue.cohort:
                node.parent = self.cohort(queue.cohort)
        for name in sorted(cohorts):
            cohort = cohorts[name]
            node = self.cohort(name)
            node.weight_milli = cohort.fair_weight_milli
            self._set_quotas(node, cohort.resource_groups)
            if cohort.parent:
                node.parent = self.cohort(cohort.parent)
        members = [*(self.queues[n] for n in sorted(self.queues)), *(self.cohorts[n] for n in sorted(self.cohorts))]
        for node in members:
            if node.parent is not None:
                node.parent.children.append(node)
        _cut_cycles(members)
        for node in members:
            if node.parent is None:
                self._settle(node)

    def cohort(self, name: str) -> QuotaNode:
        """The node of a Cohort, with or without an object."""
        node = self.cohorts.get(name)
        if node is None:
            node = self.cohorts[name] = QuotaNode(name, is_queue=False)
        return node

    def _reset(self, node: QuotaNode) -> None:
        node.parent = None
        node.root = node
        node.children = []
        node.members = None
        node.cyclic = False
        node.height = 0
        node.weight_milli = 1000
        node.nominal = {}
        node.borrow = {}
        node.lend = {}
        node.subtree = {}
        node.local = {}
        node.potential = {}
        node.borrowers = {}
        if not node.is_queue:
            node.usage = {}

    def _set_quotas(self, node: QuotaNode, groups: Sequence[ResourceGroup]) -> None:
        for group in groups:
            for flavor in group.flavors:
                for resource, quota in flavor.quotas:
                    slot = self.slot((flavor.flavor, resource))
                    node.nominal[slot] = quota.nominal
                    if quota.borrowing_limit is not None:
                        node.borrow[slot] = quota.borrowing_limit
                    if quota.lending_limit is not None:
                        node.lend[slot] = quota.lending_limit

    def _settle(self, root: QuotaNode) -> None:
        """Heights, subtree quotas, local quotas and cohort usage, from the leaves up. Explicit stack: depth is the user's."""
        order: list[QuotaNode] = [root]
        for node in order:
            node.root = root
            order.extend(node.children)
        for node in reversed(order):
            subtree = dict(node.nominal)
            for child in node.children:
                node.height = max(node.height, child.height + 1)
                for slot, quota in child.subtree.items():
                    subtree[slot] = subtree.get(slot, 0) + quota - child.local.get(slot, 0)
                for slot, used in child.usage.items():
                    if used > child.subtree.get(slot, 0):
                        node.borrowers.setdefault(slot, set()).add(child)
                    above = used - child.local.get(slot, 0)
                    if above > 0:
                        node.usage[slot] = node.usage.get(slot, 0) + above
            node.subtree = subtree
            node.local = {s: max(0, subtree.get(s, 0) - limit) for s, limit in node.lend.items()}
        root.generation = max(node.changed for node in order)


def _place(node: QuotaNode) -> tuple[bool, str]:
    """Where a node stands among the children of its parent: queues first, each kind by name."""
    return (not node.is_queue, node.name)


def _cut_cycles(members: Sequence[QuotaNode]) -> None:
    """Mark every node whose chain of parents never ends; such nodes stand alone and take no part in any tree."""
    for node in members:
        ancestor, steps = node.parent, 0
        while ancestor is not None and steps <= MAX_DEPTH:
            ancestor, steps = ancestor.parent, steps + 1
        node.cyclic = ancestor is not None
    for node in members:
        if node.cyclic:
            node.parent = None
            node.children = []


def _add_all(node: QuotaNode, usage: Usage) -> None:
    for slot, amount in usage:
        node.add(slot, amount)


def _remove_all(node: QuotaNode, usage: Usage) -> None:
    for slot, amount in usage:
        node.remove(slot, amount)
