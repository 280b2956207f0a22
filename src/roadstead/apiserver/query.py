"""Query parameters and DeleteOptions bodies, read as leniently and refused in the same words as the real server."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from roadstead.apiserver.errors import options_invalid
from roadstead.apiserver.go_json import go_type
from roadstead.cluster.embedded.requests import DeleteOptions, ListOptions, User, WatchOptions, WriteOptions
from roadstead.kinds.errors import (
    FORBIDDEN,
    INVALID,
    NOT_SUPPORTED,
    REQUIRED,
    TOO_LONG,
    FieldError,
    StatusError,
    bad_request,
    go_quote,
)
from roadstead.kinds.object import Json

Query = Mapping[str, str]

MANAGER_LENGTH: Final = 128
WATCH_SECONDS: Final = (1800, 3600)
"""How long a watch lasts that names no time: random, so that clients do not all come back at once."""
NOTHING: Final[Query] = {}


def parse_query(raw: bytes) -> Query:
    """The parameters; the first value counts where one is repeated."""
    if not raw:
        return NOTHING
    found: dict[str, str] = {}
    for key, value in parse_qsl(raw.decode("latin-1"), keep_blank_values=True, errors="replace"):
        found.setdefault(key, value)
    return found


def flag(query: Query, name: str) -> bool:
    """A boolean: absent, `false` and `0` are false, anything else (also the bare name) is true."""
    value = query.get(name)
    return value is not None and value.lower() not in ("false", "0")


def integer(query: Query, name: str) -> int | None:
    """A number, or None if absent or empty. Raises StatusError 400."""
    value = query.get(name)
    if not value:
        return None
    try:
        return int(value)
    except ValueError:
        raise bad_request(f"strconv.ParseInt: parsing {go_quote(value)}: invalid syntax") from None


def write_options(
    query: Query, kind: str, user: User, user_agent: str, *, is_patch: bool = False, is_apply: bool = False
) -> WriteOptions:
    """Options of a create, update or patch. `kind` names them in refusals: CreateOptions, UpdateOptions, PatchOptions.
    Raises StatusError 422, also where whoever applies gives no name."""
    if not query and not is_apply:
        return WriteOptions(user, manager_of(user_agent), "Warn", False, tracks=True)
    problems: list[FieldError] = []
    if is_apply and not query.get("fieldManager"):
        problems.append(FieldError(REQUIRED, "fieldManager", "Required value: is required for apply patch"))
    if is_patch and not is_apply and "force" in query:
        problems.append(FieldError(FORBIDDEN, "force", "Forbidden: may not be specified for non-apply patch"))
    manager = query.get("fieldManager", "")
    validation = query.get("fieldValidation", "")
    problems += _manager_problems(manager)
    dry_run = [query["dryRun"]] if query.get("dryRun") else []
    problems += _dry_run_problems(dry_run)
    if validation not in ("", "Ignore", "Warn", "Strict"):
        supported = '"", "Ignore", "Strict", "Warn"'
        body = f"Unsupported value: {go_quote(validation)}: supported values: {supported}"
        problems.append(FieldError(NOT_SUPPORTED, "fieldValidation", body))
    if problems:
        raise options_invalid(kind, *problems)
    name = manager or manager_of(user_agent)
    return WriteOptions(user, name, validation or "Warn", bool(dry_run), is_apply and flag(query, "force"), tracks=True)


def manager_of(user_agent: str) -> str:
    """The field manager of a client that names none: its User-Agent up to the first slash, printable characters
    only."""
    name = user_agent.partition("/")[0]
    return "".join(character for character in name if character.isprintable())[:MANAGER_LENGTH] or "unknown"


def version_problem(text: str) -> str:
    """What is wrong with a resourceVersion in a request, "" if nothing is."""
    if not text or (text.isascii() and text.isdigit() and int(text) < 1 << 64):
        return ""
    why = "value out of range" if text.isascii() and text.isdigit() else "invalid syntax"
    return f"resourceVersion: Invalid value: {go_quote(text)}: strconv.ParseUint: parsing {go_quote(text)}: {why}"


def check_version(query: Query) -> str:
    """`resourceVersion` of a get or list. Raises StatusError 400."""
    text = query.get("resourceVersion", "")
    problem = version_problem(text)
    if problem:
        raise bad_request(f"invalid resource version: {problem}")
    return text


def list_options(query: Query) -> ListOptions:
    """Options of a list or deletecollection. Raises StatusError 400 or 422."""
    if not query:
        return ListOptions()
    if "sendInitialEvents" in query:
        body = "Forbidden: sendInitialEvents is forbidden for list"
        raise options_invalid("ListOptions", FieldError(FORBIDDEN, "sendInitialEvents", body))
    return ListOptions(
        label_selector=query.get("labelSelector", ""),
        field_selector=query.get("fieldSelector", ""),
        limit=max(0, integer(query, "limit") or 0),
        continue_token=query.get("continue", ""),
        resource_version=check_version(query),
        resource_version_match=query.get("resourceVersionMatch", ""),
    )


def watch_options(query: Query) -> WatchOptions:
    """Options of a watch. Raises StatusError 400 or 422."""
    version = query.get("resourceVersion", "")
    problem = version_problem(version)
    if problem:
        raise StatusError(500, "", problem)  # the real server has no mapping for it either
    send_initial = flag(query, "sendInitialEvents")
    match = query.get("resourceVersionMatch", "")
    if "sendInitialEvents" not in query and match:
        body = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        raise options_invalid("ListOptions", FieldError(FORBIDDEN, "resourceVersionMatch", body))
    if "sendInitialEvents" in query and match != "NotOlderThan":
        body = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        raise options_invalid("ListOptions", FieldError(FORBIDDEN, "resourceVersionMatch", body))
    return WatchOptions(
        label_selector=query.get("labelSelector", ""),
        field_selector=query.get("fieldSelector", ""),
        resource_version=version,
        bookmarks=flag(query, "allowWatchBookmarks"),
        send_initial_events=send_initial,
        resource_version_match=match if send_initial else "",
        timeout_seconds=integer(query, "timeoutSeconds") or random.randint(*WATCH_SECONDS),
    )


_DELETE_TYPES: Final = {
    "gracePeriodSeconds": ("int64", int),
    "propagationPolicy": ("v1.DeletionPropagation", str),
    "orphanDependents": ("bool", bool),
    "dryRun": ("[]string", list),
    "preconditions": ("v1.Preconditions", dict),
    "apiVersion": ("string", str),
    "kind": ("string", str),
}


def delete_options(query: Query, body: Any, user: User) -> DeleteOptions:
    """Options of a delete: from the body if there is one (`body` decoded, None for an empty one), else from the
    query."""
    value = _from_query(query) if body is None else _checked(body)
    preconditions = value.get("preconditions") or {}
    for field in ("uid", "resourceVersion"):
        _expect(preconditions, field, "string", str, "Preconditions.preconditions")
    propagation, orphan = value.get("propagationPolicy") or "", value.get("orphanDependents")
    if propagation and orphan is not None:
        text = f"Invalid value: {go_quote(propagation)}: orphanDependents and deletionPropagation cannot be both set"
        raise options_invalid("DeleteOptions", FieldError(INVALID, "propagationPolicy", text))
    if propagation not in ("", "Foreground", "Background", "Orphan"):
        supported = '"Foreground", "Background", "Orphan", "nil"'
        text = f"Unsupported value: {go_quote(propagation)}: supported values: {supported}"
        raise options_invalid("DeleteOptions", FieldError(NOT_SUPPORTED, "propagationPolicy", text))
    if orphan is not None:
        propagation = "Orphan" if orphan else "Background"
    return DeleteOptions(
        user=user,
        dry_run=_dry_run(value.get("dryRun") or [], "DeleteOptions"),
        grace_seconds=value.get("gracePeriodSeconds"),
        propagation=propagation,
        uid=preconditions.get("uid") or "",
        resource_version=preconditions.get("resourceVersion") or "",
    )


def _from_query(query: Query) -> Json:
    value: Json = {}
    if query.get("propagationPolicy"):
        value["propagationPolicy"] = query["propagationPolicy"]
    grace = integer(query, "gracePeriodSeconds")
    if grace is not None:
        value["gracePeriodSeconds"] = grace
    if "orphanDependents" in query:
        value["orphanDependents"] = flag(query, "orphanDependents")
    if query.get("dryRun"):
        value["dryRun"] = [query["dryRun"]]
    return value


def _checked(body: Any) -> Json:
    if not isinstance(body, dict):
        raise bad_request(f"json: cannot unmarshal {go_type(body)} into Go value of type v1.DeleteOptions")
    for field, (name, python) in _DELETE_TYPES.items():
        _expect(body, field, name, python, "DeleteOptions")
    return body


def _expect(value: Json, field: str, name: str, python: type, struct: str) -> None:
    given = value.get(field)
    if given is None:
        return
    if not isinstance(given, python) or (python is int and isinstance(given, bool)):
        raise bad_request(
            f"json: cannot unmarshal {go_type(given)} into Go struct field {struct}.{field} of type {name}"
        )


def _dry_run(values: list[Any], kind: str) -> bool:
    problems = _dry_run_problems(values)
    if problems:
        raise options_invalid(kind, *problems)
    return bool(values)


def _dry_run_problems(values: list[Any]) -> list[FieldError]:
    if all(value == "All" for value in values):
        return []
    shown = "[" + ",".join(go_quote(str(value)) for value in values) + "]"
    return [FieldError(NOT_SUPPORTED, "dryRun", f'Unsupported value: {shown}: supported values: "All"')]


def _manager_problems(manager: str) -> list[FieldError]:
    problems = []
    if len(manager.encode()) > MANAGER_LENGTH:
        text = f"Too long: may not be more than {MANAGER_LENGTH} bytes"
        problems.append(FieldError(TOO_LONG, "fieldManager", text))
    for position, character in enumerate(manager):
        if not character.isprintable():
            text = (
                f"Invalid value: {go_quote(manager)}: invalid character U+{ord(character):04X} (at position {position})"
            )
            problems.append(FieldError(INVALID, "fieldManager", text))
    return problems
