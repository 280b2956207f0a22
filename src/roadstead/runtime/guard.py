"""A cluster that is written to only while its writer leads.

Two processes may believe that they lead: one was stopped (SIGSTOP, a suspended machine, a frozen container) and has not
noticed yet that its lease is over. So the age of the lease is looked at right before each write, on a clock that ran on
meanwhile.

What remains is a request that is on its way already. For one object its precondition (resourceVersion) makes that
harmless: whatever the next leader wrote there, the late one conflicts with. Across objects (two workloads within one
quota) nothing but time helps: a leader writes until `Terms.renew_deadline` after its last renewal, its requests end
within `Terms.landing`, and nobody else decides before both have passed, the same process included. That is as true as
the server is awake: one that reads a request seconds after it arrived carries it out late, whatever its sender's clock
said; then only preconditions stand between the two.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Final

from roadstead.kinds.object import Object, Ref, Resource
from roadstead.runtime.cluster import (
    EVERYTHING,
    Cluster,
    Listing,
    Outcome,
    Result,
    Selector,
    WatchEvent,
    Write,
)

RETRY_SECONDS: Final = 1.0


class GuardedCluster:
    """The cluster behind it, except that a write while `may_write` says no is THROTTLED: not carried out, nothing was
    sent."""

    def __init__(self, cluster: Cluster, may_write: Callable[[], bool]) -> None:
        self._cluster = cluster
        self._may_write = may_write

    async def get(self, ref: Ref) -> Object | None:
        return await self._cluster.get(ref)

    async def list(self, resource: Resource, namespace: str = "", selector: Selector = EVERYTHING) -> Listing:
        return await self._cluster.list(resource, namespace, selector)

    def watch(
        self, resource: Resource, since: str, namespace: str = "", selector: Selector = EVERYTHING
    ) -> AsyncIterator[WatchEvent]:
        return self._cluster.watch(resource, since, namespace, selector)

    async def write(self, write: Write) -> Outcome:
        if not self._may_write():
            return Outcome(Result.THROTTLED, message="the lease is over: nothing was sent", retry_after=RETRY_SECONDS)
        return await self._cluster.write(write)
