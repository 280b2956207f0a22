"""LIST: which version to show, selectors, pages (kubernetes-api sections 6.2 to 6.4).

The live store is always the newest, so "any" and "not older than N" are answered from it. A page of an older version is
made by undoing the changes since; when those are no longer kept, the answer is 410 and the client lists again.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import orjson

from roadstead.cluster.embedded.requests import ListOptions, Page
from roadstead.cluster.embedded.selection import Selection
from roadstead.cluster.embedded.store import Store, TooOld, path_of
from roadstead.kinds.errors import (
    FieldError,
    StatusError,
    bad_request,
    expired,
    forbidden,
    go_quote,
    invalid_object,
    not_supported,
)
from roadstead.kinds.object import Object
from roadstead.kinds.registry import Kind

WAIT_FOR_FUTURE_SECONDS: Final = 3.0
_EXPIRED_TOKEN: Final = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without the "
    "continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the "
    "provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first "
    "chunk was returned and now may show up in the list."
)


async def list_page(store: Store, kind: Kind, namespace: str, options: ListOptions) -> Page:
    """The objects that `options` ask for. Raises StatusError 400, 410, 422 or 504."""
    selection = Selection(kind, options.label_selector, options.field_selector)
    start = ""
    if options.continue_token:
        if options.resource_version not in ("", "0"):
            raise bad_request("specifying resource version is not allowed when using continue")
        asked, start = _read_token(options.continue_token)
        rv = store.revision if asked < 0 else asked
        exact = asked >= 0
    else:
        rv, exact = _version(store, options)
    if rv > store.revision:
        await wait_for_version(store, rv)
    if not exact:
        rv = store.revision
    try:
        everything = store.list_at(kind.stored, namespace, rv)
    except TooOld:
        raise _too_old(store, options, start) from None
    # Version 0 is answered from a cache there, which knows no pages.
    limit = 0 if options.resource_version == "0" else options.limit
    page = _cut(everything, selection, limit, start, rv)
    if kind.storage is None:
        return page
    return replace(page, items=[kind.read(found) for found in page.items])


def parse_version(text: str) -> int:
    """A resourceVersion from a request; "" is 0. Raises StatusError 500 without a reason, as the real server does."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        quoted = go_quote(text)
        why = f"resourceVersion: Invalid value: {quoted}: strconv.ParseUint: parsing {quoted}: invalid syntax"
        raise StatusError(500, "", why)
    return int(text)


async def wait_for_version(store: Store, rv: int) -> None:
    """Wait a moment for a version from the future. Raises StatusError 504 with the cause clients know."""
    deadline = asyncio.get_running_loop().time() + WAIT_FOR_FUTURE_SECONDS
    while store.revision < rv:
        if asyncio.get_running_loop().time() >= deadline:
            raise StatusError(
                504,
                "Timeout",
                f"Timeout: Too large resource version: {rv}, current: {store.revision}",
                {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]},
                retry_after=1,
            )
        await asyncio.sleep(0.05)


def _version(store: Store, options: ListOptions) -> tuple[int, bool]:
    """(version, whether exactly that one is asked for)."""
    text, match = options.resource_version, options.resource_version_match
    if match:
        errors: list[FieldError] = []
        if match not in ("Exact", "NotOlderThan"):
            errors.append(not_supported("resourceVersionMatch", match, ("Exact", "NotOlderThan")))
        if not text:
            errors.append(
                forbidden(
                    "resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided"
                )
            )
        if match == "Exact" and text == "0":
            errors.append(
                forbidden("resourceVersionMatch", 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
            )
        if errors:
            raise invalid_object("meta.k8s.io", "ListOptions", "", errors)
    try:
        rv = parse_version(text)
    except StatusError as error:
        raise bad_request(f"invalid resource version: {error.message}") from error
    if rv == 0:
        return store.revision, False
    return rv, match == "Exact" or (not match and options.limit > 0)


def _cut(everything: Sequence[Object], selection: Selection, limit: int, start: str, rv: int) -> Page:
    first = bisect_left(everything, start, key=path_of) if start else 0
    version = str(rv)
    if limit <= 0:
        rest = everything[first:] if first else everything
        return Page(rest if selection.everything else [found for found in rest if selection.matches(found)], version)
    items: list[Object] = []
    for index in range(first, len(everything)):
        if selection.matches(everything[index]):
            if len(items) == limit:
                remaining = len(everything) - index if selection.everything else None
                return Page(items, version, _token(rv, path_of(items[-1]) + "\0"), remaining)
            items.append(everything[index])
    return Page(items, version)


def _token(rv: int, start: str) -> str:
    value = orjson.dumps({"v": "meta.k8s.io/v1", "rv": rv, "start": start})
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, str]:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        why = (
            f"invalid character '{go_quote(chr(raw[0]))[1:-1]}' looking for beginning of value"
            if raw
            else "unexpected end"
        )
        raise _bad_token(why) from None
    except (ValueError, binascii.Error) as error:
        raise _bad_token(str(error)) from error
    if not isinstance(value, dict) or value.get("v") != "meta.k8s.io/v1":
        version = value.get("v", "") if isinstance(value, dict) else ""
        raise _bad_token(f"server does not recognize this encoded version {version}")
    rv, start = value.get("rv"), value.get("start")
    if not isinstance(rv, int) or not isinstance(start, str) or not start:
        raise _bad_token("incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    return rv, start


def _bad_token(why: str) -> StatusError:
    return bad_request(f"invalid continue token: continue key is not valid: {why}")


def _too_old(store: Store, options: ListOptions, start: str) -> StatusError:
    if not options.continue_token:
        return expired("The resourceVersion for the provided list is too old.")
    error = expired(_EXPIRED_TOKEN)
    error.metadata = {"continue": _token(-1, start)}
    return error
