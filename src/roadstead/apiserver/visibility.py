"""The pending-workloads API: `clusterqueues/NAME/pendingworkloads` and `localqueues/NAME/pendingworkloads` below
/apis/visibility.kueue.x-k8s.io (kueue 1.14). In a cluster with Kueue an aggregated API server answers here; we are our
own."""

from __future__ import annotations

from typing import Final, Protocol

import orjson

from roadstead.apiserver.discovery import Virtual
from roadstead.apiserver.errors import method_not_allowed, not_served
from roadstead.apiserver.paths import ResourcePath
from roadstead.apiserver.query import integer, parse_query
from roadstead.apiserver.responses import Exchange
from roadstead.kinds.errors import not_found
from roadstead.kinds.object import Json, Resource

GROUP: Final = "visibility.kueue.x-k8s.io"
VERSIONS: Final = ("v1beta2", "v1beta1")
SUMMARY: Final = "PendingWorkloadsSummary"
PENDING: Final = "pendingworkloads"

SERVED: Final = tuple(
    Virtual(Resource(GROUP, version, plural), kind, namespaced=namespaced, verbs=(), subresources=((PENDING, SUMMARY),))
    for version in VERSIONS
    for plural, kind, namespaced in (("clusterqueues", "ClusterQueue", False), ("localqueues", "LocalQueue", True))
)


class Lists(Protocol):
    """Who waits, in order: items of a summary; None if there is no such queue."""

    def in_cluster_queue(self, name: str, limit: int, offset: int) -> list[Json] | None: ...

    def in_local_queue(self, namespace: str, name: str, limit: int, offset: int) -> list[Json] | None: ...


async def serve_pending(exchange: Exchange, target: ResourcePath, lists: Lists) -> None:
    """Answer with a summary. `limit` 0 or absent is 1000, at most 100000 are given. Raises StatusError."""
    is_local = target.plural == "localqueues"
    is_known = target.plural in ("clusterqueues", "localqueues") and target.version in VERSIONS
    if (
        not is_known
        or target.subresource != PENDING
        or target.rest
        or target.watch
        or bool(target.namespace) != is_local
    ):
        raise not_served()
    if exchange.method != "GET":
        raise method_not_allowed()
    query = parse_query(exchange.scope.get("query_string", b""))
    limit, offset = integer(query, "limit") or 0, max(integer(query, "offset") or 0, 0)
    if is_local:
        items = lists.in_local_queue(target.namespace, target.name, limit, offset)
    else:
        items = lists.in_cluster_queue(target.name, limit, offset)
    if items is None:
        kind = "localqueue" if is_local else "clusterqueue"
        raise not_found(Resource(GROUP, target.version, kind), target.name)
    value = {"kind": SUMMARY, "apiVersion": f"{GROUP}/{target.version}", "metadata": {}, "items": items}
    await exchange.reply_json(200, orjson.dumps(value))
