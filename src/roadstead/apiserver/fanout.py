"""All watchers of a server: one channel for each resource that somebody watches."""

from __future__ import annotations

from collections.abc import Mapping

from roadstead.apiserver.channel import Channel
from roadstead.apiserver.watchers import Line, Member, Outlet
from roadstead.cluster.embedded.store import Store
from roadstead.cluster.embedded.watching import Watch
from roadstead.kinds.object import Resource


class Fanout:
    """The watchers of all resources."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._channels: dict[Resource, Channel] = {}
        self._retired: dict[Resource, int] = {}
        self._is_stopped = False

    def join(self, watch: Watch, form: object, line: Line, outlet: Outlet, seen: int, *, is_first: bool) -> Member:
        """Send `outlet` every change after version `seen` that `watch` selects, until `leave`.

        `form` names what `line` makes of an event: watchers with equal requests and forms share its bytes. `is_first`:
        the form says something extra with the first object that a watcher gets.
        """
        resource = watch.kind.stored
        channel = self._channels.get(resource)
        if channel is None:
            channel = self._channels[resource] = Channel(self._store, resource)
        member = channel.join(watch, form, line, outlet, seen, is_first=is_first)
        if self._is_stopped:
            member.end()
        return member

    def leave(self, member: Member) -> None:
        """Send it nothing more."""
        resource = member.group.watch.kind.stored
        channel = self._channels[resource]
        channel.leave(member)
        if channel.is_empty:
            channel.close()
            self._retired[resource] = self._retired.get(resource, 0) + channel.sent
            del self._channels[resource]

    def stop(self) -> None:
        """End every stream, now and from now on."""
        self._is_stopped = True
        for channel in self._channels.values():
            channel.end_all()

    def sent(self) -> Mapping[Resource, int]:
        """Events sent so far, counted once for each watcher."""
        found = dict(self._retired)
        for resource, channel in self._channels.items():
            found[resource] = found.get(resource, 0) + channel.sent
        return found

    def watchers(self) -> Mapping[Resource, int]:
        """Streams open now."""
        return {resource: channel.watchers for resource, channel in self._channels.items()}
