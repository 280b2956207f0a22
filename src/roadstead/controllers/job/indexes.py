"""Sets of completion indexes and their text form in a Job's status: `0,3-5,8`.

The text is the API's own (batch/v1 JobStatus.completedIndexes): three or more in a row are written as a range, two are
not.
"""

from __future__ import annotations

from collections.abc import Iterable


def parse_indexes(text: str, limit: int | None = None) -> frozenset[int]:
    """The indexes that a status text names; those at or above `limit` (after a scale-down) are left out.

    ValueError if the text is not a list of numbers and ranges. O(indexes named below the limit).

    >>> sorted(parse_indexes("0,3-5", limit=5))
    [0, 3, 4]
    """
    found: set[int] = set()
    if not text:
        return frozenset()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        start, end = int(first), int(last if dash else first)
        if limit is not None:
            end = min(end, limit - 1)
        found.update(range(start, end + 1))
    return frozenset(found)


def format_indexes(indexes: Iterable[int]) -> str:
    """The status text of a set of indexes.

    >>> format_indexes({0, 1, 3, 4, 5})
    '0,1,3-5'
    """
    parts: list[str] = []
    run: list[int] = []
    for index in sorted(indexes):
        if run and index == run[-1] + 1:
            run.append(index)
            continue
        parts += _written(run)
        run = [index]
    return ",".join(parts + _written(run))


def _written(run: list[int]) -> list[str]:
    if len(run) > 2:
        return [f"{run[0]}-{run[-1]}"]
    return [str(index) for index in run]
