"""Time is an argument everywhere else; this is where it comes from."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    def now(self) -> int:
        """Nanoseconds since the epoch. Never goes backwards within one process."""
        ...


class WallClock:
    """The machine's clock, kept from stepping backwards while the process lives."""

    def __init__(self) -> None:
        self._last = 0

    def now(self) -> int:
        self._last = max(self._last, time.time_ns())
        return self._last
