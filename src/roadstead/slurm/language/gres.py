"""GRES as options name them: `gpu`, `gpu:2`, `gpu:tesla`, `gpu:tesla:2`, several with commas.

Two readers look at the same text, as there: the command's own, which finds names and counts, and the controller's, which finds counts
that are no numbers. What one lets pass the other may refuse, with another text. Sources: sbatch(1) `--gres`, `--gpus`; corners as
observed on 22.05.8.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from roadstead.slurm.language.errors import INVALID_GRES, INVALID_TRES, Refused, Rejected
from roadstead.slurm.language.numbers import amount


@dataclass(frozen=True, slots=True)
class Item:
    """One asked-for resource. `type` is "" where none is named."""

    name: str
    type: str
    count: int


def requested(text: str, names: Collection[str]) -> list[Item]:
    """What a list asks for; items with a count of 0 ask for nothing. Refused if one cannot be read or names what is not in
    `GresTypes`."""
    return list(_items(text, names))


def check_counts(text: str, *, empty_is_wrong: bool) -> None:
    """The controller's look at a list. Rejected if an item is empty (of `--gres` alone) or its count begins with a digit and is no
    number."""
    for item in text.split(","):
        if not item:
            if empty_is_wrong:
                raise Rejected(INVALID_TRES)
            continue
        _, colon, last = item.rpartition(":")
        if colon and last[:1].isdigit() and amount(last) is None:
            raise Rejected(INVALID_TRES)


def _items(text: str, names: Collection[str]) -> Iterator[Item]:
    for item in filter(None, text.split(",")):
        name, *rest = item.removeprefix("gres:").split(":", 2)
        kind, count = "", 1
        if len(rest) == 2:
            kind = rest[0]
            found = amount(rest[1])
            if not kind or found is None:
                raise Refused(f"error: {INVALID_GRES}")
            count = found
        elif rest:
            if not rest[0]:
                raise Refused(f"error: {INVALID_GRES}")
            if (found := amount(rest[0])) is not None:
                count = found
            else:
                kind = rest[0]
        if not count:
            continue
        if name not in names:
            raise Refused(f"error: {INVALID_GRES}")
        yield Item(name, kind, count)
