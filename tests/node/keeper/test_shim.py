"""What a shim makes of what it hears through its fifo."""

from __future__ import annotations

import signal
import time

import pytest

from roadstead.node.keeper.commands import Commands
from roadstead.node.keeper.shim import Shim


class Heard(Commands):
    def __init__(self) -> None:
        self.begun: list[str] = []

    def begin(self, command_id: str) -> None:
        self.begun.append(command_id)


@pytest.fixture
def shim(monkeypatch: pytest.MonkeyPatch) -> Shim:
    made = Shim("/root", "/path", "uid/main/0", {}, -1)
    made.commands = Heard()
    monkeypatch.setattr(made, "_signal", signals.append)
    signals.clear()
    return made


signals: list[int] = []


def test_requests_that_a_reading_has_cut_are_whole_with_the_next(shim: Shim) -> None:
    kill_at = time.time_ns() + 30 * 10**9
    text = b"exec a1\nexec b2\n15 %d\nexec c3\n" % kill_at
    for cut in range(len(text) + 1):
        shim.kill_at, shim.commands = None, (commands := Heard())
        for part in (text[:cut], text[cut:]):
            shim._hear(part)
        assert commands.begun == ["a1", "b2", "c3"], cut
        assert vars(shim)["kill_at"] == kill_at, cut
    assert set(signals) == {signal.SIGTERM}


def test_what_is_no_request_is_passed_over_and_not_kept(shim: Shim) -> None:
    for _ in range(100):
        shim._hear(b"x" * 4096)
    assert len(shim._half_heard) <= 4096
    shim._hear(b"\nexec\n9\n9 x\nexec a1\n")
    assert isinstance(shim.commands, Heard)
    assert (shim.commands.begun, shim.kill_at) == (["a1"], None)
