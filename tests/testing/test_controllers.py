"""The laboratory keeps the runner's promises, and breaks what it is told to break."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

import pytest

from roadstead.kinds.names import CONFIG_MAPS
from roadstead.kinds.object import Json, Resource
from roadstead.runtime.cluster import Create, Result, Update
from roadstead.runtime.step import NOTHING, SECOND, Absent, Index, Key, KeysOf, Read, Step, in_order, same_key
from roadstead.testing.controllers import START, Fault, Lab, Restless

Views = list[list[str]]


def config_map(name: str, **data: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": data,
    }


class Copier:
    """Makes `copy` of `original` in two writes, and remembers what it saw each time it looked."""

    name: ClassVar[str] = "copier"
    watches: Mapping[Resource, KeysOf] = {CONFIG_MAPS: lambda changed, read: (("default", "original"),)}
    indexes: Mapping[tuple[Resource, str], Index] = {}

    def __init__(self, seen: Views) -> None:
        self._seen = seen

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        self._seen.append([obj.meta.name for obj in read.list(CONFIG_MAPS)])
        if read.get(CONFIG_MAPS, *key) is None:
            return NOTHING
        missing = [name for name in ("copy", "second") if read.get(CONFIG_MAPS, "default", name) is None]
        return in_order(*(Create(CONFIG_MAPS, config_map(name)) for name in missing))


def one_copier(seen: Views) -> list[Copier]:
    return [Copier(seen)]


@pytest.mark.parametrize("fault", [None, *Fault])
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("lag", [0, 5])
def test_a_level_triggered_controller_gets_there_whatever_breaks(fault: Fault | None, number: int, lag: int) -> None:
    faults = {} if fault is None else {number: fault}
    with Lab(lambda: [Copier([])], faults=faults, lag=lag) as lab:
        lab.create(CONFIG_MAPS, config_map("original"))
        lab.settle()
        assert {obj["metadata"]["name"] for obj in lab.all(CONFIG_MAPS)} == {"original", "copy", "second"}
        assert lab.crashes == (fault in (Fault.CRASH_AFTER, Fault.CRASH_BEFORE))


@pytest.mark.parametrize(
    ("fault", "first"),
    [
        (Fault.CONFLICT, Result.CONFLICT),
        (Fault.LOST_ANSWER, Result.DONE),
        (Fault.LOST_REQUEST, Result.CONFLICT),
    ],
)
def test_what_a_controller_is_told(fault: Fault, first: Result) -> None:
    with Lab(lambda: [Copier([])], faults={0: fault}) as lab:
        lab.create(CONFIG_MAPS, config_map("original"))
        lab.settle()
        assert lab.ledger[0].result is first


def test_a_view_may_lag_but_never_behind_the_keys_own_writes() -> None:
    lagged = False
    for seed in range(20):
        seen: Views = []
        with Lab(partial(one_copier, seen), lag=5, seed=seed) as lab:
            for number in range(5):
                lab.create(CONFIG_MAPS, config_map(f"noise{number}"))
            lab.create(CONFIG_MAPS, config_map("original"))
            lab.settle()
            assert [wrote.result for wrote in lab.ledger] == [Result.DONE, Result.DONE]
            lagged |= any(len(names) < 6 for names in seen)
    assert lagged


class Restive:
    """Never content."""

    name: ClassVar[str] = "restive"
    watches: Mapping[Resource, KeysOf] = {CONFIG_MAPS: same_key}
    indexes: Mapping[tuple[Resource, str], Index] = {}

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        found = read.get(CONFIG_MAPS, *key)
        assert found is not None
        value = found.decode()
        value["data"] = {"n": str(int(value.get("data", {}).get("n", "0")) + 1)}
        return in_order(Update(CONFIG_MAPS, value))


def test_controllers_that_never_rest_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadstead.testing.controllers.MOST_STEPS", 50)
    with Lab(lambda: [Restive()]) as lab:
        lab.create(CONFIG_MAPS, config_map("a"))
        with pytest.raises(Restless, match="restive"):
            lab.settle()


class Timed:
    """Writes once a minute has passed since the clock began, if the other object is absent."""

    name: ClassVar[str] = "timed"
    watches: Mapping[Resource, KeysOf] = {CONFIG_MAPS: same_key}
    indexes: Mapping[tuple[Resource, str], Index] = {}

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        if key[1] != "a" or read.get(CONFIG_MAPS, "default", "b") is not None:
            return NOTHING
        if now < START + 60 * SECOND:
            return Step(again_at=START + 60 * SECOND)
        absent = Absent(Create(CONFIG_MAPS, config_map("veto")).ref)
        return Step(((Create(CONFIG_MAPS, config_map("b")),),), confirm=(absent,), again_at=now + SECOND)


@pytest.mark.parametrize("vetoed", [False, True])
def test_time_passes_only_when_told_and_confirmations_are_asked(vetoed: bool) -> None:
    with Lab(lambda: [Timed()]) as lab:
        lab.create(CONFIG_MAPS, config_map("a"))
        if vetoed:
            lab.create(CONFIG_MAPS, config_map("veto"))
        lab.settle()
        assert lab.now == START
        lab.advance(59)
        assert lab.get(CONFIG_MAPS, "b") is None
        lab.advance(1)
        assert (lab.get(CONFIG_MAPS, "b") is not None) == (not vetoed)


def test_an_invalid_write_fails_the_test_that_does_not_expect_it() -> None:
    class Wrong(Restive):
        def reconcile(self, key: Key, read: Read, now: int) -> Step:
            return in_order(Create(CONFIG_MAPS, config_map("Not A Name")))

    with Lab(lambda: [Wrong()]) as lab:
        lab.create(CONFIG_MAPS, config_map("a"))
        with pytest.raises(AssertionError, match="refused"):
            lab.settle()
