"""Kubernetes quantities (`500m`, `1Gi`, `2e3`), exactly.

A quantity is kept in whole nano-units, the finest that the API stores: anything finer is rounded away from zero, as
`resource.ParseQuantity` does. Canonical text follows `Quantity.CanonicalizeBytes`: no fraction, the largest suffix that
leaves an integer, the notation (decimal, binary, exponent) as the writer chose it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final

from roadstead.model.amounts import CPU, UNLIMITED

DECIMAL_SI: Final = "DecimalSI"
BINARY_SI: Final = "BinarySI"
DECIMAL_EXPONENT: Final = "DecimalExponent"

FORMAT_WRONG: Final = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
SUFFIX_WRONG: Final = "unable to parse quantity's suffix"
NUMBER_WRONG: Final = "unable to parse numeric part of quantity"

_NANO: Final = 10**9
_SHAPE: Final = re.compile(r"([+-]?)(?=[0-9.]*[0-9])([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)
_LOOSE: Final = re.compile(r"[+-]?[0-9.]+[eEinumkKMGTP]*[-+]?[0-9]*", re.ASCII)
_EXPONENT: Final = re.compile(r"[eE]([+-]?[0-9]+)", re.ASCII)
_DECIMAL_SUFFIXES: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY_SUFFIXES: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_NAMES: Final = {exponent: name for name, exponent in _DECIMAL_SUFFIXES.items()}
_BINARY_NAMES: Final = {0: "", **{exponent: name for name, exponent in _BINARY_SUFFIXES.items()}}
_LARGEST_EXPONENT: Final = 400  # far beyond any resource; keeps hostile input from building huge integers


class QuantityError(ValueError):
    """The text is not a quantity; the message is the real server's."""


def _away_from_zero(value: Fraction) -> int:
    whole, rest = divmod(abs(value.numerator), value.denominator)
    whole += 1 if rest else 0
    return -whole if value < 0 else whole


@dataclass(frozen=True, slots=True)
class Quantity:
    """An amount in nano-units and the notation to print it in. Compares by amount; equal only if the notation is
    too."""

    nano: int
    format: str = DECIMAL_SI

    @property
    def value(self) -> int:
        """Whole units, rounded away from zero (`Quantity.Value`)."""
        return _away_from_zero(Fraction(self.nano, _NANO))

    @property
    def milli(self) -> int:
        """Thousandths, rounded away from zero (`Quantity.MilliValue`)."""
        return _away_from_zero(Fraction(self.nano, _NANO // 1000))

    @property
    def is_whole(self) -> bool:
        return self.nano % _NANO == 0

    def __lt__(self, other: Quantity) -> bool:
        return self.nano < other.nano

    def __le__(self, other: Quantity) -> bool:
        return self.nano <= other.nano

    def __gt__(self, other: Quantity) -> bool:
        return self.nano > other.nano

    def __ge__(self, other: Quantity) -> bool:
        return self.nano >= other.nano

    def __str__(self) -> str:
        """Canonical text."""
        if self.nano == 0:
            return "0"
        if self.format == BINARY_SI and abs(self.nano) >= 1024 * _NANO and self.is_whole:
            mantissa, exponent = self.nano // _NANO, 0
            while mantissa % 1024 == 0 and exponent < 60:
                mantissa //= 1024
                exponent += 10
            return f"{mantissa}{_BINARY_NAMES[exponent]}"
        mantissa, exponent = self.nano, -9
        limit = 18 if self.format != DECIMAL_EXPONENT else _LARGEST_EXPONENT
        while mantissa % 1000 == 0 and exponent < limit:
            mantissa //= 1000
            exponent += 3
        if self.format == DECIMAL_EXPONENT:
            return f"{mantissa}e{exponent}" if exponent else str(mantissa)
        return f"{mantissa}{_DECIMAL_NAMES[exponent]}"


@lru_cache(maxsize=8192)
def _parse_text(text: str) -> Quantity:
    found = _SHAPE.fullmatch(text)
    if found is None:
        raise QuantityError(NUMBER_WRONG if _LOOSE.fullmatch(text) else FORMAT_WRONG)
    sign, whole, fraction, suffix = found.groups()
    fraction = fraction or ""
    base, exponent, written = 10, _DECIMAL_SUFFIXES.get(suffix), DECIMAL_SI
    if exponent is None:
        if suffix in _BINARY_SUFFIXES:
            base, exponent, written = 2, _BINARY_SUFFIXES[suffix], BINARY_SI
        else:
            power = _EXPONENT.fullmatch(suffix)
            if power is None:
                raise QuantityError(SUFFIX_WRONG)
            exponent, written = int(power.group(1)), DECIMAL_EXPONENT
            if abs(exponent) > _LARGEST_EXPONENT:
                raise QuantityError(SUFFIX_WRONG)
    amount = Fraction(int(whole + fraction or "0"), 10 ** len(fraction)) * Fraction(base) ** exponent
    if sign == "-":
        amount = -amount
    if written == BINARY_SI and 0 < amount < 1:
        written = DECIMAL_SI
    return Quantity(_away_from_zero(amount * _NANO), written)


def parse(text: str | int | float) -> Quantity:
    """The quantity that a string or JSON number stands for. QuantityError (with the real server's text) if it is
    none."""
    if isinstance(text, str):
        return _parse_text(text)
    if isinstance(text, bool):
        raise QuantityError(FORMAT_WRONG)
    if isinstance(text, int):
        return Quantity(text * _NANO)
    return _parse_text(repr(text))


@lru_cache(maxsize=8192)
def _normal_text(text: str) -> str:
    return str(_parse_text(text))


def normalize(text: str | int | float) -> str:
    """Canonical text: `1000m` -> `1`, `0.5` -> `500m`, `1024Mi` -> `1Gi`. QuantityError if it is no quantity."""
    return _normal_text(text) if isinstance(text, str) else str(parse(text))


def compare(left: str | int | float, right: str | int | float) -> int:
    """-1, 0 or 1 as left is smaller than, equal to or greater than right."""
    a, b = parse(left).nano, parse(right).nano
    return (a > b) - (a < b)


def canonical(resource: str, quantity: str | int | float) -> int:
    """The amount in the resource's canonical unit (`model.amounts`): milli-units for cpu, else whole units, rounded up.

    Amounts beyond 64 bits become UNLIMITED, as Kueue counts them.
    """
    parsed = parse(quantity)
    amount = parsed.milli if resource == CPU else parsed.value
    return min(amount, UNLIMITED)


_IN_BYTES = ("memory", "ephemeral-storage", "hugepages-")


def from_canonical(resource: str, amount: int) -> str:
    """Text of an amount in the resource's canonical unit, as Kubernetes prints it: `1500m`, `3`, and bytes as `2Gi`."""
    nano = amount * (_NANO // 1000) if resource == CPU else amount * _NANO
    return str(Quantity(nano, BINARY_SI if resource.startswith(_IN_BYTES) else DECIMAL_SI))
