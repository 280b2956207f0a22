"""Which Slurm to speak as. Texts and rules changed over time; each place that differs asks the release."""

from __future__ import annotations

from typing import Final, NamedTuple


class Release(NamedTuple):
    """A Slurm release, ordered: `release >= TRES_PER_TASK`."""

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> Release:
        """`22.05` or `25.11`. ValueError if it is neither of that form nor one this knows to speak as."""
        year, _, month = text.partition(".")
        if not (year.isdigit() and month.isdigit()):
            raise ValueError(f"{text!r} is no Slurm release. Write it as 25.11.")
        release = cls(int(year), int(month))
        if not OLDEST <= release <= NEWEST:
            raise ValueError(f"Slurm {text} is not spoken here; {OLDEST} to {NEWEST} are.")
        return release

    def __str__(self) -> str:
        return f"{self.year}.{self.month:02d}"


OLDEST: Final = Release(22, 5)
NEWEST: Final = Release(26, 5)

SLASHED: Final = Release(23, 11)
"""`gres/gpu:2` instead of `gres:gpu:2`; `--tres-per-task`; several texts reworded with it."""

WITHOUT_GPUS: Final = Release(23, 11)
"""`--cpus-per-gpu` without a GPU is refused instead of counted as nothing."""

GRES_TWICE: Final = Release(26, 5)
"""`--gres=gpu` with `--gpus-per-node` is refused."""
