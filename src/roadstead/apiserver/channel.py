"""One change to many watchers of a resource: selected once, encoded once, framed once, and the same bytes handed to
everybody.

Watchers that want the same (kind, namespace, selectors, form) are a `Group`. Those of a group who have seen everything
so far are *level*: for each of them a flush costs one write of bytes that all share. The others are *apart* and served
one by one until they are level: who has just come, who asked for a version from the future, and who is slow.

Coalescing: changes that come while a flush is being paid for go out together with the next, in one chunk. After a flush
that took a while the next waits as long as it took (PAUSE_LIMIT at most), so half of the loop is left to everybody
else, however many watch.

A slow watcher holds up nobody and costs a bounded amount of memory: when its connection takes no more, nothing is
written to it; it keeps a version, from which it goes on when it can. What it has missed is read from the store's
history; when that is gone its stream ends, as in the real server, and on coming back it hears 410.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from roadstead.apiserver.encode import error_line
from roadstead.apiserver.watchers import Group, Line, Member, Outlet, framed
from roadstead.cluster.embedded import watching
from roadstead.cluster.embedded.history import Change, Feed, Lagging
from roadstead.cluster.embedded.store import Store
from roadstead.cluster.embedded.watching import Watch
from roadstead.kinds.errors import StatusError
from roadstead.kinds.object import Resource

log = logging.getLogger(__name__)

SLICE_BYTES: Final = 64 << 10
"""Of objects in one flush, one object at least: with its connection's own buffer all that a slow watcher can hold."""
SLICE_CHANGES: Final = 500
ROUNDS: Final = 16
"""Slices that one watcher apart gets in a row before others have their turn."""
PAUSE_LIMIT: Final = 0.05
"""Seconds."""


class Channel:
    """All watchers of one resource, and how far they are."""

    def __init__(self, store: Store, resource: Resource) -> None:
        self._store = store
        self._feed: Feed = store.feed(resource)
        self._groups: dict[object, Group] = {}
        self._free: dict[Group, None] = {}
        """Groups that any change may concern."""
        self._anchored: dict[str, dict[str, dict[Group, None]]] = {}
        """Field -> value -> groups that only objects with this value concern: a thousand node agents, each with pods of
        its own, cost a change no more than the one or two that it is about."""
        self._restless: dict[Group, None] = {}
        """Groups some of whose members are apart."""
        self._position = self._feed.end
        self._seen = store.revision
        """Version up to which everybody who is level has seen everything."""
        self._scheduled: asyncio.Handle | None = None
        self._rest_until = 0.0
        self.sent = 0
        """Events sent, counted once for each watcher."""
        self._feed.listeners.append(self._changed)

    # --- coming and going

    def join(self, watch: Watch, form: object, line: Line, outlet: Outlet, seen: int, *, is_first: bool) -> Member:
        """Send `outlet` every change after version `seen`, until `leave`; `form` names what `line` makes of an
        event."""
        options = watch.options
        key = (watch.key, form, options.bookmarks)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(key, watch, line)
            self._place(group)
        member = Member(group, outlet, seen, is_first=is_first)
        self._set_apart(member)
        outlet.listen(lambda: self._writable(member), member.end)
        loop = asyncio.get_running_loop()
        if options.timeout_seconds is not None:
            member.timers.append(loop.call_later(options.timeout_seconds, member.end))
            if options.bookmarks and options.timeout_seconds > 0:
                last = max(0.0, options.timeout_seconds - watching.LAST_BOOKMARK_SECONDS)
                member.timers.append(loop.call_later(last, self._last_bookmark, member))
        if options.bookmarks and group.bookmark_timer is None:
            group.bookmark_timer = loop.call_later(watching.BOOKMARK_SECONDS, self._bookmark, group)
        if self._feed.is_closed:
            member.end()
        else:
            self._catch_up(member)
        return member

    def leave(self, member: Member) -> None:
        """Send it nothing more."""
        group = member.group
        group.level.pop(member, None)
        group.apart.pop(member, None)
        member.outlet.listen(None, None)
        for timer in member.timers:
            timer.cancel()
        if group.level or group.apart:
            return
        if group.bookmark_timer is not None:
            group.bookmark_timer.cancel()
        self._displace(group)

    def _place(self, group: Group) -> None:
        anchor = group.watch.anchor
        if anchor is None:
            self._free[group] = None
        else:
            field, value = anchor
            self._anchored.setdefault(field, {}).setdefault(value, {})[group] = None

    def _displace(self, group: Group) -> None:
        self._groups.pop(group.key, None)
        self._free.pop(group, None)
        self._restless.pop(group, None)
        if group.watch.anchor is None:
            return
        field, value = group.watch.anchor
        by_value = self._anchored.get(field, {})
        groups = by_value.get(value, {})
        groups.pop(group, None)
        if not groups:
            by_value.pop(value, None)
        if not by_value:
            self._anchored.pop(field, None)

    def _set_apart(self, member: Member) -> None:
        member.group.apart[member] = None
        self._restless[member.group] = None

    @property
    def is_empty(self) -> bool:
        return not self._groups

    @property
    def watchers(self) -> int:
        return sum(len(group.level) + len(group.apart) for group in self._groups.values())

    def close(self) -> None:
        """Listen no more."""
        self._feed.listeners.remove(self._changed)
        if self._scheduled is not None:
            self._scheduled.cancel()

    def end_all(self) -> None:
        """End every stream."""
        for group in self._groups.values():
            for member in (*group.level, *group.apart):
                member.end()

    # --- changes

    def _changed(self) -> None:
        if self._feed.is_closed:
            while self._position < self._feed.end:  # what was stored before the end is still theirs
                self._flush()
            self.end_all()
        elif self._scheduled is None:
            self._schedule()

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        wait = self._rest_until - loop.time()
        self._scheduled = loop.call_later(wait, self._flush) if wait > 0 else loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Send the next slice of changes to everybody."""
        self._scheduled = None
        loop = asyncio.get_running_loop()
        began = loop.time()
        before = self._seen
        try:
            changes = self._slice(self._position)
        except Lagging:
            # The history kept is shorter than one burst of writes: what is lost for one is lost for all who are level.
            self._position, self._seen = self._feed.end, self._store.revision
            for group in self._groups.values():
                for member in group.level:
                    member.end()
            return
        if changes:
            self._position += len(changes)
            self._seen = changes[-1].rv
        for group, concerned in self._concerned(changes).items():
            try:
                self._serve(group, concerned, before)
            except Exception:
                # A stream that would leave something out is worse than none: they come again, from a version that they
                # know.
                log.exception("watchers of %s cannot be served", group.key)
                for member in (*group.level, *group.apart):
                    member.end()
        now = loop.time()
        rest = min(now - began, PAUSE_LIMIT)
        behind = self._feed.end - self._position
        # More is waiting than was sent: nothing would be gained by letting it grow, so others get less than half of the
        # loop.
        self._rest_until = now + (rest / 4 if behind > len(changes) else rest)
        if behind and not self._feed.is_closed:
            self._schedule()

    def _concerned(self, changes: Sequence[Change]) -> dict[Group, Sequence[Change]]:
        """Which groups are to be served, with the changes that may concern them. O(changes x fields that anchor groups
        + result)."""
        found: dict[Group, Sequence[Change]] = dict.fromkeys(self._restless, ())
        for field, by_value in self._anchored.items():
            selection = next(iter(next(iter(by_value.values())))).watch.selection
            some: dict[Group, list[Change]] = {}
            for change in changes:
                values = selection.values_of(change, field)
                for value in by_value if values is None else set(values):
                    for group in by_value.get(value, ()):
                        some.setdefault(group, []).append(change)
            found.update(some)
        found.update(dict.fromkeys(self._free, changes))
        return found

    def _serve(self, group: Group, changes: Sequence[Change], before: int) -> None:
        if group.level and changes:
            self._send_level(group, changes, before)
        for member in list(group.apart):
            if not member.outlet.is_paused:
                self._catch_up(member)
            elif member.seen < self._feed.floor:
                member.end()
        if not group.apart:
            self._restless.pop(group, None)

    def _send_level(self, group: Group, changes: Sequence[Change], before: int) -> None:
        try:
            lines = group.lines(changes)
        except StatusError as error:
            last = framed(error_line(error))
            for member in group.level:
                if not member.has_ended:
                    member.outlet.write(last)
                    member.end()
            return
        if not lines:
            return
        body = framed(b"".join(lines))
        slow = []
        served = 0
        for member in group.level:
            outlet = member.outlet
            if member.has_ended:
                continue  # it may have missed something, and leaves as soon as its task has its turn
            if outlet.is_paused:
                slow.append(member)
            else:
                outlet.write(body)
                served += 1
        self.sent += len(lines) * served
        for member in slow:
            del group.level[member]
            member.seen = before
            self._set_apart(member)

    def _slice(self, position: int) -> Sequence[Change]:
        """The next changes, SLICE_BYTES of them at most, or one. Raises Lagging."""
        changes = self._feed.since(position, SLICE_CHANGES)
        size = 0
        for index, change in enumerate(changes):
            size += len(change.object.raw)
            if size > SLICE_BYTES and index:
                return changes[:index]
        return changes

    # --- one watcher

    def _writable(self, member: Member) -> None:
        if member in member.group.apart:
            self._catch_up(member)

    def _catch_up(self, member: Member) -> None:
        """Send one watcher what it has not seen yet, as long as its connection takes it; make it level when it has seen
        all. If that cannot be done, its stream ends, whoever the caller is: it must not stay, and hear nothing."""
        try:
            self._send_unseen(member)
        except Exception:
            log.exception("a watcher of %s cannot be served", member.group.key)
            member.end()

    def _send_unseen(self, member: Member) -> None:
        group = member.group
        for _ in range(ROUNDS):
            if member.has_ended or member.outlet.is_paused:
                return
            if member.seen < self._feed.floor and not self._is_level(member):
                member.end()
                return
            changes = self._slice(self._feed.position_after(member.seen))
            if not changes:
                break
            try:
                lines = group.lines(changes, is_first=member.is_first)
            except StatusError as error:
                member.outlet.write(framed(error_line(error)))
                member.end()
                return
            member.seen = changes[-1].rv
            if lines:
                member.is_first = False
                self.sent += len(lines)
                member.outlet.write(framed(b"".join(lines)))
        else:
            asyncio.get_running_loop().call_soon(self._writable, member)
            return
        if self._is_level(member) and not member.is_first:
            group.apart.pop(member, None)
            group.level[member] = None

    def _is_level(self, member: Member) -> bool:
        """It has seen what the others have: every change up to `_seen`, and none beyond."""
        return self._feed.position_after(member.seen) == self._position and member.seen <= self._store.revision

    # --- bookmarks

    def _bookmark(self, group: Group) -> None:
        group.bookmark_timer = asyncio.get_running_loop().call_later(watching.BOOKMARK_SECONDS, self._bookmark, group)
        mark = framed(group.line(("BOOKMARK", None, str(self._marked())), False))
        for member in group.level:
            if not member.has_ended and not member.outlet.is_paused:
                member.outlet.write(mark)
        for member in list(group.apart):
            self._mark_apart(member)

    def _last_bookmark(self, member: Member) -> None:
        if member.has_ended:
            return
        if member in member.group.level and not member.outlet.is_paused:
            member.outlet.write(framed(member.group.line(("BOOKMARK", None, str(self._marked())), False)))
        elif member in member.group.apart:
            self._mark_apart(member)

    def _mark_apart(self, member: Member) -> None:
        """A bookmark says that everything up to it has been sent: one who is behind gets it for where it is."""
        self._catch_up(member)
        if not member.outlet.is_paused and not member.has_ended:
            is_current = self._feed.position_after(member.seen) == self._feed.end
            mark = max(member.seen, self._store.revision) if is_current else member.seen
            member.outlet.write(framed(member.group.line(("BOOKMARK", None, str(mark)), False)))

    def _marked(self) -> int:
        return self._store.revision if self._position == self._feed.end else self._seen
