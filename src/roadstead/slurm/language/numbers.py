"""Numbers as Slurm's options take them: counts, memory, GRES amounts.

Sources: sbatch(1) for the suffixes; which malformed numbers pass and which texts the others get, as observed on 22.05.8.
"""

from __future__ import annotations

import re
from typing import Final

from roadstead.slurm.language.errors import Refused

_INTEGER: Final = re.compile(r"[ \t]*[+-]?\d+")
_MEMORY: Final = re.compile(r"[ \t]*\+?(\d+)([kmgt]?)b?", re.IGNORECASE)
_AMOUNT: Final = re.compile(r"[ \t]*\+?(\d*)(?:([kmgtp])(?:i?b)?)?", re.IGNORECASE)
_LONG_MAX: Final = (1 << 63) - 1
_POWERS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


def positive(option: str, text: str) -> int:
    """A count above 0. Refused otherwise; beyond 32 bits it wraps, as there."""
    if not _INTEGER.fullmatch(text):
        raise Refused(f'error: Invalid numeric value "{text}" for {option}.')
    value = int(text)
    if value > _LONG_MAX:
        raise Refused(f"error: Numeric argument ({_LONG_MAX}) to big for {option}.")
    if value <= 0:
        raise Refused(f'error: Invalid numeric value "{text}" for {option}.')
    wrapped = value & 0xFFFFFFFF
    return wrapped - (1 << 32) if wrapped >= 1 << 31 else wrapped


def mebibytes(text: str) -> int | None:
    """Memory in MiB: MiB unless K, G or T is said; K rounds up. None if it is no amount of memory."""
    match = _MEMORY.fullmatch(text)
    if match is None or int(match[1]) > _LONG_MAX:
        return None
    number, unit = int(match[1]), match[2].lower()
    if unit == "k":
        return -(-number // 1024)
    return number * {"": 1, "m": 1, "g": 1 << 10, "t": 1 << 20}[unit]


def amount(text: str) -> int | None:
    """A GRES amount such as `4` or `4G` (multiples of 1024). A suffix without a number is 0. None if it is no amount."""
    match = _AMOUNT.fullmatch(text)
    if match is None or not text or not (match[1] or match[2]) or int(match[1] or 0) >= 1 << 64:
        return None
    return int(match[1] or 0) * _POWERS[(match[2] or "").lower()]


def spelled(value: int) -> str:
    """An amount as Slurm prints it: `4G` for 4294967296, in the largest unit that divides it."""
    for unit in "PTGMK":
        power = _POWERS[unit.lower()]
        if value and value % power == 0:
            return f"{value // power}{unit}"
    return str(value)
