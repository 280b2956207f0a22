"""Pod addresses out of 127.64.0.0/10. Loopback needs no set-up: any process may bind any of them, on this machine only.

An address follows from the pod's uid, so members of a job know each other's before anybody wrote it anywhere. If two
pods that an agent knows of fall on the same one, the later takes the next that is free, and its status says so.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Container

FIRST = int(ipaddress.IPv4Address("127.64.0.0"))
COUNT = 1 << 22


def likely_address(uid: str) -> str:
    """The address that a pod gets unless another pod had it before."""
    return _text(_slot(uid))


def choose_address(uid: str, taken: Container[str]) -> str:
    """The pod's address: the likely one, or the next that is not taken."""
    slot = _slot(uid)
    for step in range(COUNT):
        address = _text((slot + step) % COUNT)
        if address not in taken:
            return address
    raise RuntimeError(f"all {COUNT} pod addresses are taken")


def _slot(uid: str) -> int:
    return int.from_bytes(hashlib.sha256(uid.encode()).digest()[:8], "big") % COUNT


def _text(slot: int) -> str:
    last = slot & 0xFF
    if last in (0, 255):  # some programs refuse what looks like a network or a broadcast address
        slot ^= 0x55
    return str(ipaddress.IPv4Address(FIRST + slot))
