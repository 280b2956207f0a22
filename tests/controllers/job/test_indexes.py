from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.controllers.job.indexes import format_indexes, parse_indexes


@pytest.mark.parametrize(
    ("indexes", "text"),
    [
        ((), ""),
        ((7,), "7"),
        ((1, 2), "1,2"),
        ((1, 2, 3), "1-3"),
        ((0, 1, 3, 4, 5, 9), "0,1,3-5,9"),
    ],
)
def test_text_form(indexes: tuple[int, ...], text: str) -> None:
    assert format_indexes(indexes) == text
    assert parse_indexes(text) == frozenset(indexes)


@given(st.frozensets(st.integers(0, 300)), st.integers(0, 300))
def test_every_set_survives_its_text_and_a_limit_cuts_it(indexes: frozenset[int], limit: int) -> None:
    text = format_indexes(indexes)
    assert parse_indexes(text) == indexes
    assert parse_indexes(text, limit) == {index for index in indexes if index < limit}
    assert ",," not in text


def test_a_limit_bounds_the_work_of_a_huge_range() -> None:
    assert parse_indexes("0-99999999", 3) == {0, 1, 2}


@pytest.mark.parametrize("text", ["x", "1-", "1,,2", "-"])
def test_what_is_no_list_of_indexes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        parse_indexes(text)
