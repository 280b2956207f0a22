"""Operators on a real cluster: what they need there, a kubelet for pods that need no process, and a witness of every
admission."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from roadstead.cluster.remote import RemoteCluster
from roadstead.kinds.names import LEASES, NAMESPACES, NODES, PODS, WORKLOADS
from roadstead.kinds.object import Json, Object, Ref, Resource
from roadstead.kinds.times import SECOND, format_time, parse_time
from roadstead.kinds.views.common import has_condition
from roadstead.kinds.views.kueue import WorkloadView
from roadstead.kinds.views.lease import LeaseView
from roadstead.kinds.views.pod import PodView
from roadstead.runtime.cluster import Create, Delete, EventType, Unavailable, Update
from roadstead.runtime.runner import Runner
from roadstead.runtime.step import NOTHING, Index, Key, KeysOf, Read, Step, in_order, same_key
from tests.acceptance.cluster import find_kubectl
from tests.realcluster.server import RealServer, end_with_parent

NAMESPACE = "roadstead-system"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:roadstead-operator"
RUN_FOR = "test/run-for"
"""Annotation on pod templates: seconds until it succeeds. Without it: until it is told to stop."""
DEADLINE = 60.0
FAST = ("--lease-duration=4", "--renew-deadline=2.5", "--retry-period=0.25")
_applied: set[str] = set()
"""Servers, by URL, that have our manifests."""


def until(holds: Callable[[], Any], what: str, seconds: float = DEADLINE) -> Any:
    """The first true answer; fails the test, naming `what`, when none came in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.05)
    pytest.fail(f"not within {seconds:.0f} s: {what}")


class Kubelet:
    """Runs the pods of one node as a kubelet reports them, without any process."""

    name: ClassVar[str] = "test-kubelet"
    watches: Mapping[Resource, KeysOf] = {PODS: same_key}
    indexes: Mapping[tuple[Resource, str], Index] = {}

    def __init__(self, node: str) -> None:
        self._node = node

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        pod = read.get(PODS, *key)
        if pod is None or pod.view(PodView).spec.node_name != self._node:
            return NOTHING
        phase = pod.view(PodView).status.phase
        if pod.meta.deletion_timestamp:
            if phase not in ("Succeeded", "Failed"):
                return in_order(self._report(pod, "Failed", now))
            return in_order(Delete(pod.ref, pod.meta.uid, grace_seconds=0))
        if phase == "Pending":
            return in_order(self._report(pod, "Running", now))
        seconds = pod.meta.annotations.get(RUN_FOR)
        if phase == "Running" and seconds:
            ends = parse_time(pod.decode()["status"]["startTime"]) + int(float(seconds) * SECOND)
            return in_order(self._report(pod, "Succeeded", now)) if now >= ends else Step(again_at=ends)
        return NOTHING

    @staticmethod
    def _report(pod: Object, phase: str, now: int) -> Update:
        value = pod.decode()
        status = value["status"]
        status["phase"] = phase
        status.setdefault("startTime", format_time(now))
        return Update(PODS, value, "status")


class Witness:
    """Every state that the Workloads of one ClusterQueue went through, in the order in which the server made them."""

    def __init__(self, cluster: RemoteCluster, queue: str) -> None:
        self._cluster = cluster
        self._queue = queue
        self._holding: dict[Key, tuple[str, int]] = {}
        self.most = 0
        """The most cpu, in whole units, that was ever admitted at one moment."""
        self.admissions: dict[str, int] = {}
        """How often each workload, by uid, went from holding nothing to holding quota."""

    async def run(self) -> None:
        listing = await self._cluster.list(WORKLOADS)
        for item in listing.items:
            self._see(item, gone=False)
        version = listing.resource_version
        while True:
            with contextlib.suppress(Unavailable):
                async for event in self._cluster.watch(WORKLOADS, version):
                    version = event.resource_version
                    if event.object is not None:
                        self._see(event.object, gone=event.type is EventType.DELETED)

    def _see(self, workload: Object, *, gone: bool) -> None:
        status = workload.view(WorkloadView).status
        admission = status.admission
        holds = (
            not gone
            and admission is not None
            and admission.cluster_queue == self._queue
            and not has_condition(status.conditions, "Finished")
        )
        before = self._holding.pop(workload.key, None)
        if holds and admission is not None:
            cpu = sum(int(str(item.resource_usage["cpu"])) for item in admission.pod_set_assignments)
            self._holding[workload.key] = (workload.meta.uid, cpu)
            if before is None or before[0] != workload.meta.uid:
                self.admissions[workload.meta.uid] = self.admissions.get(workload.meta.uid, 0) + 1
        self.most = max(self.most, sum(cpu for _, cpu in self._holding.values()))


class Background:
    """An event loop in a thread, for what goes on beside a test."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def start(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self.loop)

    def call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(DEADLINE)

    def stop(self) -> None:
        self.call(self._end_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    async def _end_all(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Place:
    """One test's corner of the cluster: a namespace, a node that only its own flavor chooses, queues, and operators."""

    def __init__(self, server: RealServer, directory: Path) -> None:
        self.server = server
        self.directory = directory
        self.id = uuid.uuid4().hex[:8]
        self.namespace = f"op-{self.id}"
        self.node = f"node-{self.id}"
        self.admin = server.kubeconfig()
        self.background = Background()
        self.operators: list[Operator] = []
        self.cluster: RemoteCluster = self.background.call(self._connect())

    async def _connect(self) -> RemoteCluster:
        return RemoteCluster(self.server.url, token=self.server.token, ca_file=self.server.ca_file)

    def set_up(self) -> None:
        self.apply_manifests()
        self.background.call(self._make_room())
        self.background.start(Runner(self.cluster, [Kubelet(self.node)], component="kubelet").run())
        until(lambda: self.is_held_at_creation(), "the policy holds jobs")

    def apply_manifests(self) -> None:
        """Everything but the Deployment, once for each server; return when every kind is served."""
        if self.server.url in _applied:
            return
        self.apply_text(manifests("--without-deployment"))
        self.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        _applied.add(self.server.url)

    async def _make_room(self) -> None:
        assert (await self.cluster.write(Create(NAMESPACES, {"metadata": {"name": self.namespace}}))).is_done
        ready = {"type": "Ready", "status": "True", "reason": "Test", "message": "by hand"}
        room = {"cpu": "64", "memory": "64Gi", "pods": "110"}
        labels = {"test/pool": self.id, "kubernetes.io/hostname": self.node}
        status = {"capacity": room, "allocatable": room, "conditions": [ready]}
        value = {"metadata": {"name": self.node, "labels": labels}, "status": status}
        assert (await self.cluster.write(Create(NODES, value))).is_done

    def is_held_at_creation(self) -> bool:
        """True while the policy is in force: it takes a server a moment to learn of it."""
        shown = self.kubectl("create", "--dry-run=server", "-ojson", "-f", "-", stdin=self.job("probe", "none")).stdout
        return bool(json.loads(shown)["spec"].get("suspend"))

    def tear_down(self) -> None:
        for operator in self.operators:
            operator.kill()
        for words in (
            ("delete", "jobs,localqueues", "--all", "--wait=false"),
            ("delete", "namespace", self.namespace, "--wait=false"),
            ("delete", "node", self.node, "--wait=false"),
            ("delete", "lease", "-n", NAMESPACE, "roadstead-operator"),
        ):
            self.kubectl(*words, check=False)
        with contextlib.suppress(Unavailable):
            self.background.call(self._let_go())
        self.background.call(self.cluster.close())
        self.background.stop()

    async def _let_go(self) -> None:
        """Nobody is left to take the finalizers away."""
        for item in (await self.cluster.list(WORKLOADS, self.namespace)).items:
            value = item.decode()
            value["metadata"]["finalizers"] = []
            await self.cluster.write(Update(WORKLOADS, value))

    # ------------------------------------------------------------------ what a user does

    def kubectl(self, *words: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        program = find_kubectl()
        assert program is not None
        environment = {**os.environ, "KUBECONFIG": str(self.admin), "HOME": str(self.directory)}
        where = () if words[0] == "apply" else ("-n", self.namespace)
        done = subprocess.run(
            [program, *where, *words],
            input=stdin,
            capture_output=True,
            text=True,
            env=environment,
            timeout=60,
        )
        assert not check or done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
        return done

    def apply(self, *objects: Json) -> str:
        """Objects that say themselves where they belong."""
        return self.apply_text(yaml.safe_dump_all(objects))

    def apply_text(self, text: str) -> str:
        return self.kubectl("apply", "-f", "-", stdin=text).stdout

    def queue(self, name: str, cpu: int, **spec: Any) -> str:
        """A ClusterQueue of this test with a quota on its own node, and a LocalQueue of the same short name."""
        flavor, queue = f"flavor-{self.id}", f"{name}-{self.id}"
        kueue = {"apiVersion": "kueue.x-k8s.io/v1beta2"}
        quota = {"name": flavor, "resources": [{"name": "cpu", "nominalQuota": str(cpu)}]}
        group = {"coveredResources": ["cpu"], "flavors": [quota]}
        self.apply(
            {
                **kueue,
                "kind": "ResourceFlavor",
                "metadata": {"name": flavor},
                "spec": {"nodeLabels": {"test/pool": self.id}},
            },
            {
                **kueue,
                "kind": "ClusterQueue",
                "metadata": {"name": queue},
                "spec": {"namespaceSelector": {}, "resourceGroups": [group], **spec},
            },
            {
                **kueue,
                "kind": "LocalQueue",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": {"clusterQueue": queue},
            },
        )
        return queue

    def job(self, name: str, queue: str, run_for: float | None = None, **labels: str) -> str:
        """A one-cpu Job as its user would write it."""
        container = {"name": "main", "image": "none", "resources": {"requests": {"cpu": "1"}}}
        annotations = {} if run_for is None else {RUN_FOR: str(run_for)}
        queued = {"kueue.x-k8s.io/queue-name": queue} if queue else {}
        return yaml.safe_dump(
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": name, "namespace": self.namespace, "labels": {**queued, **labels}},
                "spec": {
                    "template": {
                        "metadata": {"annotations": annotations},
                        "spec": {"restartPolicy": "Never", "containers": [container]},
                    }
                },
            }
        )

    def submit(self, name: str, queue: str, run_for: float | None = None, **labels: str) -> None:
        self.kubectl("create", "-f", "-", stdin=self.job(name, queue, run_for, **labels))

    def get(self, what: str) -> Json:
        found: Json = json.loads(self.kubectl("get", what, "-ojson").stdout)
        return found

    def workload(self, job: str) -> Json | None:
        """The Workload of a job, or None."""
        found = [
            item
            for item in self.get("workloads")["items"]
            if item["metadata"]["annotations"].get("kueue.x-k8s.io/job-owner-name") == job
        ]
        return found[0] if found else None

    def condition(self, job: str, kind: str) -> Json | None:
        workload = self.workload(job)
        conditions = ((workload or {}).get("status") or {}).get("conditions") or ()
        return next((item for item in conditions if item["type"] == kind), None)

    def is_true(self, job: str, kind: str) -> bool:
        return (self.condition(job, kind) or {}).get("status") == "True"

    # ------------------------------------------------------------------ operators

    def start_operator(self, *options: str) -> Operator:
        """A child process with the rights of the service account, and no more."""
        operator = Operator(
            self.server.kubeconfig(ACCOUNT, ()), self.directory / f"operator-{len(self.operators)}.log", options
        )
        self.operators.append(operator)
        return operator

    def holder(self) -> str:
        lease = self.background.call(self.cluster.get(Ref(LEASES, NAMESPACE, "roadstead-operator")))
        return "" if lease is None else lease.view(LeaseView).spec.holder_identity or ""

    def witness(self, queue: str) -> Witness:
        found = Witness(self.cluster, queue)
        self.background.start(found.run())
        return found


class Operator:
    """`roadstead operator` as a child process."""

    def __init__(self, kubeconfig: Path, log: Path, options: Sequence[str]) -> None:
        self.log = log
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "roadstead.cli", "operator", "--kubeconfig", str(kubeconfig), *options],
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                preexec_fn=end_with_parent,
            )

    @property
    def identity(self) -> str:
        """The name it leads by; "" while it has not led."""
        lines = [line for line in self.said().splitlines() if "leading as " in line]
        return lines[-1].rpartition("leading as ")[2] if lines else ""

    def said(self) -> str:
        return self.log.read_text()

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(20)


def manifests(*options: str) -> str:
    """What `roadstead manifests` prints."""
    return subprocess.run(
        [sys.executable, "-m", "roadstead.cli", "manifests", *options], capture_output=True, text=True, check=True
    ).stdout


@contextlib.contextmanager
def place(server: RealServer, directory: Path) -> Iterator[Place]:
    """A Place that is set up, and taken down afterwards."""
    found = Place(server, directory)
    try:
        found.set_up()
        yield found
    finally:
        found.tear_down()
