"""The admission chain: what may change or refuse a write after decoding and defaulting, before it is stored.

It sits in the store's own write path, so writes from inside the process pass it too. Plugins are synchronous, do no
I/O, and see the store only through `AdmissionRequest.lookup`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from roadstead.cluster.embedded.requests import User
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.registry import Kind


@dataclass(slots=True)
class AdmissionRequest:
    """One write. `object` is None for DELETE, `old` is None for CREATE; `object` may be edited in place by a plugin."""

    operation: str  # CREATE | UPDATE | DELETE
    kind: Kind
    namespace: str
    name: str
    subresource: str
    object: Json | None
    old: Json | None
    user: User
    dry_run: bool
    lookup: Callable[[Resource, str, str], Object | None]
    """(resource, namespace, name) -> the stored object, or None."""
    list_all: Callable[[Resource], Sequence[Object]] = lambda resource: ()
    """(resource) -> every committed object of it."""
    now: int = 0
    """Nanoseconds since the epoch."""


class AdmissionPlugin(Protocol):
    def admit(self, request: AdmissionRequest) -> None:
        """Edit `request.object`, or raise `StatusError` to refuse."""
        ...
