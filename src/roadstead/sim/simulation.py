"""One simulation: the parts of production wired to a virtual machine room, and the judges beside it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import tempfile
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

from roadstead.cluster.embedded.history import Limits
from roadstead.cluster.embedded.log import Row
from roadstead.compose.embedded import controllers
from roadstead.controllers.admission import PLACE_ALL
from roadstead.kinds.names import JOBS, PODS, WORKLOADS
from roadstead.kinds.object import Ref
from roadstead.kinds.served import default_registry
from roadstead.node.agent.agent import Agent
from roadstead.node.agent.options import AgentOptions, NodeOptions
from roadstead.runtime.cluster import Delete, Outcome, Result, Write
from roadstead.runtime.runner import Runner
from roadstead.sim.chance import Chance
from roadstead.sim.disk import Disk
from roadstead.sim.history import History
from roadstead.sim.judges import JobsJudge, Judge, PlacesJudge, PodsJudge, QuotaJudge, VersionsJudge
from roadstead.sim.judges.base import Past, key_of, path_of
from roadstead.sim.judges.digests import WatchedDecider
from roadstead.sim.judges.ends import (
    complaints_about_jobs,
    complaints_about_leftovers,
    complaints_about_reservations,
    is_held_by_user,
    is_possible,
    unfinished,
    waiting_without_a_word,
)
from roadstead.sim.judges.replays import Record, complaints_about_replay
from roadstead.sim.loop import VirtualLoop
from roadstead.sim.machines import MachineRuntime, Machines
from roadstead.sim.mishaps import Mishaps
from roadstead.sim.network import Link, Weather
from roadstead.sim.plan import Plan
from roadstead.sim.plan.story import STORY_SECONDS
from roadstead.sim.plan.world import POOL_LABEL
from roadstead.sim.process import Life, Process
from roadstead.sim.server import Server
from roadstead.sim.users import Users

USER_MANAGER: Final = "users"
STEP_SECONDS: Final = 5.0
SETTLE_SECONDS: Final = 45.0
PATIENCE_SECONDS: Final = 3600.0
MOST_CHANGES: Final = 20_000
"""So many are far more than any story needs."""


class Simulation:
    """Built inside its loop. `directory` is where agents keep what they keep on disk."""

    JUDGES: ClassVar[tuple[type[Judge], ...]] = (VersionsJudge, JobsJudge, QuotaJudge, PlacesJudge, PodsJudge)
    """Told every change that is committed."""
    OTHER_JUDGES: ClassVar = frozenset(
        {"digest", "caches", "end", "machines", "processes", "log", "invalid", "restless", "replay"}
    )
    """Names under which others complain."""

    def __init__(self, plan: Plan, loop: VirtualLoop, history: History, directory: Path) -> None:
        self.plan = plan
        self.loop = loop
        self.history = history
        self._directory = directory
        self._links: list[Link] = []
        self._records: list[Record] = []
        self._passed = 0
        self._changes = 0
        self.registry = default_registry()
        self.past = Past()
        self.versions = VersionsJudge(self.past, self.complain)
        self.jobs = JobsJudge(self.past, self.complain)
        others = (judge(self.past, self.complain) for judge in (QuotaJudge, PlacesJudge, PodsJudge))
        self.judges: tuple[Judge, ...] = (self.versions, self.jobs, *others)
        self.complaints: list[str] = []
        self._failed = asyncio.Event()
        loop.on_standstill = partial(self.complain, "restless", "very much happens and no time passes")
        self.disk = Disk(self._committed)
        self._disk_chance = Chance.named(plan.seed, "disk")
        loop.thread_delay = lambda executor: (
            self._disk_chance.random() * plan.faults.disk_seconds if executor is not None else 0.0
        )
        chance = Chance.named(plan.seed, "server")
        self.server = Server(loop, self.disk, self.registry, chance, Limits(changes=plan.world.history))
        self.server.on_crash.append(self.break_connections)
        self.machines = Machines(loop, Chance.named(plan.seed, "machines"), partial(self.complain, "machines"))
        self.weather = Weather.of(plan.faults.rates)
        self.agent_weather: dict[int, Weather] = {}
        self.clock_offset: dict[int, int] = {}
        self.controllers = Process(loop, "controllers", self._controllers, self._died)
        self.agents: dict[int, Process] = {}
        for number in sorted({node.agent for node in plan.world.nodes}):
            self.agent_weather[number] = Weather.of(plan.faults.agent_rates)
            self.clock_offset[number] = 0
            self.agents[number] = Process(loop, f"agent{number}", self._agent_body(number), self._died)
        user_life = Life(loop, USER_MANAGER)
        self.users = Users(plan, self._link(user_life, Weather(), "users"), history, loop.time)
        for judge in self.judges:
            if isinstance(judge, PodsJudge):
                judge.lost = self.users.lost_placements
        self.runner: Runner | None = None
        self.decider: WatchedDecider | None = None
        self.mishaps = Mishaps(self)
        for judge in self.judges:
            judge.cut_off = self.mishaps.cut_off

    # ------------------------------------------------------------------ the processes

    def _link(self, life: Life, weather: Weather, *names: object, **hooks: Any) -> Link:
        chance = Chance.named(self.plan.seed, "network", *names)
        link = Link(self.loop, self.server, life, weather, chance, self._heard, **hooks)
        self._passed += sum(known.passed for known in self._links if known.life.is_over)
        self._links = [known for known in self._links if not known.life.is_over]
        self._links.append(link)
        return link

    @property
    def events(self) -> int:
        """What has happened so far: requests, events received, changes committed, processes started and ended."""
        passed = self._passed + sum(link.passed for link in self._links)
        return passed + self._changes + len(self.machines.ledger.started) + len(self.machines.ledger.ended)

    @property
    def compared(self) -> int:
        """How often the world of the living decider was held against one built anew."""
        return self.decider.compared if self.decider is not None else 0

    def break_connections(self, error: BaseException | None = None, of: Weather | None = None) -> None:
        """Every watch of everybody (or of those under one weather) ends: with Expired, say, or as a connection that
        broke."""
        for link in self._links:
            if of is None or link.weather is of:
                link.break_watches(error)

    async def _controllers(self, life: Life) -> None:
        # Whoever follows a dead leader has waited for its lease to end, and no request outlives that; in the embedded
        # world the server died with it.
        for link in self._links:
            if link.life.is_over and link.life.name == life.name:
                link.close()
        mishaps = self.mishaps
        hooks = {"before_write": mishaps.before_write, "after_write": mishaps.after_write}
        link = self._link(life, self.weather, "controllers", self.controllers.starts, **hooks)
        record = Record()
        self._records.append(record)
        decider = WatchedDecider([kind.resource for kind in self.registry], self.complain, record.note)
        runner = Runner(
            link,
            controllers(self.registry, "the cluster's authority"),
            [decider],
            clock=self.loop,
            workers=self.plan.world.workers,
        )
        decider.caches = runner.caches
        self.runner, self.decider = runner, decider
        await runner.run()

    def _agent_body(self, number: int) -> Callable[[Life], Coroutine[Any, Any, None]]:
        nodes = [node for node in self.plan.world.nodes if node.agent == number]

        async def body(life: Life) -> None:
            link = self._link(life, self.agent_weather[number], "agent", number, self.agents[number].starts)

            def now() -> int:
                return self.loop.now() + self.clock_offset[number]

            options = AgentOptions(
                state=self._directory / f"agent{number}",
                nodes=tuple(
                    NodeOptions(
                        node.name,
                        node.profile,
                        str(node.cpu),
                        simulate=True,
                        labels=((POOL_LABEL, node.pool),) if node.pool else (),
                    )
                    for node in nodes
                ),
                isolation="bare",
                inherit_environment=False,
                now=now,
            )
            agent = Agent(link, options)
            agent.timers = MachineRuntime(self.machines, now)
            for node in nodes:
                self.machines.listen(node.name, agent._wake)
            await agent.run()

        return body

    def _died(self, name: str, error: BaseException | None) -> None:
        self.complain("processes", f"the process {name} ended by itself: {error!r}")

    # ------------------------------------------------------------------ what judges hear

    def _committed(self, rows: Sequence[Row]) -> None:
        seconds = self.loop.time()
        for row in rows:
            self.history.add("disk", f"{row.rv} {row.op} {row.key} {len(row.value)}")
            change = self.past.take(row, seconds)
            for judge in self.judges:
                judge.changed(change)
        self._changes += len(rows)
        if self._changes - len(rows) < MOST_CHANGES <= self._changes:
            self.complain("restless", f"{self._changes} changes were committed: somebody does not come to rest")

    def _heard(self, life: Life, write: Write, outcome: Outcome) -> None:
        if outcome.is_done:
            self.versions.acknowledged(write, outcome)
        elif outcome.result is Result.INVALID and life.name != USER_MANAGER:
            part = "" if isinstance(write, Delete) else write.subresource
            what = f"{life.name}: {type(write).__name__} of {write.resource} {write.ref.name} {part}"
            self.complain("invalid", f"{what} was refused: {outcome.message}")

    def logged(self, record: logging.LogRecord) -> None:
        """Nothing that is worth an error in the log ever happens in good order."""
        error = record.exc_info[1] if record.exc_info else None
        told = f"{record.getMessage()}{f': {error!r}' if error is not None else ''}"
        if record.levelno >= logging.ERROR:
            self.complain("log", told)

    def complain(self, judge: str, what: str) -> None:
        """Something happened that never should. Ends the run."""
        self.complaints.append(f"{judge}: {what}")
        self.history.add("JUDGE", f"{judge}: {what}")
        self._failed.set()

    # ------------------------------------------------------------------ the run

    async def run(self) -> None:
        """Everything, from the first write to the verdict; stops early at the first complaint."""
        telling = self.loop.create_task(self._tell())
        failed = self.loop.create_task(self._failed.wait())
        await asyncio.wait((telling, failed), return_when=asyncio.FIRST_COMPLETED)
        if telling.done():
            telling.result()

    async def _tell(self) -> None:
        await self.server.start()
        await self.users.furnish()
        await self.controllers.start()
        for agent in self.agents.values():
            await agent.start()
        mishaps = self.loop.create_task(self.mishaps.play())
        await self.users.play()
        await mishaps
        await asyncio.sleep(max(0.0, STORY_SECONDS - self.loop.time()))
        await self.mishaps.make_good()
        await self.users.restore()
        self.history.add("sim", "from here on nothing goes wrong")
        await self._see_to_the_end()
        await self._clear_up()

    async def _see_to_the_end(self) -> None:
        """Until every job that can end has ended; what cannot must say why, and is deleted so that it blocks nobody."""
        past = self.past
        await self._rest(SETTLE_SECONDS)
        deadline = self.loop.time() + PATIENCE_SECONDS
        while waiting := [job for job in unfinished(past) if not is_held_by_user(job)]:
            impossible = [job for job in waiting if not is_possible(past, job)]
            if impossible:
                self._judge_waiting()
            for job in impossible:
                self.history.add("user", f"deletes {path_of(job)}, which can never run")
                await self.users.delete(Ref(JOBS, job["metadata"]["namespace"], job["metadata"]["name"]))
            if self.loop.time() > deadline:
                for job in waiting:
                    self.complain("end", f"Job {path_of(job)} does not end")
                return
            await self._rest(STEP_SECONDS)
        await self._rest(SETTLE_SECONDS)
        self._judge_waiting()
        self._all(complaints_about_reservations(past))
        self._all(complaints_about_jobs(past, self.jobs, self.machines.ledger))
        await self._compare_caches()
        if self.decider is not None:
            self.decider.compare()

    async def _clear_up(self) -> None:
        """The users delete everything; then nothing may be left, and nobody may be busy."""
        for resource in (JOBS, PODS, WORKLOADS):
            for obj in await self.users.list(resource):
                if resource is not WORKLOADS or obj.meta.controller is None:  # of a job deleted without its dependents
                    await self.users.delete(obj.ref)
        await self._rest(SETTLE_SECONDS * 2)
        self._all(complaints_about_leftovers(self.past))
        for program in self.machines.alive():
            self.complain("end", f"the process {program.run} outlives its pod")
        await self._compare_caches()
        if self.decider is not None:
            self.decider.compare()
            if not self.decider.is_settled():
                self.complain("digest", "the decider still assumes something, though nothing happens any more")
        for record in self._records:
            for what in complaints_about_replay(record, PLACE_ALL):
                self.complain("replay", what)

    def _judge_waiting(self) -> None:
        for path in waiting_without_a_word(self.past):
            if self.decider is not None and not self.decider.why(key_of(path), self.loop.now()).refusals:
                self.complain("end", f"{path} waits, and neither its object nor `why` says for what")

    async def _rest(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def _all(self, complaints: Iterable[str]) -> None:
        for what in complaints:
            self.complain("end", what)

    async def _compare_caches(self) -> None:
        """What informers show is what is stored, in the end. Heartbeats go on, and news takes its time: so for each
        resource the comparison is right when it once holds."""
        assert self.runner is not None
        assert self.server.resources is not None
        for resource, cache in self.runner.caches.items():
            for _ in range(20):
                stored = {obj.key: obj.version for obj in self.server.resources.store.list(resource)}
                seen = {obj.key: obj.version for obj in cache.list()}
                if stored == seen:
                    break
                await asyncio.sleep(0.1)
            for key in sorted(stored.keys() | seen.keys()):
                if stored.get(key) != seen.get(key):
                    what = f"{resource} {'/'.join(key)} is stored as {stored.get(key)} and seen as {seen.get(key)}"
                    self.complain("caches", what)

    async def end(self) -> None:
        """Switch everything off."""
        for process in (self.controllers, *self.agents.values()):
            process.kill()
        self.server.crash()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class _Listening(logging.Handler):
    """What the parts say to their logs, as long as the simulation runs."""

    def __init__(self, hear: Callable[[logging.LogRecord], None]) -> None:
        super().__init__(logging.WARNING)
        self._hear = hear

    def emit(self, record: logging.LogRecord) -> None:
        self._hear(record)


def _fast_directory() -> str | None:
    """Memory, where the machine has such a directory: a simulation makes a few hundred small files."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def simulate(plan: Plan, show: Callable[[str], None] | None = None) -> Simulation:
    """Carry out a plan from beginning to end, or to the first complaint. `show` is given the history line by line."""
    loop = VirtualLoop()
    history = History(loop.time, show)

    async def main(directory: str) -> Simulation:
        simulation = Simulation(plan, loop, history, Path(directory))
        listening = _Listening(simulation.logged)
        logging.getLogger().addHandler(listening)
        try:
            await simulation.run()
        finally:
            logging.getLogger().removeHandler(listening)
            await simulation.end()
        return simulation

    gc.disable()  # what a collection finalizes, and when, is not to decide what happens
    try:
        with tempfile.TemporaryDirectory(prefix="roadstead-sim-", dir=_fast_directory()) as directory:
            return loop.run_until_complete(main(directory))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        gc.enable()
