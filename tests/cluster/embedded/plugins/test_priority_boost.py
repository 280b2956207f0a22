"""The annotation that adds to a Workload's priority is a number, where it counts."""

from __future__ import annotations

import pytest

from roadstead.cluster.embedded.admission import AdmissionRequest
from roadstead.cluster.embedded.plugins import PriorityBoost, default_plugins
from roadstead.cluster.embedded.requests import SYSTEM
from roadstead.kinds.errors import StatusError
from roadstead.kinds.names import PRIORITY_BOOST_ANNOTATION, WORKLOADS
from roadstead.kinds.object import Json
from roadstead.kinds.served import default_registry


def request(text: str | None, old: str | None = None, *, subresource: str = "") -> AdmissionRequest:
    kind = default_registry().get(WORKLOADS)
    assert kind is not None

    def workload(value: str | None) -> Json:
        return {"metadata": {"name": "w", "annotations": {} if value is None else {PRIORITY_BOOST_ANNOTATION: value}}}

    return AdmissionRequest(
        "UPDATE", kind, "team", "w", subresource, workload(text), workload(old), SYSTEM, False, lambda *_: None
    )


@pytest.mark.parametrize("text", [None, "0", "-5", "+7", "2147483647", "-2147483648"])
def test_numbers_pass(text: str | None) -> None:
    PriorityBoost().admit(request(text))


@pytest.mark.parametrize("text", ["", "x", "1.5", "2147483648", "--1", "٣"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(StatusError) as raised:
        PriorityBoost().admit(request(text))
    assert raised.value.code == 422
    assert "metadata.annotations[kueue.x-k8s.io/priority-boost]: Invalid value" in raised.value.message


def test_what_was_there_before_the_gate_was_switched_on_stays_and_the_status_is_not_looked_at() -> None:
    PriorityBoost().admit(request("x", "x"))
    PriorityBoost().admit(request("x", subresource="status"))


def test_it_is_looked_at_only_where_it_counts() -> None:
    assert not any(isinstance(plugin, PriorityBoost) for plugin in default_plugins())
    assert any(isinstance(plugin, PriorityBoost) for plugin in default_plugins(priority_boost=True))
