"""Objects over HTTP: each verb's options, body and answer. What happens to objects is `cluster.embedded`'s."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson

from roadstead.apiserver import actions, encode, tables, watching
from roadstead.apiserver.bodies import Decoded, decode_object, media_type, object_media, parse_as, read_body
from roadstead.apiserver.errors import method_not_allowed, not_served
from roadstead.apiserver.fanout import Fanout
from roadstead.apiserver.logs import PodLogs
from roadstead.apiserver.negotiate import Form, Format, negotiate
from roadstead.apiserver.patches import APPLY_PATCH, decode_apply, decode_patch, patch_media
from roadstead.apiserver.paths import ResourcePath
from roadstead.apiserver.query import (
    Query,
    check_version,
    delete_options,
    flag,
    list_options,
    parse_query,
    watch_options,
    write_options,
)
from roadstead.apiserver.responses import Exchange, success, warning_headers
from roadstead.apiserver.scaling import ScaleApi
from roadstead.cluster.embedded.deletion import delete_warnings
from roadstead.cluster.embedded.listing import wait_for_version
from roadstead.cluster.embedded.requests import Page, User, WriteOptions, Written
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.watching import Watch
from roadstead.kinds.errors import StatusError, bad_request, not_found
from roadstead.kinds.names import PODS, SERVICE_ACCOUNTS
from roadstead.kinds.object import Object
from roadstead.kinds.registry import Kind, Registry, Subresource
from roadstead.kinds.schema import DecodeError

RETURNS_OBJECT_ON_DELETE: Final = ("pods", "services", "serviceaccounts", "persistentvolumeclaims", "namespaces")
"""Core kinds whose DELETE answers with the object even when nothing is left of it."""

DELETE_OPTIONS: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"

_METHOD_VERBS: Final = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class ObjectApi:
    """Serves the resource paths of all kinds."""

    def __init__(
        self,
        resources: Resources,
        registry: Registry,
        logs: PodLogs,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._resources = resources
        self._registry = registry
        self._logs = logs
        self._scales = ScaleApi(resources, registry)
        self._wall_clock = wall_clock
        self._encoder = watching.EventEncoder(wall_clock)
        self.fanout = Fanout(resources.store)
        self.stopping = asyncio.Event()
        """Set when the server stops."""

    def stop(self) -> None:
        """End all streams, now and from now on."""
        self.stopping.set()
        self.fanout.stop()

    async def serve(self, exchange: Exchange, kind: Kind, target: ResourcePath, user: User) -> None:
        """Answer a request for objects of `kind`. Raises StatusError."""
        if kind.strategy.deprecated:
            exchange.said = warning_headers([kind.strategy.deprecated])
        if target.subresource:
            await self._serve_subresource(exchange, kind, target, user)
        elif target.name:
            await self._serve_named(exchange, kind, target, user)
        else:
            await self._serve_collection(exchange, kind, target, user)

    async def serve_bindings(self, exchange: Exchange, target: ResourcePath, user: User) -> None:
        """Answer a request for `bindings`, which are made and never seen again. Raises StatusError."""
        if exchange.method != "POST" or target.name:
            raise method_not_allowed()
        query = parse_query(exchange.query_string)
        await actions.bind(exchange, self._resources, target.namespace, "", user, query)

    async def _serve_collection(self, exchange: Exchange, kind: Kind, target: ResourcePath, user: User) -> None:
        query = parse_query(exchange.query_string)
        if exchange.method == "GET":
            if target.watch or flag(query, "watch"):
                _allow(kind, "watch")
                await self._watch(exchange, kind, target, query)
            else:
                _allow(kind, "list")
                await self._list(exchange, kind, target, query)
        elif exchange.method == "POST":
            _allow(kind, "create")
            if kind.is_leaving:
                why = "create not allowed while custom resource definition is terminating"
                about = {"group": kind.resource.group, "kind": kind.resource.plural}
                raise StatusError(405, "MethodNotAllowed", why, about)
            await self._create(exchange, kind, target, user, query)
        elif exchange.method == "DELETE":
            _allow(kind, "deletecollection")
            await self._delete_collection(exchange, kind, target, user, query)
        else:
            raise method_not_allowed()

    async def _serve_named(self, exchange: Exchange, kind: Kind, target: ResourcePath, user: User) -> None:
        method = exchange.method
        verb = _METHOD_VERBS.get(method)
        if verb is None:
            raise method_not_allowed()
        _allow(kind, verb)
        query = parse_query(exchange.query_string)
        if method == "GET":
            if target.watch or flag(query, "watch"):
                await self._watch(exchange, kind, target, query)
            else:
                await self._get(exchange, kind, target, query)
        elif method == "PUT":
            await self._update(exchange, kind, target, user, query)
        elif method == "PATCH":
            await self._patch(exchange, kind, target, user, query)
        else:
            await self._delete(exchange, kind, target, user, query)

    async def _serve_subresource(self, exchange: Exchange, kind: Kind, target: ResourcePath, user: User) -> None:
        sub = kind.subresource(target.subresource)
        if sub is None:
            raise not_found(kind.resource, target.name) if kind.is_custom else not_served()
        _allow_subresource(sub, exchange.method)
        query = parse_query(exchange.query_string)
        if kind.resource == PODS and sub.name == "log":
            await self._logs.serve(exchange, target.namespace, target.name, query, self.stopping)
        elif kind.resource == PODS and sub.name == "binding":
            await actions.bind(exchange, self._resources, target.namespace, target.name, user, query)
        elif kind.resource == PODS and sub.name == "eviction":
            await actions.evict(exchange, self._resources, target.namespace, target.name, user, query)
        elif kind.resource == SERVICE_ACCOUNTS and sub.name == "token":
            await actions.request_token(exchange, self._resources, target.namespace, target.name, user, query)
        elif sub.name == "scale":
            await self._scales.serve(exchange, kind, target, user, query)
        elif exchange.method == "GET":
            await self._get(exchange, kind, target, query)
        elif exchange.method == "PUT":
            await self._update(exchange, kind, target, user, query)
        else:
            await self._patch(exchange, kind, target, user, query)

    # --- reading

    async def _get(self, exchange: Exchange, kind: Kind, target: ResourcePath, query: Query) -> None:
        format = negotiate(exchange.header(b"accept"))
        include = tables.include_object(query.get("includeObject")) if format.form is Form.TABLE else ""
        version = check_version(query)
        if version:
            await wait_for_version(self._resources.store, int(version))
        found = await self._resources.get(kind, target.namespace, target.name)
        await self._reply_object(exchange, 200, kind, found, format, include)

    async def _list(self, exchange: Exchange, kind: Kind, target: ResourcePath, query: Query) -> None:
        format = negotiate(exchange.header(b"accept"))
        if format.form is Form.PARTIAL:
            message = (
                f"you requested PartialObjectMetadata, but the requested object is a list (*core.{kind.list_kind})"
            )
            raise StatusError(406, "NotAcceptable", message)
        include = tables.include_object(query.get("includeObject")) if format.form is Form.TABLE else ""
        page = await self._resources.list(kind, target.namespace, list_options(query))
        await self._reply_page(exchange, kind, page, format, include)

    async def _watch(self, exchange: Exchange, kind: Kind, target: ResourcePath, query: Query) -> None:
        format = negotiate(exchange.header(b"accept"), for_watch=True)
        include = tables.include_object(query.get("includeObject")) if format.form is Form.TABLE else ""
        watch = Watch(self._resources.store, kind, target.namespace, watch_options(query), target.name)
        await watching.stream(exchange, watch, self.fanout, self._encoder, format, include)

    # --- writing

    async def _create(self, exchange: Exchange, kind: Kind, target: ResourcePath, user: User, query: Query) -> None:
        format = negotiate(exchange.header(b"accept"))
        options, decoded = await self._taken_in(exchange, kind, user, query, "CreateOptions")
        written = await self._resources.create(kind, target.namespace, decoded.value, options)
        await self._reply_written(exchange, 201, kind, written, format, decoded.warnings(written.warnings))

    async def _update(self, exchange: Exchange, kind: Kind, target: ResourcePath, user: User, query: Query) -> None:
        format = negotiate(exchange.header(b"accept"))
        options, decoded = await self._taken_in(exchange, kind, user, query, "UpdateOptions")
        metadata = decoded.value.get("metadata")
        if not isinstance(metadata, dict) or not metadata.get("name"):
            why = f"the name of the object ({target.name} based on URL) was undeterminable: name must be provided"
            raise bad_request(why)
        written = await self._resources.update(
            kind, target.namespace, target.name, decoded.value, options, target.subresource
        )
        status = 201 if written.created else 200
        await self._reply_written(exchange, status, kind, written, format, decoded.warnings(written.warnings))

    async def _taken_in(
        self, exchange: Exchange, kind: Kind, user: User, query: Query, words: str
    ) -> tuple[WriteOptions, Decoded]:
        """The object that was sent, and with which options; `words`: what errors call them."""
        media = object_media(exchange.header(b"content-type"), kind)
        body = await read_body(exchange.receive, exchange.headers.get(b"content-length"))
        options = write_options(query, words, user, exchange.header(b"user-agent"))
        return options, self._decode(body, media, kind, options)

    async def _patch(self, exchange: Exchange, kind: Kind, target: ResourcePath, user: User, query: Query) -> None:
        format = negotiate(exchange.header(b"accept"))
        media = patch_media(exchange.header(b"content-type"), kind)
        body = await read_body(exchange.receive, exchange.headers.get(b"content-length"))
        agent, is_apply = exchange.header(b"user-agent"), media == APPLY_PATCH
        options = write_options(query, "PatchOptions", user, agent, is_patch=True, is_apply=is_apply)
        if is_apply:
            config, noticed = decode_apply(body, options.field_validation)
            made = await self._resources.apply(kind, target.namespace, target.name, config, options, target.subresource)
            status = 201 if made.created else 200
            await self._reply_written(exchange, status, kind, made, format, (*noticed, *made.warnings))
            return
        patch = decode_patch(body, media, kind, self._registry, options.field_validation)
        try:
            written = await self._resources.patch(
                kind, target.namespace, target.name, patch.apply, options, target.subresource
            )
        except DecodeError as error:
            raise patch.refusal(error) from error
        await self._reply_written(exchange, 200, kind, written, format, (*patch.problems, *written.warnings))

    async def _delete(self, exchange: Exchange, kind: Kind, target: ResourcePath, user: User, query: Query) -> None:
        format = negotiate(exchange.header(b"accept"))
        options = delete_options(query, await _options_body(exchange), user)
        try:
            written = await self._resources.delete(kind, target.namespace, target.name, options)
        except StatusError as error:
            error.warnings = delete_warnings(kind, options)
            raise
        if written.removed and not (not kind.resource.group and kind.resource.plural in RETURNS_OBJECT_ON_DELETE):
            resource, meta = kind.resource, written.object.meta
            body = orjson.dumps(success(resource.plural, resource.group, meta.name, meta.uid))
            await exchange.reply_json(200, body, warning_headers(written.warnings), format.media)
        else:
            await self._reply_written(exchange, 200, kind, written, format, written.warnings)

    async def _delete_collection(
        self, exchange: Exchange, kind: Kind, target: ResourcePath, user: User, query: Query
    ) -> None:
        format = negotiate(exchange.header(b"accept"))
        listing = list_options(query)
        options = delete_options(query, await _options_body(exchange), user)
        page = await self._resources.delete_collection(kind, target.namespace, listing, options)
        await self._reply_page(exchange, kind, page, format, "Metadata", delete_warnings(kind, options))

    # --- answering

    def _decode(self, body: bytes, media: str, kind: Kind, options: WriteOptions) -> Decoded:
        return decode_object(body, media, kind, self._registry, options.field_validation)

    async def _reply_written(
        self, exchange: Exchange, status: int, kind: Kind, written: Written, format: Format, warnings: Sequence[str]
    ) -> None:
        await self._reply_object(exchange, status, kind, written.object, format, "Metadata", warnings)

    async def _reply_object(
        self,
        exchange: Exchange,
        status: int,
        kind: Kind,
        found: Object,
        format: Format,
        include: str,
        warnings: Sequence[str] = (),
    ) -> None:
        extra = warning_headers(warnings) if warnings else ()
        if format.form is Form.TABLE:
            body = tables.of_object(kind, found, format.version, include or "Metadata", self._wall_clock())
        elif format.form is Form.PARTIAL:
            body = encode.partial(found, format.version)
        elif format.form is Form.PARTIAL_LIST:
            message = (
                f"you requested PartialObjectMetadataList, but the requested object is not a list (*core.{kind.kind})"
            )
            raise StatusError(406, "NotAcceptable", message)
        else:
            body = found.raw
        await exchange.reply_json(status, body, extra, format.media)

    async def _reply_page(
        self,
        exchange: Exchange,
        kind: Kind,
        page: Page,
        format: Format,
        include: str,
        warnings: Sequence[str] = (),
    ) -> None:
        if format.form is Form.TABLE:
            body = tables.of_page(kind, page, format.version, include, self._wall_clock())
        elif format.form is Form.OBJECT:
            body = encode.plain_page(kind, page)
        else:
            body = encode.partial_page(page, format.version)
        await exchange.reply_json(200, body, warning_headers(warnings), format.media)


def _allow(kind: Kind, verb: str) -> None:
    if verb not in kind.verbs:
        raise method_not_allowed()


def _allow_subresource(sub: Subresource, method: str) -> None:
    verb = "create" if method == "POST" else _METHOD_VERBS.get(method)
    if verb not in sub.verbs:
        raise method_not_allowed()


async def _options_body(exchange: Exchange) -> Any:
    """A DeleteOptions body, decoded; None if there is none."""
    body = await read_body(exchange.receive, exchange.headers.get(b"content-length"))
    if not body:
        return None
    media = media_type(exchange.header(b"content-type"))
    try:
        value = parse_as(body, media, DELETE_OPTIONS)
    except ValueError as err:
        raise bad_request(str(err)) from err
    if isinstance(value, dict) and (value.get("kind") or "DeleteOptions") != "DeleteOptions":
        raise bad_request("decoded object cannot be converted to DeleteOptions")
    return value
