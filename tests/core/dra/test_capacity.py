"""What a share takes of a capacity (KEP-5075)."""

from __future__ import annotations

import pytest

from roadstead.core.dra import capacity
from roadstead.core.dra.outcome import AllocationError
from roadstead.ingest.dra import amount, device_of, text_of
from tests.core.dra.build import Json

RANGE: Json = {"default": "10", "validRange": {"min": "10", "max": "100", "step": "10"}}


def takes(wanted: str | None, policy: Json | None, value: str = "100", *, fractional: bool = True) -> str | None:
    offered = {"value": value} | ({"requestPolicy": policy} if policy is not None else {})
    device = device_of({"name": "d", "capacity": {"c": offered}, "allowMultipleAllocations": True})
    found = capacity.consumption(device, {} if wanted is None else {"c": amount(wanted)}, fractional=fractional)
    return None if found is None else text_of(found[0][1])


@pytest.mark.parametrize(
    ("wanted", "policy", "expected"),
    [
        (None, None, "100"),
        (None, RANGE, "10"),
        ("33", None, "33"),
        ("33", {"default": "5"}, "33"),
        ("3", RANGE, "10"),
        ("33", RANGE, "40"),
        ("40", RANGE, "40"),
        ("105", RANGE, None),
        ("95", {"default": "10", "validRange": {"min": "10", "max": "95", "step": "10"}}, None),
        ("33", {"default": "10", "validRange": {"min": "10"}}, "33"),
        ("3", {"default": "5", "validValues": ["5", "20"]}, "5"),
        ("6", {"default": "5", "validValues": ["5", "20"]}, "20"),
        ("21", {"default": "5", "validValues": ["5", "20"]}, None),
        ("250m", {"default": "100m", "validRange": {"min": "100m", "step": "100m"}}, "300m"),
        ("1.5Gi", {"default": "1Gi", "validRange": {"min": "1Gi", "step": "1Gi"}}, "2Gi"),
    ],
)
def test_what_is_taken(wanted: str | None, policy: Json | None, expected: str | None) -> None:
    assert takes(wanted, policy) == expected


def test_whole_units_without_fractions() -> None:
    policy = {"default": "1", "validRange": {"min": "1", "step": "1"}}
    assert takes("1500m", policy, fractional=False) == "2"


def test_a_name_the_device_lacks() -> None:
    device = device_of({"name": "d", "capacity": {"c": {"value": "1"}}})
    assert capacity.consumption(device, {"other": amount("1")}, fractional=True) is None


@pytest.mark.parametrize("wanted", ["100u", "20E"])
def test_a_request_that_cannot_be_counted_ends_the_attempt(wanted: str) -> None:
    policy = {"default": "10m", "validRange": {"min": "0", "step": "10m"}}
    with pytest.raises(AllocationError) as caught:
        takes(wanted, policy)
    assert caught.value.failed.kind == "capacity_not_representable"


def test_a_negative_amount_ends_the_attempt() -> None:
    with pytest.raises(AllocationError) as caught:
        takes("-1", None)
    assert caught.value.failed.kind == "capacity_negative"


def test_fits_counts_what_is_in_use_and_what_this_attempt_took() -> None:
    device = device_of({"name": "d", "capacity": {"c": {"value": "10"}}})
    four = (("c", amount("4")),)
    unit = 10**9
    assert capacity.fits(four, device, {"c": 3 * unit}, {"c": 3 * unit})
    assert not capacity.fits(four, device, {"c": 4 * unit}, {"c": 3 * unit})
