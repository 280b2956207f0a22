"""Keeps the ResourceSlices of an agent's nodes as their devices are: at the start, when a device breaks, when somebody
else changes or deletes one, and when the Node object is made anew.

What it knows of the server is an informer's view of the slices that carry SLICES_LABEL. The view may lag behind its own
writes: then a precondition fails, and it looks again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from roadstead.kinds.names import RESOURCE_SLICES, SLICES_LABEL
from roadstead.kinds.object import Object
from roadstead.node.agent import slices
from roadstead.node.agent.hardware import Hardware
from roadstead.node.agent.health import Health
from roadstead.runtime.cluster import Cluster, Result, Selector
from roadstead.runtime.informer import Informer
from roadstead.runtime.step import Key
from roadstead.runtime.view import Cache
from roadstead.runtime.writing import write_once

log = logging.getLogger(__name__)

_RETRY_SECONDS: Final = (0.2, 10.0)


def selector(nodes: Sequence[str]) -> Selector:
    """The slices of these nodes; for many nodes, of all that an agent keeps. Real servers let a node see its own alone,
    by field (kubernetes `AuthorizeNodeWithSelectors`)."""
    if len(nodes) == 1:
        return Selector(labels=f"{SLICES_LABEL}={nodes[0]}", fields=f"spec.nodeName={nodes[0]}")
    return Selector(labels=SLICES_LABEL)


@dataclass(slots=True, eq=False)
class Publication:
    """What one node publishes. `node` gives its object as last seen, None before that."""

    hardware: Hardware
    health: Health
    node: Callable[[], Object | None]
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    stored: dict[str, Object] = field(default_factory=dict)
    """Its slices by name, as the view has them."""
    settled: object = None
    """What it was when there was nothing to write: while it is that, there is nothing."""

    def state(self, node: Object) -> object:
        """All that slices are made from, and those there are."""
        return node.meta.uid, self.health.lost, [obj.version for obj in self.stored.values()]


class Publisher:
    """Of all nodes of one agent."""

    def __init__(self, cluster: Cluster, publications: Sequence[Publication], look_seconds: float = 10.0) -> None:
        """`cluster`: its lists and watches of slices are narrowed by `selector` already. `look_seconds`: how often it
        looks whether the node is still the one that owns the slices."""
        self._cluster = cluster
        self._look_seconds = look_seconds
        self._by_node = {one.hardware.node: one for one in publications}
        self.informer = Informer(cluster, RESOURCE_SLICES, Cache(RESOURCE_SLICES))
        self.informer.listeners.append(self._changed)
        for one in publications:
            one.health.listeners.append(one.wake.set)

    def _changed(self, key: Key, old: Object | None, new: Object | None) -> None:
        seen = new or old
        one = self._by_node.get(seen.meta.labels.get(SLICES_LABEL, "")) if seen is not None else None
        if one is None:
            return
        if new is not None:
            one.stored[key[1]] = new
        else:
            one.stored.pop(key[1], None)
        one.wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        await self.informer.synced.wait()
        async with asyncio.TaskGroup() as group:
            for one in self._by_node.values():
                group.create_task(self._keep(one))

    async def _keep(self, one: Publication) -> None:
        delay = _RETRY_SECONDS[0]
        while True:
            one.wake.clear()
            if await self._bring_up_to_date(one):
                delay, pause = _RETRY_SECONDS[0], self._look_seconds
            else:
                pause, delay = delay, min(delay * 2, _RETRY_SECONDS[1])
            try:
                async with asyncio.timeout(pause):
                    await one.wake.wait()
            except TimeoutError:
                continue

    async def _bring_up_to_date(self, one: Publication) -> bool:
        """False if something is left to do that nobody will call for."""
        node = one.node()
        if node is None:
            return False
        state = one.state(node)
        if state == one.settled:
            return True
        stages = slices.writes(node, one.hardware, one.health.lost, one.stored.values())
        for stage in stages:
            for write in stage:
                outcome = await write_once(self._cluster, write)
                if outcome.is_done or outcome.result is Result.MISSING:
                    continue
                level = logging.DEBUG if outcome.result in (Result.CONFLICT, Result.EXISTS) else logging.WARNING
                log.log(level, "slice %s: %s %s", write.ref.name, outcome.result, outcome.message)
                return False
        if not stages:
            one.settled = state
        return True
