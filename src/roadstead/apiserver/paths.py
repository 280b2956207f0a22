"""URL paths of the resource API (kubernetes-api section 1.2): which resource, namespace, object and subresource is
meant."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from roadstead.apiserver.query import flag, parse_query
from roadstead.auth.attributes import Attributes, on_path
from roadstead.expr.selectors import SelectorError, parse_field_selector


class ResourcePath(NamedTuple):
    """A path below /api/VERSION or /apis/GROUP/VERSION. `plural` is "" for the group version itself."""

    group: str
    version: str
    namespace: str = ""
    plural: str = ""
    name: str = ""
    subresource: str = ""
    rest: tuple[str, ...] = ()
    """Segments below the subresource, or those that make no sense."""
    watch: bool = False
    """The deprecated prefix form /watch/."""


@lru_cache(maxsize=4096)
def parse_path(path: str) -> ResourcePath | None:
    """The parts of `path`, or None if it is not a resource path (with a group and a version). One trailing slash is
    ignored."""
    segments = path.removesuffix("/").split("/")[1:]
    if not segments or "" in segments:
        return None
    if segments[0] == "api" and len(segments) >= 2:
        group, version, rest = "", segments[1], segments[2:]
    elif segments[0] == "apis" and len(segments) >= 3:
        group, version, rest = segments[1], segments[2], segments[3:]
    else:
        return None
    watch = bool(rest) and rest[0] == "watch"
    if watch:
        rest = rest[1:]
    namespace = ""
    # A namespace prefix, unless it is the namespace object itself or one of its subresources.
    if len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource, *more = [*rest[:3], *[""] * (3 - len(rest[:3])), *rest[3:]]
    return ResourcePath(group, version, namespace, plural, name, subresource, tuple(more), watch)


_VERBS: Final = {
    "GET": "get",
    "HEAD": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}


def attributes_of(method: str, path: str, query_string: bytes, target: ResourcePath | None) -> Attributes:
    """What a request asks to do (k8s `apiserver/pkg/endpoints/request/requestinfo.go`). `target`: `parse_path(path)`.
    Bodies say nothing about that, and never an error: what makes no sense is refused where it is served, or here as the
    least that it is."""
    if target is None or not target.plural:
        return on_path(path, method.lower())
    verb = "watch" if target.watch else _VERBS.get(method, "")
    name = target.name
    if not target.watch and not name and verb in ("get", "delete"):
        if verb == "delete":
            verb = "deletecollection"
        else:
            query = parse_query(query_string)
            verb = "watch" if flag(query, "watch") else "list"
            name = _only_name(query.get("fieldSelector", ""))
    # A namespace is within itself: who administers it may read it.
    namespace = name if not target.group and target.plural == "namespaces" and target.name else target.namespace
    subresource = "" if verb == "watch" else target.subresource
    return Attributes(verb, target.group, target.plural, subresource, namespace, name)


def _only_name(selector: str) -> str:
    """The one object that a field selector leaves; "" if there may be more."""
    if "metadata.name" not in selector:
        return ""
    try:
        terms = parse_field_selector(selector)
    except SelectorError:
        return ""
    name = next((term.value for term in terms if term.field == "metadata.name" and term.op == "="), "")
    return "" if name in (".", "..") or "/" in name or "%" in name else name
