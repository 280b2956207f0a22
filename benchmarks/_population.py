"""A cluster full of work, written straight into a store: `python -m benchmarks._population DIRECTORY PODS [mixed]`.

Jobs of 100 running pods each on nodes of their own, as the Job controller and node agents leave them: about 2.1 KB a
pod. `mixed` makes half of the objects ConfigMaps, Secrets, Leases and Events. No API semantics on the way in: only what
is stored counts.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import uuid
from pathlib import Path

from roadstead.cluster.embedded.store import Store
from roadstead.kinds.names import CONFIG_MAPS, EVENTS, JOBS, NAMESPACES, NODES, PODS, SERVICE_ACCOUNTS
from roadstead.kinds.object import Json, Resource
from roadstead.kinds.times import format_time
from roadstead.runtime.clock import WallClock

NAMESPACE = "bench"
PODS_PER_JOB = 100
PODS_PER_NODE = 200


class Population:
    """Objects with the metadata that the API server would give them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.now = format_time(WallClock().now())
        self._waiting: list[asyncio.Future[None]] = []

    async def add(self, resource: Resource, kind: str, name: str, body: Json, **metadata: object) -> str:
        """Store one; gives its uid."""
        uid = str(uuid.uuid4())
        whole: Json = {"name": name, "uid": uid, "creationTimestamp": self.now, **metadata}
        value = {"apiVersion": resource.api_version, "kind": kind, "metadata": whole, **body}
        self._waiting.append(self._store.put(resource, value, None).committed)
        if len(self._waiting) >= 1000:
            await self.settle()
        return uid

    async def settle(self) -> None:
        await asyncio.gather(*self._waiting)
        self._waiting.clear()

    async def job(self, name: str, pods: int, node: str) -> None:
        """A running Job and its pods."""
        labels = {"batch.kubernetes.io/job-name": name, "job-name": name}
        uid = str(uuid.uuid4())
        labels |= {"batch.kubernetes.io/controller-uid": uid, "controller-uid": uid}
        template = {"metadata": {"labels": labels}, "spec": _pod_spec("")}
        spec = {
            "parallelism": pods,
            "completions": pods,
            "backoffLimit": 6,
            "completionMode": "NonIndexed",
            "suspend": False,
            "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}},
            "template": template,
        }
        status = {"active": pods, "ready": pods, "startTime": self.now, "uncountedTerminatedPods": {}, "terminating": 0}
        await self.add(JOBS, "Job", name, {"spec": spec, "status": status}, namespace=NAMESPACE, uid=uid, generation=1)
        owner = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": name,
            "uid": uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
        conditions = [
            {"type": type_, "status": "True", "lastProbeTime": None, "lastTransitionTime": self.now}
            for type_ in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
        ]
        container = {
            "name": "main",
            "image": "example.com/train:1",
            "imageID": "example.com/train:1",
            "ready": True,
            "started": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": self.now}},
        }
        for number in range(pods):
            state = {
                "phase": "Running",
                "conditions": conditions,
                "containerStatuses": [container],
                "podIP": f"127.64.{number}.1",
                "startTime": self.now,
                "qosClass": "Burstable",
            }
            await self.add(
                PODS,
                "Pod",
                f"{name}-{number:05}",
                {"spec": _pod_spec(node), "status": state},
                namespace=NAMESPACE,
                labels=labels,
                annotations={"note": "y" * 60},
                ownerReferences=[owner],
                finalizers=["batch.kubernetes.io/job-tracking"],
            )


def _pod_spec(node: str) -> Json:
    container = {
        "name": "main",
        "image": "example.com/train:1",
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "train.py", "--epochs", "90"],
        "env": [{"name": f"SETTING_{index}", "value": "v" * 20} for index in range(4)],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    spec: Json = {
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
        "serviceAccountName": "default",
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "terminationGracePeriodSeconds": 30,
        "securityContext": {},
        "enableServiceLinks": True,
    }
    if node:
        spec["nodeName"] = node
    return spec


async def fill(directory: Path, objects: int, *, mixed: bool) -> int:
    """Fill a fresh store; gives the bytes of one pod as stored."""
    store = Store.open(directory, "normal")
    population = Population(store)
    await population.add(NAMESPACES, "Namespace", NAMESPACE, {"status": {"phase": "Active"}})
    await population.add(SERVICE_ACCOUNTS, "ServiceAccount", "default", {}, namespace=NAMESPACE)
    pods = objects // 2 if mixed else objects
    capacity = {"cpu": "1000", "memory": "4Ti", "pods": str(10 * PODS_PER_NODE)}
    for number in range(-(-pods // PODS_PER_NODE)):
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastTransitionTime": population.now}
        status = {"capacity": capacity, "allocatable": capacity, "conditions": [ready]}
        await population.add(NODES, "Node", f"n{number}", {"spec": {}, "status": status})
    for number in range(pods // PODS_PER_JOB):
        await population.job(f"train-{number}", PODS_PER_JOB, f"n{number * PODS_PER_JOB // PODS_PER_NODE}")
    if mixed:
        await _others(population, objects - pods)
    await population.settle()
    size = len(store.list(PODS)[0].raw)
    await store.close()
    return size


async def _others(population: Population, count: int) -> None:
    event = {
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": NAMESPACE},
        "reason": "Started",
        "message": "m" * 80,
    }
    kinds: list[tuple[Resource, str, Json]] = [
        (CONFIG_MAPS, "ConfigMap", {"data": {"a": "x" * 1800}}),
        (Resource("", "v1", "secrets"), "Secret", {"type": "Opaque", "data": {"token": "eA==" * 200}}),
        (Resource("coordination.k8s.io", "v1", "leases"), "Lease", {"spec": {"holderIdentity": "somebody"}}),
        (EVENTS, "Event", event),
    ]
    for number, (resource, kind, body) in zip(range(count), itertools.cycle(kinds)):
        await population.add(resource, kind, f"o-{number}", body, namespace=NAMESPACE)


if __name__ == "__main__":
    print(asyncio.run(fill(Path(sys.argv[1]), int(sys.argv[2]), mixed=sys.argv[3:] == ["mixed"])))
