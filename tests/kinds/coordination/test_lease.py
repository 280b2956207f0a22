"""Leases."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.kinds.names import LEASES
from roadstead.kinds.object import Json
from tests.kinds.way import check_new, kind_of, texts

KIND = kind_of(LEASES)


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({}, []),
        ({"holderIdentity": "", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000001Z"}, []),
        ({"leaseDurationSeconds": 0}, ["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"]),
        ({"leaseTransitions": -1}, ["spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0"]),
    ],
)
def test_rules(spec: Json, found: list[str]) -> None:
    obj, errors = check_new(KIND, {"metadata": {"name": "l"}, "spec": spec})
    assert texts(errors) == found
    assert obj["spec"] == spec, "times and empty holders are kept as they were written"


def test_an_update_must_say_which_version_it_saw() -> None:
    strategy: Any = KIND.strategy
    assert not strategy.unconditional_update
    assert strategy.create_on_update
