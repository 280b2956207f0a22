"""The Cluster port over the embedded API: controllers in the same process speak to it as they would to a distant
server.

Nothing is magically fresh: reads show what is on the disk, and watch events arrive through a subscription after the
commit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

import orjson

from roadstead.cluster.embedded.requests import SYSTEM, DeleteOptions, ListOptions, User, WatchOptions, WriteOptions
from roadstead.cluster.embedded.resources import Resources
from roadstead.kinds.errors import StatusError, bad_request, not_found
from roadstead.kinds.names import PODS, SERVICE_ACCOUNTS
from roadstead.kinds.object import Json, Object, Ref, Resource
from roadstead.kinds.registry import Kind
from roadstead.runtime.cluster import (
    EVERYTHING,
    Create,
    Delete,
    EventType,
    Expired,
    Listing,
    Outcome,
    Result,
    Selector,
    Unavailable,
    Update,
    WatchEvent,
    Write,
)

_POLICIES: Final = ("", "Background", "Foreground", "Orphan")


class EmbeddedCluster:
    """`runtime.cluster.Cluster` over `Resources`, as `user`."""

    def __init__(self, resources: Resources, user: User = SYSTEM, field_manager: str = "roadstead") -> None:
        self._resources = resources
        self._user = user
        self._write_options = WriteOptions(user, field_manager)

    async def get(self, ref: Ref) -> Object | None:
        try:
            return await self._resources.get(self._kind(ref.resource, ref.namespace), ref.namespace, ref.name)
        except StatusError as error:
            if error.code == 404:
                return None
            raise Unavailable(error.message) from error

    async def list(self, resource: Resource, namespace: str = "", selector: Selector = EVERYTHING) -> Listing:
        options = ListOptions(label_selector=selector.labels, field_selector=selector.fields)
        try:
            page = await self._resources.list(self._kind(resource, namespace), namespace, options)
        except StatusError as error:
            raise Unavailable(error.message) from error
        return Listing(tuple(page.items), page.resource_version)

    async def watch(
        self, resource: Resource, since: str, namespace: str = "", selector: Selector = EVERYTHING
    ) -> AsyncIterator[WatchEvent]:
        options = WatchOptions(selector.labels, selector.fields, since, bookmarks=True)
        try:
            async with aclosing(self._resources.watch(self._kind(resource, namespace), namespace, options)) as events:
                async for kind, found, version in events:
                    if kind == "BOOKMARK":
                        yield WatchEvent(EventType.BOOKMARK, None, version.partition("+")[0])
                    else:
                        yield WatchEvent(EventType(kind), found, version)
        except StatusError as error:
            if error.code == 410:
                raise Expired(error.message) from error
            raise Unavailable(error.message) from error

    async def write(self, write: Write) -> Outcome:
        try:
            return Outcome(Result.DONE, await self._write(write))
        except StatusError as error:
            return _outcome(write, error)

    async def _write(self, write: Write) -> Object | None:
        ref = write.ref
        kind = self._kind(ref.resource, ref.namespace)
        if kind.namespaced and not ref.namespace:
            raise StatusError(405, "MethodNotAllowed", f"{ref.resource} live in namespaces, and none is named")
        if isinstance(write, Delete):
            if write.propagation not in _POLICIES:
                raise bad_request(f"propagation {write.propagation!r} is none of: {', '.join(_POLICIES[1:])}")
            options = DeleteOptions(
                self._user, False, write.grace_seconds, write.propagation, write.uid, write.resource_version
            )
            deleted = await self._resources.delete(kind, ref.namespace, ref.name, options)
            return None if deleted.removed else deleted.object
        if write.subresource and kind.subresource(write.subresource) is None:
            raise StatusError(404, "NotFound", "the server could not find the requested resource")
        value = _copy(write.value)
        if isinstance(write, Update):
            updated = await self._resources.update(
                kind, ref.namespace, ref.name, value, self._write_options, write.subresource
            )
            return None if updated.removed else updated.object
        if not write.subresource:
            return (await self._resources.create(kind, ref.namespace, value, self._write_options)).object
        if (ref.resource, write.subresource) == (SERVICE_ACCOUNTS, "token"):
            answer, _ = await self._resources.token(ref.namespace, ref.name, value, self._write_options)
            return Object.of(SERVICE_ACCOUNTS, answer)
        if (ref.resource, write.subresource) != (PODS, "binding"):
            raise not_found(ref.resource, ref.name)
        return (await self._resources.bind(ref.namespace, ref.name, value, self._write_options)).object

    def _kind(self, resource: Resource, namespace: str) -> Kind:
        """A kind that is served at such a place: cluster-scoped ones are not served within a namespace."""
        kind = self._resources.registry.get(resource)
        if kind is None or (namespace and not kind.namespaced):
            raise StatusError(
                404,
                "NotFound",
                f"the server could not find the requested resource: {resource} is not served"
                + (" within a namespace" if kind is not None else ""),
            )
        return kind


def _copy(value: Json) -> Json:
    """The caller's dict stays the caller's; also refuses what is not JSON."""
    try:
        copied: Json = orjson.loads(orjson.dumps(value))
    except orjson.JSONEncodeError as error:
        raise bad_request(f"the object cannot be sent as JSON: {error}") from error
    return copied


def _outcome(write: Write, error: StatusError) -> Outcome:
    message = error.message
    match error.code:
        case 404:
            return Outcome(Result.MISSING, message=message)
        case 409:
            is_taken = error.reason == "AlreadyExists" and isinstance(write, Create) and not write.subresource
            return Outcome(Result.EXISTS if is_taken else Result.CONFLICT, message=message)
        case 429 | 503 | 507:
            return Outcome(Result.THROTTLED, message=message, retry_after=error.details.get("retryAfterSeconds", 1))
        case code if code >= 500 and error.reason:
            return Outcome(Result.UNKNOWN, message=message)
        case _:  # also 500 without a reason: refused before anything was written
            return Outcome(Result.INVALID, message=message)
