"""Keeping a node's object and Lease alive: registered at the start, the Lease every ten seconds, the status when it
changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from roadstead.kinds.names import LEASES, NAMESPACES, NODES
from roadstead.kinds.object import Json, Object, Ref
from roadstead.kinds.times import SECOND
from roadstead.node.agent import node_object
from roadstead.node.agent.health import Health, lost
from roadstead.node.agent.options import AgentOptions, CannotJoin, NodeOptions
from roadstead.runtime.cluster import Cluster, Create, Outcome, Result, Unavailable, Update
from roadstead.runtime.writing import write_once

log = logging.getLogger(__name__)

_RETRY_SECONDS = (0.1, 5.0)


class Heartbeat:
    """Of one node."""

    def __init__(
        self,
        cluster: Cluster,
        options: AgentOptions,
        node: NodeOptions,
        tier: str,
        port: int,
        health: Health | None = None,
    ) -> None:
        """`health` hears what the node's annotation says of its devices."""
        self.cluster = cluster
        self.options = options
        self.node = node
        self.tier = tier
        self.port = port
        self.health = health or Health()
        self._lease: Object | None = None
        self._node: Object | None = None

    def seen(self) -> Object | None:
        """The node's object as it was last read or written."""
        return self._node

    async def register(self) -> None:
        """Create the node or bring it up to date; tries until it is done. Raises CannotJoin if the server will not have
        it."""
        delay = _RETRY_SECONDS[0]
        while not await self._try(self._bring_up_to_date):
            await asyncio.sleep(delay)
            delay = min(delay * 2, _RETRY_SECONDS[1])
        await self._try(self._renew)

    async def run(self) -> None:
        """Beat until cancelled."""
        next_status = self.options.now() + self.options.status_interval
        while True:
            await asyncio.sleep(self.options.lease_interval / SECOND)
            await self._try(self._renew)
            due = self.options.now() >= next_status
            if await self._try(self._refresh if due else self._repair) and due:
                next_status = self.options.now() + self.options.status_interval

    async def _try(self, what: Callable[[], Awaitable[bool]]) -> bool:
        try:
            return await what()
        except CannotJoin:
            raise
        except Unavailable as error:
            log.debug("node %s: %s", self.node.name, error)
        except Exception:
            log.exception("node %s: heartbeat failed", self.node.name)
        return False

    async def _bring_up_to_date(self) -> bool:
        stored = await self.cluster.get(Ref(NODES, "", self.node.name))
        if stored is None:
            outcome = await write_once(self.cluster, Create(NODES, self._wanted(None)))
            self._must_be_taken(outcome)
            if not self._went_well("created", outcome) or outcome.object is None:
                return False
            stored = outcome.object
        self._hear(stored)
        wanted = self._wanted(stored.decode())
        if not node_object.says_the_same(wanted, stored.decode()):
            before = stored.decode()
            if (before["metadata"].get("labels"), before["metadata"].get("annotations")) != (
                wanted["metadata"]["labels"],
                wanted["metadata"]["annotations"],
            ):
                outcome = await write_once(self.cluster, Update(NODES, wanted))
                self._must_be_taken(outcome)
                if not self._went_well("updated", outcome) or outcome.object is None:
                    return False
                stored = outcome.object
        self._node = stored
        return await self._refresh()

    def _must_be_taken(self, outcome: Outcome) -> None:
        """Asking again is of no use where the server says that it will not have a node like this one (at the start;
        later it has)."""
        if outcome.result is Result.INVALID and self._node is None:
            raise CannotJoin(
                f"Node {self.node.name} is refused: {outcome.message}", "Change its name, labels or taints."
            )

    async def _refresh(self) -> bool:
        """Write the node's status, with a fresh heartbeat time."""
        stored = await self.cluster.get(Ref(NODES, "", self.node.name))
        if stored is None:
            return False  # deleted this moment: the next beat makes it anew
        outcome = await write_once(self.cluster, Update(NODES, self._wanted(stored.decode()), "status"))
        self._node = outcome.object or stored
        return self._went_well("refreshed", outcome)

    async def _repair(self) -> bool:
        """Write the status if somebody changed it meanwhile: a node that was thought dead says that it lives."""
        stored = await self.cluster.get(Ref(NODES, "", self.node.name))
        if stored is not None:
            self._hear(stored)
            if node_object.says_the_same(self._wanted(stored.decode()), stored.decode()):
                self._node = stored
                return True
        return await self._bring_up_to_date()

    def _hear(self, stored: Object) -> None:
        self.health.set(lost(stored.meta.annotations))

    def _wanted(self, old: Json | None) -> Json:
        return node_object.node(self.node, self.tier, self.options.host, self.port, old, self.options.now())

    async def _renew(self) -> bool:
        now, old = self.options.now(), self._lease
        if old is None:
            old = await self.cluster.get(Ref(LEASES, node_object.LEASE_NAMESPACE, self.node.name))
        value = node_object.lease(self.node.name, self._node, old.decode() if old else None, now)
        outcome = await write_once(self.cluster, Update(LEASES, value) if old else Create(LEASES, value))
        self._lease = outcome.object if outcome.is_done else None
        if outcome.result is Result.MISSING and old is None:
            name = node_object.LEASE_NAMESPACE
            space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            await write_once(self.cluster, Create(NAMESPACES, space))
            outcome = await write_once(self.cluster, Create(LEASES, value))
            self._lease = outcome.object if outcome.is_done else None
        return outcome.is_done

    def _went_well(self, verb: str, outcome: Outcome) -> bool:
        if not outcome.is_done:
            level = (
                logging.DEBUG if outcome.result is Result.CONFLICT else logging.WARNING
            )  # others write on nodes, too
            log.log(level, "node %s could not be %s: %s %s", self.node.name, verb, outcome.result, outcome.message)
        return outcome.is_done
