"""Telling the story: submit, look at the stored objects, print what changed, judge at the end."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from string import Template

import click

from roadstead.apiserver.app import ANSWERS_PREFIX
from roadstead.cli.client import Client
from roadstead.cli.demo.story import (
    BORROWER,
    DIGITS,
    PARTS,
    SURVEY,
    SWEEP,
    TEAMS,
    TOGETHER,
    URGENT,
    WITHIN_COHORT,
    Borrowed,
    Part,
    Seen,
    borrowed,
    is_true,
    judge,
    report_of,
    true_condition,
)
from roadstead.cli.failure import Failure
from roadstead.cli.follow import waiting_reason
from roadstead.cli.home import Home
from roadstead.cli.output import wants_colour
from roadstead.cli.reasons import reason_lines
from roadstead.kinds.manifest import read_manifests
from roadstead.kinds.names import CLUSTER_QUEUES, JOB_NAME_LABEL, JOBS, PLACEMENTS, PODS, WORKLOADS
from roadstead.kinds.object import Json, Object, Ref
from roadstead.kinds.served import default_registry
from roadstead.runtime.cluster import Create, Selector

LOOK_SECONDS = 0.15
TRAINED_ENOUGH_SECONDS = 2.0
"""How long those train after their first checkpoint who will have to yield."""
STATUS_SECONDS = 15.0
"""Longest that the status of a queue may lag behind the end of the last job."""


@dataclass(slots=True)
class Watched:
    """What was last told about one part."""

    submitted: bool = False
    state: str = ""
    waits: str = ""
    preempted: set[str] = field(default_factory=set)
    runs: int = 0
    checkpoint_at: float | None = None
    job: Json | None = None
    workload: Json | None = None
    pods: list[Json] = field(default_factory=list)


class Teller:
    def __init__(self, home: Home, scratch: Path, python: str) -> None:
        self._home = home
        self._scratch = scratch
        self._python = python
        self._begin = time.monotonic()
        self._parts = {part.name: Watched() for part in PARTS}
        self._most_borrowed = dict.fromkeys(TEAMS, 0)
        self._borrowed = dict.fromkeys(TEAMS, 0)

    def introduce(self, url: str) -> None:
        self._say(
            "a cluster of its own is up: one machine with 8 simulated H100s. Team vision of research has 4; team speech of products has 2, "
            "and its department a pool of 2; whatever is idle is lent",
            bold=True,
        )
        click.echo(f"        look with kubectl:  export KUBECONFIG={self._home.kubeconfig}   ({url})")

    async def tell(self, limit_seconds: float) -> int:
        async with Client(self._home) as client:
            await self._submit(client, "queues.yaml")
            await self._submit_part(client, DIGITS)
            deadline = self._begin + limit_seconds
            while not self._has_ended():
                await self._look_at_all(client)
                for part in PARTS:
                    if not self._parts[part.name].submitted and self._is_time_for(part):
                        await self._submit_part(client, part)
                if time.monotonic() > deadline:
                    self._say(f"not over after {limit_seconds:.0f} s", bold=True)
                    break
                await asyncio.sleep(LOOK_SECONDS)
            deadline = time.monotonic() + STATUS_SECONDS
            await self._look_at_all(client)
            while any(self._borrowed.values()) and time.monotonic() < deadline:
                await asyncio.sleep(LOOK_SECONDS)
                await self._look_at_all(client)
        return self._close()

    def _has_ended(self) -> bool:
        """Nobody runs or waits any more: all went well, or somebody ended before the next one's time came."""
        submitted = [watched for watched in self._parts.values() if watched.submitted]
        return all(self._is_over(watched) for watched in submitted)

    def _is_time_for(self, part: Part) -> bool:
        """What has to be seen before the next of them comes."""
        match part:
            case _ if part == SURVEY:
                return self._runs(DIGITS)
            case _ if part == URGENT:  # both have something to lose, and the loan is in the books
                trained = self._has_trained(DIGITS) and self._has_trained(SURVEY)
                return trained and self._borrowed[BORROWER] > 0
            case _ if part == TOGETHER:
                return self._runs(URGENT)
            case _ if part == SWEEP:
                return self._runs(TOGETHER)
        return False

    def _runs(self, part: Part) -> bool:
        return self._parts[part.name].state == "running"

    def _has_trained(self, part: Part) -> bool:
        watched = self._parts[part.name]
        if watched.checkpoint_at is None and (self._scratch / part.name / "model.pickle").exists():
            watched.checkpoint_at = time.monotonic()
        return watched.checkpoint_at is not None and time.monotonic() - watched.checkpoint_at > TRAINED_ENOUGH_SECONDS

    @staticmethod
    def _is_over(watched: Watched) -> bool:
        ended = is_true(watched.job, "Complete") or is_true(watched.job, "Failed")
        return ended and is_true(watched.workload, "Finished")

    # ------------------------------------------------------------------ submitting

    async def _submit_part(self, client: Client, part: Part) -> None:
        self._parts[part.name].submitted = True
        self._say(f"{part.namespace} submits {part.name}: {part.says}")
        await self._submit(client, part.manifest)

    async def _submit(self, client: Client, manifest: str) -> None:
        work = resources.files("roadstead.cli.demo") / "work"
        text = (resources.files("roadstead.cli.demo") / "manifests" / manifest).read_text()
        filled = Template(text).substitute(PYTHON=self._python, WORK=str(work), SCRATCH=str(self._scratch))
        for value in read_manifests(filled):
            kind = default_registry().by_kind(value["apiVersion"], value["kind"])
            assert kind is not None, value["kind"]
            outcome = await client.cluster.write(Create(kind.resource, value))
            if not outcome.is_done:
                raise Failure(f"{manifest} was refused: {outcome.message}")

    # ------------------------------------------------------------------ looking

    async def _look_at_all(self, client: Client) -> None:
        for part in PARTS:
            await self._look(client, part)
        for team in TEAMS:
            await self._look_at_queue(client, team)

    async def _look_at_queue(self, client: Client, team: str) -> None:
        queue = await client.cluster.get(Ref(CLUSTER_QUEUES, "", team))
        amount = borrowed(queue.decode()) if queue is not None else 0
        if amount != self._borrowed[team]:
            self._borrowed[team] = amount
            self._most_borrowed[team] = max(amount, self._most_borrowed[team])
            said = f"uses {amount} GPUs that others leave idle" if amount else "has given back all it borrowed"
            self._say(f"ClusterQueue {team} {said}", bold=True)

    async def _look(self, client: Client, part: Part) -> None:
        watched = self._parts[part.name]
        if not watched.submitted:
            return
        job = await client.cluster.get(Ref(JOBS, part.namespace, part.name))
        if job is None:
            return
        watched.job = job.decode()
        workload = await self._workload_of(client, job)
        watched.workload = workload.decode() if workload else None
        selector = Selector(labels=f"{JOB_NAME_LABEL}={part.name}")
        watched.pods = [pod.decode() for pod in (await client.cluster.list(PODS, part.namespace, selector)).items]
        await self._report(client, part, watched, workload)

    async def _workload_of(self, client: Client, job: Object) -> Object | None:
        for workload in (await client.cluster.list(WORKLOADS, job.meta.namespace)).items:
            owner = workload.meta.controller
            if owner is not None and owner.uid == job.meta.uid:
                return workload
        return None

    async def _report(self, client: Client, part: Part, watched: Watched, workload: Object | None) -> None:
        preempted = true_condition(watched.workload, "Preempted")
        if preempted is not None and preempted["reason"] not in watched.preempted:
            watched.preempted.add(preempted["reason"])
            why = "what was lent is wanted back" if preempted["reason"] == WITHIN_COHORT else "a higher priority comes"
            self._say(f"{part.name} is preempted ({why}): it writes a checkpoint and yields its GPUs", bold=True)
        state = self._state(watched)
        if state != watched.state:
            watched.state = state
            if state == "running" and workload is not None:
                watched.runs += 1
                where = await self._placement(client, workload)
                self._say(f"{part.name} {'goes on' if watched.runs > 1 else 'starts'} on {where}", bold=True)
                if watched.waits:
                    watched.waits = ""
                    await self._explain(client, part)
            elif state in ("complete", "failed"):
                results = [report for pod in watched.pods if (report := report_of(pod))]
                shown = ", ".join(f"{name} {value}" for name, value in (results[0] if results else {}).items())
                self._say(f"{part.name} is {state}: {shown or 'no report'}", bold=True)
        if state == "waiting" and watched.workload is not None:
            reason = waiting_reason(watched.workload)
            if reason and reason != watched.waits:
                watched.waits = reason
                await self._explain(client, part)

    async def _explain(self, client: Client, part: Part) -> None:
        """What `roadstead why` says of it now."""
        answer = await client.ask(f"{ANSWERS_PREFIX}why/{part.namespace}/{part.name}")
        self._say(f"why {part.name}? {answer['headline']}")
        for line in (*reason_lines(answer), *answer["details"]):
            click.echo(f"           {line}")

    @staticmethod
    def _state(watched: Watched) -> str:
        if is_true(watched.job, "Complete"):
            return "complete"
        if is_true(watched.job, "Failed"):
            return "failed"
        if not is_true(watched.workload, "Admitted"):
            return "waiting"
        return "running" if any(pod["status"].get("phase") == "Running" for pod in watched.pods) else "admitted"

    @staticmethod
    async def _placement(client: Client, workload: Object) -> str:
        found = await client.cluster.get(Ref(PLACEMENTS, workload.meta.namespace, workload.meta.name))
        if found is None:
            return "no recorded place"
        members = [member for pod_set in found.decode()["spec"]["podSets"] for member in pod_set["members"]]
        return " and ".join(f"{member['node']} {','.join(member.get('devices', ()))}" for member in members)

    # ------------------------------------------------------------------ the end

    def _close(self) -> int:
        seen = {
            name: Seen(
                watched.job,
                watched.workload,
                [report for pod in watched.pods if (report := report_of(pod))],
                watched.preempted,
            )
            for name, watched in self._parts.items()
        }
        wrong = judge(seen, {team: Borrowed(self._most_borrowed[team], self._borrowed[team]) for team in TEAMS})
        for complaint in wrong:
            click.echo(f"  WRONG: {complaint}", err=True)
        if wrong:
            return 1
        steps = {part.name: seen[part.name].reports[0]["resumed_from"] for part in (DIGITS, SURVEY)}
        self._say("all five jobs ended as they should; two yielded and lost nothing:", bold=True)
        self._say(f"  digits made way for a deadline of its own team and went on from step {steps[DIGITS.name]}")
        loan = self._most_borrowed[BORROWER]
        self._say(
            f"  survey ran on {loan} borrowed GPUs, gave them back when they were wanted, and went on from step {steps[SURVEY.name]}"
        )
        return 0

    def _say(self, text: str, *, bold: bool = False) -> None:
        stamp = f"{time.monotonic() - self._begin:5.1f} s"
        click.echo(f"{stamp}  {click.style(text, bold=True) if bold and wants_colour() else text}")
