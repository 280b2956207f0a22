"""What to do about a pod, as tables: starts, restarts, back-off, endings, deletion."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from roadstead.kinds.object import Json
from roadstead.kinds.times import SECOND
from roadstead.node.agent.pod_state import Attempt, Backoff, Decision, decide
from roadstead.node.agent.probe_state import Condition, Failed, ProbeKind
from roadstead.node.agent.problems import Problem
from roadstead.node.agent.views import Pod
from roadstead.node.keeper import runs
from tests.node.agent.build import NOW, UID, around, attempts, ended, pod, running


def decided(of: Pod, *known: Attempt, now: int = NOW, **more: Any) -> Decision:
    return decide(of, attempts(*known), around(**more), now)


def starts(decision: Decision) -> list[tuple[str, int]]:
    return [(start.container.name, start.number) for start in decision.start]


def stops(decision: Decision) -> list[str]:
    return [stop.container for stop in decision.stop]


SIDECAR: Json = {"name": "side", "restartPolicy": "Always"}


@pytest.mark.parametrize(
    ("title", "of", "known", "starting", "phase"),
    [
        ("all containers start at once", pod("a", "b"), [], [("a", 0), ("b", 0)], "Pending"),
        ("one runs, the other starts", pod("a", "b"), [running("a")], [("b", 0)], "Pending"),
        ("all run", pod("a", "b"), [running("a"), running("b")], [], "Running"),
        ("a prepared run is started again", pod("a"), [running("a", 2, state=runs.PREPARED)], [("a", 2)], "Pending"),
        ("a starting one is waited for", pod("a"), [running("a", state=runs.STARTING)], [], "Pending"),
        ("init containers one by one: the first", pod("a", inits=["i", "j"]), [], [("i", 0)], "Pending"),
        ("while the first runs, nothing", pod("a", inits=["i", "j"]), [running("i")], [], "Pending"),
        ("then the second", pod("a", inits=["i", "j"]), [ended(0, "i")], [("j", 0)], "Pending"),
        ("then the rest", pod("a", inits=["i", "j"]), [ended(0, "i"), ended(0, "j")], [("a", 0)], "Pending"),
        ("a failed init container is tried again", pod("a", inits=["i"]), [ended(1, "i", ago=99)], [("i", 1)], "Pending"),
        ("a side car starts first", pod("a", inits=[SIDECAR]), [], [("side", 0)], "Pending"),
        ("and is not waited for", pod("a", inits=[SIDECAR]), [running("side")], [("a", 0)], "Pending"),
        ("an ended side car is started again", pod("a", inits=[SIDECAR]), [running("a"), ended(0, "side")], [("side", 1)], "Running"),
        ("Always restarts after success", pod("a"), [ended(0)], [("a", 1)], "Running"),
        ("OnFailure restarts after failure", pod("a", policy="OnFailure"), [ended(1)], [("a", 1)], "Running"),
        ("the container's own policy goes first", pod({"name": "a", "restartPolicy": "Always"}, policy="Never"), [ended(1)], [("a", 1)], "Running"),
        ("one done, one running", pod("a", "b", policy="Never"), [ended(1, "a"), running("b")], [], "Running"),
    ],
)  # fmt: skip
def test_starting(title: str, of: Pod, known: list[Attempt], starting: list[tuple[str, int]], phase: str) -> None:
    decision = decided(of, *known)
    assert (starts(decision), decision.phase, decision.stop) == (starting, phase, ()), title
    assert not decision.is_over


@pytest.mark.parametrize(
    ("title", "of", "known", "phase"),
    [
        ("all succeed", pod("a", "b", policy="Never"), [ended(0, "a"), ended(0, "b")], "Succeeded"),
        ("OnFailure is done after success", pod("a", policy="OnFailure"), [ended(0, "a")], "Succeeded"),
        ("one fails", pod("a", "b", policy="Never"), [ended(0, "a"), ended(7, "b")], "Failed"),
        ("an init container fails for good", pod("a", inits=["i"], policy="Never"), [ended(1, "i")], "Failed"),
        ("the container's own Never", pod({"name": "a", "restartPolicy": "Never"}), [ended(3)], "Failed"),
    ],
)
def test_ending(title: str, of: Pod, known: list[Attempt], phase: str) -> None:
    decision = decided(of, *known)
    assert (decision.phase, decision.is_over, decision.start, decision.stop) == (phase, True, (), ()), title


def test_side_cars_are_stopped_last_and_in_reverse() -> None:
    of = pod(
        "a",
        inits=[{"name": "s1", "restartPolicy": "Always"}, {"name": "s2", "restartPolicy": "Always"}],
        policy="Never",
    )
    both = [running("s1"), running("s2")]
    assert stops(decided(of, running("a"), *both)) == []
    after = decided(of, ended(0, "a"), *both)
    assert (stops(after), after.is_over, after.phase) == (["s2", "s1"], False, "Running")
    over = decided(of, ended(0, "a"), ended(143, "s1"), ended(143, "s2"))
    assert (over.is_over, over.phase) == (True, "Succeeded")


@pytest.mark.parametrize(
    ("level", "seconds"), [(0, 0), (1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 300), (7, 300), (60, 300)]
)
def test_backoff_doubles_up_to_five_minutes(level: int, seconds: int) -> None:
    last = ended(1, number=level, level=level, ago=0)
    waiting = decided(pod("a"), last)
    at_time = decided(pod("a"), last, now=NOW + seconds * SECOND)
    assert [(start.number, start.level) for start in at_time.start] == [(level + 1, level + 1)]
    if seconds:
        early = decided(pod("a"), last, now=NOW + seconds * SECOND - 1)
        assert early.start == ()
        assert waiting.again_at == NOW + seconds * SECOND
        assert waiting.waiting["a"].problem.reason == "CrashLoopBackOff"
        assert waiting.phase == "Running"


def test_the_message_of_backoff_is_the_kubelets() -> None:
    waiting = decided(pod("a"), ended(1, number=5, level=5, ago=0)).waiting["a"]
    assert waiting.problem.message == "back-off 2m40s restarting failed container=a pod=p_ns(uid-1)"


def test_backoff_begins_anew_after_ten_minutes_of_running() -> None:
    decision = decided(pod("a"), ended(1, number=7, level=6, ago=0, ran=600))
    assert [(start.number, start.level) for start in decision.start] == [(8, 1)]
    assert decided(pod("a"), ended(1, number=7, level=6, ago=0, ran=599)).start == ()


def test_backoff_can_be_set_per_node() -> None:
    assert decided(pod("a"), ended(1, number=1, level=1), backoff=Backoff(SECOND // 2, SECOND)).start


@pytest.mark.parametrize(
    ("title", "known", "stopping", "over"),
    [
        ("what runs is stopped", [running("a"), running("b")], ["a", "b"], False),
        ("what may be about to run is stopped too", [running("a", state=runs.PREPARED)], ["a"], False),
        ("one left", [ended(0, "a"), running("b")], ["b"], False),
        ("leftovers are still being killed", [running("a", state=runs.ENDING)], ["a"], False),
        ("nothing left", [ended(0, "a"), ended(143, "b")], [], True),
        ("nothing was started", [], [], True),
    ],
)
def test_deletion(title: str, known: list[Attempt], stopping: list[str], over: bool) -> None:
    decision = decided(pod("a", "b", deleted_in=12), *known)
    assert (stops(decision), decision.is_over, decision.start) == (stopping, over, ()), title
    assert all(11 < stop.grace_seconds <= 12 for stop in decision.stop)


def test_a_deleted_pod_is_failed_unless_all_succeeded() -> None:
    assert decided(pod("a", deleted_in=1), ended(143)).phase == "Failed"
    assert decided(pod("a", deleted_in=1), ended(0)).phase == "Succeeded"
    assert decided(pod("a", deleted_in=1)).phase == "Failed"


@pytest.mark.parametrize(
    ("of", "seconds"),
    [
        (pod("a", deleted_in=-5), 2),
        (pod("a", deleted_in=1), 2),
        (pod("a", deleted_in=7), 7),
        (pod("a", status={"phase": "Failed"}), 30),
        (pod("a", status={"phase": "Failed"}, terminationGracePeriodSeconds=9), 9),
        (pod("a", activeDeadlineSeconds=1, terminationGracePeriodSeconds=0), 2),
    ],
)
def test_grace(of: Pod, seconds: float) -> None:
    assert [stop.grace_seconds for stop in decided(of, running("a")).stop] == [seconds]


def test_the_deadline_of_a_pod_stops_it() -> None:
    of = pod("a", activeDeadlineSeconds=100)
    before = decided(of, running("a"), now=NOW - 1)
    assert (before.stop, before.again_at) == ((), NOW)
    at = decided(of, running("a"))
    assert (stops(at), at.phase) == (["a"], "Running")
    over = decided(of, ended(143, ago=-1), now=NOW + 2 * SECOND)
    assert (over.phase, over.reason, over.is_over) == ("Failed", "DeadlineExceeded", True)


def test_a_pod_that_was_done_before_its_deadline_succeeded() -> None:
    over = decided(pod("a", policy="Never", activeDeadlineSeconds=100), ended(0, ago=1))
    assert (over.phase, over.reason) == ("Succeeded", "")


def test_a_pod_that_is_over_in_the_api_is_not_started_and_what_runs_is_stopped() -> None:
    of = pod("a", status={"phase": "Failed", "reason": "DeletionByPodGC"})
    assert stops(decided(of, running("a"))) == ["a"]
    over = decided(of)
    assert (over.phase, over.reason, over.is_over, over.start) == ("Failed", "DeletionByPodGC", True, ())


def test_a_pod_that_the_node_rejects_fails_with_the_reason() -> None:
    over = decided(pod("a"), rejected=Problem("UnexpectedAdmissionError", "no devices"))
    assert (over.phase, over.reason, over.message) == ("Failed", "UnexpectedAdmissionError", "no devices")
    assert over.is_over
    assert over.start == ()


def test_a_held_pod_waits() -> None:
    held = decided(pod("a"), held=Problem("ContainerCreating", "waiting for pod q"))
    assert (held.start, held.phase, held.is_over) == ((), "Pending", False)


def about(name: str = "a", number: int = 0, **more: Any) -> dict[str, Condition]:
    return {name: Condition(f"{UID}/{name}/{number}", **more)}


PROBED: Json = {"name": "a", "livenessProbe": {"exec": {"command": ["x"]}}}
HOOKED: Json = {"name": "a", "lifecycle": {"postStart": {"exec": {"command": ["x"]}}}}
DEAD = Failed(ProbeKind.LIVENESS)


@pytest.mark.parametrize(
    ("title", "of", "conditions", "stopping"),
    [
        ("healthy", pod(PROBED), about(), []),
        ("dead", pod(PROBED), about(failed=DEAD), [("Container a failed liveness probe, will be restarted", 30)]),
        ("dead for good", pod(PROBED, policy="Never"), about(failed=DEAD), [("Container a failed liveness probe", 30)]),
        ("the pod's grace", pod(PROBED, terminationGracePeriodSeconds=7), about(failed=DEAD), [("Container a failed liveness probe, will be restarted", 7)]),
        ("no grace, no time for a preStop hook", pod(PROBED, terminationGracePeriodSeconds=0), about(failed=DEAD), [("Container a failed liveness probe, will be restarted", 0)]),
        ("the probe's own grace", pod(PROBED), about(failed=Failed(ProbeKind.LIVENESS, 5.0)), [("Container a failed liveness probe, will be restarted", 5)]),
        ("did not start", pod(PROBED), about(failed=Failed(ProbeKind.STARTUP)), [("Container a failed startup probe, will be restarted", 30)]),
        ("its hook failed", pod(HOOKED), about(hook_failed=True), [("FailedPostStartHook", 30)]),
        ("what is known of another attempt does not count", pod(PROBED), about(number=3, failed=DEAD), []),
    ],
)  # fmt: skip
def test_stopping_for_health(
    title: str, of: Pod, conditions: dict[str, Condition], stopping: list[tuple[str, float]]
) -> None:
    decision = decided(of, running("a"), conditions=conditions)
    assert [(stop.message, stop.grace_seconds) for stop in decision.stop] == stopping, title
    assert not decision.is_over


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [("Always", 0, True), ("OnFailure", 0, True), ("OnFailure", 137, True), ("Never", 0, False)],
)
def test_what_was_stopped_for_its_health_is_started_again_whatever_its_exit_code(
    policy: str, code: int, again: bool
) -> None:
    of = pod(PROBED, policy=policy)
    assert bool(decided(of, ended(code, ago=99), conditions=about(failed=DEAD)).start) == again
    assert decided(pod(PROBED, policy="OnFailure"), ended(0, ago=99), conditions=about()).is_over


def test_a_post_start_hook_holds_up_the_containers_after_it() -> None:
    of = pod(HOOKED, "b")
    assert starts(decided(of)) == [("a", 0)]
    assert starts(decided(of, running("a", state=runs.STARTING))) == []
    waiting = decided(of, running("a"), conditions=about(is_set_up=False))
    assert (starts(waiting), waiting.phase) == ([], "Pending")
    assert starts(decided(of, running("a"), conditions=about())) == [("b", 0)]
    assert starts(decided(of, running("a"))) == [], "nobody has looked yet"
    alone = decided(pod(HOOKED), running("a"), conditions=about(is_set_up=False))
    assert alone.phase == "Pending"


def test_a_side_car_with_a_startup_probe_is_waited_for() -> None:
    of = pod("a", inits=[{**SIDECAR, "startupProbe": {"exec": {"command": ["x"]}}}])
    starting = decided(of, running("side"), conditions=about("side", has_started=False))
    assert (starts(starting), starting.is_initialized) == ([], False)
    assert starts(decided(of, running("side"), conditions=about("side"))) == [("a", 0)]


EVERY_STATE = some.sampled_from([None, "prepared", "starting", "running", "ending", "0", "1"])


def _attempt(name: str, state: str | None) -> list[Attempt]:
    if state is None:
        return []
    return [ended(int(state), name, ago=1000)] if state.isdigit() else [running(name, state=state)]


@given(
    some.sampled_from(["Always", "OnFailure", "Never"]),
    some.lists(EVERY_STATE, min_size=1, max_size=3),
    some.lists(EVERY_STATE, max_size=2),
    some.booleans(),
    some.booleans(),
)
def test_laws_of_decisions(
    policy: str, regular: list[str | None], inits: list[str | None], deleted: bool, sidecars: bool
) -> None:
    """Never start what may run, never start and stop at once, over means that nothing may run, deleted means no
    starts."""
    names, init_names = [f"c{i}" for i in range(len(regular))], [f"i{i}" for i in range(len(inits))]
    policies = {"restartPolicy": "Always"} if sidecars else {}
    of = pod(
        *names, inits=[{"name": n, **policies} for n in init_names], policy=policy, deleted_in=5 if deleted else None
    )
    known = [
        one for name, state in zip(names + init_names, regular + inits, strict=True) for one in _attempt(name, state)
    ]
    decision = decided(of, *known)
    live = {one.run.run_id.split("/")[1] for one in known if one.run.state in ("starting", "running", "ending")}
    assert not live & {start.container.name for start in decision.start}
    assert not (decision.start and decision.stop)
    assert not (decision.is_over and live)
    assert not (deleted and decision.start)
    assert decision == decided(of, *known)
    if decision.is_over:
        assert decision.phase in ("Succeeded", "Failed")
