"""The work queue: each key once, never two workers on one, delays in order, back-off that doubles and resets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from roadstead.runtime.step import SECOND
from roadstead.runtime.workqueue import BACKOFF_FIRST, BACKOFF_MAX, WorkQueue


class HandClock:
    def __init__(self) -> None:
        self.time = 1_000 * SECOND

    def now(self) -> int:
        return self.time


Taken = Callable[[WorkQueue], tuple[str, str] | None]


@pytest.fixture
def taken() -> Iterator[Taken]:
    """What a worker would get right now, or None."""

    async def take(queue: WorkQueue) -> tuple[str, str] | None:
        try:
            return await asyncio.wait_for(queue.take(), 0.001)
        except TimeoutError:
            return None

    with asyncio.Runner() as runner:
        yield lambda queue: runner.run(take(queue))


A, B = ("ns", "a"), ("ns", "b")


def test_a_key_is_queued_once(taken: Taken) -> None:
    queue = WorkQueue(HandClock())
    queue.add(A)
    queue.add(A)
    assert taken(queue) == A
    queue.done(A)
    assert taken(queue) is None


def test_a_key_added_while_worked_on_comes_again_after_done(taken: Taken) -> None:
    queue = WorkQueue(HandClock())
    queue.add(A)
    assert taken(queue) == A
    queue.add(A)
    assert taken(queue) is None
    queue.done(A)
    assert taken(queue) == A


def test_delayed_keys_come_at_their_time_and_the_earliest_counts(taken: Taken) -> None:
    clock = HandClock()
    queue = WorkQueue(clock)
    queue.add_at(A, clock.time + 5 * SECOND)
    queue.add_at(A, clock.time + 2 * SECOND)
    queue.add_at(B, clock.time + 3 * SECOND)
    assert taken(queue) is None
    clock.time += 2 * SECOND
    assert taken(queue) == A
    queue.done(A)
    clock.time += SECOND
    assert taken(queue) == B
    queue.done(B)
    clock.time += 10 * SECOND
    assert taken(queue) is None


@pytest.mark.parametrize(("failures", "delay"), [(0, BACKOFF_FIRST), (1, 2 * BACKOFF_FIRST), (30, BACKOFF_MAX)])
def test_backoff_doubles_up_to_a_limit(failures: int, delay: int, taken: Taken) -> None:
    clock = HandClock()
    queue = WorkQueue(clock)
    for _ in range(failures + 1):
        start = clock.time
        queue.add_after_failure(A)
        clock.time += BACKOFF_MAX
        assert taken(queue) == A
        queue.done(A)
    queue.succeeded(A)
    queue._failures[A] = failures
    start = clock.time
    queue.add_after_failure(A)
    clock.time = start + delay - 1
    assert taken(queue) is None
    clock.time = start + delay
    assert taken(queue) == A


@pytest.mark.parametrize("steps", range(6))
def test_a_worker_that_is_cancelled_just_as_a_key_comes_ends_all_the_same(steps: int) -> None:
    """Whatever moment the cancellation meets between the key's arrival and its being taken: else a server would never
    stop."""
    done: list[tuple[str, str]] = []

    async def work(queue: WorkQueue) -> None:
        while True:
            key = await queue.take()
            done.append(key)
            queue.done(key)

    async def story() -> bool:
        clock = HandClock()
        queue = WorkQueue(clock)
        queue.add_at(B, clock.time + 1000 * SECOND)  # so that it waits with a time-out
        worker = asyncio.ensure_future(work(queue))
        for _ in range(5):
            await asyncio.sleep(0)
        queue.add(A)
        for _ in range(steps):
            await asyncio.sleep(0)
        worker.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        has_ended = worker.done()
        worker.cancel()
        return has_ended

    assert asyncio.run(story())


def test_one_worker_is_woken_for_a_key_and_none_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the worker that was woken is cancelled before it runs."""
    woken = 0
    wait = WorkQueue._wait

    async def counted(queue: WorkQueue) -> None:
        nonlocal woken
        await wait(queue)
        woken += 1

    monkeypatch.setattr(WorkQueue, "_wait", counted)

    async def story() -> set[tuple[str, str]]:
        queue = WorkQueue(HandClock())
        got: set[tuple[str, str]] = set()

        async def work() -> None:
            got.add(await queue.take())

        workers = [asyncio.create_task(work()) for _ in range(4)]
        await asyncio.sleep(0)
        queue.add(A)
        workers[0].cancel()
        queue.add(B)
        for _ in range(4):
            await asyncio.sleep(0)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        return got

    assert asyncio.run(story()) == {A, B}
    assert woken == 2
