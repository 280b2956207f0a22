"""The newest version known of each object, when some versions are known from our own writes before an informer shows them.

An informer may lag, also behind the writes of the very process that reads it. Two promises make that harmless without comparing
versions for age: within one resource an informer never goes back, and our writes carry the version they were decided on. So
after a successful write on version R everything that an informer still shows up to R is older news, and whatever it shows next
is what we wrote or something newer.
"""

from __future__ import annotations

from roadstead.kinds.object import Object
from roadstead.runtime.step import Key


class Known:
    """Objects of one resource by key. Every operation is O(1)."""

    def __init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        self._superseded: dict[Key, set[tuple[str, str]]] = {}
        self._awaited: dict[Key, str] = {}  # created by us, not yet shown: its uid
        self._buried: dict[Key, str] = {}  # deleted by us, not yet shown: its uid

    def get(self, key: Key) -> Object | None:
        return self.objects.get(key)

    def observe(self, key: Key, current: Object | None) -> bool:
        """Take what an informer shows; False if it is no news: older than what is known, or just that."""
        if current is None:
            if key in self._awaited:
                return False  # the end of a predecessor: what we created comes after it
            self._superseded.pop(key, None)
            self._buried.pop(key, None)
            return self.objects.pop(key, None) is not None
        if not (self._superseded or self._buried or self._awaited):  # nothing of ours is on its way
            self.objects[key] = current
            return True
        if current.version in self._superseded.get(key, ()) or current.meta.uid == self._buried.get(key):
            return False
        awaited = self._awaited.get(key)
        if awaited is not None:
            if current.meta.uid != awaited:
                return False
            del self._awaited[key]
        self._superseded.pop(key, None)
        self._buried.pop(key, None)
        before = self.objects.get(key)
        self.objects[key] = current
        return before is None or before.version != current.version

    def created(self, key: Key, new: Object) -> None:
        """We created this object."""
        current = self.objects.get(key)
        if current is not None and current.meta.uid == new.meta.uid:
            return  # the informer was faster
        self.objects[key] = new
        self._awaited[key] = new.meta.uid

    def is_awaited(self, key: Key) -> bool:
        """We created it, and no informer has shown it yet."""
        return key in self._awaited

    def updated(self, key: Key, decided_on: tuple[str, str], new: Object) -> None:
        """We replaced version `decided_on` by `new`."""
        current = self.objects.get(key)
        if current is None or current.version != decided_on:
            return  # the informer was faster, and may be further by now
        if new.version == decided_on:
            return  # nothing changed
        self.objects[key] = new
        self._superseded.setdefault(key, set()).add(decided_on)

    def deleted(self, key: Key, uid: str) -> None:
        """The object with this uid does not exist any more, whether we deleted it or found it missing."""
        current = self.objects.get(key)
        if current is not None and current.meta.uid == uid:
            del self.objects[key]
            self._superseded.pop(key, None)
            if self._awaited.pop(key, None) is None:
                self._buried[key] = uid
