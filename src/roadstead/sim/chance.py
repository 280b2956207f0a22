"""Chance, reproducible: every part of a simulation draws from a stream of its own, named after the seed and the part.

So what one part draws does not depend on how often another has drawn, nor on the interpreter's hash seed.
"""

from __future__ import annotations

from random import Random
from typing import TypeVar

T = TypeVar("T")


class Chance(Random):
    """A stream of random numbers. Equal names, equal numbers, in every process and on every machine."""

    @classmethod
    def named(cls, seed: int, *names: object) -> Chance:
        return cls("/".join(map(str, (seed, *names))))

    def happens(self, probability: float) -> bool:
        """True with this probability. Draws nothing where there is nothing to draw."""
        return probability > 0.0 and self.random() < probability

    def one_of(self, *choices: T) -> T:
        return self.choice(choices)
