"""URL paths of the resource API (kubernetes-api section 1.2): which resource, namespace, object and subresource is meant."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple


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
    """The parts of `path`, or None if it is not a resource path (with a group and a version). One trailing slash is ignored."""
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
