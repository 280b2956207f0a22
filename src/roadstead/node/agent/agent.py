"""The agent: informers bring pods, each gets a worker; runs that change wake theirs; nodes send heartbeats."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from roadstead.kinds.names import PODS
from roadstead.kinds.object import Object, Ref, Resource
from roadstead.kinds.times import SECOND
from roadstead.node.agent import allotment, isolation, launch, node_object, peers, publisher
from roadstead.node.agent.access import Access
from roadstead.node.agent.hardware import hardware_of
from roadstead.node.agent.heartbeat import Heartbeat
from roadstead.node.agent.host import Host
from roadstead.node.agent.options import AgentOptions, CannotGoOn, CannotJoin, NodeOptions
from roadstead.node.agent.profiles import profile
from roadstead.node.agent.publisher import Publication, Publisher
from roadstead.node.agent.runtimes import ProcessRuntime, Runtime, TimerRuntime
from roadstead.node.agent.server import LogServer
from roadstead.node.agent.views import Pod
from roadstead.node.agent.worker import Worker
from roadstead.node.keeper import locks, notify
from roadstead.node.keeper.runs import RunError
from roadstead.runtime.cluster import EVERYTHING, Cluster, Listing, Outcome, Selector, WatchEvent, Write
from roadstead.runtime.informer import Informer, Listener
from roadstead.runtime.recorder import Recorder
from roadstead.runtime.step import Key
from roadstead.runtime.view import Cache

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_PEERS_SECONDS = 0.02


class Narrowed:
    """A Cluster whose lists and watches are narrowed: what an informer of a part of a resource sees."""

    def __init__(self, cluster: Cluster, namespace: str, selector: Selector) -> None:
        self._cluster, self._namespace, self._selector = cluster, namespace, selector

    async def get(self, ref: Ref) -> Object | None:
        return await self._cluster.get(ref)

    async def list(self, resource: Resource, namespace: str = "", selector: Selector = EVERYTHING) -> Listing:
        return await self._cluster.list(resource, self._namespace, self._selector)

    def watch(
        self, resource: Resource, since: str, namespace: str = "", selector: Selector = EVERYTHING
    ) -> AsyncIterator[WatchEvent]:
        return self._cluster.watch(resource, since, self._namespace, self._selector)

    async def write(self, write: Write) -> Outcome:
        return await self._cluster.write(write)


class Agent:
    """All nodes of one agent process. CannotJoin if another agent uses the state directory."""

    def __init__(self, cluster: Cluster, options: AgentOptions) -> None:
        self.cluster = cluster
        self.options = options
        options.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = locks.acquire(os.fspath(options.state / "agent.lock"))
        if self._lock is None:
            raise CannotJoin(
                f"Another node agent uses {options.state}.",
                "Stop it first, or give this one a state directory of its own.",
            )
        self._access = Access(cluster.write, options.now) if options.is_guest else None
        self.server = LogServer(self.worker_of, options, self._access)
        self.recorder = Recorder(cluster, options, "kubelet")
        self.processes = ProcessRuntime(options.state)
        self.timers: Runtime = TimerRuntime(options.now, self._wake)
        """What runs the pods of simulated nodes."""
        self.hosts: dict[str, Host] = {}
        self.workers: dict[str, Worker] = {}
        """By pod uid."""
        self._group: asyncio.TaskGroup | None = None
        self._uids: dict[Key, str] = {}
        """Of the pods of its nodes, by name."""
        self._caches: list[Cache] = []
        self._addresses: Counter[str] = Counter()
        self._put_off: dict[str, tuple[Host, Object | None]] = {}  # pods that could not be taken on just now
        self._peer_namespaces: set[str] = set()
        self._stale_peers: set[str] = set()

    async def run(self) -> None:
        """Until cancelled. Processes go on without it. Raises CannotJoin, and CannotGoOn once a part of it has failed
        that others rely on: an agent that is deaf or mute would only seem to be there."""
        options = self.options
        tier = options.isolation
        if tier == "auto":
            tier = await asyncio.to_thread(isolation.find_tier, options.state)
        inherited = launch.inherited(os.environ) if options.inherit_environment else {}
        for node in options.nodes:
            host = self.hosts[node.name] = self._host(node, tier, inherited)
            host.health.listeners.append(partial(self._health_changed, host))
        events = notify.listen(os.fspath(options.state))
        server = self.server
        try:
            port = await server.start()
            beats = [
                Heartbeat(self.cluster, options, node, tier, port, self.hosts[node.name].health)
                for node in options.nodes
            ]
            await asyncio.gather(*(beat.register() for beat in beats))
            async with asyncio.TaskGroup() as self._group:
                self._keep("recording Events", self.recorder.run)
                self._keep("renewing the log port's certificate", server.renew)
                asyncio.get_running_loop().add_reader(events, self._hear, events)
                for name, pod, by_claims in allotment.on_disk(options.state):
                    if name in self.hosts:
                        self.hosts[name].occupancy.hold(pod, by_claims)
                await self._follow_pods()
                self._adopt_strangers()
                self._publish(beats)
                for beat in beats:
                    self._keep(f"the heartbeat of node {beat.node.name}", beat.run)
                self._keep("looking at what runs", self._look_again)
                if options.on_ready is not None:
                    options.on_ready(port)
                await asyncio.get_running_loop().create_future()
        except ExceptionGroup as failed:
            raise _first(failed) from failed
        finally:
            asyncio.get_running_loop().remove_reader(events)
            events.close()
            await server.stop()
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def _host(self, node: NodeOptions, tier: str, inherited: dict[str, str]) -> Host:
        runtime: Runtime = self.timers if node.simulate else self.processes
        return Host(
            node.name,
            self.options.state,
            self.cluster,
            runtime,
            profile(node.profile),
            node_object.allocatable(node),
            tier,
            inherited,
            self.options.backoff,
            node.simulate,
            self.options.now,
            self.recorder.record,
            self._known_pods,
            self._addresses,
            self.options.host,
            gives_devices=self.options.is_guest and not node.by_claims,
            api_server=self.options.api_server,
            hardware=hardware_of(node.name, node.profile),
            cdi_directories=self.options.cdi_directories,
        )

    def _publish(self, beats: Sequence[Heartbeat]) -> None:
        """Keep the ResourceSlices of the nodes. Clusters of others are told only of those whose devices are not counted
        as well: their schedulers would give out the same ones twice."""
        told = [beat for beat in beats if beat.node.by_claims or not self.options.is_guest]
        if not told:
            return
        hosts = [self.hosts[beat.node.name] for beat in told]
        wanted = [Publication(host.hardware, host.health, beat.seen) for host, beat in zip(hosts, told, strict=True)]
        narrowed = Narrowed(self.cluster, "", publisher.selector([host.name for host in hosts]))
        publishing = Publisher(narrowed, wanted, self.options.lease_interval / SECOND)
        self._keep("watching slices", publishing.informer.run)
        self._keep("publishing devices", publishing.run)

    def _keep(self, what: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have `work` done beside the rest; if it fails, the agent does."""
        assert self._group is not None
        part = _part(what, work)
        try:
            self._group.create_task(part)
        except RuntimeError:  # the agent is ending: what an informer still tells leads to nothing
            part.close()

    # --- pods

    async def _follow_pods(self) -> None:
        """Begin to watch pods: only those of its nodes (and its peers' name spaces), unless the cluster is Roadstead's
        own and one watch of everything is cheaper than one for each node."""
        if self._watches_all:
            await self._inform("", EVERYTHING, self._changed)
            return
        selectors = [Selector(fields=f"spec.nodeName={name}") for name in self.hosts]
        await asyncio.gather(*(self._inform("", selector, self._changed) for selector in selectors))

    @property
    def _watches_all(self) -> bool:
        return len(self.hosts) > 1 and not self.options.is_guest

    async def _inform(self, namespace: str, selector: Selector, listener: Listener) -> None:
        cache = Cache(PODS)
        self._caches.append(cache)
        informer = Informer(Narrowed(self.cluster, namespace, selector), PODS, cache)
        informer.listeners.append(listener)
        self._keep(f"watching pods ({selector.fields or namespace or 'all'})", informer.run)
        await informer.synced.wait()

    def _changed(self, key: Key, old: Object | None, new: Object | None) -> None:
        if old is not None and (new is None or new.meta.uid != old.meta.uid):
            self._observe(old, None)
        if new is not None:
            self._observe(new, new)

    def _observe(self, last: Object, current: Object | None) -> None:
        pod = last.view(Pod)
        if peers.wants_peers(pod):
            self._peers_changed(pod.metadata.namespace)
        host = self.hosts.get(pod.spec.node_name)
        if host is None:
            return
        if current is not None:
            self._uids[current.key] = pod.uid
        elif self._uids.get(last.key) == pod.uid:
            del self._uids[last.key]
        worker = self.workers.get(pod.uid)
        if worker is not None:
            worker.observe(current)
        elif current is not None and (not pod.status.is_final or self._has_traces(pod.uid)):
            self._employ(host, pod.uid, current)
        elif pod.uid in self._put_off and self._has_traces(pod.uid):
            self._put_off[pod.uid] = (host, None)  # gone before somebody looked after it: what it left is to be cleared
        else:
            self._put_off.pop(pod.uid, None)
        if peers.wants_peers(pod) and not self._watches_all and pod.metadata.namespace not in self._peer_namespaces:
            self._peer_namespaces.add(pod.metadata.namespace)
            finding = partial(self._follow_peers, pod.metadata.namespace)
            self._keep(f"finding peers in {pod.metadata.namespace}", finding)

    async def _follow_peers(self, namespace: str) -> None:
        if self._access is not None and not await self._access.may_list_pods(namespace):
            log.info(
                "pods in %s find only peers on this node by name: this identity may not list the others", namespace
            )
            return
        await self._inform(namespace, EVERYTHING, self._peer_changed)

    def _peer_changed(self, key: Key, old: Object | None, new: Object | None) -> None:
        """From the second view, of a whole name space. It may be older or newer than the first: no pod is run because
        of it."""
        seen = new or old
        if seen is not None and peers.wants_peers(seen.view(Pod)):
            self._peers_changed(key[0])

    def _has_traces(self, uid: str) -> bool:
        return (self.options.state / "pods" / uid).exists()

    def _employ(self, host: Host, uid: str, current: Object | None) -> None:
        self._put_off.pop(uid, None)
        try:
            worker = Worker(host, uid, current)
        except (OSError, RunError) as error:  # a full disk, say: the pod is not to be forgotten for that
            log.warning("pod %s cannot be taken on: %s; trying again", uid, error)
            self._put_off[uid] = (host, current)
            return
        self.workers[uid] = worker
        self._addresses[worker.pod_ip] += 1
        self._keep(f"pod {uid}", partial(self._work, host, worker))

    async def _work(self, host: Host, worker: Worker) -> None:
        try:
            await worker.run()
        except Exception:  # one pod that cannot be looked after shall not cost the others their agent
            log.exception("looking after pod %s failed; trying again", worker.uid)
            self._put_off[worker.uid] = (host, worker.current)
        finally:
            self.workers.pop(worker.uid, None)
            self._addresses[worker.pod_ip] -= 1
            if not self._addresses[worker.pod_ip]:
                del self._addresses[worker.pod_ip]

    def _adopt_strangers(self) -> None:
        """Pods on disk that the API does not know any more: their processes are stopped, their directories removed."""
        pods = self.options.state / "pods"
        on_disk = set(self.processes.pod_uids()) | ({path.name for path in pods.iterdir()} if pods.is_dir() else set())
        anyone = next((host for host in self.hosts.values() if not host.is_simulated), next(iter(self.hosts.values())))
        holders = {pod.uid: self.hosts.get(name, anyone) for name, pod, _ in allotment.on_disk(self.options.state)}
        for uid in sorted(on_disk - self.workers.keys() - self._put_off.keys()):
            self._employ(holders.get(uid, anyone), uid, None)

    def worker_of(self, namespace: str, name: str) -> Worker | None:
        """The worker of the pod that has this name now."""
        worker = self.workers.get(self._uids.get((namespace, name), ""))
        return worker if worker is not None and worker.current is not None else None

    def _known_pods(self, namespace: str) -> Sequence[Pod]:
        found = {obj.meta.uid: obj.view(Pod) for cache in self._caches for obj in cache.list(namespace)}
        return list(found.values())

    # --- what changes on the machine

    def _health_changed(self, host: Host) -> None:
        """Pods with claims tell of their devices' health."""
        for worker in self.workers.values():
            if worker.host is host:
                worker.wake()

    def _hear(self, events: socket.socket) -> None:
        """Shims and keeper say which runs changed."""
        for _ in range(1000):
            try:
                text = events.recv(1024)
            except BlockingIOError:
                return
            self._wake(text.decode(errors="replace").partition("/")[0])

    def _wake(self, uid: str) -> None:
        worker = self.workers.get(uid)
        if worker is not None:
            worker.wake()

    async def _look_again(self) -> None:
        """A word may get lost, and a dead shim says none if its keeper is dead too."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for worker in list(self.workers.values()):
                try:
                    worker.look_again()
                except OSError as error:  # no descriptors left, say
                    log.warning("pod %s cannot be looked at: %s; trying again", worker.uid, error)
            for uid, (host, current) in list(self._put_off.items()):
                self._employ(host, uid, current)

    def _peers_changed(self, namespace: str) -> None:
        if not self._stale_peers:
            asyncio.get_running_loop().call_later(_PEERS_SECONDS, self._refresh_peers)
        self._stale_peers.add(namespace)

    def _refresh_peers(self) -> None:
        stale, self._stale_peers = self._stale_peers, set()
        for worker in self.workers.values():
            if worker.current is not None and worker.current.meta.namespace in stale:
                try:
                    worker.refresh_hosts()
                except OSError as error:
                    log.warning("hosts file of pod %s: %s", worker.uid, error)


async def _part(what: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Do `work`; raise CannotGoOn with a name to its failure."""
    try:
        await work()
    except Exception as error:
        log.exception("the node agent failed at %s", what)
        raise CannotGoOn(
            f"The node agent cannot go on: {what} failed with {type(error).__name__}: {error}.",
            "Start it again (the processes of its pods go on meanwhile). If it ends the same way, its log says where it failed.",
        ) from error


def _first(failed: ExceptionGroup) -> Exception:
    """The failure that was first of those that came together; CannotGoOn if it was one of a part."""
    found: Exception = failed.exceptions[0]
    return _first(found) if isinstance(found, ExceptionGroup) else found
