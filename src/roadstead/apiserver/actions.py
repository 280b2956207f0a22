"""Things one posts to act on an object, of which nothing is kept: Binding, Eviction and TokenRequest (kubernetes-api
sections 9 and 18.3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from roadstead.apiserver.bodies import media_type, parse_as, read_body, summary_of
from roadstead.apiserver.query import Query, delete_options, write_options
from roadstead.apiserver.responses import Exchange, warning_headers
from roadstead.cluster.embedded.requests import User, WriteOptions
from roadstead.cluster.embedded.resources import Resources
from roadstead.kinds.errors import bad_request
from roadstead.kinds.object import Json

_DONE: Final = orjson.dumps({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})


@dataclass(frozen=True, slots=True)
class Action:
    """What such a body must be."""

    kind: str
    api_versions: tuple[str, ...]
    component: str


BINDING: Final = Action("Binding", ("v1",), "io.k8s.api.core.v1.Binding")
EVICTION: Final = Action("Eviction", ("policy/v1", "policy/v1beta1"), "io.k8s.api.policy.v1.Eviction")
TOKEN_REQUEST: Final = Action(
    "TokenRequest", ("authentication.k8s.io/v1",), "io.k8s.api.authentication.v1.TokenRequest"
)


async def bind(exchange: Exchange, resources: Resources, namespace: str, name: str, user: User, query: Query) -> None:
    """Give a pod its node. `name` is "" where the path names no pod and the Binding does. Raises StatusError."""
    binding, options = await receive(exchange, BINDING, user, query)
    if not name:
        given = binding["metadata"].get("name")
        if not isinstance(given, str) or not given:
            raise bad_request("Name parameter required.")
        name = given
    await resources.bind(namespace, name, binding, options)
    await exchange.reply_json(201, _DONE)


async def evict(exchange: Exchange, resources: Resources, namespace: str, name: str, user: User, query: Query) -> None:
    """Delete a pod as its Eviction says, and leave a condition that tells why. Raises StatusError."""
    eviction, options = await receive(exchange, EVICTION, user, query)
    if eviction["metadata"].get("name") != name:
        raise bad_request("name in URL does not match name in Eviction object")
    asked = eviction.get("deleteOptions")
    how = delete_options({}, {} if asked is None else asked, user)
    await resources.evict(namespace, name, eviction, replace(how, dry_run=how.dry_run or options.dry_run))
    await exchange.reply_json(201, _DONE)


async def request_token(
    exchange: Exchange, resources: Resources, namespace: str, account: str, user: User, query: Query
) -> None:
    """Give out a token for a service account. Raises StatusError."""
    request, options = await receive(exchange, TOKEN_REQUEST, user, query)
    answer, warnings = await resources.token(namespace, account, request, options)
    await exchange.reply_json(201, orjson.dumps(answer), warning_headers(warnings))


async def receive(exchange: Exchange, action: Action, user: User, query: Query) -> tuple[Json, WriteOptions]:
    """The body, which must be what `action` says, with metadata (an object), and the options of the request. Raises
    StatusError."""
    media = media_type(exchange.header(b"content-type"))
    body = await read_body(exchange.receive, exchange.headers.get(b"content-length"))
    options = write_options(query, "CreateOptions", user, exchange.header(b"user-agent"))
    return _decode(body, media, action), options


def _decode(body: bytes, media: str, action: Action) -> Json:
    """The body, with metadata (an object). Raises StatusError 400."""
    unrecognized = f"the object provided is unrecognized (must be of type {action.kind})"
    try:
        value: Any = parse_as(body, media, action.component)
    except ValueError as err:
        raise bad_request(f"{unrecognized}: {err} ({summary_of(body)})") from err
    if not isinstance(value, dict):
        raise bad_request(unrecognized)
    kind, api_version = value.get("kind") or action.kind, value.get("apiVersion") or action.api_versions[0]
    if kind != action.kind or api_version not in action.api_versions:
        raise bad_request(
            f'{kind} in version "{str(api_version).rpartition("/")[2]}" cannot be handled as a {action.kind}: no kind "{kind}" is '
            f'registered for version "{api_version}" in scheme "pkg/runtime/scheme.go:111"'
        )
    if not isinstance(value.setdefault("metadata", {}), dict):
        raise bad_request(f"{unrecognized}: metadata must be an object")
    return value
