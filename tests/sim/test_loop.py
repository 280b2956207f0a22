"""Virtual time: it jumps from timer to timer, costs nothing, and never hides that everybody waits for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from roadstead.sim.loop import START, Deadlock, VirtualLoop
from roadstead.sim.process import Life, Process

T = TypeVar("T")
DAY = 86_400


def run(story: Callable[[VirtualLoop], Awaitable[T]]) -> T:
    loop = VirtualLoop()

    async def main() -> T:
        return await story(loop)

    try:
        return loop.run_until_complete(main())
    finally:
        loop.close()


def test_a_month_passes_at_once_and_in_order() -> None:
    async def story(loop: VirtualLoop) -> list[tuple[str, float]]:
        seen: list[tuple[str, float]] = []

        async def wait(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            seen.append((name, loop.time()))

        await asyncio.gather(wait("month", 30 * DAY), wait("day", DAY), wait("now", 0))
        assert loop.now() - START == 30 * DAY * 1_000_000_000
        return seen

    assert run(story) == [("now", 0.0), ("day", DAY), ("month", 30 * DAY)]


def test_time_outs_work() -> None:
    async def story(loop: VirtualLoop) -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(7.5):
                await loop.create_future()
        return loop.time()

    assert run(story) == 7.5


def test_who_waits_for_nothing_is_told() -> None:
    async def story(loop: VirtualLoop) -> None:
        await loop.create_future()

    loop = VirtualLoop()
    waiting = loop.create_task(story(loop))  # kept, so that it can be put an end to
    with pytest.raises(Deadlock):
        loop.run_forever()
    waiting.cancel()
    loop.run_until_complete(asyncio.gather(waiting, return_exceptions=True))
    loop.close()


def test_threads_are_calls_that_take_their_time() -> None:
    """Only the store's own executor is slow; what fails there fails for who waits."""
    pool = ThreadPoolExecutor(1)

    async def story(loop: VirtualLoop) -> tuple[str, float, float]:
        loop.thread_delay = lambda executor: 2.0 if executor is pool else 0.0
        said = await asyncio.to_thread(str.upper, "done")
        after_default = loop.time()
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(pool, lambda: 1 // 0)
        return said, after_default, loop.time()

    assert run(story) == ("DONE", 0.0, 2.0)


def test_a_killed_process_does_nothing_any_more_and_can_be_started_again() -> None:
    async def story(loop: VirtualLoop) -> list[str]:
        done: list[str] = []

        async def body(life: Life) -> None:
            try:
                while True:
                    await life.go_on()
                    done.append(f"{process.starts} at {loop.time():.0f}")
                    await asyncio.sleep(10)
            finally:
                await life.go_on()  # a dead process cleans nothing up that the world would see
                done.append("cleaned up")

        process = Process(loop, "p", body, lambda name, error: done.append(f"{name} ended: {error}"))
        await process.start()
        await asyncio.sleep(15)
        process.kill()
        await asyncio.sleep(100)
        assert not process.is_up
        return done

    assert run(story)[:2] == ["1 at 0", "1 at 10"]


def test_a_process_that_ends_by_itself_is_reported() -> None:
    async def story(loop: VirtualLoop) -> list[str]:
        reported: list[str] = []

        async def body(life: Life) -> None:
            raise ValueError("a bug")

        process = Process(loop, "p", body, lambda name, error: reported.append(f"{name}: {error}"))
        await process.start()
        await asyncio.sleep(1)
        await process.start()  # and it can be started again
        await asyncio.sleep(1)
        return reported

    assert run(story) == ["p: a bug", "p: a bug"]


def test_who_keeps_calling_himself_is_noticed() -> None:
    async def story(loop: VirtualLoop) -> bool:
        noticed = asyncio.Event()
        loop.on_standstill = noticed.set

        async def busy() -> None:
            while True:
                await asyncio.sleep(0)

        task = loop.create_task(busy())
        await noticed.wait()
        task.cancel()
        return loop.time() == 0.0

    assert run(story)
