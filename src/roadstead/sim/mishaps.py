"""The plan of faults carried out: processes are killed and come back, networks are cut and mended, disks fill up,
clocks step."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from roadstead.kinds.times import SECOND
from roadstead.runtime.cluster import Expired, Write
from roadstead.sim.chance import Chance
from roadstead.sim.plan.faults import LAGGING, Blow
from roadstead.sim.process import Life, Process

if TYPE_CHECKING:
    from roadstead.sim.network import Weather
    from roadstead.sim.simulation import Simulation

RESTART_SECONDS = (0.05, 4.0)


class Mishaps:
    """Everything that goes wrong by plan in one simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._at = simulation
        self._chance = Chance.named(simulation.plan.seed, "mishaps")
        self._crashes = dict(simulation.plan.faults.crash_writes)
        self.writes = 0
        """Writes that the controllers have sent, in all their lives."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_over = False
        self._cuts: list[tuple[float, float | None]] = []
        """When the controllers could be heard no more, and from when on again."""

    def cut_off(self, since: float) -> float:
        """How many seconds since then the controllers were cut off."""
        now = self._at.loop.time()
        times = ((begin, now if end is None else end) for begin, end in self._cuts)
        return sum(max(0.0, end - max(begin, since)) for begin, end in times)

    async def play(self) -> None:
        """All blows, each at its time."""
        for blow in self._at.plan.faults.blows:
            await asyncio.sleep(max(0.0, blow.at - self._at.loop.time()))
            self._later(self._strike(blow))

    async def make_good(self) -> None:
        """Nothing goes wrong from now on: everything is up, everybody hears everybody."""
        self.is_over = True
        for task in list(self._tasks):
            task.cancel()
        at = self._at
        for weather in (at.weather, *at.agent_weather.values()):
            weather.clear_up()
        self._note_cut()
        at.disk.is_full, at.disk.breaks_next = False, 0
        at.machines.deaf = at.machines.failing_starts = at.machines.slow_seconds = 0.0
        if not at.server.is_up:
            await at.server.start()
        for process in (at.controllers, *at.agents.values()):
            await process.start()

    # ------------------------------------------------------------------ crashes at numbered writes of the controllers

    def before_write(self, life: Life, write: Write) -> None:
        self.writes += 1
        self._maybe_crash(life, "before")

    def after_write(self, life: Life, write: Write) -> None:
        self._maybe_crash(life, "after")

    def _maybe_crash(self, life: Life, when: str) -> None:
        if self.is_over or life.is_over or self._crashes.get(self.writes) != when:
            return
        del self._crashes[self.writes]
        self._at.history.add("mishap", f"the controllers die {when} their write {self.writes}")
        self._at.controllers.kill()
        self._later(self._restart(self._at.controllers, self._chance.uniform(*RESTART_SECONDS)))

    # ------------------------------------------------------------------ blows

    async def _strike(self, blow: Blow) -> None:
        at, history = self._at, self._at.history
        history.add("mishap", f"{blow.verb} {blow.target} for {blow.seconds} s")
        match blow.verb:
            case "server":
                await self._crash_server(blow.seconds)
            case "controllers":
                at.controllers.kill()
                await self._restart(at.controllers, blow.seconds)
            case "agent":
                agent = at.agents[int(blow.target)]
                agent.kill()
                await self._restart(agent, blow.seconds)
            case "reboot":
                await self._reboot(blow)
            case "cut-agent":
                await self._cut(at.agent_weather[int(blow.target)], blow.seconds)
            case "cut-controllers":
                await self._cut(at.weather, blow.seconds)
            case "lag" | "stall":
                await self._lag(blow)
            case "break":
                at.break_connections()
            case "expire":
                await self._cut(at.weather, min(blow.seconds, 12.0))
                at.server.forget_history()
                at.break_connections(Expired("expired on purpose"))
            case "full-disk":
                at.disk.is_full = True
                await asyncio.sleep(blow.seconds)
                at.disk.is_full = False
            case "bad-disk":
                at.disk.breaks_next = 1 + int(blow.seconds) % 4
            case "clock":
                at.clock_offset[int(blow.target)] += int(self._chance.uniform(-90, 90) * SECOND)
            case "lose-shim":
                for program in at.machines.alive(blow.target)[:1]:
                    at.machines.lose(program)
            case "deaf":
                at.machines.deaf, at.machines.failing_starts, at.machines.slow_seconds = 0.5, 0.3, 1.5
                await asyncio.sleep(blow.seconds)
                at.machines.deaf = at.machines.failing_starts = at.machines.slow_seconds = 0.0
            case verb:
                raise ValueError(f"there is no mishap {verb}")

    async def _crash_server(self, seconds: float) -> None:
        """The embedded server takes the controllers along; a distant one does not."""
        at = self._at
        takes_controllers = self._chance.happens(0.6)
        if takes_controllers:
            at.controllers.kill()
        at.server.crash()
        await asyncio.sleep(seconds)
        if not at.server.is_up:
            await at.server.start()
        if takes_controllers:
            await at.controllers.start()

    async def _restart(self, process: Process, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await process.start()

    async def _reboot(self, blow: Blow) -> None:
        at = self._at
        plan = next(node for node in at.plan.world.nodes if node.name == blow.target)
        agent = at.agents[plan.agent]
        agent.kill()
        for node in at.plan.world.nodes:
            if node.agent == plan.agent:
                at.machines.reboot(node.name)
        await self._restart(agent, blow.seconds)

    async def _cut(self, weather: Weather, seconds: float) -> None:
        weather.is_cut = True
        self._note_cut()
        await asyncio.sleep(seconds)
        weather.is_cut = False
        self._note_cut()
        if self._chance.happens(0.5):  # the connections did not live through it
            self._at.break_connections(of=weather)

    def _note_cut(self) -> None:
        is_cut, now = self._at.weather.is_cut, self._at.loop.time()
        if self._cuts and self._cuts[-1][1] is None:
            if not is_cut:
                self._cuts[-1] = (self._cuts[-1][0], now)
        elif is_cut:
            self._cuts.append((now, None))

    async def _lag(self, blow: Blow) -> None:
        resource = LAGGING[blow.target]
        seconds = 4.0 if blow.verb == "stall" else 0.6
        weathers = self._one_of_the_weathers()
        for weather in weathers:
            weather.lag_seconds[resource] = seconds
        await asyncio.sleep(max(blow.seconds, 5.0))
        for weather in weathers:
            weather.lag_seconds.pop(resource, None)

    def _one_of_the_weathers(self) -> list[Weather]:
        at = self._at
        return [self._chance.choice([at.weather, at.weather, *at.agent_weather.values()])]

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._at.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._at.complain("mishaps", f"a mishap failed: {error!r}")
