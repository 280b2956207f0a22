"""Job kinds and the queue: which kinds can be held, and how each is turned into pod sets, started and stopped."""

from __future__ import annotations

from typing import Final

from roadstead.integrations.base import JobKind
from roadstead.integrations.job import BatchJob
from roadstead.kinds.object import OwnerReference, Resource

ALL: Final[tuple[JobKind, ...]] = (BatchJob(),)

_BY_RESOURCE: Final = {kind.resource: kind for kind in ALL}
_BY_KIND: Final = {(kind.resource.api_version, kind.kind): kind for kind in ALL}


def for_resource(resource: Resource) -> JobKind | None:
    """The job kind behind a resource, or None if objects of it are not queued."""
    return _BY_RESOURCE.get(resource)


def for_owner(owner: OwnerReference | None) -> JobKind | None:
    """The job kind of an owner reference: objects that such a job controls are part of it, and not queued by
    themselves."""
    return _BY_KIND.get((owner.api_version, owner.kind)) if owner else None
