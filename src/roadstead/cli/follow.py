"""Follow one job from waiting to its end: say why it waits, print its output, know its exit code.

The follower asks again and again and believes only what is stored, so a server or an agent that restarts meanwhile
costs a pause and nothing else: output is read again from the byte after the last that was printed.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import httpx2

from roadstead.apiserver.app import ANSWERS_PREFIX
from roadstead.cli.client import Client, LogRefused
from roadstead.cli.failure import Failure
from roadstead.cli.status import condition
from roadstead.kinds.names import JOB_NAME_LABEL, PODS, WORKLOADS
from roadstead.kinds.object import Json, Object
from roadstead.runtime.cluster import Selector, Unavailable

STOPPED_SECONDS = 5.0
"""So long without a server's record, and the cluster was stopped rather than restarted."""
POLL_SECONDS = 0.1
"""Between looks at a job that changes state; its output is streamed, not polled."""
PATIENCE_SECONDS = 3.0
"""How long nothing may happen to a job before it is asked after."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended: its exit code (0: it is complete), and what there is to say about it."""

    exit_code: int
    message: str = ""


def waiting_reason(workload: Json) -> str:
    """What a workload that was not admitted is told (condition QuotaReserved=False)."""
    for entry in workload.get("status", {}).get("conditions") or ():
        if entry["type"] == "QuotaReserved" and entry["status"] == "False":
            return str(entry.get("message", ""))
    return ""


ENDS_BY_ITSELF: Final = frozenset(
    ("WaitingForQuota", "WaitingForPreemptedWorkloads", "WaitingForPodsReady", "PendingEvaluation")
)
"""Reasons of QuotaReserved=False that time alone may solve."""


def ends_by_itself(workload: Json) -> bool:
    """False where somebody has to act before the workload can start: change its request, or open its queue."""
    conditions = workload.get("status", {}).get("conditions") or ()
    refused = [entry for entry in conditions if entry["type"] == "QuotaReserved" and entry["status"] == "False"]
    return all(entry.get("reason") in ENDS_BY_ITSELF for entry in refused)


def container_states(pod: Json) -> Iterator[Json]:
    """The state of each container that has one: {"waiting" | "running" | "terminated": {...}}."""
    for status in pod.get("status", {}).get("containerStatuses") or ():
        yield status.get("state") or {}


def has_output(pod: Json) -> bool:
    return any("running" in state or "terminated" in state for state in container_states(pod))


def has_ended(pod: Json) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


async def pods_of(client: Client, job: Object) -> list[Object]:
    """The job's own pods, oldest first."""
    namespace, name = job.key
    listing = await client.cluster.list(PODS, namespace, Selector(labels=f"{JOB_NAME_LABEL}={name}"))
    mine = [pod for pod in listing.items if (pod.meta.controller and pod.meta.controller.uid == job.meta.uid)]
    return sorted(mine, key=lambda pod: (pod.meta.creation_timestamp or "", pod.meta.name))


async def workload_of(client: Client, job: Object) -> Json | None:
    """The Workload that stands for the job in its queue."""
    for workload in (await client.cluster.list(WORKLOADS, job.meta.namespace)).items:
        owner = workload.meta.controller
        if owner is not None and owner.uid == job.meta.uid:
            return workload.decode()
    return None


class Follower:
    """Follows `job` (this uid, not another one of its name). `say` gets remarks, `write` the output, byte for byte."""

    def __init__(self, client: Client, job: Object, say: Callable[[str], None], write: Callable[[bytes], None]) -> None:
        self._client = client
        self._job = job
        self._say = say
        self._write = write
        self._said = ""
        self._printed: dict[str, int] = {}  # uid of a pod -> bytes of its output that were printed
        self._done: set[str] = set()  # uids of pods whose output was printed to its end
        self._quiet_since = time.monotonic()
        self._stopped_since: float | None = None

    async def to_the_end(self) -> Ending:
        """The job's ending. Failure if the job is deleted before it ends, or the cluster is stopped on purpose; a
        server that was killed or does not answer is waited for."""
        while True:
            try:
                if (ending := await self._look()) is not None:
                    return ending
            except (Unavailable, httpx2.TransportError):
                if self._stays_stopped():
                    raise Failure(
                        f"the cluster was stopped while job {self._job.meta.name} was followed.",
                        f"Go on with: roadstead up, then roadstead logs -f {self._job.meta.name}",
                    ) from None
                self._tell("the server does not answer; still trying (`roadstead up` brings it back)")
            except LogRefused as error:
                self._tell(f"the output cannot be read, still trying: {error.what}")
            await asyncio.sleep(POLL_SECONDS)

    def _stays_stopped(self) -> bool:
        """True once the cluster has been down on purpose for a while: a starting server has no record for a moment
        either."""
        if not self._client.was_stopped:
            self._stopped_since = None
            return False
        now = time.monotonic()
        self._stopped_since = self._stopped_since or now
        return now - self._stopped_since > STOPPED_SECONDS

    async def _look(self) -> Ending | None:
        job = await self._read_job()  # before the pods: a job that has ended then gets no more of them
        for pod in await pods_of(self._client, self._job):
            if pod.meta.uid not in self._done and has_output(pod.decode()):
                await self._stream(pod)
        if condition(job, "Complete"):
            return Ending(0)
        if failed := condition(job, "Failed"):
            return await self._failure(str(failed.get("message", "")))
        await self._say_why_it_waits(job)
        return None

    async def _read_job(self) -> Json:
        found = await self._client.cluster.get(self._job.ref)
        if found is None or found.meta.uid != self._job.meta.uid:
            raise Failure(
                f"job {self._job.meta.name} was deleted before it ended.", "Submit it again with: roadstead run"
            )
        return found.decode()

    async def _stream(self, pod: Object) -> None:
        uid = pod.meta.uid
        if uid not in self._printed:
            self._printed[uid] = 0
            self._tell(f"running as pod {pod.meta.name}")
        container = pod.decode()["spec"]["containers"][0]["name"]
        options = {"fromByte": str(self._printed[uid])}
        is_refused = False
        try:
            async with self._client.log(
                pod.meta.namespace, pod.meta.name, container, follow=True, options=options
            ) as chunks:
                async for chunk in chunks:
                    self._write(chunk)
                    self._printed[uid] += len(chunk)
        except LogRefused as error:
            if error.status not in (400, 404):
                raise
            is_refused = error.status == 400  # it could not start: its end, or whoever asks what keeps it, says why
        now = await self._client.cluster.get(pod.ref)  # a stream that was cut off ends like one that is complete
        if now is None or now.meta.uid != uid or has_ended(now.decode()):
            self._done.add(uid)
        if not is_refused:
            self._quiet_since = time.monotonic()

    async def _failure(self, message: str) -> Ending:
        """The ending of the last pod that failed, as a shell would report it; 1 if no process did."""
        for pod in reversed(await pods_of(self._client, self._job)):
            for state in container_states(pod.decode()):
                ended = state.get("terminated")
                if ended and ended["exitCode"]:
                    return Ending(int(ended["exitCode"]), how_it_ended(ended))
        return Ending(1, message or "no process of it failed; see: kubectl describe job " + self._job.meta.name)

    async def _say_why_it_waits(self, job: Json) -> None:
        if job["spec"].get("suspend"):
            workload = await workload_of(self._client, self._job)
            if workload is not None and (reason := waiting_reason(workload)):
                preempted = condition(workload, "Preempted") is not None
                self._tell(f"preempted, waiting to resume: {reason}" if preempted else f"waiting: {reason}")
                return
        if time.monotonic() - self._quiet_since > PATIENCE_SECONDS:
            self._quiet_since = time.monotonic()
            self._tell(await self._what_keeps_it())

    async def _what_keeps_it(self) -> str:
        for pod in reversed(await pods_of(self._client, self._job)):
            node = pod.decode()["spec"].get("nodeName")
            if node:
                return (
                    f"waiting: node {node} has not started pod {pod.meta.name} yet; is its agent up? (roadstead status)"
                )
        namespace, name = self._job.key
        answer = await self._client.ask(f"{ANSWERS_PREFIX}why/{namespace}/{name}")
        return f"waiting: {answer['headline']}"

    def _tell(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._say(text)


def how_it_ended(terminated: Json) -> str:
    """A container's end in words: the reason where there is one beside the exit code."""
    code, reason, message = terminated["exitCode"], terminated.get("reason", ""), terminated.get("message", "")
    if reason == "OOMKilled":
        return f"it used more memory than it may (OOMKilled, exit code {code}); ask for more with --memory"
    if reason not in ("", "Error"):
        return f"{message or reason} ({reason}, exit code {code})"
    number = terminated.get("signal") or (code - 128 if code > 128 else 0)
    if number in {sign.value for sign in signal.Signals}:
        return f"ended by {signal.Signals(number).name} (exit code {code})"
    return f"exit code {code}"
