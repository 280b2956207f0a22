"""The judge of the whole cluster itself: what it must and must not complain about."""

from __future__ import annotations

import pytest

from roadstead.kinds.object import Json
from tests.crash.whole_judge import Ask, Ledger, complaints_about_pods, complaints_about_the_ledger

PLAIN = Ask("j", (3,))
EVICTED = Ask("j", (3,), may_be_evicted=True)
SEVERAL = Ask("j", completions=2)
START, END = "start u/main/0 j/0/main 0", "end u/main/0 3"
STOPPED = "end u/main/0 143"
SECOND = ["start v/main/0 j/0/main 0", "end v/main/0 3"]


@pytest.mark.parametrize(
    ("ask", "lines", "cut_short", "complaint"),
    [
        pytest.param(PLAIN, [START, END], [], "", id="as it must be"),
        pytest.param(PLAIN, [], [], "never started", id="never started"),
        pytest.param(PLAIN, [START, START, END], [], "started 2 times", id="a run twice"),
        pytest.param(PLAIN, [START, END, *SECOND], [], "1 were right", id="a second pod"),
        pytest.param(PLAIN, [START], [], "ended with None", id="no end"),
        pytest.param(PLAIN, [START, STOPPED], [], "instead of 3", id="another end"),
        pytest.param(PLAIN, [START], ["j"], "", id="its shim was killed"),
        pytest.param(PLAIN, [], ["j"], "", id="its shim was killed before its first word"),
        pytest.param(PLAIN, [], ["k"], "never started", id="the shim of another was killed"),
        pytest.param(SEVERAL, [START, STOPPED], ["j"], "", id="stopped because another was lost before its first word"),
        pytest.param(SEVERAL, [START, STOPPED], [], "instead of 0", id="stopped for no reason"),
        pytest.param(PLAIN, [START, "double u/main/0 5", END], [], "given device 5", id="a device twice"),
        pytest.param(EVICTED, [START, STOPPED, *SECOND], [], "", id="evicted and started again"),
        pytest.param(EVICTED, [START, *SECOND], [], "while it could run", id="evicted without an end"),
    ],
)
def test_ledgers(ask: Ask, lines: list[str], cut_short: list[str], complaint: str) -> None:
    found = complaints_about_the_ledger(Ledger.read(lines), [ask], cut_short)
    assert bool(found) == bool(complaint)
    assert not complaint or any(complaint in text for text in found)


def pod(code: int, reason: str = "Error") -> Json:
    ended = {"exitCode": code, "reason": reason}
    status = {"name": "main", "containerID": "process://u/main/0", "state": {"terminated": ended}}
    return {"metadata": {}, "status": {"containerStatuses": [status]}}


def job(condition: str, failed: int = 1) -> Json:
    return {"status": {"conditions": [{"type": condition, "status": "True"}], "failed": failed}}


@pytest.mark.parametrize(
    ("ended", "pods", "complaint", "lost"),
    [
        pytest.param(job("Failed"), [pod(3)], "", [], id="as it must be"),
        pytest.param(job("Failed"), [pod(4)], "exit code 4 is stored", [], id="another exit code"),
        pytest.param(job("Complete"), [pod(3)], "instead of Failed", [], id="another verdict"),
        pytest.param(job("Failed", 2), [pod(3)], "counts 2", [], id="a pod counted twice"),
        pytest.param(job("Failed"), [], "has pods of indices []", [], id="no pod"),
        pytest.param(job("Failed"), [pod(137, "ShimLost")], "", ["u/main/0"], id="its shim was killed"),
        pytest.param(job("Failed"), [pod(3, "ShimLost")], "has exit code 3", ["u/main/0"], id="lost, and yet a code"),
    ],
)
def test_pods(ended: Json, pods: list[Json], complaint: str, lost: list[str]) -> None:
    found, lost_here = complaints_about_pods(PLAIN, ended, pods, Ledger.read([START, END]))
    assert bool(found) == bool(complaint)
    assert not complaint or any(complaint in text for text in found)
    assert lost_here == lost
