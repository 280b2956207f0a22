"""The garbage collector: what happens to dependents when their owners go (kubernetes-api.md section 21).

* *Background*: when all owners of an object are gone, it is deleted. If some are left, the dangling references are removed.
* *Foreground*: an owner that waits for its dependents (finalizer `foregroundDeletion`) has them deleted, and is let go when none
  with `blockOwnerDeletion` is left.
* *Orphan*: references to the owner are removed from its dependents, then it is let go (finalizer `orphan`).

That an owner is gone is never concluded from the view alone, which may lag for the owner's resource: the step asks the
server to confirm it. A delete carries uid and resourceVersion of the dependent, so owners it has got meanwhile are
respected.

An owner that cannot be looked up (a kind nobody serves) blocks: nothing is deleted because of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from roadstead.kinds.names import EVENTS, FOREGROUND_FINALIZER, ORPHAN_FINALIZER
from roadstead.kinds.object import Json, Object, OwnerReference, Ref, Resource
from roadstead.kinds.registry import Registry
from roadstead.runtime.cluster import Delete, Update, Write
from roadstead.runtime.step import NOTHING, SECOND, Absent, Index, Key, KeysOf, Note, Read, Step, in_order

MOST_AT_ONCE = 500
"""Dependents orphaned in one step."""
LOOK_AGAIN = SECOND
"""How often an owner that waits for its dependents looks unasked."""


IGNORED = frozenset({EVENTS})
"""Neither owners nor owned (garbagecollector.go DefaultIgnoredResources); there may be very many."""


def key_of(resource: Resource, namespace: str, name: str) -> Key:
    """Keys are (namespace, name); the collector's say also which resource: `pods.v1.|default`."""
    return f"{resource.plural}.{resource.version}.{resource.group}|{namespace}", name


@dataclass(frozen=True, slots=True)
class _Owners:
    """An object's owner references by what became of the owners."""

    solid: tuple[OwnerReference, ...] = ()
    waiting: tuple[OwnerReference, ...] = ()
    """Being deleted in the foreground: they wait for their dependents."""
    dangling: tuple[tuple[OwnerReference, Ref], ...] = ()
    """Not in the view, or another object has the name."""


class GarbageCollector:
    """Watches every resource of `registry` (Events apart)."""

    name: ClassVar[str] = "garbage"

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.indexes: Mapping[tuple[Resource, str], Index] = {}
        self.watches: Mapping[Resource, KeysOf] = {}
        self.renew()

    def renew(self) -> None:
        """Take in which kinds there are now. The runner is to be told (`Runner.refit`) before the next step."""
        kinds = tuple(kind for kind in self._registry.by_storage() if kind.resource not in IGNORED)
        self._resources = tuple(kind.stored for kind in kinds)
        self._by_name = {key_of(resource, "", "")[0][:-1]: resource for resource in self._resources}
        self._by_kind = {
            (kind.resource.api_version, kind.kind): kind for kind in self._registry if kind.resource not in IGNORED
        }
        self.watches = dict.fromkeys(self._resources, self._keys)

    # ------------------------------------------------------------------ who is concerned

    def _keys(self, changed: Object, read: Read) -> Iterable[Key]:
        """Those for whom this change may mean work. O(owners + dependents); nothing for the many objects whose owners
        live."""
        meta = changed.meta
        current = read.get(changed.resource, meta.namespace, meta.name)
        gone = current is None or current.meta.uid != meta.uid
        needs_look = _is_leaving(changed)
        freed: list[Object] = []
        for owner in meta.owner_references:
            ref = self._ref(changed, owner)
            found = read.get(*ref) if ref is not None else None
            if found is None or found.meta.uid != owner.uid:
                needs_look = needs_look or ref is not None
            elif _waits_for_dependents(found):
                needs_look = True
                freed.append(found)  # a dependent that goes, or blocks no longer, may free an owner that waits
        if not (needs_look or gone or meta.deletion_timestamp):
            return ()
        keys = [key_of(changed.resource, meta.namespace, meta.name)] if needs_look and not gone else []
        if gone or _waits_for_dependents(changed):
            found_below = self._dependents(changed, read)
            keys += [key_of(child.resource, child.meta.namespace, child.meta.name) for child in found_below]
        keys += [key_of(owner.resource, owner.meta.namespace, owner.meta.name) for owner in freed]
        return keys

    def _dependents(self, owner: Object, read: Read) -> list[Object]:
        """Everything that names the owner by uid, wherever it is: a reference from another namespace counts as
        dangling."""
        uid = owner.meta.uid
        return [obj for resource in self._resources for obj in read.owned_by(resource, uid)]

    # ------------------------------------------------------------------ what to do

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        where, _, namespace = key[0].partition("|")
        resource = self._by_name.get(where)
        obj = None if resource is None else read.get(resource, namespace, key[1])
        if obj is None:
            return NOTHING
        if obj.meta.deletion_timestamp:
            if ORPHAN_FINALIZER in obj.meta.finalizers:
                return self._orphan(obj, read, now)
            if FOREGROUND_FINALIZER in obj.meta.finalizers:
                return self._let_go_when_alone(obj, read, now)
            return NOTHING
        return self._collect(obj, read) if obj.meta.owner_references else NOTHING

    def _orphan(self, owner: Object, read: Read, now: int) -> Step:
        """Cut the dependents loose, then let the owner go."""
        scope = [obj for obj in self._dependents(owner, read) if self._is_own(owner, obj)]
        cuts = tuple(Update(obj.resource, _without_owners(obj, {owner.meta.uid})) for obj in scope[:MOST_AT_ONCE])
        if len(scope) > MOST_AT_ONCE:
            return Step((cuts,), now)
        release = (Update(owner.resource, _without_finalizer(owner, ORPHAN_FINALIZER)),)
        return Step((cuts, release) if cuts else (release,))

    def _let_go_when_alone(self, owner: Object, read: Read, now: int) -> Step:
        """Dependents are deleted by their own keys; the owner goes when none blocks it.

        A dependent that vanishes wakes the owner. One that only drops its reference says no more whose it was, so the
        owner also looks again from time to time.
        """
        for obj in self._dependents(owner, read):
            if self._is_own(owner, obj) and _blocks(obj, owner.meta.uid):
                return Step(again_at=now + LOOK_AGAIN)
        return in_order(Update(owner.resource, _without_finalizer(owner, FOREGROUND_FINALIZER)))

    def _collect(self, obj: Object, read: Read) -> Step:
        owners = self._classify(obj, read)
        if not owners.waiting and not owners.dangling:
            return NOTHING
        absent = tuple(Absent(ref, owner.uid) for owner, ref in owners.dangling)
        if owners.solid:
            unwanted = {owner.uid for owner in owners.waiting} | {owner.uid for owner, _ in owners.dangling}
            return _confirmed(absent, Update(obj.resource, _without_owners(obj, unwanted)))
        dependents = [child for child in self._dependents(obj, read) if self._is_own(obj, child)]
        if owners.waiting and dependents:
            if any(child.meta.deletion_timestamp and _waits_for_dependents(child) for child in dependents):
                # A circle of foreground deletions: whoever notices stops blocking, else all would wait forever.
                unblocked = _not_blocking(obj)
                if unblocked is not None:
                    return in_order(Update(obj.resource, unblocked))
            policy = "Foreground"
        else:
            policy = _policy_of(obj)
        notes = tuple(
            Note(obj, "Warning", "OwnerRefInvalidNamespace", _misplaced(owner, obj))
            for owner, ref in owners.dangling
            if ref.namespace and self._lives_elsewhere(owner, ref, read)
        )
        delete = Delete(obj.ref, obj.meta.uid, obj.meta.resource_version, policy)
        return _confirmed(absent, delete, notes)

    # ------------------------------------------------------------------ owners

    def _classify(self, obj: Object, read: Read) -> _Owners:
        solid: list[OwnerReference] = []
        waiting: list[OwnerReference] = []
        dangling: list[tuple[OwnerReference, Ref]] = []
        for owner in obj.meta.owner_references:
            ref = self._ref(obj, owner)
            if ref is None:
                solid.append(owner)
                continue
            found = read.get(*ref)
            if found is None or found.meta.uid != owner.uid:
                dangling.append((owner, ref))
            elif _waits_for_dependents(found):
                waiting.append(owner)
            else:
                solid.append(owner)
        return _Owners(tuple(solid), tuple(waiting), tuple(dangling))

    def _ref(self, obj: Object, owner: OwnerReference) -> Ref | None:
        """Where the owner is: in the dependent's namespace, or cluster-scoped. None if that cannot be looked up."""
        kind = self._by_kind.get((owner.api_version, owner.kind))
        if kind is None or (kind.namespaced and not obj.meta.namespace):
            return None
        return Ref(kind.stored, obj.meta.namespace if kind.namespaced else "", owner.name)

    def _is_own(self, owner: Object, dependent: Object) -> bool:
        """The dependent's reference leads to this owner (and not only its uid, from another namespace)."""
        return any(
            reference.uid == owner.meta.uid and self._ref(dependent, reference) == owner.ref
            for reference in dependent.meta.owner_references
        )

    def _lives_elsewhere(self, owner: OwnerReference, ref: Ref, read: Read) -> bool:
        """An object of this name and uid exists in another namespace. O(objects of the resource), only before a
        deletion whose owner was never there under its name."""
        if read.get(*ref) is not None:
            return False
        return any(obj.meta.name == owner.name and obj.meta.uid == owner.uid for obj in read.list(ref.resource))


def _is_leaving(obj: Object) -> bool:
    finalizers = obj.meta.finalizers
    return bool(obj.meta.deletion_timestamp) and (FOREGROUND_FINALIZER in finalizers or ORPHAN_FINALIZER in finalizers)


def _waits_for_dependents(obj: Object) -> bool:
    return bool(obj.meta.deletion_timestamp) and FOREGROUND_FINALIZER in obj.meta.finalizers


def _blocks(obj: Object, uid: str) -> bool:
    return any(owner.uid == uid and owner.block_owner_deletion for owner in obj.meta.owner_references)


def _policy_of(obj: Object) -> str:
    """Finalizers that somebody put there before say how the object wants to be deleted."""
    if ORPHAN_FINALIZER in obj.meta.finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND_FINALIZER in obj.meta.finalizers else "Background"


def _confirmed(absent: tuple[Absent, ...], write: Write, notes: tuple[Note, ...] = ()) -> Step:
    return Step(((write,),), None, notes, absent)


def _misplaced(owner: OwnerReference, obj: Object) -> str:
    named = f"[{owner.api_version}/{owner.kind}, namespace: {obj.meta.namespace}, name: {owner.name}, uid: {owner.uid}]"
    return f'ownerRef {named} does not exist in namespace "{obj.meta.namespace}"'


def _without_owners(obj: Object, uids: set[str]) -> Json:
    value = obj.decode()
    metadata = value["metadata"]
    left = [owner for owner in metadata["ownerReferences"] if owner["uid"] not in uids]
    if left:
        metadata["ownerReferences"] = left
    else:
        del metadata["ownerReferences"]
    return value


def _without_finalizer(obj: Object, finalizer: str) -> Json:
    value = obj.decode()
    metadata = value["metadata"]
    left = [name for name in metadata["finalizers"] if name != finalizer]
    if left:
        metadata["finalizers"] = left
    else:
        del metadata["finalizers"]
    return value


def _not_blocking(obj: Object) -> Json | None:
    """The object with no reference that blocks its owner's deletion; None if it has none."""
    value = obj.decode()
    blocking = [owner for owner in value["metadata"]["ownerReferences"] if owner.get("blockOwnerDeletion")]
    for owner in blocking:
        owner["blockOwnerDeletion"] = False
    return value if blocking else None
