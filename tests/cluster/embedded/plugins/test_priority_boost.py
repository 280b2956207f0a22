"""The annotation that adds to a Workload's priority is a number, where it counts."""

from __future__ import annotations

from copy import deepcopy

import pytest

from roadstead.cluster.embedded.admission import AdmissionRequest
from roadstead.cluster.embedded.plugins import PriorityBoost, default_plugins
from roadstead.cluster.embedded.requests import SYSTEM
from roadstead.kinds.errors import StatusError
from roadstead.kinds.kueue.priority_boost import boost_of
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


def said(asked: AdmissionRequest) -> str:
    """Why it is refused, "" if it is not."""
    before = deepcopy(asked.object)
    try:
        PriorityBoost().admit(asked)
    except StatusError as error:
        return error.message
    assert asked.object == before
    return ""


@pytest.mark.parametrize(
    ("text", "counts"),
    [("0", 0), ("-5", -5), ("+7", 7), ("2147483647", 2**31 - 1), ("-2147483648", -(2**31)), ("x", None), ("1.5", None)],
)
def test_what_passes_is_what_counts(text: str, counts: int | None) -> None:
    assert boost_of(text) == counts
    assert (said(request(text)) == "") is (counts is not None)


def test_who_says_nothing_passes() -> None:
    assert said(request(None)) == ""


@pytest.mark.parametrize("text", ["", "x", "1.5", "2147483648", "--1", "٣"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(StatusError) as raised:
        PriorityBoost().admit(request(text))
    assert raised.value.code == 422
    assert "metadata.annotations[kueue.x-k8s.io/priority-boost]: Invalid value" in raised.value.message


def test_what_was_there_before_the_gate_was_switched_on_stays_and_the_status_is_not_looked_at() -> None:
    asked = {
        "new": request("x"),
        "stays": request("x", "x"),
        "another": request("y", "x"),
        "status": request("y", "x", subresource="status"),
    }
    refused = [name for name, each in asked.items() if "Invalid value" in said(each)]
    assert refused == ["new", "another"]


def test_it_is_looked_at_only_where_it_counts() -> None:
    assert not any(isinstance(plugin, PriorityBoost) for plugin in default_plugins())
    assert any(isinstance(plugin, PriorityBoost) for plugin in default_plugins(priority_boost=True))
