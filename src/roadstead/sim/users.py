"""The users of a simulated cluster: they do what the story says, one thing after another, and put everything right at
the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import orjson

from roadstead.kinds.names import (
    CLUSTER_QUEUES,
    JOBS,
    NODE_DEVICES_ANNOTATION,
    NODES,
    PLACEMENTS,
    PODS,
    PRIORITY_CLASS_LABEL,
    RUN_FOR_ANNOTATION,
    WORKLOAD_PRIORITY_CLASSES,
)
from roadstead.kinds.object import Json, Object, Ref, Resource
from roadstead.runtime.cluster import Cluster, Create, Delete, Outcome, Result, Unavailable, Update, Write
from roadstead.runtime.writing import write_once
from roadstead.sim.history import History
from roadstead.sim.plan import Act, JobPlan, Plan
from roadstead.sim.plan.world import GPU

RETRY_SECONDS: Final = 0.3
MOST_TRIES: Final = 400


@dataclass(frozen=True, slots=True)
class _Late:
    """Submitting a job is an act, too."""

    at: float
    job: JobPlan


class Users:
    """All users as one task."""

    def __init__(self, plan: Plan, cluster: Cluster, history: History, seconds: Callable[[], float]) -> None:
        self._plan = plan
        self._cluster = cluster
        self._history = history
        self._seconds = seconds
        self.submitted: dict[str, Ref] = {}
        """Jobs that were acknowledged, by name."""
        self.lost_placements: set[str] = set()
        """Uids of Placements that were deleted by hand."""

    async def furnish(self) -> None:
        """Create namespaces, flavors and queues."""
        for write in self._plan.world.furniture():
            await self._insist(write)

    async def play(self) -> None:
        """The whole story."""
        jobs = {job.name: job for job in self._plan.jobs}
        todo: Sequence[Act | _Late] = [*(_Late(job.at, job) for job in self._plan.jobs), *self._plan.acts]
        for act in sorted(todo, key=lambda one: one.at):
            await asyncio.sleep(max(0.0, act.at - self._seconds()))
            if isinstance(act, _Late):
                await self.submit(act.job)
            else:
                self._history.add("user", f"{act.verb} {act.target} {act.value}".rstrip())
                await self._do(act, jobs.get(act.target))

    async def submit(self, job: JobPlan) -> None:
        self._history.add("user", f"submits {job}")
        outcome = await self._insist(Create(JOBS, job.manifest()))
        if outcome.result in (Result.DONE, Result.EXISTS):
            self.submitted[job.name] = Ref(JOBS, job.namespace, job.name)

    async def restore(self) -> None:
        """Put queues and nodes back as they were, let held jobs go on."""
        for queue in self._plan.world.queues:
            wanted = queue.manifest()["spec"]

            def reset(value: Json, wanted: Json = wanted) -> None:
                value["spec"]["resourceGroups"] = wanted["resourceGroups"]
                value["spec"]["stopPolicy"] = "None"

            await self.edit(Ref(CLUSTER_QUEUES, "", queue.name), reset)
        for node in self._plan.world.nodes:
            await self.edit(Ref(NODES, "", node.name), lambda value: value["spec"].pop("unschedulable", None))
        for ref in self.submitted.values():
            found = await self.read(ref)
            if found is not None and found.meta.deletion_timestamp is None:
                await self.edit(ref, _resume)

    # ------------------------------------------------------------------ the verbs

    async def _do(self, act: Act, job: JobPlan | None) -> None:
        if job is not None:
            await self._do_to_job(act, job)
            return
        node, queue = Ref(NODES, "", act.target), Ref(CLUSTER_QUEUES, "", act.target)
        match act.verb:
            case "quota":
                await self.edit(queue, lambda value: _scale_quota(value, int(act.value)))
            case "stop":
                await self.edit(queue, lambda value: value["spec"].update(stopPolicy=act.value))
            case "cordon":
                await self.edit(node, lambda value: value["spec"].update(unschedulable=True))
            case "remove-node":
                await self._delete(node, "Background")
            case "sick-device":
                await self.edit(node, _make_sick)
            case "class":
                await self.edit(
                    Ref(WORKLOAD_PRIORITY_CLASSES, "", act.target), lambda value: value.update(value=int(act.value))
                )
            case "pod":
                await self._insist(Create(PODS, _bare_pod(act.target, int(act.value))))
            case verb:
                raise ValueError(f"users do not know how to {verb}")

    async def _do_to_job(self, act: Act, job: JobPlan) -> None:
        ref = Ref(JOBS, job.namespace, job.name)
        match act.verb:
            case "delete":
                await self._delete(ref, act.value)
            case "recreate":
                await self._delete(ref, "Background")
                await self.submit(replace(job, failures=0))
            case "suspend":
                await self.edit(ref, lambda value: value["spec"].update(suspend=True))
            case "resume":
                await self.edit(ref, _resume)
            case "priority":
                await self.edit(ref, lambda value: _label(value, PRIORITY_CLASS_LABEL, act.value))
            case "parallelism":
                await self.edit(ref, lambda value: value["spec"].update(parallelism=int(act.value)))
            case "lose-place":
                for placement in await self.list(PLACEMENTS):
                    if placement.meta.name.startswith(f"job-{job.name}-"):
                        self.lost_placements.add(placement.meta.uid)
                        await self.delete(placement.ref)
            case "touch":
                await self.edit(ref, lambda value: _label(value, "touched", act.value or "yes"))
            case verb:
                raise ValueError(f"users do not know how to {verb} a job")

    # ------------------------------------------------------------------ as kubectl does it

    async def read(self, ref: Ref) -> Object | None:
        while True:
            try:
                return await self._cluster.get(ref)
            except Unavailable:
                await asyncio.sleep(RETRY_SECONDS)

    async def list(self, resource: Resource) -> Sequence[Object]:
        while True:
            try:
                return (await self._cluster.list(resource)).items
            except Unavailable:
                await asyncio.sleep(RETRY_SECONDS)

    async def edit(self, ref: Ref, change: Callable[[Json], object]) -> None:
        """Read, change, write; again on conflicts. Nothing happens to what is gone or may not be changed."""
        for _ in range(MOST_TRIES):
            found = await self.read(ref)
            if found is None:
                return
            value = found.decode()
            change(value)
            outcome = await write_once(self._cluster, Update(ref.resource, value))
            if outcome.result in (Result.DONE, Result.INVALID, Result.MISSING):
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def _delete(self, ref: Ref, propagation: str) -> None:
        found = await self.read(ref)
        if found is not None:
            await self._insist(Delete(ref, found.meta.uid, propagation=propagation))

    async def delete(self, ref: Ref) -> None:
        """Delete in the background."""
        await self._delete(ref, "Background")

    async def _insist(self, write: Write) -> Outcome:
        for _ in range(MOST_TRIES):
            outcome = await write_once(self._cluster, write)
            if outcome.result in (Result.DONE, Result.EXISTS, Result.INVALID):
                return outcome
            if isinstance(write, Delete) and outcome.result in (Result.MISSING, Result.CONFLICT):
                return outcome
            await asyncio.sleep(RETRY_SECONDS)
        return outcome


def _resume(value: Json) -> None:
    """A queued job's suspension is admission's business; others run again."""
    if "kueue.x-k8s.io/queue-name" not in (value["metadata"].get("labels") or {}):
        value["spec"]["suspend"] = False


def _label(value: Json, name: str, text: str) -> None:
    value["metadata"].setdefault("labels", {})[name] = text


def _scale_quota(value: Json, percent: int) -> None:
    for group in value["spec"]["resourceGroups"]:
        for flavor in group["flavors"]:
            for one in flavor["resources"]:
                one["nominalQuota"] = str(int(one["nominalQuota"]) * percent // 100)
                if "lendingLimit" in one:
                    one["lendingLimit"] = str(min(int(one["lendingLimit"]), int(one["nominalQuota"])))


def _make_sick(value: Json) -> None:
    annotations = value["metadata"].get("annotations") or {}
    devices = orjson.loads(annotations.get(NODE_DEVICES_ANNOTATION) or "[]")
    if devices:
        devices[0]["healthy"] = False
        annotations[NODE_DEVICES_ANNOTATION] = orjson.dumps(devices).decode()


def _bare_pod(name: str, gpus: int) -> Json:
    requests = {"cpu": "1", **({GPU: str(gpus)} if gpus else {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "annotations": {RUN_FOR_ANNOTATION: "6"}},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "none", "resources": {"requests": requests, "limits": requests}}],
        },
    }
