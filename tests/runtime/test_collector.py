"""The garbage collector of a long-lived process: what is put aside, and when everything is looked through again."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from roadstead.runtime.collector import (
    AT_LEAST_SECONDS,
    AT_MOST_SECONDS,
    NEVER,
    Schedule,
    begin,
    look_through,
    put_aside,
)


class _Cycle:
    """Garbage that only the collector can free."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _collector_as_it_was() -> Iterator[None]:
    thresholds, was_enabled = gc.get_threshold(), gc.isenabled()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    (gc.enable if was_enabled else gc.disable)()


def test_garbage_is_freed_before_the_rest_is_put_aside() -> None:
    gone = weakref.ref(_Cycle())
    before = gc.get_freeze_count()
    put_aside()
    assert gone() is None
    assert gc.get_freeze_count() > before


def test_garbage_that_was_in_use_when_it_was_put_aside_waits_for_a_look_through_everything() -> None:
    held = _Cycle()
    put_aside()
    gone = weakref.ref(held)
    del held
    put_aside()
    assert gone() is not None
    look_through()
    assert gone() is None
    assert gc.get_freeze_count() > 0


def test_begin_wakes_a_collector_at_rest_which_leaves_the_old_alone() -> None:
    gc.disable()
    begin()
    assert gc.isenabled()
    assert gc.get_threshold()[2] == NEVER
    assert gc.get_freeze_count() > 0


def test_everything_is_looked_through_when_idle_and_grown() -> None:
    schedule = Schedule(0.0, 0.0, 1000)
    assert not schedule.is_due(AT_LEAST_SECONDS - 1, 0.0, 2000), "too soon"
    assert not schedule.is_due(AT_LEAST_SECONDS + 1, 1.0, 2000), "busy"
    assert not schedule.is_due(AT_LEAST_SECONDS + 3, 1.0, 1200), "hardly anything new"
    assert schedule.is_due(AT_LEAST_SECONDS + 5, 1.0, 2000)
    schedule.looked(AT_LEAST_SECONDS + 5, 2000)
    assert not schedule.is_due(AT_LEAST_SECONDS + 7, 1.0, 4000), "it was just done"


def test_a_process_that_is_never_idle_is_looked_through_all_the_same() -> None:
    schedule = Schedule(0.0, 0.0, 1000)
    assert not schedule.is_due(AT_MOST_SECONDS - 1, AT_MOST_SECONDS - 1, 1000)
    assert schedule.is_due(AT_MOST_SECONDS, AT_MOST_SECONDS, 1000)
