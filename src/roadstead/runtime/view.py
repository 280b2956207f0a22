"""What informers have seen, indexed: the `Read` that controllers get."""

from __future__ import annotations

import logging
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence

from roadstead.kinds.object import Object, Resource
from roadstead.runtime.step import Index, Key

log = logging.getLogger(__name__)

OWNER_INDEX = "owner"
"""Built in: objects by the uid of each of their owners."""


def _owner_uids(obj: Object) -> list[str]:
    return [owner.uid for owner in obj.meta.owner_references]


def _values(name: str, values_of: Index, obj: Object) -> Sequence[str]:
    """An object that an index cannot read is not found by that index; it is in the cache all the same, which must stay
    whole."""
    try:
        return tuple(values_of(obj))
    except Exception:
        log.exception("index %s cannot read %r", name, obj)
        return ()


class Cache:
    """The newest known version of every object of one resource. Reads cost O(result), changes O(log n) amortised."""

    def __init__(self, resource: Resource, indexes: Mapping[str, Index] | None = None) -> None:
        self.resource = resource
        self._objects: dict[Key, Object] = {}
        self._sorted: list[Key] = []
        self._indexes: dict[str, Index] = {OWNER_INDEX: _owner_uids, **(indexes or {})}
        self._found: dict[str, dict[str, set[Key]]] = {name: {} for name in self._indexes}

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, key: Key) -> Object | None:
        return self._objects.get(key)

    def all_keys(self) -> list[Key]:
        return list(self._sorted)

    def all(self) -> Sequence[Object]:
        """All objects, in the order in which they came: cheaper than `list`."""
        return tuple(self._objects.values())

    def list(self, namespace: str = "") -> Sequence[Object]:
        if not namespace:
            return [self._objects[key] for key in self._sorted]
        start = bisect_left(self._sorted, (namespace, ""))
        end = bisect_left(self._sorted, (namespace + "\0", ""))
        return [self._objects[key] for key in self._sorted[start:end]]

    def by_index(self, index: str, value: str) -> Sequence[Object]:
        return [self._objects[key] for key in sorted(self._found[index].get(value, ()))]

    def put(self, obj: Object) -> Object | None:
        """Make `obj` the newest version; returns the version it replaces."""
        key = obj.key
        old = self._objects.get(key)
        if old is None:
            insort(self._sorted, key)
        else:
            self._forget(key, old)
        self._objects[key] = obj
        for name, values_of in self._indexes.items():
            found = self._found[name]
            for value in _values(name, values_of, obj):
                found.setdefault(value, set()).add(key)
        return old

    def fill(self, objects: Iterable[Object]) -> Sequence[tuple[Key, Object]]:
        """Take the first list of an empty cache, all at once; gives its objects with their keys. O(n), where `put`
        would be O(n log n)."""
        assert not self._objects
        known = self._objects = {obj.key: obj for obj in objects}
        self._sorted = sorted(known)
        for name, values_of in self._indexes.items():
            found = self._found[name]
            for key, obj in known.items():
                for value in _values(name, values_of, obj):
                    keys = found.get(value)
                    if keys is None:
                        found[value] = {key}
                    else:
                        keys.add(key)
        return list(known.items())

    def remove(self, key: Key) -> Object | None:
        old = self._objects.pop(key, None)
        if old is not None:
            del self._sorted[bisect_left(self._sorted, key)]
            self._forget(key, old)
        return old

    def _forget(self, key: Key, old: Object) -> None:
        for name, values_of in self._indexes.items():
            found = self._found[name]
            for value in _values(name, values_of, old):
                keys = found.get(value)
                if keys is not None:
                    keys.discard(key)
                    if not keys:
                        del found[value]


class View:
    """`Read` over a set of caches. Asking for a resource that nobody watches is a programming error and raises
    KeyError."""

    def __init__(self, caches: Mapping[Resource, Cache]) -> None:
        self._caches = caches

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        return self._caches[resource].get((namespace, name))

    def list(self, resource: Resource, namespace: str = "") -> Sequence[Object]:
        return self._caches[resource].list(namespace)

    def owned_by(self, resource: Resource, uid: str) -> Sequence[Object]:
        return self._caches[resource].by_index(OWNER_INDEX, uid)

    def by_index(self, resource: Resource, index: str, value: str) -> Sequence[Object]:
        return self._caches[resource].by_index(index, value)
