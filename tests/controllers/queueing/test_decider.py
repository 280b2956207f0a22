"""The Decider when an object is more than it can take."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.controllers.admission import AdmissionDecider
from roadstead.ingest import fact
from roadstead.kinds.names import NAMESPACES
from roadstead.kinds.object import Object, Resource
from roadstead.model.facts import Fact
from roadstead.model.queues import Namespace
from roadstead.runtime.step import Key


def test_one_object_that_cannot_be_taken_in_costs_the_decider_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(resource: Resource, key: Key, *others: Any) -> list[Fact]:
        if key == ("", "b"):
            raise RuntimeError("a bug")
        return fact(resource, key, *others)

    monkeypatch.setattr("roadstead.controllers.admission.decider.fact", stumble)
    made = AdmissionDecider()
    for name in "abc":
        value = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "uid": name}}
        made.observe(NAMESPACES, ("", name), Object.of(NAMESPACES, value))
    with pytest.raises(RuntimeError):
        made.decide(1)
    made.decide(2)
    assert sorted(made.world.facts[Namespace]) == [("", "a"), ("", "c")]
