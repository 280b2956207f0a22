"""What callers of the embedded API say and get: options in, results out. Shared by the HTTP surface and the Cluster
port."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from roadstead.kinds.object import Object


@dataclass(frozen=True, slots=True)
class User:
    """Who asks."""

    name: str
    groups: Sequence[str] = ()
    may_create: bool = True
    """False: an update or patch of theirs must not make an object that is missing."""


SYSTEM = User("system:roadstead", ("system:masters", "system:authenticated"))


@dataclass(frozen=True, slots=True)
class WriteOptions:
    user: User = SYSTEM
    field_manager: str = "roadstead"
    field_validation: str = "Ignore"  # Ignore | Warn | Strict
    dry_run: bool = False
    force: bool = False
    """An apply takes from others what it changes."""
    tracks: bool = False
    """Who owns which field of a new object is kept from the beginning, as the API server does for its clients."""


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    user: User = SYSTEM
    dry_run: bool = False
    grace_seconds: int | None = None
    propagation: str = ""  # Orphan | Background | Foreground | ""
    uid: str = ""  # precondition
    resource_version: str = ""  # precondition


@dataclass(frozen=True, slots=True)
class Written:
    """The stored object (for a delete: what is left of it, or its last version), and texts for Warning headers."""

    object: Object
    warnings: Sequence[str] = ()
    created: bool = False
    removed: bool = False


@dataclass(frozen=True, slots=True)
class ListOptions:
    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    continue_token: str = ""
    resource_version: str = ""
    resource_version_match: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    items: Sequence[Object]
    resource_version: str
    continue_token: str = ""
    remaining: int | None = None


@dataclass(frozen=True, slots=True)
class WatchOptions:
    label_selector: str = ""
    field_selector: str = ""
    resource_version: str = ""  # "" and "0": synthetic ADDED events first
    bookmarks: bool = False
    send_initial_events: bool = False
    resource_version_match: str = ""
    timeout_seconds: int | None = None
