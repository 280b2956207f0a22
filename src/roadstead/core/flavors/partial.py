"""Partial admission: the largest smaller size of a workload that works (kueue.md 2.11; Kueue `podset_reducer.go`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from roadstead.model.workload import PodSet


def search_counts(
    pod_sets: Sequence[PodSet], counts: Sequence[int], works: Callable[[tuple[int, ...]], bool]
) -> tuple[int, ...] | None:
    """The counts of the smallest reduction for which `works` says yes, found by bisection over the total reduction.

    Bisection takes for granted that what works for some size works for every smaller one; where that is not so and the
    last success is not the reduction found, there is no answer (as in Kueue). O(log(total reduction)) calls of `works`.
    """
    deltas = [
        max(0, count - ps.min_count) if ps.min_count is not None else 0
        for ps, count in zip(pod_sets, counts, strict=True)
    ]
    total = sum(deltas)
    if not total:
        return None

    def reduced(by: int) -> tuple[int, ...]:
        return tuple(count - delta * by // total for count, delta in zip(counts, deltas, strict=True))

    last_success = -1
    low, high = 0, total + 1
    while low < high:
        middle = (low + high) // 2
        if works(reduced(middle)):
            last_success, high = middle, middle
        else:
            low = middle + 1
    return reduced(low) if low <= total and last_success == low else None
