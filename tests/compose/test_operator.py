"""The operator as it is wired, on our own server in place of a real one: what it does, and that it asks for no more
than its rights."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

from roadstead.cluster.embedded.plugins import QueueHold, default_plugins
from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.cluster.remote import RemoteCluster
from roadstead.compose import operator
from roadstead.compose.operator import NAMESPACE, lead, serve_terms, watched
from roadstead.compose.rights import LEASE_NAME, Right, rights
from roadstead.controllers.garbage import GarbageCollector
from roadstead.controllers.job import JobController
from roadstead.kinds.names import (
    CLUSTER_QUEUES,
    JOBS,
    LEASES,
    LOCAL_QUEUES,
    NAMESPACES,
    NODES,
    PLACEMENTS,
    PODS,
    RESOURCE_FLAVORS,
    TOPOLOGIES,
    WORKLOAD_PRIORITY_CLASSES,
    WORKLOADS,
)
from roadstead.kinds.object import Json, Object, Ref, Resource
from roadstead.kinds.served import default_registry
from roadstead.kinds.times import SECOND, format_time
from roadstead.kinds.views.common import find_condition
from roadstead.kinds.views.kueue import WorkloadView
from roadstead.kinds.views.pod import PodView
from roadstead.runtime.cluster import (
    EVERYTHING,
    Cluster,
    Create,
    Delete,
    Listing,
    Outcome,
    Selector,
    Update,
    WatchEvent,
    Write,
)
from roadstead.runtime.election import Elector
from roadstead.runtime.leader import Election, Terms
from roadstead.runtime.runner import Runner
from roadstead.runtime.step import NOTHING, Index, Key, KeysOf, Read, Step, in_order, same_key

DEADLINE = 30.0
CPU = "1"


class Recording:
    """A cluster that notes down which right each request needs."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.used: set[Right] = set()

    def _note(self, resource: Resource, verb: str, subresource: str = "", namespace: str = "", name: str = "") -> None:
        is_lease = resource == LEASES
        where = (namespace, "" if verb == "create" else name) if is_lease else ("", "")
        self.used.add(Right(resource.group, resource.plural, subresource, verb, *where))

    async def get(self, ref: Ref) -> Object | None:
        self._note(ref.resource, "get", "", ref.namespace, ref.name)
        return await self._cluster.get(ref)

    async def list(self, resource: Resource, namespace: str = "", selector: Selector = EVERYTHING) -> Listing:
        self._note(resource, "list", "", namespace)
        return await self._cluster.list(resource, namespace, selector)

    def watch(
        self, resource: Resource, since: str, namespace: str = "", selector: Selector = EVERYTHING
    ) -> AsyncIterator[WatchEvent]:
        self._note(resource, "watch", "", namespace)
        return self._cluster.watch(resource, since, namespace, selector)

    async def write(self, write: Write) -> Outcome:
        verb = type(write).__name__.lower()
        subresource = "" if isinstance(write, Delete) else write.subresource
        self._note(write.resource, verb, subresource, write.ref.namespace, write.ref.name)
        return await self._cluster.write(write)


class Others:
    """What a real cluster has of its own: a scheduler and a kubelet, in a few lines. Pods run until they are told to
    stop."""

    name: ClassVar[str] = "others"
    watches: Mapping[Resource, KeysOf] = {PODS: same_key}
    indexes: Mapping[tuple[Resource, str], Index] = {}

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        pod = read.get(PODS, *key)
        if pod is None:
            return NOTHING
        view = pod.view(PodView)
        if pod.meta.deletion_timestamp:
            return in_order(Delete(pod.ref, pod.meta.uid, grace_seconds=0))
        if not view.spec.node_name:
            metadata = {"name": pod.meta.name, "namespace": pod.meta.namespace, "uid": pod.meta.uid}
            return in_order(Create(PODS, {"metadata": metadata, "target": {"kind": "Node", "name": "n1"}}, "binding"))
        if view.status.phase == "Pending":
            value = pod.decode()
            value["status"].update(phase="Running", startTime=format_time(now))
            return in_order(Update(PODS, value, "status"))
        return NOTHING


class World:
    """An API server with the controllers of a real cluster, and operators on it."""

    def __init__(self, cluster: EmbeddedCluster) -> None:
        self.cluster = cluster
        self.recording = Recording(cluster)

    async def create(self, resource: Resource, value: Json) -> None:
        outcome = await self.cluster.write(Create(resource, value))
        assert outcome.is_done, outcome.message

    async def set_up(self, cpu: str) -> None:
        for name in (NAMESPACE, "default"):
            await self.create(NAMESPACES, {"metadata": {"name": name}})
        await self.create(NODES, {"metadata": {"name": "n1"}})
        flavor = {"metadata": {"name": "main"}, "spec": {"nodeLabels": {"pool": "main"}}}
        await self.create(RESOURCE_FLAVORS, flavor)
        quota = {"name": "main", "resources": [{"name": "cpu", "nominalQuota": cpu}]}
        group = {"coveredResources": ["cpu"], "flavors": [quota]}
        spec = {
            "namespaceSelector": {},
            "resourceGroups": [group],
            "preemption": {"withinClusterQueue": "LowerPriority"},
        }
        await self.create(CLUSTER_QUEUES, {"metadata": {"name": "lab"}, "spec": spec})
        queue = {"metadata": {"name": "lab", "namespace": "default"}, "spec": {"clusterQueue": "lab"}}
        await self.create(LOCAL_QUEUES, queue)
        await self.create(WORKLOAD_PRIORITY_CLASSES, {"metadata": {"name": "high"}, "value": 9})

    async def submit(self, name: str, queue: str = "lab", *, held: bool = True, priority_class: str = "") -> None:
        """A one-cpu job; `held` at creation, as the policy of `roadstead manifests` does it."""
        container = {"name": "main", "image": "none", "resources": {"requests": {"cpu": CPU}}}
        labels = {"kueue.x-k8s.io/queue-name": queue, "kueue.x-k8s.io/priority-class": priority_class}
        template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
        value = {
            "metadata": {
                "name": name,
                "namespace": "default",
                "labels": {key: value for key, value in labels.items() if value},
            },
            "spec": {"template": template, "suspend": held and bool(queue)},
        }
        await self.create(JOBS, value)

    async def job(self, name: str) -> Object | None:
        return await self.cluster.get(Ref(JOBS, "default", name))

    async def is_active(self, name: str) -> bool:
        """A pod of it runs."""
        pods = [
            pod
            for pod in (await self.cluster.list(PODS)).items
            if pod.meta.controller and pod.meta.controller.name == name
        ]
        return any(pod.view(PodView).status.phase == "Running" and not pod.meta.deletion_timestamp for pod in pods)

    async def condition(self, job: str, kind: str) -> tuple[str, str]:
        """Status and reason of a condition of the job's Workload; two empty texts if there is none."""
        for item in (await self.cluster.list(WORKLOADS)).items:
            if item.meta.annotations.get("kueue.x-k8s.io/job-owner-name") == job:
                found = find_condition(item.view(WorkloadView).status.conditions, kind)
                return (found.status, found.reason) if found is not None else ("", "")
        return ("", "")

    async def end(self, job: str) -> None:
        """Its pod's process ends well."""
        for pod in (await self.cluster.list(PODS)).items:
            if pod.meta.controller is not None and pod.meta.controller.name == job:
                value = pod.decode()
                value["status"]["phase"] = "Succeeded"
                assert (await self.cluster.write(Update(PODS, value, "status"))).is_done

    async def delete(self, job: str) -> None:
        found = await self.job(job)
        assert found is not None
        assert (await self.cluster.write(Delete(found.ref, found.meta.uid))).is_done

    def elector(self, identity: str) -> Elector:
        terms = Terms(retry_period=SECOND // 50)
        return Elector(self.recording, Election(NAMESPACE, LEASE_NAME, identity, terms))


@asynccontextmanager
async def world(directory: Path, cpu: str = "2") -> AsyncIterator[World]:
    store = Store.open(directory)
    tasks: list[asyncio.Task[None]] = []
    try:
        plugins = tuple(plugin for plugin in default_plugins() if not isinstance(plugin, QueueHold))
        registry = default_registry()
        cluster = EmbeddedCluster(Resources(store, registry, plugins))
        found = World(cluster)
        await found.set_up(cpu)
        others = Runner(cluster, [JobController(), Others(), GarbageCollector(registry)])
        tasks.append(asyncio.create_task(others.run()))
        yield found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.close()


async def until(holds: Callable[[], Any], what: str) -> None:
    end = asyncio.get_running_loop().time() + DEADLINE
    while not await holds():
        assert asyncio.get_running_loop().time() < end, f"not in time: {what}"
        await asyncio.sleep(0.01)


def run(story: Any) -> None:
    asyncio.run(asyncio.wait_for(story, 2 * DEADLINE))


async def _story(here: World) -> None:
    """Waiting, finishing, preemption, deletion."""
    await here.submit("plain", queue="")
    for name in ("one", "two", "three"):
        await here.submit(name)
        if name != "three":
            await until(partial(here.is_active, name), f"{name} runs")

    async def waits() -> bool:
        return await here.condition("three", "QuotaReserved") == ("False", "WaitingForQuota")

    await until(waits, "the third waits for quota")
    assert await here.is_active("plain"), "a job without a queue is nobody's business here"
    await here.end("one")

    async def finished() -> bool:
        return await here.condition("one", "Finished") == ("True", "Succeeded")

    await until(finished, "the first's workload is finished")
    await until(lambda: here.is_active("three"), "the third runs")

    await here.submit("urgent", priority_class="high")
    await until(lambda: here.is_active("urgent"), "the urgent one runs")
    preempted = [name for name in ("two", "three") if (await here.condition(name, "Preempted"))[0] == "True"]
    assert len(preempted) == 1
    await here.delete("urgent")
    await until(lambda: here.is_active(preempted[0]), "whoever was preempted runs again")
    for name in ("one", "two", "three"):
        await here.delete(name)

    async def nothing_left() -> bool:
        return not (await here.cluster.list(WORKLOADS)).items

    await until(nothing_left, "no workload is left behind")


NOT_IN_THE_STORY = {
    "delete workloads": "made anew when its job changed while it held quota",
    "update jobs/status": "only on servers that keep startTime of a suspended job",
    "update jobs/finalizers": "asked by OwnerReferencesPermissionEnforcement, not by a request",
    "update workloads/finalizers": "the same",
    "create placements": "for flavors with a topology",
    "delete placements": "for flavors with a topology",
    "update admissionchecks": "only where there are some",
}


def test_it_asks_for_nothing_beyond_its_rights_and_has_few_that_it_does_not_use(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            elector = here.elector("first")
            leading = asyncio.create_task(serve_terms(elector, here.recording))
            await _story(here)
            leading.cancel()
            await asyncio.gather(leading, return_exceptions=True)
            await elector.release()
            granted = set(rights(watched(), NAMESPACE))
            assert sorted(map(str, here.recording.used - granted)) == []
            unused = {
                f"{right.verb} {right.resource}/{right.subresource}".rstrip("/")
                for right in granted - here.recording.used
                if right.verb != "get"
                and right.resource != "events"  # after an unknown outcome; for what is told twice
            }
            assert unused <= set(NOT_IN_THE_STORY)

    run(story())


def test_quota_is_all_that_is_decided_here(tmp_path: Path) -> None:
    """Nodes are the scheduler's: a job that no node could hold is admitted, and no Placement is made for anybody."""

    async def story() -> None:
        async with world(tmp_path) as here:
            leading = asyncio.create_task(serve_terms(here.elector("first"), here.recording))
            await here.submit("job")
            await until(lambda: here.is_active("job"), "it runs")
            job = await here.job("job")
            assert job is not None
            assert job.decode()["spec"]["template"]["spec"]["nodeSelector"] == {"pool": "main"}
            assert (await here.cluster.list(PLACEMENTS)).items == ()
            leading.cancel()
            await asyncio.gather(leading, return_exceptions=True)

    run(story())


def test_a_flavor_is_a_quota_whichever_topology_it_names(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await here.create(TOPOLOGIES, {"metadata": {"name": "t"}, "spec": {"levels": [{"nodeLabel": "rack"}]}})
            flavor = {"metadata": {"name": "racks"}, "spec": {"nodeLabels": {"rack": "a"}, "topologyName": "t"}}
            await here.create(RESOURCE_FLAVORS, flavor)
            quota = {"name": "racks", "resources": [{"name": "cpu", "nominalQuota": "1"}]}
            group = {"coveredResources": ["cpu"], "flavors": [quota]}
            spec = {"namespaceSelector": {}, "resourceGroups": [group]}
            await here.create(CLUSTER_QUEUES, {"metadata": {"name": "racks"}, "spec": spec})
            queue = {"metadata": {"name": "racks", "namespace": "default"}, "spec": {"clusterQueue": "racks"}}
            await here.create(LOCAL_QUEUES, queue)
            leading = asyncio.create_task(serve_terms(here.elector("first"), here.recording))
            await here.submit("job", queue="racks")
            await until(lambda: here.is_active("job"), "it runs")
            assert (await here.cluster.list(PLACEMENTS)).items == ()
            leading.cancel()
            await asyncio.gather(leading, return_exceptions=True)

    run(story())


def test_a_job_that_no_policy_held_is_suspended_at_first_sight_and_admitted_in_its_turn(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, cpu="0") as here:
            await here.submit("job", held=False)
            await until(lambda: here.is_active("job"), "nobody held it")
            leading = asyncio.create_task(serve_terms(here.elector("first"), here.recording))

            async def is_held() -> bool:
                return (await here.condition("job", "QuotaReserved"))[0] == "False" and not await here.is_active("job")

            await until(is_held, "it waits")
            leading.cancel()
            await asyncio.gather(leading, return_exceptions=True)

    run(story())


def test_the_next_leader_goes_on_where_the_last_one_stopped(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, cpu="1") as here:
            first, second = here.elector("first"), here.elector("second")
            leading = asyncio.create_task(serve_terms(first, here.recording))
            await here.submit("one")
            await until(lambda: here.is_active("one"), "the first job runs")
            await here.submit("two")

            async def waits() -> bool:
                return (await here.condition("two", "QuotaReserved"))[0] == "False" and not await here.is_active("two")

            await until(waits, "the second waits")
            waiting = asyncio.create_task(serve_terms(second, here.recording))
            leading.cancel()
            await asyncio.gather(leading, return_exceptions=True)
            await first.release()
            await here.end("one")
            await until(lambda: here.is_active("two"), "the other operator admits the second job")
            assert second.holder == "second"
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    run(story())


def test_a_lease_that_is_lost_ends_the_term_and_another_begins(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with world(tmp_path, cpu="1") as here:
            elector = here.elector("first")
            leading = asyncio.create_task(serve_terms(elector, here.recording))
            await here.submit("one")
            await until(lambda: here.is_active("one"), "it leads")
            lease = await here.cluster.get(Ref(LEASES, NAMESPACE, LEASE_NAME))
            assert lease is not None
            value = lease.decode()
            value["spec"].update(holderIdentity="thief", leaseDurationSeconds=1)
            while not (await here.cluster.write(Update(LEASES, value))).is_done:
                lease = await here.cluster.get(lease.ref)
                assert lease is not None
                value["metadata"] = lease.decode()["metadata"]

            async def is_replaced() -> bool:
                return elector.holder == "thief"

            await until(is_replaced, "it sees that another leads")
            assert not elector.may_write()

            async def leads_again() -> bool:
                return elector.may_write()

            await until(leads_again, "the thief's lease ended")
            await here.end("one")
            await here.submit("two")
            await until(lambda: here.is_active("two"), "the new term admits")
            leading.cancel()
            await asyncio.gather(leading, return_exceptions=True)

    with caplog.at_level("INFO", "roadstead.compose.operator"):
        run(story())
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "leading as first",
        "stopped leading",
        "leading as first",
    ]


WRITING = frozenset({"create", "update", "delete"})


def test_a_term_whose_lease_is_over_writes_nothing_until_it_is_renewed(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            is_young = False
            asked = 0

            def may_write() -> bool:
                nonlocal asked
                asked += 1
                return is_young

            await here.submit("job")
            term = asyncio.create_task(lead(here.recording, may_write))

            async def was_asked() -> bool:
                return asked > 0

            await until(was_asked, "it wants to write")
            await asyncio.sleep(0.05)
            assert {right.verb for right in here.recording.used} & WRITING == set()
            is_young = True
            await until(lambda: here.is_active("job"), "it runs")
            term.cancel()
            await asyncio.gather(term, return_exceptions=True)

    run(story())


def test_what_decides_sends_by_the_lease_and_in_time_and_what_renews_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []

    class Unreachable(RemoteCluster):
        def __init__(self, **options: Any) -> None:
            made.append(options)
            super().__init__("http://127.0.0.1:1", **options)

    monkeypatch.setattr(operator, "from_kubeconfig", lambda path, context, **options: Unreachable(**options))
    with pytest.raises(operator.Refused, match="cannot be reached"):
        operator.operate(operator.OperatorOptions(Path("config"), terms=Terms()))
    renewing, deciding = made
    assert renewing == {"write_timeout_seconds": 5.0, "may_send": None}
    assert deciding["write_timeout_seconds"] == 5.0
    assert deciding["may_send"]() is False  # nobody was elected
