"""Events expire an hour after they were last seen."""

from __future__ import annotations

import pytest

from roadstead.cluster.embedded.expiry import expire_events
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.names import EVENTS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind, Registry
from roadstead.kinds.strategy import Strategy
from roadstead.kinds.times import SECOND, format_micro_time, format_time
from tests.cluster.embedded.objects import NOW, OPTIONS
from tests.cluster.kinds import Anything
from tests.cluster.loop import in_loop

EVENT = Kind(EVENTS, "Event", "event", True, Anything(), Strategy())
HOUR = 3600 * SECOND


@pytest.mark.parametrize(
    ("times", "is_kept"),
    [
        pytest.param({}, False, id="created long ago"),
        pytest.param({"lastTimestamp": format_time(NOW + HOUR)}, True, id="seen again"),
        pytest.param({"eventTime": format_micro_time(NOW + HOUR)}, True, id="happened lately"),
        pytest.param({"series": {"count": 2, "lastObservedTime": format_micro_time(NOW + HOUR)}}, True, id="a series"),
        pytest.param({"lastTimestamp": None, "eventTime": None, "series": None}, False, id="times unsaid"),
    ],
)
@in_loop
async def test_expiry(times: Json, is_kept: bool) -> None:
    store = Store.in_memory()
    api = Resources(store, Registry([EVENT]), clock=lambda: NOW)
    await api.create(EVENT, "default", {"metadata": {"name": "e"}, **times}, OPTIONS)
    assert await expire_events(api, NOW + HOUR) == 0
    assert await expire_events(api, NOW + HOUR + SECOND) == (0 if is_kept else 1)
    assert store.count(EVENTS) == (1 if is_kept else 0)
