"""The laboratory with a Decider in it, and a kubelet that plays processes on simulated nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from roadstead.cluster.embedded.plugins import default_plugins
from roadstead.controllers.admission import AdmissionDecider
from roadstead.controllers.binder import Binder
from roadstead.controllers.job import JobController
from roadstead.controllers.workload import AdmissionChecksController, AfterlifeController, WorkloadController
from roadstead.controllers.workload.policy import NO_POLICY, Policy
from roadstead.kinds.names import (
    CLUSTER_QUEUES,
    COHORTS,
    JOBS,
    LOCAL_QUEUES,
    NODES,
    PODS,
    RESOURCE_FLAVORS,
    TOPOLOGIES,
    WORKLOAD_PRIORITY_CLASSES,
    WORKLOADS,
)
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.times import format_time, parse_time
from roadstead.runtime.cluster import Create, Delete, Update
from roadstead.runtime.step import (
    NOTHING,
    SECOND,
    Action,
    Controller,
    Index,
    Key,
    KeysOf,
    Read,
    Step,
    in_order,
    same_key,
)
from roadstead.runtime.writing import write_once
from roadstead.testing.controllers import Fault, Lab, Wrote

RUN_SECONDS = "test/run-seconds"
"""Annotation on pod templates: how long the kubelet lets the process run. Without it: until it is told to stop."""
UNREADY = "test/unready"
"""Annotation on pod templates: the processes run and are never ready."""
STOP_SECONDS = 2
"""A process told to stop takes so long."""


class Kubelet:
    """Starts what is bound, ends what has run its time, and stops what is deleted, taking a little while about it."""

    name: ClassVar[str] = "kubelet"
    watches: Mapping[Resource, KeysOf] = {
        PODS: same_key,
        NODES: lambda changed, read: [pod.key for pod in read.list(PODS)],
    }
    indexes: Mapping[tuple[Resource, str], Index] = {}

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        pod = read.get(PODS, *key)
        if pod is None or not self._serves(pod.decode()["spec"].get("nodeName"), read):
            return NOTHING
        value = pod.decode()
        status = value.setdefault("status", {})
        phase = status.get("phase", "Pending")
        if pod.meta.deletion_timestamp:
            if phase in ("Succeeded", "Failed"):
                return in_order(Delete(pod.ref, pod.meta.uid, "", "Background", 0))
            stop_at = int(pod.meta.annotations.get("test/told-at", "0"))
            if not stop_at:
                value["metadata"].setdefault("annotations", {})["test/told-at"] = str(now)
                return in_order(Update(PODS, value), again_at=now + STOP_SECONDS * SECOND)
            if now < stop_at + STOP_SECONDS * SECOND:
                return Step(again_at=stop_at + STOP_SECONDS * SECOND)
            return in_order(Delete(pod.ref, pod.meta.uid, "", "Background", 0))
        if phase == "Pending":
            status["phase"] = "Running"
            status["startTime"] = format_time(now)
            status["conditions"] = [
                *(status.get("conditions") or ()),
                {
                    "type": "Ready",
                    "status": "False" if UNREADY in pod.meta.annotations else "True",
                    "lastTransitionTime": format_time(now),
                },
            ]
            value["metadata"].setdefault("annotations", {})
            return in_order(Update(PODS, value, "status"), again_at=self._ends(pod, now))
        if phase == "Running":
            ends = self._ends(pod, parse_time(status["startTime"]))
            if ends is None:
                return NOTHING
            if now < ends:
                return Step(again_at=ends)
            status["phase"] = "Succeeded"
            return in_order(Update(PODS, value, "status"))
        return NOTHING

    @staticmethod
    def _serves(name: str | None, read: Read) -> bool:
        """A node that is not ready does nothing for its pods: nobody is there."""
        found = read.get(NODES, "", name) if name else None
        conditions = found.decode()["status"]["conditions"] if found is not None else ()
        return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)

    @staticmethod
    def _ends(pod: Object, since: int) -> int | None:
        seconds = pod.meta.annotations.get(RUN_SECONDS)
        return since + int(float(seconds) * SECOND) if seconds else None


def all_controllers(policy: Policy = NO_POLICY) -> Sequence[Controller]:
    """Everybody between a job and its processes."""
    return [
        WorkloadController(policy=policy),
        AfterlifeController(policy),
        AdmissionChecksController(),
        JobController(),
        Binder(),
        Kubelet(),
    ]


class QueueLab(Lab):
    """A Lab that also runs the admission Decider, as the runner would: told every change, asked when something changed
    or its time has come, its actions carried out and concluded before it is asked again."""

    def __init__(
        self,
        *,
        lag: int = 0,
        faults: Mapping[int, Fault] | None = None,
        seed: int = 0,
        controllers: Callable[[], Sequence[Controller]] | None = None,
        decider: Callable[[], AdmissionDecider] = AdmissionDecider,
        **others: Any,
    ) -> None:
        self._make_decider = decider
        self.first_write = 0
        self.decider = decider()
        self._dirty = True
        self._decide_at: int | None = None
        made = controllers or all_controllers
        super().__init__(made, lag=lag, faults=faults, seed=seed, **others)
        self._with_plugins()

    def __enter__(self) -> QueueLab:
        return self

    def _with_plugins(self) -> None:
        inner = self.cluster._resources
        inner._admission = default_plugins()

    def _wanted(self, controllers: Sequence[Controller]) -> dict[Resource, dict[str, Index]]:  # type: ignore[override]
        wanted = Lab._wanted(controllers)
        for resource in self.decider.resources:
            wanted.setdefault(resource, {})
        return wanted

    def _new_brain(self) -> Any:
        self.decider = self._make_decider()
        self._dirty = True
        self._decide_at = None
        brain = super()._new_brain()
        for resource in self.decider.resources:
            for obj in self._known.get(resource, {}).values():
                self.decider.observe(resource, obj.key, obj)
        return brain

    def _deliver(self, resource: Resource) -> int:
        _, key, _, new = self._events[resource][0]
        if resource in self.decider.resources:
            self.decider.observe(resource, key, new)
            self._dirty = True
        return super()._deliver(resource)

    def _deliver_one(self) -> bool:
        if self.lag and self._dirty and self._random.random() < 0.5:
            self._decide()
            return True
        return super()._deliver_one()

    def _next_timer(self, until: int | None) -> bool:
        if self._dirty:
            self._decide()
            return True
        limit = self.clock if until is None else until
        timers = self.brain.timers
        if self._decide_at is not None and self._decide_at <= limit and (not timers or self._decide_at <= timers[0][0]):
            self.clock = max(self.clock, self._decide_at)
            self._decide()
            return True
        return super()._next_timer(until)

    def _decide(self) -> None:
        self._dirty = False
        actions, self._decide_at = self.decider.decide(self.clock)
        for action in actions:
            self._act(action)
        if actions:
            self._dirty = True

    def _act(self, action: Action) -> None:
        outcomes = []
        for write in action.step.writes:
            try:
                outcome = self._run(write_once(self._faulty, write))
            finally:
                self._look_at(write.resource)
            self.ledger.append(Wrote("admission", (write.ref.namespace, write.ref.name), write, outcome.result))
            outcomes.append(outcome)
            if not outcome.is_done:
                break
        if all(outcome.is_done for outcome in outcomes):
            self.notes += action.step.notes
        self.decider.concluded(action, outcomes)

    # ------------------------------------------------------------------ a small world

    def furnish(
        self,
        *,
        nodes: int = 1,
        cpu: str = "4",
        gpus: int = 0,
        quota: Mapping[str, str] | None = None,
        queue: Mapping[str, Any] | None = None,
    ) -> None:
        """Nodes, the flavor and queues `default`, and the priority classes low, normal and high."""
        for number in range(nodes):
            self.join(node(f"node-{number}", cpu, gpus))
        self.create(
            RESOURCE_FLAVORS,
            {
                "apiVersion": RESOURCE_FLAVORS.api_version,
                "kind": "ResourceFlavor",
                "metadata": {"name": "default"},
                "spec": {},
            },
            "",
        )
        quotas = dict(quota or {"cpu": cpu, "memory": "16Gi", **({"nvidia.com/gpu": str(gpus)} if gpus else {})})
        self.create(CLUSTER_QUEUES, cluster_queue("default", quotas, **(queue or {})), "")
        self.create(LOCAL_QUEUES, local_queue("default", "default"))
        for name, value in (("low", -100), ("normal", 0), ("high", 100)):
            self.create(
                WORKLOAD_PRIORITY_CLASSES,
                {
                    "apiVersion": WORKLOAD_PRIORITY_CLASSES.api_version,
                    "kind": "WorkloadPriorityClass",
                    "metadata": {"name": name},
                    "value": value,
                },
                "",
            )
        self.settle()

    def join(self, value: Json) -> None:
        """A node registers, reports what it has, and is found ready: the taint that admission gave it goes."""
        name = value["metadata"]["name"]
        self.create(NODES, value)
        self.edit(NODES, name, lambda stored: stored.update(status=value["status"]), "", "status")
        self.edit(NODES, name, lambda stored: stored.update(spec=value.get("spec", {})), "")

    def create(self, resource: Resource, value: Json, namespace: str = "default") -> Object:
        if resource in (RESOURCE_FLAVORS, CLUSTER_QUEUES, COHORTS, TOPOLOGIES, WORKLOAD_PRIORITY_CLASSES, NODES):
            return self.must(Create(resource, value))
        return super().create(resource, value, namespace)

    def workload_of(self, job: str, namespace: str = "default") -> Json:
        found = [
            item
            for item in self.all(WORKLOADS, namespace)
            if (item["metadata"].get("annotations") or {}).get("kueue.x-k8s.io/job-owner-name") == job
        ]
        assert len(found) == 1, f"{len(found)} Workloads of job {job}"
        return found[0]

    def condition(self, obj: Json, type: str) -> tuple[str, str]:
        """(status, reason) of a condition; ("", "") if it is not there."""
        for condition in (obj.get("status") or {}).get("conditions") or ():
            if condition["type"] == type:
                return condition["status"], condition.get("reason", "")
        return "", ""

    def job_state(self, name: str) -> str:
        """suspended | running | Complete | Failed"""
        value = self.the(JOBS, name)
        for type in ("Complete", "Failed"):
            if self.condition(value, type)[0] == "True":
                return type
        return "suspended" if value["spec"].get("suspend") else "running"

    def check_nothing_is_held(self) -> None:
        """No quota, node or device is in use by a workload, whatever Placements of finished ones are left."""
        self._decide()
        world = self.decider.world
        assert [key for key, standing in world.workloads.items() if standing.hold is not None] == []
        held = [name for kind, name, _ in world.fleet.digest_parts() if kind == "hold" and name.startswith("workload:")]
        assert held == []

    def check_devices(self) -> None:
        """No device, and no member of a gang, is given to two live pods."""
        holders: dict[tuple[str, str], str] = {}
        members: dict[tuple[str, str], str] = {}
        for pod in self.all(PODS):
            if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed") or not pod["spec"].get("nodeName"):
                continue
            annotations = pod["metadata"].get("annotations") or {}
            name = pod["metadata"]["name"]
            for device in filter(None, annotations.get("roadstead.dev/devices", "").split(",")):
                other = holders.setdefault((pod["spec"]["nodeName"], device), name)
                assert other == name, f"{device} is given to {other} and {name}"
            workload, member = annotations.get("kueue.x-k8s.io/workload"), annotations.get("roadstead.dev/member")
            if workload and member is not None:
                other = members.setdefault((workload, member), name)
                assert other == name, f"member {member} of {workload} is given to {other} and {name}"


def node(name: str, cpu: str, gpus: int = 0) -> Json:
    allocatable = {"cpu": cpu, "memory": "16Gi", "pods": "110"}
    metadata: Json = {"name": name, "labels": {"kubernetes.io/hostname": name}}
    if gpus:
        allocatable["nvidia.com/gpu"] = str(gpus)
        devices = ",".join(
            f'{{"name":"gpu-{i}","resource":"nvidia.com/gpu","index":{i},"healthy":true}}' for i in range(gpus)
        )
        metadata["annotations"] = {"roadstead.dev/node-devices": f"[{devices}]"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata,
        "status": {
            "allocatable": allocatable,
            "capacity": allocatable,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        },
    }


def cluster_queue(name: str, quotas: Mapping[str, str], **spec: Any) -> Json:
    return {
        "apiVersion": CLUSTER_QUEUES.api_version,
        "kind": "ClusterQueue",
        "metadata": {"name": name},
        "spec": {
            "namespaceSelector": {},
            "queueingStrategy": "BestEffortFIFO",
            "preemption": {"withinClusterQueue": "LowerPriority"},
            "resourceGroups": [
                {
                    "coveredResources": list(quotas),
                    "flavors": [
                        {
                            "name": "default",
                            "resources": [
                                {"name": resource, "nominalQuota": amount} for resource, amount in quotas.items()
                            ],
                        }
                    ],
                }
            ],
            **spec,
        },
    }


def local_queue(name: str, queue: str, **spec: Any) -> Json:
    return {
        "apiVersion": LOCAL_QUEUES.api_version,
        "kind": "LocalQueue",
        "metadata": {"name": name},
        "spec": {"clusterQueue": queue, **spec},
    }


def job(
    name: str,
    *,
    cpu: str = "1",
    gpus: int = 0,
    seconds: float | None = 5,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> Json:
    requests = {"cpu": cpu, **({"nvidia.com/gpu": str(gpus)} if gpus else {})}
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    template: Json = {
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "none", "resources": {"requests": requests, "limits": limits}}],
        }
    }
    if seconds is not None:
        template["metadata"] = {"annotations": {RUN_SECONDS: str(seconds)}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": dict(labels or {}), "annotations": dict(annotations or {})},
        "spec": {"template": template, **spec},
    }
