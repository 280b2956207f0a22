"""Numbers that parts of the product count for whoever asks: plain integers on the hot path, named and labelled only
when they are read.

Nothing here knows of Prometheus; the server's `/metrics` makes its text of `Family` values (apiserver/metrics.py).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

FAST: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds in seconds for what takes from a tenth of a millisecond to seconds."""


class Histogram:
    """How often a value was at most each of `bounds`; the last count is for what is beyond. O(log bounds) a value."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float] = FAST) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        return sum(self.counts)


Labels: TypeAlias = Mapping[str, str]


@dataclass(slots=True)
class Family:
    """One metric and all its series. `name` as it is scraped, without the `_total` of counters."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    samples: list[tuple[Labels, float | Histogram]] = field(default_factory=list)

    def add(self, value: float | Histogram, **labels: str) -> None:
        self.samples.append((labels, value))
