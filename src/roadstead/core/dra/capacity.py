"""Consumable capacity (KEP-5075): what a request takes of a device's capacity, and whether that is allowed and left.

Applies to every device. A dedicated one has nothing in use, so the request acts as "has at least this much" and nothing is
recorded; a shareable one gives a share that takes some of every capacity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from roadstead.core.dra.outcome import AllocationError
from roadstead.model.dra import Amount, Capacity, Device, RequestPolicy

_NANO: Final = 10**9
_MILLI: Final = 10**6

Consumed = tuple[tuple[str, Amount], ...]


def consumption(device: Device, wanted: Mapping[str, Amount], *, fractional: bool) -> Consumed | None:
    """What a share would take of every capacity of the device, sorted by name; None if the policies forbid it.

    None too if the request names a capacity that the device lacks. O(capacities).
    """
    have = dict(device.capacity)
    if any(name not in have for name in wanted):
        return None
    found = []
    for name, capacity in device.capacity:
        amount = _consumed(wanted.get(name), capacity, fractional)
        if not _allowed(amount, capacity.policy, fractional):
            return None
        found.append((name, amount))
    return tuple(sorted(found))


def fits(consumed: Consumed, device: Device, in_use: Mapping[str, int], taken: Mapping[str, int]) -> bool:
    """Is so much left, beside what is in use and what this attempt took already? Nano-units by capacity name."""
    have = dict(device.capacity)
    return all(
        amount.nano + in_use.get(name, 0) + taken.get(name, 0) <= have[name].value.nano for name, amount in consumed
    )


def _consumed(wanted: Amount | None, capacity: Capacity, fractional: bool) -> Amount:
    policy = capacity.policy
    if wanted is None:
        return policy.default if policy is not None and policy.default is not None else capacity.value
    if policy is None:
        return wanted
    if policy.least is not None:
        if wanted.nano < policy.least.nano:
            return policy.least
        return wanted if policy.step is None else _stepped(wanted, policy.least, policy.step, fractional)
    if policy.valid:
        return next((amount for amount in policy.valid if amount.nano >= wanted.nano), wanted)
    return wanted


def _unit(fractional: bool, *amounts: Amount) -> int:
    """Nano-units of the unit to count in: thousandths if any amount is a fraction and fractions are on, else whole units."""
    return _MILLI if fractional and any(amount.nano % _NANO for amount in amounts) else _NANO


def _in(unit: int, amount: Amount) -> int:
    return -(-amount.nano // unit)


def _stepped(wanted: Amount, least: Amount, step: Amount, fractional: bool) -> Amount:
    """The next point of the grid `least + n * step`; it takes the notation of the step."""
    unit = _unit(fractional, wanted, least, step)
    start, width = _in(unit, least), _in(unit, step)
    steps = -(-(_in(unit, wanted) - start) // width)
    return Amount((start + steps * width) * unit, step.notation)


def _allowed(amount: Amount, policy: RequestPolicy | None, fractional: bool) -> bool:
    if policy is None or policy.default is None or amount.nano == policy.default.nano:
        return True
    if policy.least is not None:
        if amount.nano < policy.least.nano or (policy.most is not None and amount.nano > policy.most.nano):
            return False
        if policy.step is None:
            return True
        unit = _unit(fractional, amount, policy.least, policy.step)
        return (_in(unit, amount) - _in(unit, policy.least)) % _in(unit, policy.step) == 0
    if policy.valid:
        return any(amount.nano == each.nano for each in policy.valid)
    return True


__all__ = ["AllocationError", "Consumed", "consumption", "fits"]
