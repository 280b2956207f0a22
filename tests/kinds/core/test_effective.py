"""Effective amounts of a pod: what runs together, or the greediest moment of its start."""

from __future__ import annotations

from operator import add

import pytest

from roadstead.kinds.core.effective import effective

STAYS, GOES = True, False


@pytest.mark.parametrize(
    ("together", "starting", "amount"),
    [
        pytest.param([1, 2], [], 3, id="containers run together"),
        pytest.param([1], [(5, GOES)], 5, id="a greedy init container needs its room"),
        pytest.param([3, 3], [(5, GOES)], 6, id="a modest one takes none that is not there later"),
        pytest.param([1], [(5, GOES), (4, GOES)], 5, id="init containers come one after another"),
        pytest.param([1], [(2, STAYS)], 3, id="one that stays runs beside the others"),
        pytest.param([1], [(2, STAYS), (5, GOES)], 7, id="and beside the init containers after it"),
        pytest.param([1], [(5, GOES), (2, STAYS)], 5, id="but not beside those before it"),
        pytest.param([1], [(2, STAYS), (3, STAYS), (4, GOES)], 9, id="all that stay add up"),
        pytest.param([], [(2, GOES)], 2, id="nothing runs in the end"),
    ],
)
def test_the_amount_of_one_resource(together: list[int], starting: list[tuple[int, bool]], amount: int) -> None:
    found = effective([{"cpu": one} for one in together], [({"cpu": one}, stays) for one, stays in starting], add, max)
    assert found == {"cpu": amount}


def test_each_resource_has_its_own_greediest_moment() -> None:
    together = [{"cpu": 1, "memory": 4}, {"memory": 4}]
    starting = [({"cpu": 3, "memory": 1}, GOES), ({"gpu": 1}, GOES)]
    assert effective(together, starting, add, max) == {"cpu": 3, "memory": 8, "gpu": 1}


def test_what_is_given_is_left_as_it_was() -> None:
    container, beside, first = {"cpu": 1}, {"cpu": 2}, {"cpu": 5}
    effective([container], [(beside, STAYS), (first, GOES)], add, max)
    assert (container, beside, first) == ({"cpu": 1}, {"cpu": 2}, {"cpu": 5})
