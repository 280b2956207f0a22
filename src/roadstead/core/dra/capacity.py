"""Consumable capacity (KEP-5075): what a request takes of a device's capacity, and whether that is allowed and left.

Applies to every device. A dedicated one has nothing in use, so the request acts as "has at least this much" and nothing
is recorded; a shareable one gives a share that takes some of every capacity.

Arithmetic is in 64-bit integers as upstream's: of thousandths, if DRAFractionalCapacityRange is on and the range can be
written in thousandths, else of whole units. A request that cannot be counted so ends the attempt: trying device after
device would not mend it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from roadstead.core.dra.outcome import AllocationError
from roadstead.model.dra import Amount, Capacity, Device, RequestPolicy

_NANO: Final = 10**9
_MILLI: Final = 10**6
_MOST: Final = 2**63 - 1

Consumed = tuple[tuple[str, Amount], ...]


def consumption(device: Device, wanted: Mapping[str, Amount], *, fractional: bool) -> Consumed | None:
    """What a share would take of every capacity of the device, by name; None if the policies forbid it.

    None too if the request names a capacity that the device lacks. AllocationError (`capacity_not_representable`,
    `capacity_negative`) where the amount is none that can be counted. O(capacities).
    """
    have = dict(device.capacity)
    if any(name not in have for name in wanted):
        return None
    found = tuple((name, _resolved(name, wanted.get(name), capacity, fractional)) for name, capacity in device.capacity)
    for name, amount in found:
        if not _allowed(amount, have[name].policy, fractional):
            return None
    return found


def fits(consumed: Consumed, device: Device, in_use: Mapping[str, int], taken: Mapping[str, int]) -> bool:
    """Is so much left, beside what is in use and what this attempt took already? Nano-units by capacity name."""
    have = dict(device.capacity)
    return all(
        amount.nano + in_use.get(name, 0) + taken.get(name, 0) <= have[name].value.nano for name, amount in consumed
    )


def _resolved(name: str, wanted: Amount | None, capacity: Capacity, fractional: bool) -> Amount:
    found = _consumed(name, wanted, capacity, fractional)
    if found.nano < 0:
        raise AllocationError("capacity_negative", f'capacity "{name}": capacity value is negative')
    return found


def _consumed(name: str, wanted: Amount | None, capacity: Capacity, fractional: bool) -> Amount:
    policy = capacity.policy
    if wanted is None:
        return policy.default if policy is not None and policy.default is not None else capacity.value
    if policy is None:
        return wanted
    if policy.least is not None:
        if wanted.nano < policy.least.nano:
            return policy.least
        return wanted if policy.step is None else _stepped(name, wanted, policy, policy.least, policy.step, fractional)
    if policy.valid:
        return next((amount for amount in policy.valid if amount.nano >= wanted.nano), wanted)
    return wanted


def _in_thousandths(amount: Amount | None) -> bool:
    """Can the amount be written in thousandths of 64 bits?"""
    return amount is None or (amount.nano % _MILLI == 0 and abs(amount.nano // _MILLI) <= _MOST)


def _unit(policy: RequestPolicy, fractional: bool) -> int:
    """Nano-units of the unit that the range is counted in."""
    milli = fractional and all(_in_thousandths(amount) for amount in (policy.least, policy.most, policy.step))
    return _MILLI if milli and (policy.step is None or policy.step.nano >= _MILLI) else _NANO


def _in(unit: int, amount: Amount) -> int:
    """Rounded up."""
    return -(-amount.nano // unit)


def _stepped(name: str, wanted: Amount, policy: RequestPolicy, least: Amount, step: Amount, fractional: bool) -> Amount:
    """The next point of the grid `least + n * step`; it takes the notation of the step."""
    unit = _unit(policy, fractional)
    countable = _in_thousandths(wanted) if unit == _MILLI else _in(unit, wanted) <= _MOST
    start, width = _in(unit, least), _in(unit, step)
    found = start + -(-(_in(unit, wanted) - start) // width) * width
    if not countable or found > _MOST:
        raise AllocationError(
            "capacity_not_representable",
            f'capacity "{name}": capacity request cannot be represented in the device\'s range arithmetic',
        )
    return Amount(found * unit, step.notation)


def _allowed(amount: Amount, policy: RequestPolicy | None, fractional: bool) -> bool:
    """Does the policy take this amount? Its default always."""
    if policy is None or amount == policy.default:
        return True
    if policy.least is not None or policy.most is not None:
        if policy.most is not None and amount.nano > policy.most.nano:
            return False
        if policy.step is None:
            return True
        unit = _unit(policy, fractional)
        if unit == _MILLI and not _in_thousandths(amount):
            return False
        start = _in(unit, policy.least) if policy.least is not None else 0
        return (_in(unit, amount) - start) % _in(unit, policy.step) == 0
    if policy.valid:
        return any(amount.nano == each.nano for each in policy.valid)
    return True
