"""The same controllers under the real runner: informers, work queues and the clock on the wall."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.names import CONFIG_MAPS, JOBS, NAMESPACES, PODS
from roadstead.kinds.object import Json, Object, Ref, Resource
from roadstead.kinds.served import default_registry
from roadstead.kinds.views.job import JobView
from roadstead.kinds.views.pod import PodView
from roadstead.runtime.cluster import Create, Delete, Update
from roadstead.runtime.runner import Runner
from tests.controllers.kit import job
from tests.controllers.test_together import everyone

DEADLINE = 20.0


class Clerk:
    """Talks to the cluster as a user and as an agent would."""

    def __init__(self, cluster: EmbeddedCluster) -> None:
        self.cluster = cluster

    async def create(self, resource: Resource, value: Json) -> None:
        outcome = await self.cluster.write(Create(resource, value))
        assert outcome.is_done, outcome

    async def all(self, resource: Resource) -> list[Object]:
        return list((await self.cluster.list(resource)).items)

    async def until(self, resource: Resource, is_so: Callable[[list[Object]], bool]) -> list[Object]:
        """Poll until the resource's objects are as wanted."""
        end = asyncio.get_running_loop().time() + DEADLINE
        while True:
            found = await self.all(resource)
            if is_so(found):
                return found
            assert asyncio.get_running_loop().time() < end, f"not so after {DEADLINE} s: {found}"
            await asyncio.sleep(0.005)

    async def end_pods(self) -> None:
        """End every pod that has not ended: an agent in a hurry."""
        while True:
            for pod in await self.all(PODS):
                if not pod.view(PodView).has_ended:
                    value = pod.decode()
                    value["status"]["phase"] = "Succeeded"
                    await self.cluster.write(Update(PODS, value, "status"))
            await asyncio.sleep(0.005)


async def _story() -> None:
    store = Store.in_memory()
    cluster = EmbeddedCluster(Resources(store, default_registry()))
    clerk = Clerk(cluster)
    for name in ("default", "lab"):
        await clerk.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    running = asyncio.create_task(Runner(cluster, list(everyone())).run())
    agent = asyncio.create_task(clerk.end_pods())
    try:
        await clerk.until(CONFIG_MAPS, lambda found: len(found) == 2)
        for number in range(3):
            manifest = job(f"j{number}", completions=4, parallelism=2, completionMode="Indexed")
            manifest["metadata"]["namespace"] = "lab"
            await clerk.create(JOBS, manifest)
        done = await clerk.until(
            JOBS, lambda found: all(any(c.type == "Complete" for c in o.view(JobView).status.conditions) for o in found)
        )
        assert [obj.view(JobView).status.completed_indexes for obj in done] == ["0-3"] * 3
        assert len(await clerk.until(PODS, lambda found: all(not pod.meta.finalizers for pod in found))) == 12

        await cluster.write(Delete(done[0].ref, done[0].meta.uid))
        await clerk.until(PODS, lambda found: len(found) == 8)
        lab = await cluster.get(Ref(NAMESPACES, "", "lab"))
        assert lab is not None
        await cluster.write(Delete(lab.ref, lab.meta.uid))
        await clerk.until(NAMESPACES, lambda found: [obj.meta.name for obj in found] == ["default"])
        assert await clerk.all(JOBS) == []
        assert await clerk.all(PODS) == []
    finally:
        for task in (agent, running):
            task.cancel()
        await asyncio.gather(agent, running, return_exceptions=True)
        await store.close()


def test_jobs_run_and_everything_goes_with_its_namespace() -> None:
    asyncio.run(_story())
