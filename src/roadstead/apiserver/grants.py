"""Roles and bindings as they are in the store, for decisions: what is committed counts at once."""

from __future__ import annotations

from roadstead.auth.rbac import RESOURCES, Policy
from roadstead.cluster.embedded.history import Lagging
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.object import Resource

_AT_ONCE = 1024


class StoredPolicy:
    """Callable that gives the policy of now. It costs a comparison, or what has changed since."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._policy = Policy()
        self._positions: dict[Resource, int] = {}
        self._is_stale = True
        for resource in RESOURCES:
            store.feed(resource).listeners.append(self._changed)

    def __call__(self) -> Policy:
        if self._is_stale:
            self._is_stale = False
            self._follow()
        return self._policy

    def _changed(self) -> None:
        self._is_stale = True

    def _follow(self) -> None:
        try:
            for resource in RESOURCES:
                feed = self._store.feed(resource)
                position = self._positions.get(resource)
                if position is None:
                    raise Lagging
                while changes := feed.since(position, _AT_ONCE):
                    for change in changes:
                        meta = change.object.meta
                        if change.type == "DELETED":
                            self._policy.remove(resource, meta.namespace, meta.name)
                        else:
                            self._policy.put(change.object)
                    position += len(changes)
                self._positions[resource] = position
        except Lagging:
            self._begin_again()

    def _begin_again(self) -> None:
        self._policy = Policy()
        for resource in RESOURCES:
            for found in self._store.list(resource):
                self._policy.put(found)
            self._positions[resource] = self._store.feed(resource).end
