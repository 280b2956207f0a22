"""Who waits for devices is called once they are free, and nobody else."""

from __future__ import annotations

import pytest

from roadstead.kinds.names import POD_DEVICES_ANNOTATION
from roadstead.kinds.object import ObjectMeta
from roadstead.node.agent.occupancy import Occupancy, Use
from roadstead.node.agent.views import Pod


def holding(name: str, devices: str) -> Pod:
    return Pod(metadata=ObjectMeta(name=name, uid=name, annotations={POD_DEVICES_ANNOTATION: devices}))


def test_a_waiting_pod_is_called_once_when_the_holder_is_over() -> None:
    occupancy, called = Occupancy(), list[str]()
    first, second = holding("first", "gpu-0,gpu-1"), holding("second", "gpu-1")
    occupancy.hold(first)
    assert (occupancy.holder(second), occupancy.holder(first), occupancy.holder(holding("x", "gpu-2"))) == (
        "first",
        "",
        "",
    )
    occupancy.wait(second, lambda: called.append("second"))
    occupancy.release("somebody")
    assert called == []
    occupancy.release("first")
    occupancy.release("first")
    assert (called, occupancy.holder(second)) == (["second"], "")


def test_a_pod_that_ended_while_waiting_is_not_called() -> None:
    occupancy, called = Occupancy(), list[str]()
    occupancy.hold(holding("first", "gpu-0"))
    occupancy.wait(holding("second", "gpu-0"), lambda: called.append("second"))
    occupancy.release("second")
    occupancy.release("first")
    assert called == []


USES = [Use("gpu-0", "", "a"), Use("gpu-0", "", "b"), Use("gpu-0", "left", "a"), Use("gpu-0", "left", "b")]
USES += [Use("gpu-0", "right", "b"), Use("gpu-1", "", "b")]


@pytest.mark.parametrize(
    ("one", "excluded"),
    [
        (USES[0], {USES[1], USES[3], USES[4]}),  # the whole: everything of it, but what the same claim has
        (USES[2], {USES[1], USES[3]}),  # a part: the whole and the same part
        (USES[5], set()),
    ],
)
def test_what_cannot_be_in_use_at_once(one: Use, excluded: set[Use]) -> None:
    assert {other for other in USES if one.excludes(other)} == excluded
    assert {other for other in USES if other.excludes(one)} == excluded


def test_devices_of_claims_are_held_like_those_by_count() -> None:
    occupancy = Occupancy()
    occupancy.hold(holding("first", ""), [Use("gpu-1", "", "claim")])
    assert occupancy.holder(holding("second", "gpu-1")) == "first"
    assert occupancy.holder(holding("second", ""), [Use("gpu-1", "part", "other")]) == "first"
    assert occupancy.holder(holding("second", ""), [Use("gpu-1", "", "claim")]) == ""
    assert occupancy.busy() == {"gpu-1"}
