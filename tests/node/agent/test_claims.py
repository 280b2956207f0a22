"""Who waits for devices is called once they are free, and nobody else."""

from __future__ import annotations

from roadstead.kinds.names import POD_DEVICES_ANNOTATION
from roadstead.kinds.object import ObjectMeta
from roadstead.node.agent.claims import Claims
from roadstead.node.agent.views import Pod


def holding(name: str, devices: str) -> Pod:
    return Pod(metadata=ObjectMeta(name=name, uid=name, annotations={POD_DEVICES_ANNOTATION: devices}))


def test_a_waiting_pod_is_called_once_when_the_holder_is_over() -> None:
    claims, called = Claims(), list[str]()
    first, second = holding("first", "gpu-0,gpu-1"), holding("second", "gpu-1")
    claims.hold(first)
    assert (claims.holder(second), claims.holder(first), claims.holder(holding("x", "gpu-2"))) == ("first", "", "")
    claims.wait(second, lambda: called.append("second"))
    claims.release("somebody")
    assert called == []
    claims.release("first")
    claims.release("first")
    assert (called, claims.holder(second)) == (["second"], "")


def test_a_pod_that_ended_while_waiting_is_not_called() -> None:
    claims, called = Claims(), list[str]()
    claims.hold(holding("first", "gpu-0"))
    claims.wait(holding("second", "gpu-0"), lambda: called.append("second"))
    claims.release("second")
    claims.release("first")
    assert called == []
