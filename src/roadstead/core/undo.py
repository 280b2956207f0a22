"""The undo log behind `World.trial()`: structures record how to take back each change while a trial is open.

Nestable. Costs nothing but one attribute test per change while no trial is open; a rollback costs what the trial
changed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class UndoLog:
    __slots__ = ("_depth", "_steps")

    def __init__(self) -> None:
        self._steps: list[Callable[[], None]] = []
        self._depth = 0

    @property
    def is_recording(self) -> bool:
        return self._depth > 0

    def record(self, take_back: Callable[[], None]) -> None:
        """Remember how to take back a change just made. A no-op outside a trial."""
        if self._depth:
            self._steps.append(take_back)

    def begin(self) -> int:
        """Open a (nested) trial; returns the mark to roll back to."""
        self._depth += 1
        return len(self._steps)

    def rollback(self, mark: int) -> None:
        """Close the innermost trial and take back everything since its mark, newest first."""
        while len(self._steps) > mark:
            self._steps.pop()()
        self._depth -= 1

    def keep(self, mark: int) -> None:
        """Close the innermost trial and keep its changes (an outer trial can still take them back)."""
        self._depth -= 1
        if not self._depth:
            self._steps.clear()


def put(undo: UndoLog, table: dict[K, V], key: K, value: V | None) -> None:
    """Set an entry of a table, or drop it (None). Undoable."""
    before = table.get(key)
    _put(table, key, value)
    if undo.is_recording:
        undo.record(partial(_put, table, key, before))


def _put(table: dict[K, V], key: K, value: V | None) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
