"""Looking after one run by itself: what probes and hooks that go wrong leave behind. Handlers are told what to
answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from roadstead.kinds.object import Json
from roadstead.kinds.times import SECOND
from roadstead.node.agent import care
from roadstead.node.agent.care import Care
from roadstead.node.agent.handling import SUCCESS, Outcome
from roadstead.node.agent.pod_state import LEAST_GRACE_SECONDS, Stop
from roadstead.node.agent.probe_state import Condition, ProbeKind, Result
from roadstead.node.keeper import runs
from tests.cluster.loop import in_loop, until
from tests.node.agent.build import NOW, UID, attempts, pod, running

RUN = f"{UID}/a/0"
HOOK = {"exec": {"command": ["x"]}}


class Bench:
    """One container whose handlers all do what `answer` does. Time goes on by a second whenever somebody looks at the
    clock."""

    def __init__(self, path: Path, answer: Callable[[], Outcome]) -> None:
        self.path = path
        self.answer = answer
        self.carried_out = 0
        self.events: list[tuple[str, str]] = []
        self.care = Care(
            "/nowhere", self._now, lambda: None, lambda kind, reason, text: self.events.append((reason, text))
        )
        self._time = NOW

    def _now(self) -> int:
        self._time += SECOND
        return self._time

    async def carry_out(self, *_: object) -> Outcome:
        self.carried_out += 1
        return self.answer()

    def follow(self, **container: Json) -> None:
        one = running()
        known = attempts(one.__class__(one.number, one.level, one.run._replace(path=str(self.path))))
        self.care.follow(pod({"name": "a", **container}), "127.64.0.1", known)

    @property
    def condition(self) -> Condition:
        return self.care.conditions()["a"]


def story(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[], Outcome],
    tell: Callable[[Bench], Awaitable[None]],
) -> None:
    @in_loop
    async def run() -> None:
        it = Bench(tmp_path, answer)
        monkeypatch.setattr(care, "carry_out", it.carry_out)
        try:
            await tell(it)
        finally:
            it.care.close()

    run()


def unforeseen() -> Outcome:
    raise KeyError("nobody thought of this")


def test_an_exception_is_not_the_end_of_a_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def tell(it: Bench) -> None:
        it.follow(livenessProbe={**HOOK, "periodSeconds": 1, "failureThreshold": 1})
        await until(lambda: it.carried_out >= 3)
        before = it.condition
        assert before.failed is None, "an error of ours says nothing about the container"
        text = "Liveness probe errored and resulted in unknown state: 'nobody thought of this'"
        assert it.events[0] == ("Unhealthy", text)
        it.answer = lambda: Outcome(Result.FAILURE, "ill")
        await until(lambda: it.condition.failed is not None)
        failed = it.condition.failed
        assert failed is not None
        assert failed.kind is ProbeKind.LIVENESS

    story(tmp_path, monkeypatch, unforeseen, tell)


@pytest.mark.parametrize(
    ("answer", "has_failed"),
    [
        (lambda: SUCCESS, False),
        (lambda: Outcome(Result.FAILURE, "HTTP probe failed with statuscode: 500", was_answered=True), False),
        (lambda: Outcome(Result.FAILURE, "HTTP probe failed with statuscode: says my script"), True),
        (lambda: Outcome(Result.UNKNOWN, "it does not run"), True),
        (unforeseen, True),
    ],
)
def test_which_hooks_have_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Callable[[], Outcome], has_failed: bool
) -> None:
    async def tell(it: Bench) -> None:
        it.follow(lifecycle={"postStart": HOOK, "preStop": HOOK})
        await until(lambda: it.condition.is_set_up)
        assert it.condition.hook_failed == has_failed
        stop = Stop(RUN, "a", 30)
        assert it.care.before_stop(stop) is None
        await until(lambda: it.care.before_stop(stop) is not None)
        expected = [("FailedPostStartHook", "PostStartHook failed"), ("FailedPreStopHook", "PreStopHook failed")]
        assert it.events == (expected if has_failed else [])
        assert it.carried_out == 2

    story(tmp_path, monkeypatch, answer, tell)


def test_a_post_start_hook_that_cannot_be_noted_is_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async def tell(it: Bench) -> None:
        it.follow(lifecycle={"postStart": HOOK})
        await until(lambda: it.condition.is_set_up)
        assert not it.condition.hook_failed

    monkeypatch.setattr(runs, "replace_json", full_disk)
    story(tmp_path, monkeypatch, lambda: SUCCESS, tell)


def test_without_any_grace_a_pre_stop_hook_is_not_begun_and_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tell(it: Bench) -> None:
        it.follow(lifecycle={"preStop": HOOK})
        assert it.care.before_stop(Stop(RUN, "a", 0)) == LEAST_GRACE_SECONDS
        await asyncio.sleep(0)
        assert (it.carried_out, it.events) == (0, [])

    story(tmp_path, monkeypatch, lambda: SUCCESS, tell)
