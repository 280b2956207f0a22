"""The Fleet: one ledger of nodes, topology domains and devices, and the only place that picks any of them.

Called by the World (facts and holds) and by the cycle (`place`, and what explanations need). Quota admission, topology
assignment, device allocation and pods outside any queue all draw on it, so a device can't be promised twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from roadstead.core.fleet.ask import Ask, Found
from roadstead.core.fleet.claim_room import ClaimRoom
from roadstead.core.fleet.claims import ClaimBook
from roadstead.core.fleet.counting import Counting, Counts
from roadstead.core.fleet.demand import Demand
from roadstead.core.fleet.ledger import PENCIL_PREFIX, WORKLOAD_PREFIX, Holder, NodeLine, Share, per_pod, shares
from roadstead.core.fleet.placing import Placer
from roadstead.core.undo import UndoLog
from roadstead.model.amounts import Amounts, ResourceName
from roadstead.model.nodes import Node
from roadstead.model.refusals import Refusal
from roadstead.model.workload import Placement, PodSetPlacement


class Fleet:
    """Nodes, what is held on them, and answers about where a gang could go.

    Holders are named "workload:namespace/name" or "pod:namespace/name". A hold survives its node's change and even its
    absence. What is bound is recorded, never refused, even where it overcommits a node; `place` never adds to that.
    """

    def __init__(self, undo: UndoLog) -> None:
        self._undo = undo
        self._lines: dict[str, NodeLine] = {}
        self._holds: dict[Holder, Placement] = {}
        self.claims = ClaimBook(undo, self._claims_changed, self._claimed, self._is_handed_out)
        """What is published and claimed of devices: classes, slices, taint rules, ResourceClaims; and who speaks for
        which."""
        self.claim_room = ClaimRoom(self.claims)
        self._counting = Counting(self._lines, self.claim_room)
        self._listing: Counter[ResourceName] = Counter()  # nodes that list devices of a resource
        self._held_by_pods: Counter[ResourceName] = Counter()

    # --- facts ---

    def set_node(self, node: Node) -> None:
        """Add or replace a node. Idempotent. A node without `pods` in allocatable takes no pods (kubelet always says
        how many).

        O(devices + resources); each demand then matches this one node again.
        """
        line = self._lines.get(node.name)
        old = line.node if line else None
        if old == node:
            return
        self._set_node(node.name, node)
        self._undo.record(lambda: self._set_node(node.name, old))

    def remove_node(self, name: str) -> None:
        line = self._lines.get(name)
        if line is None or line.node is None:
            return
        old = line.node
        self._set_node(name, None)
        self._undo.record(lambda: self._set_node(name, old))

    def _set_node(self, name: str, node: Node | None) -> None:
        line = self._line(name)
        self._listing.subtract(line.devices.resources)
        line.set_node(node)
        self._listing.update(line.devices.resources)
        self._counting.facts_changed(line)
        self._drop_if_blank(line)
        self._counting.trim()

    # --- holds ---

    def hold(self, holder: Holder, placement: Placement) -> None:
        """Record what a holder uses, in place of what it used. O(members x resources)."""
        old = self._holds.get(holder)
        if old == placement:
            return
        self._set_hold(holder, placement)
        self._undo.record(lambda: self._set_hold(holder, old))

    def release(self, holder: Holder) -> None:
        """Forget a holder. Nothing happens if it holds nothing."""
        old = self._holds.get(holder)
        if old is None:
            return
        self._set_hold(holder, None)
        self._undo.record(lambda: self._set_hold(holder, old))

    def _set_hold(self, holder: Holder, placement: Placement | None) -> None:
        old = self._holds.pop(holder, None)
        by_workload = holder.startswith(WORKLOAD_PREFIX)
        if not by_workload:
            for held, sign in ((old, -1), (placement, 1)):
                if held is not None:
                    self._count_pods(held, sign)
        if old is not None:
            for name in dict.fromkeys(member.node for pod_set in old.pod_sets for member in pod_set.members):
                line = self._lines[name]
                share = line.holders[holder]
                line.give(holder)
                self._hand_out(line, share)
                self._counting.amounts_changed(line, by_workload=by_workload)
                self._drop_if_blank(line)
            self.claims.release(holder, old)
        if placement is not None:
            self._holds[holder] = placement
            for name, share in shares(placement).items():
                line = self._line(name)
                line.take(holder, share)
                self._hand_out(line, share)
                self._counting.amounts_changed(line, by_workload=by_workload)
            self.claims.hold(holder, placement)
        self._counting.trim()

    def _hand_out(self, line: NodeLine, share: Share) -> None:
        """Devices were handed out by name, or given back: claims are to know, where they could have them."""
        if share.devices and self.claims.lists_devices:
            for device in share.devices:
                self.claims.hand_out(line.name, device)

    def _is_handed_out(self, node: str, device: str) -> bool:
        line = self._lines.get(node)
        return line is not None and any(device in share.devices for share in line.holders.values())

    def _claims_changed(self, node: str) -> None:
        """What claims find on a node ("": on any) is to be counted again."""
        for line in self._lines.values() if not node else (self._lines.get(node),):
            if line is not None:
                self._counting.amounts_changed(line, by_workload=False)

    def _claimed(self, node: str, device: str, by: int) -> None:
        line = self._line(node)
        line.claim(device, by)
        self._counting.amounts_changed(line, by_workload=True)
        self._drop_if_blank(line)

    def _count_pods(self, placement: Placement, sign: int) -> None:
        for pod_set in placement.pod_sets:
            for name, amount in per_pod(pod_set.requests):
                self._held_by_pods[name] += sign * amount * len(pod_set.members)

    def held(self, holder: Holder) -> Placement | None:
        """What the holder holds."""
        return self._holds.get(holder)

    def holders_on(self, node: str) -> tuple[Holder, ...]:
        """Who holds something on the node, by name."""
        line = self._lines.get(node)
        return tuple(sorted(line.holders)) if line else ()

    def held_by_pods(self, resource: ResourceName) -> int:
        """How much of the resource pods outside workloads hold, on all nodes. O(1)."""
        return self._held_by_pods[resource]

    def holders_of(self, resource: ResourceName, node_labels: Iterable[tuple[str, str]] = ()) -> tuple[Holder, ...]:
        """Who holds some of the resource on nodes with these labels, by name. Of a DeviceClass: devices that are in it,
        by claims or counted. O(nodes + holds)."""
        wanted = tuple(node_labels)
        if resource in self.claims.inventory.classes:
            return self._holders_of_class(resource, wanted)
        found = {
            holder
            for line in self._lines.values()
            if line.used.get(resource) and all(line.labels.get(key) == value for key, value in wanted)
            for holder, share in line.holders.items()
            if share.amounts.get(resource)
        }
        return tuple(sorted(found))

    def _holders_of_class(self, name: str, node_labels: tuple[tuple[str, str], ...]) -> tuple[Holder, ...]:
        found = set()
        for holder, placement in self._holds.items():
            for pod_set in placement.pod_sets:
                for member in pod_set.members:
                    line = self._lines.get(member.node)
                    if line is None or any(line.labels.get(key) != value for key, value in node_labels):
                        continue
                    if self.claims.has_some_of(line.facts, name, member):
                        found.add(holder)
        return tuple(sorted(found))

    # --- questions ---

    def place(self, ask: Ask) -> Found | Refusal:
        """A place for every pod of the gang, or why there is none, with numbers. Changes nothing.

        Costs what changed since the last question of this kind, plus O(log nodes) for a pod, O(children of the chosen
        domains) for a gang.
        """
        return Placer(self).place(ask)

    def can_place(self, ask: Ask) -> bool:
        """Would `place` find one? Cheaper: no member is named, and no reason is looked for."""
        return Placer(self).can_place(ask)

    def could_ever_place(self, ask: Ask) -> Found | Refusal:
        """The same question if no workload used anything (pods outside workloads stay): Kueue 3.5.4."""
        return self.place(Ask(ask.pod_sets, assume_empty=True, exact=ask.exact))

    def waits_for_pods_outside(self, ask: Ask, when_empty: Refusal) -> bool:
        """Would it be refused even if no workload used anything only because of pods outside workloads? Kueue counts those as
        staying; where we place everything they end too, and "never" would be untrue of what they hold."""
        return ask.exact and when_empty.needed <= when_empty.limit + self.held_by_pods(when_empty.resource)

    def still_fits(self, ask: Ask, found: Found) -> bool:
        """True if this answer could be held as it is, though others were placed since: as Kueue, who keeps the place
        that a head was nominated with unless it is taken. O(members)."""
        if not ask.exact:
            return Placer(self).leaves_fit(ask, found)
        for name, share in shares(found.placement).items():
            line = self._lines.get(name)
            if line is None or line.node is None:
                return False
            room = line.room(without_workloads=ask.assume_empty)
            if any(room.get(resource, 0) < amount for resource, amount in share.amounts.items()):
                return False
            if not line.devices.are_free(share.devices, without_workloads=ask.assume_empty):
                return False
        return self.claims.is_empty or self._claims_are_free(ask, found.placement)

    def _claims_are_free(self, ask: Ask, placement: Placement) -> bool:
        """Would each member's claims still be given what this placement gives them?"""
        if not any(member.claims for pod_set in placement.pod_sets for member in pod_set.members):
            return True
        answer = self.place(ask)
        return isinstance(answer, Found) and answer.placement == placement

    def capacity(self, node_labels: Iterable[tuple[str, str]] = ()) -> Amounts:
        """Allocatable amounts of ready, schedulable nodes with these labels, in total. O(nodes)."""
        return self._total(line.allocatable for line in self._usable(node_labels))

    def free(self, node_labels: Iterable[tuple[str, str]] = ()) -> Amounts:
        """What is free on ready, schedulable nodes with these labels, in total; overcommitted nodes count as 0.
        O(nodes)."""
        return self._total(line.free for line in self._usable(node_labels))

    def node(self, name: str) -> Node | None:
        line = self._lines.get(name)
        return line.node if line else None

    def nodes(self) -> Iterator[Node]:
        """All nodes, by name."""
        for name in sorted(self._lines):
            node = self._lines[name].node
            if node is not None:
                yield node

    def digest_parts(self) -> Iterator[tuple[str, str, object]]:
        """Everything that the Fleet knows, independent of the order in which it learnt it: (kind, name, value)."""
        for node in self.nodes():
            yield ("node", node.name, node)
        for holder in sorted(self._holds):
            yield ("hold", holder, _as_facts_say(holder, self._holds[holder]))
        yield from self.claims.parts()

    # --- what Placer needs (placing.Books) ---

    def counts(self, demand: Demand) -> Counts:
        """The counts of a demand as things stand."""
        return self._counting.of(demand)

    def lines_by_name(self) -> Iterable[NodeLine]:
        """Every node that is known, by name."""
        return [self._lines[name] for name in sorted(self._lines)]

    def hands_out_by_device(self, resource: ResourceName) -> bool:
        """True if some node lists devices of the resource."""
        return self._listing[resource] > 0

    def pencil_in(self, pod_set: PodSetPlacement) -> Callable[[], None]:
        """Count these members as placed until the returned function is called: later pod sets of the same ask see
        them."""
        holder = f"{PENCIL_PREFIX}{pod_set.name}"
        placement = Placement((pod_set,))
        touched = [(self._lines[name], share) for name, share in shares(placement).items()]
        for line, share in touched:
            line.take(holder, share)
            self._hand_out(line, share)
            self._counting.amounts_changed(line, by_workload=False)
        rub_out_claims = self.claims.pencil_in(holder, placement)

        def rub_out() -> None:
            rub_out_claims()
            for line, share in touched:
                line.give(holder)
                self._hand_out(line, share)
                self._counting.amounts_changed(line, by_workload=False)

        return rub_out

    # --- inside ---

    def _line(self, name: str) -> NodeLine:
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = NodeLine(name)
        return line

    def _drop_if_blank(self, line: NodeLine) -> None:
        if line.is_blank:
            del self._lines[line.name]

    def _usable(self, node_labels: Iterable[tuple[str, str]]) -> Iterator[NodeLine]:
        wanted = tuple(node_labels)
        for line in self._lines.values():
            node = line.node
            if node is None or not node.ready or node.unschedulable:
                continue
            if all(line.labels.get(key) == value for key, value in wanted):
                yield line

    @staticmethod
    def _total(amounts: Iterable[Amounts]) -> Amounts:
        total: dict[ResourceName, int] = {}
        for each in amounts:
            for name, amount in each.items():
                total[name] = total.get(name, 0) + max(amount, 0)
        return total


def _as_facts_say(holder: Holder, placement: Placement) -> Placement:
    """What pods outside workloads have by claims is said by the claims, not by the pods."""
    if holder.startswith(WORKLOAD_PREFIX):
        return placement
    return Placement(
        tuple(
            replace(pod_set, members=tuple(replace(member, claims=()) for member in pod_set.members))
            for pod_set in placement.pod_sets
        )
    )
