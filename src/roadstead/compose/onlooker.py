"""The same answers on a cluster that is not ours: `why`, `plan` and `queue` where Kueue (or anybody) admits.

Everything that decides is listed once, the core decides about it in this process as it would there, and tells. Only
`list` is asked of the server; nothing is ever written, and RIGHTS is all that its administrator has to give.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from roadstead.cluster.embedded.plugins import Priority, QueueHold
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.cluster.remote import Answered, RemoteCluster
from roadstead.compose.planning import Planner, dry_run
from roadstead.controllers.admission import AdmissionDecider
from roadstead.core.rules import Rules
from roadstead.ingest import RESOURCES
from roadstead.integrations import ALL
from roadstead.kinds.errors import StatusError
from roadstead.kinds.kueue.v1beta1 import as_v1beta2
from roadstead.kinds.names import (
    CLUSTER_QUEUES,
    KUEUE,
    LOCAL_QUEUES,
    NAMESPACES,
    NODES,
    PLACEMENTS,
    PODS,
    PRIORITY_CLASSES,
    RESOURCE_FLAVORS,
    TOPOLOGIES,
    WORKLOAD_PRIORITY_CLASSES,
    WORKLOADS,
)
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.served import default_registry
from roadstead.kinds.views.kueue import ResourceFlavorView
from roadstead.runtime.cluster import Unavailable
from roadstead.runtime.view import Cache, View
from roadstead.views.answers import Answers

RULES: Final = Rules(place_all=False, beside_victims=False)
"""As Kueue decides: only flavors with a topology are placed, and room promised by victims counts as room."""

QUEUES: Final = tuple(resource for resource in RESOURCES if resource.group == KUEUE)
NEEDED: Final = (NAMESPACES, RESOURCE_FLAVORS, CLUSTER_QUEUES, LOCAL_QUEUES, WORKLOADS)
"""Without these there is no answer. The others make it better: jobs by their names, priorities by their classes."""
OF_PLACES: Final = (NODES, PODS)
"""Listed only where a flavor has a topology: elsewhere quota alone decides, and these lists are long."""
JOBS_AND_CLASSES: Final = (*(kind.resource for kind in ALL), WORKLOAD_PRIORITY_CLASSES, PRIORITY_CLASSES)
OLDER: Final = "v1beta1"

RIGHTS: Final = tuple(dict.fromkeys((*RESOURCES, *JOBS_AND_CLASSES)))
"""What may be listed. PLACEMENTS exist only where we admit."""


class CannotLook(Exception):
    """The server does not show what an answer needs: what, and what to do."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


class Onlooker:
    """A cluster as it was when `look` listed it. Answers `Answers`' questions and plans; stores nothing anywhere."""

    def __init__(self, cluster: RemoteCluster, clock: Callable[[], int] = time.time_ns) -> None:
        self._cluster = cluster
        self._clock = clock
        self._caches = {resource: Cache(resource) for resource in RIGHTS}
        self.view = View(self._caches)
        self.notes: list[str] = []
        """What could not be listed, and what that means."""

    async def look(self) -> None:
        """List everything and decide about it, in here. Raises CannotLook, Unavailable. O(objects)."""
        await self._list_all([resource for resource in RIGHTS if resource not in OF_PLACES])
        served = [resource for resource in RESOURCES if resource not in OF_PLACES]
        flavors = self.view.list(RESOURCE_FLAVORS)
        if any(flavor.view(ResourceFlavorView).spec.topology_name for flavor in flavors):
            if await self._list_all(OF_PLACES):
                served += OF_PLACES
            else:
                served.remove(TOPOLOGIES)
                self.notes.append("Nodes cannot be listed: topologies are not looked at, quota alone is.")
        self._decider = AdmissionDecider(RULES, served=served)
        for resource in self._decider.resources:
            for obj in self.view.list(resource):
                seen = _without_topology(obj) if resource == WORKLOADS and TOPOLOGIES not in served else obj
                self._decider.observe(resource, obj.key, seen)
        self._decider.decide(self._clock())

    async def answer(self, question: str, body: Any = None) -> Json:
        """The answer to a question as `Answers` and `Planner` take them. Raises StatusError."""
        if body is None:
            return Answers(self.view, self._decider.explain, self._clock)(question)
        registry = default_registry()
        resources = Resources(self._as_a_store(), registry, (Priority(), QueueHold()), self._clock)
        planner = Planner(
            registry, dry_run(resources), self.view, self._decider.foresee, self._clock, places_pods=False
        )
        return await planner(body)

    def _as_a_store(self) -> Store:
        """What creates look up (namespaces, default queues, priority classes), in memory."""
        store = Store.in_memory()
        for resource in (NAMESPACES, LOCAL_QUEUES, WORKLOAD_PRIORITY_CLASSES, PRIORITY_CLASSES):
            for obj in self.view.list(resource):
                store.put(resource, obj.decode(), None)
        return store

    async def _list_all(self, resources: list[Resource] | tuple[Resource, ...]) -> bool:
        """List these side by side; False if one of them could not be."""
        return all(await asyncio.gather(*(self._list(resource) for resource in resources)))

    async def _list(self, resource: Resource) -> bool:
        try:
            found = await self._listed(resource)
        except Answered as error:
            if resource in NEEDED:
                raise _cannot(resource, error) from error
            if error.status == 403 and resource != PLACEMENTS and resource not in OF_PLACES:
                self.notes.append(f"{resource.plural} cannot be listed ({error}).")
            return error.status == 404
        for obj in found:
            self._caches[resource].put(obj)
        return True

    async def _listed(self, resource: Resource) -> list[Object]:
        try:
            return list((await self._cluster.list(resource)).items)
        except Answered as error:
            if resource.group != KUEUE or error.status != 404:
                raise
        older = await self._cluster.list(Resource(resource.group, OLDER, resource.plural))
        return [_newer(resource, obj) for obj in older.items]


def _without_topology(workload: Object) -> Object:
    """The workload as if any nodes would do."""
    value = workload.decode()
    pod_sets = (value.get("spec") or {}).get("podSets") or ()
    if not any("topologyRequest" in pod_set for pod_set in pod_sets):
        return workload
    for pod_set in pod_sets:
        pod_set.pop("topologyRequest", None)
    return Object.of(WORKLOADS, value)


def _newer(resource: Resource, obj: Object) -> Object:
    try:
        return Object.of(resource, as_v1beta2(resource, obj.decode()))
    except (KeyError, TypeError, AttributeError, ValueError, msgspec.MsgspecError) as error:
        raise Unavailable(f"{resource.plural} {obj.meta.name} of {OLDER} cannot be read: {error}") from error


def _cannot(resource: Resource, error: Answered) -> CannotLook:
    if error.status == 404 and resource.group == KUEUE:
        return CannotLook(
            f"this cluster has no {resource.plural} ({KUEUE}): neither Kueue nor Roadstead admits there.",
            "Name another with --context, or --home for an embedded cluster.",
        )
    wanted = ", ".join(f"{needed.plural}{'.' + needed.group if needed.group else ''}" for needed in NEEDED)
    return CannotLook(
        f"{resource.plural} cannot be listed: {str(error).rstrip('.')}.",
        f"Ask an administrator for the right to list, in all namespaces: {wanted}.",
    )


async def ask(cluster: RemoteCluster, prefix: str, question: str, body: Any = None) -> tuple[Json, list[str]]:
    """The answer of this cluster, and remarks: from its server if that is ours (it answers below `prefix`), else worked
    out here from what it lists. Raises StatusError, CannotLook, Unavailable."""
    status, known = await cluster.ask(prefix)
    if status == 200 and "questions" in known:
        status, answer = await cluster.ask(prefix + question, body)
        if status >= 400:
            raise StatusError(status, str(answer.get("reason", "")), str(answer.get("message", status)))
        return answer, []
    looking = Onlooker(cluster)
    await looking.look()
    return await looking.answer(question, body), looking.notes


__all__ = ["RIGHTS", "CannotLook", "Onlooker", "ask"]
