"""Probes as tables: when they are due, and what a row of results makes of a container."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from roadstead.kinds.times import SECOND
from roadstead.node.agent.probe_state import Failed, Health, ProbeKind, Result, checks_of, condition_of
from roadstead.node.agent.views import Container
from tests.node.agent.build import NOW, pod

STARTUP, LIVENESS, READINESS = ProbeKind.STARTUP, ProbeKind.LIVENESS, ProbeKind.READINESS
RESULTS = {"+": Result.SUCCESS, "-": Result.FAILURE, "?": Result.UNKNOWN}


def container(**probes: Any) -> Container:
    """`readiness={"periodSeconds": 5}` and so on; an exec handler unless another is given."""
    given = {f"{kind}Probe": {"exec": {"command": ["true"]}, **probe} for kind, probe in probes.items()}
    return pod({"name": "a", **given}).spec.containers[0]


def health(started_at: int = NOW, *, before: dict[str, Any] | None = None, **probes: Any) -> Health:
    return Health(checks_of(container(**probes)), started_at, **(before or {}))


def due(of: Health, after: float) -> list[ProbeKind]:
    return [check.kind for check in of.due(NOW + int(after * SECOND))]


def feed(of: Health, kind: ProbeKind, results: str, at: float = 0) -> None:
    for index, mark in enumerate(results):
        begun = NOW + int((at + 10 * index) * SECOND)
        of.record(kind, RESULTS[mark], begun, begun)


def test_defaults_are_the_kubelets() -> None:
    check = checks_of(container(liveness={}))[LIVENESS]
    assert (check.initial_delay, check.period, check.timeout_seconds) == (0, 10 * SECOND, 1.0)
    assert (check.success_threshold, check.failure_threshold, check.grace_seconds) == (1, 3, None)


@pytest.mark.parametrize(
    ("title", "probes", "kind", "results", "ready", "started", "failed"),
    [
        ("no result yet", {"readiness": {}}, READINESS, "", False, True, False),
        ("one success", {"readiness": {}}, READINESS, "+", True, True, False),
        ("two of three successes", {"readiness": {"successThreshold": 3}}, READINESS, "++", False, True, False),
        ("three in a row", {"readiness": {"successThreshold": 3}}, READINESS, "++-+++", True, True, False),
        ("two failures are forgiven", {"readiness": {}}, READINESS, "+--", True, True, False),
        ("three are not", {"readiness": {}}, READINESS, "+---", False, True, False),
        ("unless something else comes between", {"readiness": {}}, READINESS, "+--+--", True, True, False),
        ("errors of the prober do not count", {"readiness": {}}, READINESS, "+--??", True, True, False),
        ("nor do they break a row", {"readiness": {}}, READINESS, "+-?-?-", False, True, False),
        ("ready again", {"readiness": {}}, READINESS, "+---+", True, True, False),
        ("liveness alone: ready from the start", {"liveness": {}}, LIVENESS, "", True, True, False),
        ("alive", {"liveness": {}}, LIVENESS, "+--+--", True, True, False),
        ("dead", {"liveness": {}}, LIVENESS, "+---", True, True, True),
        ("dead at once", {"liveness": {"failureThreshold": 1}}, LIVENESS, "-", True, True, True),
        ("starting", {"startup": {}}, STARTUP, "--", False, False, False),
        ("started", {"startup": {}}, STARTUP, "--+", True, True, False),
        ("did not start", {"startup": {}}, STARTUP, "---", False, False, True),
        ("started, not ready yet", {"startup": {}, "readiness": {}}, STARTUP, "+", False, True, False),
    ],
)
def test_what_results_make_of_a_container(
    title: str, probes: dict[str, Any], kind: ProbeKind, results: str, ready: bool, started: bool, failed: bool
) -> None:
    of = health(**probes)
    feed(of, kind, results)
    assert (of.is_ready, of.has_started, of.failed is not None) == (ready, started, failed), title


def test_only_what_changes_something_is_a_change() -> None:
    of = health(readiness={"failureThreshold": 2})
    said = [of.record(READINESS, RESULTS[mark], NOW, NOW) for mark in "++--+?"]
    assert said == [True, False, False, True, True, False]


def test_when_probes_are_due() -> None:
    of = health(liveness={"initialDelaySeconds": 5, "periodSeconds": 2}, readiness={"periodSeconds": 3})
    assert due(of, 0) == [READINESS]
    assert due(of, 0) == []  # it is on its way
    of.record(READINESS, Result.SUCCESS, NOW, NOW + SECOND // 10)
    assert of.next_at() == NOW + 3 * SECOND
    assert due(of, 5) == [LIVENESS, READINESS]
    of.record(LIVENESS, Result.SUCCESS, NOW + 5 * SECOND, NOW + 10 * SECOND)
    assert of.next_at() == NOW + 11 * SECOND, "ticks that passed during a slow probe are dropped"


def test_a_startup_probe_holds_back_the_others() -> None:
    of = health(startup={"periodSeconds": 1}, liveness={"periodSeconds": 100}, readiness={})
    assert due(of, 50) == [STARTUP]
    feed(of, STARTUP, "+", at=50)
    assert sorted(due(of, 50)) == [LIVENESS, READINESS]
    assert of.next_at() is None


def test_a_failed_container_is_not_probed_any_more() -> None:
    of = health(liveness={"failureThreshold": 1, "terminationGracePeriodSeconds": 7}, readiness={})
    feed(of, LIVENESS, "-")
    assert of.failed == Failed(LIVENESS, 7.0)
    assert (due(of, 1000), of.next_at()) == ([], None)


def test_a_pod_that_leaves_is_asked_for_readiness_only() -> None:
    of = health(liveness={"failureThreshold": 1}, readiness={})
    of.is_leaving = True
    assert due(of, 0) == [READINESS]
    feed(of, LIVENESS, "-")
    assert of.failed is None
    starting = health(startup={"failureThreshold": 1})
    starting.is_leaving = True
    assert due(starting, 0) == []


def test_what_was_known_before_a_restart_of_the_agent_holds_until_a_probe_says_otherwise() -> None:
    of = health(
        before={"has_started": True, "is_ready": True, "not_before": NOW + 4 * SECOND}, startup={}, readiness={}
    )
    assert (of.has_started, of.is_ready, due(of, 3), due(of, 4)) == (True, True, [], [READINESS])
    feed(of, READINESS, "---", at=4)
    assert not of.is_ready


@pytest.mark.parametrize(
    ("probes", "started", "ready"),
    [
        ({}, True, True),
        ({"liveness": {}}, True, True),
        ({"readiness": {}}, True, False),
        ({"startup": {}}, False, False),
    ],
)
def test_a_run_that_nobody_has_looked_at_yet(probes: dict[str, Any], started: bool, ready: bool) -> None:
    found = condition_of(container(**probes), "run", {})
    assert (found.has_started, found.is_ready, found.failed, found.is_set_up) == (started, ready, None, True)


@given(some.lists(some.tuples(some.sampled_from(list(ProbeKind)), some.sampled_from(list(Result))), max_size=40))
def test_laws_of_health(history: list[tuple[ProbeKind, Result]]) -> None:
    """Ready implies started, failing is final, and what is due was not due a moment ago."""
    of = health(startup={}, liveness={}, readiness={})
    now, failed = NOW, None
    for kind, result in history:
        now += SECOND
        assert all(check.kind not in of._at for check in of.due(now))
        before = (of.has_started, of.is_ready, of.failed)
        changed = of.record(kind, result, now, now)
        assert changed or before == (of.has_started, of.is_ready, of.failed)
        assert of.has_started or not of.is_ready
        assert failed is None or of.failed == failed
        failed = of.failed
