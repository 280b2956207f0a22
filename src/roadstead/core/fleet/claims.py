"""The part of the ledger that claims draw on: what is published, what is claimed, and by whom (KEP-4381).

Devices come into use in four ways, each counted once: by the claims of a holder's members; by a ResourceClaim that
several share; by an allocated ResourceClaim that no holder speaks for (its pods are gone, or were bound before we knew
of them); and by being handed out under the name that their node lists them by. The last two ways of asking meet in the
attribute DEVICE_ATTRIBUTE: a device that carries it is the one that its node lists under that name, so what is taken
one way is not free the other way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, TypeAlias

from msgspec.structs import replace

from roadstead.core.dra.features import Features
from roadstead.core.dra.inventory import Inventory
from roadstead.core.dra.nodes import NodeFacts
from roadstead.core.dra.outcome import AllocationError
from roadstead.core.dra.usage import Usage
from roadstead.core.fleet.ledger import Holder
from roadstead.core.undo import UndoLog
from roadstead.expr.cel.errors import CompileError, EvaluationError
from roadstead.model.dra import (
    Allocation,
    DeviceClass,
    DeviceId,
    DeviceTaintRule,
    ResourceClaim,
    ResourceSlice,
)
from roadstead.model.workload import Member, Placement, PodSetPlacement

DEVICE_ATTRIBUTE: Final = "roadstead.dev/device"
"""Attribute of a published device: the name under which its node lists it."""

ClaimKey: TypeAlias = tuple[str, str]
Listed: TypeAlias = tuple[str, str]
"""(node, name): a device as its node lists it."""
Mark: TypeAlias = tuple[tuple[DeviceId, str], ...]
"""What an allocation gives, as far as it tells it from others."""


class ClaimBook:
    """Mutable; facts and what is spoken for can be undone, holds are undone by the Fleet."""

    def __init__(
        self,
        undo: UndoLog,
        changed: Callable[[str], None],
        took: Callable[[str, str, int], None],
        is_handed_out: Callable[[str, str], bool],
    ) -> None:
        """`changed(node)`: what claims find on the node ("": on all nodes) may be different now. `took(node, device,
        by)`: claims have (1) a device that the node lists, or no more (-1). `is_handed_out(node, device)`: does a
        holder have it by its listed name?"""
        self._undo = undo
        self._changed = changed
        self._took = took
        self._is_handed_out = is_handed_out
        self.inventory = Inventory(Features())
        self.usage = self.inventory.usage
        self.nothing = Usage()
        """For questions about an empty fleet: what has been pencilled in while they are answered."""
        self._pencilled: tuple[Allocation, ...] = ()
        self.claims: dict[ClaimKey, ResourceClaim] = {}
        self._slices: dict[str, ResourceSlice] = {}
        self._rules: dict[str, DeviceTaintRule] = {}
        self._users: dict[ClaimKey, dict[Holder, Allocation | None]] = {}
        self._spoken: dict[Holder, tuple[Mark, ...]] = {}
        self._speakers: Counter[Mark] = Counter()
        self._named: dict[Mark, dict[ClaimKey, None]] = {}  # allocated claims by what they were given
        self._counted: dict[ClaimKey, Allocation] = {}
        self._where: dict[DeviceId, str] = {}  # published device -> the only node that sees it, or ""
        self._local: dict[str, dict[DeviceId, None]] = {}  # the inverse
        self._pools: dict[tuple[str, str], dict[str, None]] = {}  # slices of each pool
        self._listed: dict[DeviceId, Listed] = {}
        self._as_listed: dict[Listed, dict[DeviceId, None]] = {}
        self._taken: dict[DeviceId, Listed] = {}  # by claims, as their nodes were told
        self._barred: dict[DeviceId, Listed] = {}
        self._versions: Counter[str] = Counter()
        self._states: dict[str, frozenset[object]] = {}

    @property
    def is_empty(self) -> bool:
        """Nothing is published and nothing is claimed."""
        return not self._slices and not self.claims

    # --- facts

    def set_class(self, name: str, device_class: DeviceClass | None) -> None:
        """Add or replace a class, or drop it (None)."""
        old = self.inventory.classes.get(name)
        if old != device_class:
            self._set_class(name, device_class)
            self._undo.record(partial(self._set_class, name, old))

    def _set_class(self, name: str, device_class: DeviceClass | None) -> None:
        if device_class is None:
            self.inventory.remove_class(name)
        else:
            self.inventory.set_class(device_class)
        self._publish("")

    def set_slice(self, name: str, of: ResourceSlice | None) -> None:
        """Add or replace a slice, or drop it (None). O(devices); of pools that only one node sees, only that node is
        looked at again."""
        old = self._slices.get(name)
        if old != of:
            self._set_slice(name, of)
            self._undo.record(partial(self._set_slice, name, old))

    def _set_slice(self, name: str, of: ResourceSlice | None) -> None:
        old = self._slices.pop(name, None)
        concerned: dict[DeviceId, None] = {}
        if old is not None:
            concerned.update(dict.fromkeys(_ids(old)))
            self._pools[old.driver, old.pool].pop(name)
            self._publish_pool(old)  # before it is gone: whoever saw it
            self.inventory.remove_slice(name)
            for device in concerned:
                self._locate(device, None)
                self._list(device, None)
        if of is not None:
            concerned.update(dict.fromkeys(_ids(of)))
            self._slices[name] = of
            self._pools.setdefault((of.driver, of.pool), {})[name] = None
            self.inventory.set_slice(self._tainted(of))
        for pool in dict.fromkeys((each.driver, each.pool) for each in (old, of) if each is not None):
            self._survey(pool)
        for each in (old, of):
            if each is not None:
                self._publish_pool(each)
        for device in concerned:
            self._agree(device)

    def set_rule(self, name: str, rule: DeviceTaintRule | None) -> None:
        """Add or replace a rule that taints devices, or drop it (None). O(devices)."""
        old = self._rules.get(name)
        if old != rule:
            self._set_rule(name, rule)
            self._undo.record(partial(self._set_rule, name, old))

    def _set_rule(self, name: str, rule: DeviceTaintRule | None) -> None:
        old = self._rules.pop(name, None)
        if rule is not None:
            self._rules[name] = rule
        for of in self._slices.values():
            if any(each.fits(device) for each in (old, rule) if each is not None for device in _ids(of)):
                self.inventory.set_slice(self._tainted(of))
                self._publish_pool(of)

    def _tainted(self, of: ResourceSlice) -> ResourceSlice:
        """The slice with what rules add to its devices' own taints (dra.md 2.5)."""
        rules = [self._rules[name] for name in sorted(self._rules)]
        if not rules:
            return of
        devices = tuple(
            replace(device, taints=device.taints + added)
            if (added := tuple(r.taint for r in rules if r.fits(at)))
            else device
            for device, at in zip(of.devices, _ids(of), strict=True)
        )
        return replace(of, devices=devices)

    def set_claim(self, key: ClaimKey, claim: ResourceClaim | None) -> bool:
        """Add or replace a ResourceClaim, or drop it (None); True if somebody may be let in by it: it is new, or gave
        devices back, or fewer use it."""
        old = self.claims.get(key)
        if old == claim:
            return False
        self._set_claim(key, claim)
        self._undo.record(lambda: self._set_claim(key, old))
        if old is None or claim is None:
            return True
        freed = old.allocation is not None and claim.allocation != old.allocation
        return freed or len(claim.consumers) < len(old.consumers)

    def _set_claim(self, key: ClaimKey, claim: ResourceClaim | None) -> None:
        old = self.claims.pop(key, None)
        if old is not None and old.allocation is not None:
            named = self._named[_mark(old.allocation)]
            del named[key]
            if not named:
                del self._named[_mark(old.allocation)]
        if claim is not None:
            self.claims[key] = claim
            if claim.allocation is not None:
                self._named.setdefault(_mark(claim.allocation), {})[key] = None
        self._settle(key)

    # --- who uses what

    def speak(self, holder: Holder, placement: Placement | None) -> None:
        """The allocated claims that this placement gives are the holder's, whether what it holds is counted at the
        moment or not (on a trial it may be gone): they are not counted beside it. None: it speaks for none any more.
        Undoable."""
        old = self._spoken.get(holder, ())
        new = tuple(_mark(given) for given in _given(placement)) if placement is not None else ()
        if old != new:
            self._speak(holder, new)
            self._undo.record(partial(self._speak, holder, old))

    def _speak(self, holder: Holder, marks: tuple[Mark, ...]) -> None:
        old = self._spoken.pop(holder, ())
        if marks:
            self._spoken[holder] = marks
        self._speakers.update(marks)
        self._speakers.subtract(old)
        for mark in dict.fromkeys((*old, *marks)):
            if not self._speakers[mark]:
                del self._speakers[mark]
            for key in list(self._named.get(mark, ())):
                self._settle(key)

    def hold(self, holder: Holder, placement: Placement) -> None:
        """Count what the members' claims are given. O(results)."""
        for pod_set in _with_claims(placement):
            shared = dict(pod_set.shared)
            for member in pod_set.members:
                for name, allocation in member.claims:
                    if name not in shared:
                        self._use(allocation, 1)
            for name, key in pod_set.shared:
                given = next((each for m in pod_set.members for at, each in m.claims if at == name), None)
                self._users.setdefault(key, {})[holder] = given
                self._settle(key)

    def release(self, holder: Holder, placement: Placement) -> None:
        """Undo `hold`."""
        for pod_set in _with_claims(placement):
            shared = dict(pod_set.shared)
            for member in pod_set.members:
                for name, allocation in member.claims:
                    if name not in shared:
                        self._use(allocation, -1)
            for key in shared.values():
                users = self._users.get(key)
                if users is not None and holder in users:
                    del users[holder]
                    if not users:
                        del self._users[key]
                    self._settle(key)

    def allocation_of(self, key: ClaimKey) -> Allocation | None:
        """What a ResourceClaim was given, or will be as soon as what was decided is written; None if it has nothing
        yet."""
        claim = self.claims.get(key)
        if claim is not None and claim.allocation is not None:
            return claim.allocation
        users = self._users.get(key, {})
        return next((given for _, given in sorted(users.items()) if given is not None), None)

    def _settle(self, key: ClaimKey) -> None:
        """Count a ResourceClaim as what it is now: once, if it has devices and somebody uses it or nobody speaks for
        it."""
        claim = self.claims.get(key)
        wanted = self.allocation_of(key)
        if wanted is not None and key not in self._users and self._speakers[_mark(wanted)]:
            wanted = None
        elif wanted is not None and (claim is None or claim.allocation is None):
            wanted = _as_one(wanted, key)
        counted = self._counted.get(key)
        if counted == wanted:
            return
        if wanted is not None:
            self._counted[key] = wanted
            self._use(wanted, 1)
        else:
            del self._counted[key]
        if counted is not None:
            self._use(counted, -1)

    def pencil_in(self, holder: Holder, placement: Placement) -> Callable[[], None]:
        """Count this as held, in the fleet as it is and in an empty one, until the returned function is called."""
        before = self._pencilled
        taken: list[Allocation] = []
        for pod_set in _with_claims(placement):
            new = {name for name, key in pod_set.shared if self.allocation_of(key) is None}
            for member in pod_set.members:
                shared = dict(pod_set.shared)
                taken += [given for name, given in member.claims if name not in shared or name in new]
                new.clear()  # once for all members
        self._pencilled = (*before, *taken)
        self.hold(holder, placement)
        for each in taken:
            self.nothing.hold(each)

        def rub_out() -> None:
            self._pencilled = before
            self.release(holder, placement)
            for each in taken:
                self.nothing.release(each)

        return rub_out

    @property
    def pencilled(self) -> tuple[Allocation, ...]:
        """What is pencilled in at the moment."""
        return self._pencilled

    @property
    def lists_devices(self) -> bool:
        """Some published device is one that its node lists."""
        return bool(self._listed)

    def hand_out(self, node: str, device: str) -> None:
        """A device that the node lists was handed out by its name, or given back. O(1)."""
        for each in self._as_listed.get((node, device), ()):
            self._agree(each)

    def _use(self, allocation: Allocation, by: int) -> None:
        if by > 0:
            self.usage.hold(allocation)
        else:
            self.usage.release(allocation)
        for result in allocation.results:
            if not result.admin:
                self._agree(result.id)

    def _agree(self, device: DeviceId) -> None:
        """Bring both ways of asking for a device into line, and let its nodes be looked at again."""
        listed = self._listed.get(device)
        taken = self._taken.get(device)
        if self.usage.view().uses(device):
            if listed is not None and taken != listed:
                if taken is not None:
                    self._took(*taken, -1)
                self._taken[device] = listed
                self._took(*listed, 1)
        elif taken is not None:
            del self._taken[device]
            self._took(*taken, -1)
        is_barred, barred = listed is not None and self._is_handed_out(*listed), device in self._barred
        if is_barred and not barred and listed is not None:
            self._barred[device] = listed
            self.usage.bar(device)
        elif barred and not is_barred:
            del self._barred[device]
            self.usage.unbar(device)
        where = self._where.get(device)
        if where is not None:
            self._states.pop(where, None)
            self._changed(where)

    # --- what is where

    def _survey(self, pool: tuple[str, str]) -> None:
        """Who sees the devices of a pool, and what their nodes call them."""
        slices = [self._slices[name] for name in self._pools[pool]]
        nodes = {of.nodes.name for of in slices}
        only = nodes.pop() if len(nodes) == 1 else ""
        for of in slices:
            for device, at in zip(of.devices, _ids(of), strict=True):
                self._locate(at, only)
                attribute = dict(device.attributes).get(DEVICE_ATTRIBUTE)
                named = attribute.values[0] if attribute is not None and attribute.kind == "string" else None
                self._list(at, (of.nodes.name, str(named)) if named is not None and of.nodes.name else None)

    def _locate(self, device: DeviceId, node: str | None) -> None:
        old = self._where.pop(device, None)
        if old is not None:
            self._local[old].pop(device, None)
            self._states.pop(old, None)
        if node is not None:
            self._where[device] = node
            self._local.setdefault(node, {})[device] = None
            self._states.pop(node, None)

    def _list(self, device: DeviceId, listed: Listed | None) -> None:
        old = self._listed.pop(device, None)
        if old is not None:
            self._as_listed[old].pop(device, None)
        if listed is not None:
            self._listed[device] = listed
            self._as_listed.setdefault(listed, {})[device] = None

    def has_some_of(self, node: NodeFacts, device_class: str, member: Member) -> bool:
        """Does a member on this node have a device that the class selects, by a claim or by its listed name? O(devices
        of the node)."""
        mine = {result.id for _, given in member.claims for result in given.results if not result.admin}
        for name in member.devices:
            mine.update(self._as_listed.get((node.name, name), ()))
        if not mine:
            return False
        of = self.inventory.classes[device_class]
        try:
            return any(
                each.id in mine and all(each.facts.selected(text) for text in of.selectors if text is not None)
                for each in self.inventory.view(node).order
            )
        except (AllocationError, CompileError, EvaluationError):
            return True

    def listed(self, device: DeviceId) -> Listed | None:
        """The node that lists a device, and under which name; None if none does."""
        return self._listed.get(device)

    def _publish_pool(self, of: ResourceSlice) -> None:
        """Whoever sees something of the slice's pool is to be looked at again."""
        nodes = {self._slices[name].nodes.name for name in self._pools[of.driver, of.pool]} | {of.nodes.name}
        self._publish(nodes.pop() if len(nodes) == 1 else "")

    def _publish(self, node: str) -> None:
        self._versions[node] += 1
        self._changed(node)

    def version(self, node: str) -> tuple[int, int]:
        """Of what is published for the node: as long as it is equal, the same. Only grows."""
        return self._versions[node], self._versions[""]

    def state(self, node: str) -> tuple[frozenset[object], frozenset[object]]:
        """What is in use of the devices that the node sees; equal means the same. O(its devices) after a change, else
        O(1)."""
        return self._state(node), self._state("")

    def _state(self, node: str) -> frozenset[object]:
        found = self._states.get(node)
        if found is None:
            use = self.usage.view()
            found = self._states[node] = frozenset(
                (device, device in use.whole, use.uses(device), tuple(sorted(use.consumed.get(device, {}).items())))
                for device in self._local.get(node, ())
                if device in use.whole or device in use.shared
            )
        return found

    # --- for the digest

    def parts(self) -> Iterator[tuple[str, str, object]]:
        """What is in use, independent of the order in which it came: (kind, device, value)."""
        for device in sorted(self.usage.whole):
            yield ("whole", "/".join(device), self.usage.whole[device])
        for device in sorted(self.usage.shared):
            amounts = tuple(sorted(self.usage.consumed[device].items()))
            yield ("shared", "/".join(device), (self.usage.shared[device], amounts))


def _ids(of: ResourceSlice) -> list[DeviceId]:
    return [DeviceId(of.driver, of.pool, device.name) for device in of.devices]


def _mark(allocation: Allocation) -> Mark:
    return tuple((result.id, result.share_id) for result in allocation.results)


def _with_claims(placement: Placement) -> Iterator[PodSetPlacement]:
    """Its pod sets that have claims. Members are alike: what the first and the last one lack none has. O(pod sets)."""
    for pod_set in placement.pod_sets:
        if pod_set.shared or (pod_set.members and (pod_set.members[0].claims or pod_set.members[-1].claims)):
            yield pod_set


def _given(placement: Placement) -> Iterator[Allocation]:
    for pod_set in _with_claims(placement):
        for member in pod_set.members:
            for _, allocation in member.claims:
                yield allocation


def _as_one(allocation: Allocation, key: ClaimKey) -> Allocation:
    """Shares that have no id yet are named after their claim, so that they count once whoever speaks of them."""
    if not any(result.share and not result.share_id for result in allocation.results):
        return allocation
    return replace(
        allocation,
        results=tuple(
            replace(result, share_id=f"{key[0]}/{key[1]}/{number}") if result.share and not result.share_id else result
            for number, result in enumerate(allocation.results)
        ),
    )
