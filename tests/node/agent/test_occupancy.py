"""Who waits for devices is called once they are free, and nobody else."""

from __future__ import annotations

from roadstead.kinds.names import POD_DEVICES_ANNOTATION
from roadstead.kinds.object import ObjectMeta
from roadstead.node.agent.occupancy import Occupancy
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
