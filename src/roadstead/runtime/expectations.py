"""Read-your-own-writes for controllers, once for all of them.

A controller that looked at a view without its own last write would do the work twice. So after a write is acknowledged,
the keys that caused it wait until the informer has seen exactly that version (uid, resourceVersion; opaque, compared
for equality), or a later one. "Later" cannot be told from the versions, so everything an informer sees is remembered
for a while: a version seen before its acknowledgement arrived counts as seen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from roadstead.kinds.object import Object, Ref, Resource
from roadstead.runtime.step import Key

Waiter: TypeAlias = tuple[str, Key]
"""Who waits: (controller name, key)."""

Awaited: TypeAlias = frozenset[tuple[Ref, tuple[str, str]]]

REMEMBERED_VERSIONS = 8192
"""Per tracker; an acknowledgement that arrives later than this many changes is resolved by a relist."""


class Expectations:
    """Versions that waiters must see before they may look again."""

    def __init__(self) -> None:
        self._awaited: dict[Ref, dict[tuple[str, str], set[Waiter]]] = {}
        self._open: dict[Waiter, set[tuple[Ref, tuple[str, str]]]] = {}
        self._seen: set[tuple[str, str]] = set()
        self._order: deque[tuple[str, str]] = deque()
        self._gone: set[str] = set()
        self._gone_order: deque[str] = deque()

    def expect_version(self, waiter: Waiter, ref: Ref, version: tuple[str, str]) -> None:
        """`waiter` must not act before `ref` was seen at `version` (or its uid was seen to vanish)."""
        if version in self._seen or version[0] in self._gone:
            return
        self._awaited.setdefault(ref, {}).setdefault(version, set()).add(waiter)
        self._open.setdefault(waiter, set()).add((ref, version))

    def expect_gone(self, waiter: Waiter, ref: Ref, uid: str) -> None:
        """`waiter` must not act before the object with this uid was seen to vanish."""
        if uid not in self._gone:
            self._awaited.setdefault(ref, {}).setdefault((uid, ""), set()).add(waiter)
            self._open.setdefault(waiter, set()).add((ref, (uid, "")))

    def saw(self, old: Object | None, new: Object | None) -> set[Waiter]:
        """Take in a change an informer saw; returns the waiters that may look now."""
        if new is not None:
            self._remember(new.version)
        gone = old.meta.uid if old is not None and (new is None or new.meta.uid != old.meta.uid) else ""
        if gone:
            self._gone.add(gone)
            self._gone_order.append(gone)
            if len(self._gone_order) > REMEMBERED_VERSIONS:
                self._gone.discard(self._gone_order.popleft())
        current = new or old
        if current is None or not self._awaited:
            return set()
        freed: set[Waiter] = set()
        if new is not None:
            freed |= self._meet(current.ref, new.version.__eq__)
        if gone:
            freed |= self._meet(current.ref, lambda version: version[0] == gone)
        return freed

    def is_blocked(self, waiter: Waiter) -> bool:
        return waiter in self._open

    def waiting_for(self, waiter: Waiter) -> frozenset[Ref]:
        return frozenset(ref for ref, _ in self._open.get(waiter, ()))

    def snapshot(self, resource: Resource) -> Awaited:
        """What is awaited of one resource now: a list begun after this moment will show it."""
        return frozenset(
            (ref, version)
            for ref, versions in self._awaited.items()
            if ref.resource == resource
            for version in versions
        )

    def met_by_list(self, awaited: Awaited) -> set[Waiter]:
        """A list begun after `snapshot` was taken in: what it named is in the view."""
        freed: set[Waiter] = set()
        for ref, wanted in awaited:
            freed |= self._meet(ref, wanted.__eq__)
        return freed

    def _remember(self, version: tuple[str, str]) -> None:
        self._seen.add(version)
        self._order.append(version)
        if len(self._order) > REMEMBERED_VERSIONS:
            self._seen.discard(self._order.popleft())

    def _meet(self, ref: Ref, fits: Callable[[tuple[str, str]], bool]) -> set[Waiter]:
        versions = self._awaited.get(ref)
        if not versions:
            return set()
        freed: set[Waiter] = set()
        for version in [version for version in versions if fits(version)]:
            for waiter in versions.pop(version):
                still = self._open[waiter]
                still.discard((ref, version))
                if not still:
                    del self._open[waiter]
                    freed.add(waiter)
        if not versions:
            del self._awaited[ref]
        return freed
