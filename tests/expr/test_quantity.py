"""Quantities: exact values, canonical text, the server's sentences."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.expr import quantity
from roadstead.expr.quantity import BINARY_SI, DECIMAL_SI, Quantity, QuantityError
from roadstead.model.amounts import UNLIMITED


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Gi", "512Mi"),
        ("1e3", "1e3"),
        ("5E3", "5e3"),
        ("1500", "1500"),
        ("1000", "1k"),
        ("1000000", "1M"),
        ("0.1n", "1n"),  # finer than a nano rounds away from zero
        ("-0.1n", "-1n"),
        ("512", "512"),
        ("0.5Ki", "512"),  # below 1024 the binary notation is dropped
        ("1000Mi", "1000Mi"),
        (".5", "500m"),
        ("1.", "1"),
        ("0", "0"),
        ("0Mi", "0"),
        ("-1", "-1"),
        ("+1", "1"),
        ("1E", "1E"),
        ("0.0001Mi", "104857600u"),  # not whole: decimal
        (1, "1"),
        (0.25, "250m"),
        ("100m", "100m"),
    ],
)
def test_canonical_text(written: str | int | float, canonical: str) -> None:
    assert quantity.normalize(written) == canonical


@pytest.mark.parametrize("text", ["x", "1x", "", "--1", "m", " 1", "1 ", "1\n", "Ki"])
def test_text_of_another_shape_is_refused_with_the_expression(text: str) -> None:
    with pytest.raises(QuantityError, match="quantities must match the regular expression"):
        quantity.parse(text)


@pytest.mark.parametrize("text", ["1Kim", "1e", "1mm", "1e999999"])
def test_an_unknown_suffix_is_named_as_such(text: str) -> None:
    with pytest.raises(QuantityError, match="unable to parse quantity's suffix"):
        quantity.parse(text)


def test_a_number_with_two_points_is_no_number() -> None:
    with pytest.raises(QuantityError, match="unable to parse numeric part of quantity"):
        quantity.parse("1..2")


def test_true_is_no_quantity() -> None:
    with pytest.raises(QuantityError):
        quantity.parse(True)


@pytest.mark.parametrize(
    ("resource", "written", "amount"),
    [
        ("cpu", "1", 1000),
        ("cpu", "100m", 100),
        ("cpu", "0.0001", 1),  # rounded up, never understated
        ("memory", "1Gi", 2**30),
        ("memory", "1", 1),
        ("memory", "1500m", 2),
        ("nvidia.com/gpu", "2", 2),
        ("memory", "100E", UNLIMITED),
    ],
)
def test_amounts_in_canonical_units(resource: str, written: str, amount: int) -> None:
    assert quantity.canonical(resource, written) == amount


def test_amounts_print_back() -> None:
    assert quantity.from_canonical("cpu", 1500) == "1500m"
    for name in ("memory", "ephemeral-storage", "hugepages-2Mi"):
        assert quantity.from_canonical(name, 2**30) == "1Gi"
    assert quantity.from_canonical("nvidia.com/gpu", 8) == "8"


nanos = st.integers(min_value=-(10**27), max_value=10**27)
formats = st.sampled_from([DECIMAL_SI, BINARY_SI])


@given(nanos, formats)
def test_printing_loses_nothing(nano: int, written: str) -> None:
    printed = str(Quantity(nano, written))
    assert quantity.parse(printed).nano == nano
    again = quantity.normalize(printed)  # a binary amount without a suffix is read as a decimal one: 15625000 is 15625k
    assert again == printed or written == BINARY_SI
    assert quantity.parse(again).nano == nano


@given(st.integers(0, 10**6), st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "Gi", "e2", "e-2"]))
def test_the_value_is_exact(number: int, suffix: str) -> None:
    scale = {
        "": Fraction(1),
        "m": Fraction(1, 1000),
        "k": Fraction(1000),
        "M": Fraction(10**6),
        "Ki": Fraction(1024),
        "Mi": Fraction(2**20),
        "Gi": Fraction(2**30),
        "e2": Fraction(100),
        "e-2": Fraction(1, 100),
    }[suffix]
    assert Fraction(quantity.parse(f"{number}{suffix}").nano, 10**9) == number * scale


@given(nanos, nanos)
def test_order_is_that_of_the_amounts(left: int, right: int) -> None:
    a, b = Quantity(left), Quantity(right)
    assert quantity.compare(str(a), str(b)) == (left > right) - (left < right)
    assert (a < b, a <= b, a > b, a >= b) == (left < right, left <= right, left > right, left >= right)
