"""Follow one job from waiting to its end: say why it waits, print its output, know its exit code."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass

from roadstead.cli.client import Client
from roadstead.cli.failure import Failure
from roadstead.kinds.names import JOB_NAME_LABEL, JOBS, PODS, WORKLOADS
from roadstead.kinds.object import Json, Object, Ref
from roadstead.runtime.cluster import Selector, Unavailable

POLL_SECONDS = 0.2
"""Between looks at a job that changes state; its output is streamed, not polled."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended: its exit code if its process had one."""

    exit_code: int
    reason: str = ""
    message: str = ""


def condition(obj: Json, name: str) -> Json | None:
    """The condition of this type if it is True."""
    for entry in obj.get("status", {}).get("conditions") or ():
        if entry["type"] == name and entry["status"] == "True":
            found: Json = entry
            return found
    return None


def waiting_reason(workload: Json) -> str:
    """What a workload that was not admitted is told (condition QuotaReserved=False)."""
    for entry in workload.get("status", {}).get("conditions") or ():
        if entry["type"] == "QuotaReserved" and entry["status"] == "False":
            return str(entry.get("message", ""))
    return ""


class Follower:
    """Follows a job of this name and uid; `say` gets remarks, output goes to stdout byte by byte."""

    def __init__(self, client: Client, job: Object, say: Callable[[str], None]) -> None:
        self._client = client
        self._job = job
        self._say = say
        self._said = ""
        self._followed: set[tuple[str, str]] = set()

    async def to_the_end(self) -> Ending:
        while True:
            job = await self._read_job()
            pod = await self._newest_pod()
            if pod is not None:
                await self._stream(pod)
            job = await self._read_job()
            if (ending := await self._ending(job)) is not None:
                return ending
            await self._tell(job)
            await asyncio.sleep(POLL_SECONDS)

    async def _read_job(self) -> Json:
        while True:
            try:
                found = await self._client.cluster.get(self._job.ref)
            except Unavailable:
                self._tell_once("the server does not answer; still trying")
                await asyncio.sleep(1.0)
                continue
            if found is None or found.meta.uid != self._job.meta.uid:
                raise Failure(f"job {self._job.meta.name} was deleted while it was followed.", exit_code=1)
            return found.decode()

    async def _pods(self) -> list[Object]:
        namespace, name = self._job.key
        selector = Selector(labels=f"{JOB_NAME_LABEL}={name}")
        listing = await self._client.cluster.list(PODS, namespace, selector)
        mine = [pod for pod in listing.items if (pod.meta.controller and pod.meta.controller.uid == self._job.meta.uid)]
        return sorted(mine, key=lambda pod: (pod.meta.creation_timestamp or "", pod.meta.name))

    async def _newest_pod(self) -> Object | None:
        """The newest pod whose output was not printed yet and that has something to print."""
        for pod in reversed(await self._pods()):
            statuses = pod.decode().get("status", {}).get("containerStatuses") or ()
            started = any("running" in status["state"] or "terminated" in status["state"] for status in statuses)
            if started and (pod.meta.uid, "") not in self._followed:
                return pod
        return None

    async def _stream(self, pod: Object) -> None:
        self._followed.add((pod.meta.uid, ""))
        self._tell_once(f"running as pod {pod.meta.name}")
        container = pod.decode()["spec"]["containers"][0]["name"]
        out = sys.stdout.buffer
        async with self._client.log(pod.meta.namespace, pod.meta.name, container, follow=True) as chunks:
            async for chunk in chunks:
                out.write(chunk)
                out.flush()

    async def _ending(self, job: Json) -> Ending | None:
        if condition(job, "Complete"):
            return Ending(0)
        failed = condition(job, "Failed")
        if failed is None:
            return None
        return Ending(await self._exit_code(), failed.get("reason", ""), failed.get("message", ""))

    async def _exit_code(self) -> int:
        """The exit code of the last container that failed, as a shell reports it; 1 if none is known."""
        for pod in reversed(await self._pods()):
            for status in pod.decode().get("status", {}).get("containerStatuses") or ():
                ended = status["state"].get("terminated")
                if ended and ended["exitCode"]:
                    return int(ended["exitCode"])
        return 1

    async def _tell(self, job: Json) -> None:
        if not job["spec"].get("suspend"):
            return
        namespace, _ = self._job.key
        for workload in (await self._client.cluster.list(WORKLOADS, namespace)).items:
            owner = workload.meta.controller
            if owner is not None and owner.uid == self._job.meta.uid:
                value = workload.decode()
                if condition(value, "Preempted") and not condition(value, "QuotaReserved"):
                    self._tell_once("preempted; waiting to resume")
                if reason := waiting_reason(value):
                    self._tell_once(f"waiting: {reason}")

    def _tell_once(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._say(text)


def job_ref(namespace: str, name: str) -> Ref:
    return Ref(JOBS, namespace, name)
