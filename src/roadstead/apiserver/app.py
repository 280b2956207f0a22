"""The way of a request: who asks, what for, may it be asked this way, then `resources.py` for objects or a document.

A raw ASGI application. Nothing that a client sends may bring it down: refusals are `StatusError`s, anything else is logged and
answered with a 500 that says nothing about our insides.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final, TypeAlias

import orjson

from roadstead.apiserver import visibility
from roadstead.apiserver.access_reviews import IN_A_NAMESPACE
from roadstead.apiserver.bodies import ClientGone, read_body
from roadstead.apiserver.discovery import BINDINGS, Discovery
from roadstead.apiserver.documents import Documents
from roadstead.apiserver.errors import PathUnknown, method_not_allowed, not_served, unauthorized
from roadstead.apiserver.metrics import RequestCounts
from roadstead.apiserver.negotiate import negotiate
from roadstead.apiserver.objects import ObjectApi
from roadstead.apiserver.paths import ResourcePath, attributes_of, parse_path
from roadstead.apiserver.responses import Exchange, Receive, Scope, Send
from roadstead.apiserver.reviews import REVIEWS, Reviews
from roadstead.apiserver.visibility import Lists
from roadstead.auth.attributes import Attributes, refusal
from roadstead.auth.authenticator import Authenticator
from roadstead.auth.authorizer import Authorizer
from roadstead.auth.identity import MASTERS, Connection, Identity
from roadstead.auth.impersonation import Impersonation, wanted
from roadstead.cluster.embedded.requests import User
from roadstead.kinds.errors import StatusError, bad_request
from roadstead.kinds.names import WORKLOADS
from roadstead.kinds.object import Json, Resource
from roadstead.kinds.registry import Registry
from roadstead.views.viewer import Viewer

log = logging.getLogger(__name__)

NESTING_LIMIT: Final = 254
"""Levels of objects and arrays that orjson writes."""

ANSWERS_PREFIX: Final = "/roadstead/v1/"

Answers: TypeAlias = Callable[[str, Viewer], Json]
"""Questions beyond objects (the queue, why something waits): the path below ANSWERS_PREFIX -> a JSON value, or StatusError."""

PLAN: Final = "plan"
Planner: TypeAlias = Callable[[Any, Viewer], Awaitable[Json]]
"""The question below ANSWERS_PREFIX that is a POST: its body -> a JSON value, or StatusError. Stores nothing."""

LOCAL_HOSTS: Final = frozenset({"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"})


class App:
    """The ASGI application."""

    def __init__(
        self,
        objects: ObjectApi,
        registry: Registry,
        discovery: Discovery,
        documents: Documents,
        authenticator: Authenticator,
        authorizer: Authorizer,
        host_names: Collection[str] = (),
        answers: Answers | None = None,
        requests: RequestCounts | None = None,
        planner: Planner | None = None,
        pending: Callable[[], Lists] | None = None,
    ) -> None:
        self._requests = requests or RequestCounts()
        self._objects = objects
        self._registry = registry
        self._discovery = discovery
        self._documents = documents
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._impersonation = Impersonation(authorizer.decide)
        self._reviews = Reviews(authenticator, authorizer)
        self._answers = answers
        self._planner = planner
        self._pending = pending
        self._host_names = LOCAL_HOSTS | {name.lower() for name in host_names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"This application speaks http, not {scope['type']}.")
        exchange = Exchange(scope, receive, send)
        began = time.perf_counter()
        try:
            await self._answer(exchange)
        finally:
            seconds = time.perf_counter() - began
            self._requests.answered(exchange.method, exchange.target, exchange.is_watch, exchange.status, seconds)

    async def _answer(self, exchange: Exchange) -> None:
        try:
            await self._serve(exchange)
        except StatusError as error:
            if not exchange.is_started:
                await exchange.reply_status(error)
        except PathUnknown:
            await exchange.reply_text(404, "404 page not found\n", ((b"x-content-type-options", b"nosniff"),))
        except ClientGone:
            pass
        except asyncio.CancelledError:
            raise
        except Exception as error:
            is_deep = is_too_deep(error)
            if not is_deep:
                log.exception("%s %s failed", exchange.method, exchange.path)
            if exchange.is_started:
                raise
            if is_deep:
                what = f"the object is nested too deeply: at most {NESTING_LIMIT} levels can be stored; flatten it"
                await exchange.reply_status(bad_request(what))
                return
            message = "Internal error occurred: the server failed on this request; its log says more"
            await exchange.reply_status(StatusError(500, "InternalError", message, {"causes": [{"message": message}]}))

    async def _serve(self, exchange: Exchange) -> None:
        state: dict[str, Any] = exchange.scope["state"]
        connection: Connection = state["connection"]
        self._check_origin(exchange, connection)
        identity = self._authenticator.identify(
            exchange.header(b"authorization") if b"authorization" in exchange.headers else None, connection
        )
        if identity is None:
            raise unauthorized()
        path = exchange.path
        _check_path(exchange.scope.get("raw_path", b""), path)
        target = parse_path(path)
        if any(name.startswith(b"impersonate-") for name in exchange.headers):
            identity = self._impersonated(exchange, identity, target)
        may_create = True
        if MASTERS not in identity.groups:  # they may do anything; nobody needs to know what
            may_create = self._authorize(exchange, identity, target)
        user = User(identity.name, tuple(identity.groups), may_create)
        if target is not None and target.plural:
            await self._serve_resource(exchange, target, identity, user)
            return
        if await self._documents.serve(exchange):
            return
        if self._answers is not None and path.startswith(ANSWERS_PREFIX):
            await self._serve_question(exchange, path.removeprefix(ANSWERS_PREFIX), self._answers, identity)
            return
        await self._serve_discovery(exchange, target)

    def _impersonated(self, exchange: Exchange, identity: Identity, target: ResourcePath | None) -> Identity:
        """Who they are from here on. Raises StatusError 400, 403."""
        whom = wanted(exchange.scope["headers"])
        if whom is None:
            return identity
        return self._impersonation.become(identity, whom, _asked(exchange, target))

    def _authorize(self, exchange: Exchange, identity: Identity, target: ResourcePath | None) -> bool:
        """Raises StatusError 403 if they may not; False if they may change the object and not make it."""
        asked = _asked(exchange, target)
        decision = self._authorizer.decide(identity, asked)
        if not decision.is_allowed:
            raise refusal(identity, asked, decision.reason)
        if not asked.is_resource or asked.verb not in ("update", "patch"):
            return True
        return self._authorizer.decide(identity, asked._replace(verb="create")).is_allowed

    async def _serve_question(self, exchange: Exchange, question: str, answers: Answers, identity: Identity) -> None:
        def may(verb: str, resource: Resource, namespace: str) -> bool:
            if MASTERS in identity.groups:
                return True
            asked = Attributes(verb, resource.group, resource.plural, namespace=namespace)
            return self._authorizer.decide(identity, asked).is_allowed

        if question == PLAN and self._planner is not None:
            if exchange.method != "POST":
                raise method_not_allowed()
            body = await read_body(exchange.receive, exchange.headers.get(b"content-length"))
            try:
                asked = orjson.loads(body)
            except ValueError as error:
                raise bad_request(f"the question is not JSON: {error}") from error
            await exchange.reply_json(200, orjson.dumps(await self._planner(asked, Viewer(may))))
            return
        if exchange.method != "GET":
            raise method_not_allowed()
        await exchange.reply_json(200, orjson.dumps(answers(question, Viewer(may))))

    async def _serve_resource(self, exchange: Exchange, target: ResourcePath, identity: Identity, user: User) -> None:
        resource = Resource(target.group, target.version, target.plural)
        if resource == BINDINGS and target.namespace and not target.subresource and not target.watch:
            await self._objects.serve_bindings(exchange, target, user)
            return
        if resource in REVIEWS and not (target.name or target.watch):
            if bool(target.namespace) != (resource == IN_A_NAMESPACE):
                raise not_served()
            await self._reviews.serve(exchange, resource, target.namespace, identity)
            return
        if target.group == visibility.GROUP and self._pending is not None:
            await visibility.serve_pending(exchange, target, self._pending())
            return
        kind = self._registry.get(resource)
        if kind is None or target.rest or bool(target.namespace) > kind.namespaced:
            if target.group and not self._discovery.has_group(target.group):
                raise PathUnknown
            raise not_served()
        if kind.namespaced and not target.namespace:
            if target.name:
                raise not_served()
            if exchange.method != "GET":
                raise method_not_allowed()
        exchange.target = target
        await self._objects.serve(exchange, kind, target, user)

    async def _serve_discovery(self, exchange: Exchange, target: ResourcePath | None) -> None:
        path = exchange.path.rstrip("/")
        document = self._discovery.find(path, exchange.header(b"accept"))
        if document is None:
            if target is not None and (not target.group or self._discovery.has_group(target.group)):
                raise not_served()
            raise PathUnknown
        if exchange.method != "GET":
            raise method_not_allowed()
        extra: list[tuple[bytes, bytes]] = []
        if document.etag:
            extra = [(b"etag", document.etag.encode()), (b"vary", b"Accept")]
            if exchange.header(b"if-none-match") == document.etag:
                await exchange.reply(304, document.content_type, b"", extra)
                return
        else:
            negotiate(exchange.header(b"accept"))
        await exchange.reply_json(200, document.body, extra, media=document.content_type)

    def _check_origin(self, exchange: Exchange, connection: Connection) -> None:
        """A web page must not reach us through the user's browser: neither under a name that was re-bound to our address, nor
        from a page of another origin. Programs send no Origin; a Unix socket is out of a browser's reach."""
        if connection.is_local:
            return
        host = exchange.header(b"host")
        if not self._is_our_name(_host_of(host)):
            message = f'forbidden: this server does not answer to the host name "{_host_of(host)}"; use its address or localhost'
            raise StatusError(403, "Forbidden", message)
        origin = exchange.header(b"origin")
        if origin and origin.partition("://")[2] != host:
            raise StatusError(403, "Forbidden", f'forbidden: requests from the origin "{origin}" are not accepted')

    def _is_our_name(self, name: str) -> bool:
        if name in self._host_names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2}).{0,2}")


def _check_path(raw: bytes, path: str) -> None:
    """Raises StatusError 400 for a path with a broken escape (Go's net/url refuses it too), PathUnknown for what is no path."""
    if b"%" in raw:
        found = _BAD_ESCAPE.search(raw)
        if found is not None:
            escape = found[0].decode("latin-1")
            raise bad_request(f'invalid URL escape "{escape}" in the path; write a percent sign as %25')
    if not path.startswith("/"):
        raise PathUnknown


def _host_of(header: str) -> str:
    """The host of a Host header, without port and brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


def is_too_deep(error: BaseException) -> bool:
    """Is it what reading or writing of too many levels ends in? orjson says in words alone which of its complaints it is."""
    return isinstance(error, RecursionError) or (
        isinstance(error, orjson.JSONEncodeError) and "recursion" in str(error).lower()
    )


def _asked(exchange: Exchange, target: ResourcePath | None) -> Attributes:
    """What a request asks to do. Questions about a queue or a workload are asked by those who may read it."""
    path = exchange.path
    if path.startswith(ANSWERS_PREFIX) and exchange.method == "GET":
        match path.removeprefix(ANSWERS_PREFIX).strip("/").split("/"):
            case ["queue", *namespace] if len(namespace) <= 1:
                return Attributes("list", WORKLOADS.group, WORKLOADS.plural, namespace="".join(namespace))
            case ["why", namespace, name]:
                name = name.rpartition(":")[2]  # without the kind that `why` may put before it
                return Attributes("get", WORKLOADS.group, WORKLOADS.plural, namespace=namespace, name=name)
    return attributes_of(exchange.method, path, exchange.query_string, target)
