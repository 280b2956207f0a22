"""RE2's syntax and leftmost matches, beside Python's own engine where the two agree."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadstead.expr.re2 import PatternError, compile_pattern


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("b+", "abbb", (1, 4)),
        ("b+?", "abbb", (1, 2)),
        ("a|ab", "ab", (0, 1)),
        ("ab|a", "ab", (0, 2)),
        ("^[HL][0-9]+S?$", "L40S", (0, 4)),
        ("^a$", "a\n", None),
        ("(?m)^b$", "a\nb\nc", (2, 3)),
        ("(?i)h100", "H100", (0, 4)),
        ("(?i:h)100", "H100", (0, 4)),
        ("(?s).", "\n", (0, 1)),
        (".", "\n", None),
        (r"\bfoo\b", "a foo b", (2, 5)),
        (r"\Bo", "foo", (1, 2)),
        (r"\d{2,3}", "12345", (0, 3)),
        (r"\d{2,3}?", "12345", (0, 2)),
        ("a{,2}", "a{,2}", (0, 5)),
        ("x*", "aaa", (0, 0)),
        ("(a*)*", "aaa", (0, 3)),
        ("(a|b)+c", "abac", (0, 4)),
        ("[^a-c]", "abcd", (3, 4)),
        ("[]a]", "]", (0, 1)),
        ("[a-]", "-", (0, 1)),
        ("[[:digit:]]+", "ab12", (2, 4)),
        (r"[\d\-x]+", "1-x", (0, 3)),
        (r"\Qa.b\E", "a.b", (0, 3)),
        (r"\x41\x{42}\n\.", "AB\n.", (0, 4)),
        (r"\pL+", "1äb", (1, 3)),
        (r"\p{Lu}", "aB", (1, 2)),
        ("(?P<name>a)(?<other>b)", "ab", (0, 2)),
        ("(?:a|b)?c", "c", (0, 1)),
        ("", "a", (0, 0)),
    ],
)
def test_matches(pattern: str, text: str, expected: tuple[int, int] | None) -> None:
    assert compile_pattern(pattern).search(text) == expected


@pytest.mark.parametrize(
    "pattern",
    ["a**", "*a", "(a", "a)", "[a", "[b-a]", r"\1", "(?=a)", "(?!a)", "(?<=a)b", "a{1001}", "\\", r"\y", "(?P<n>a)(?P<n>b)",
     "(?z)a", "((a{100}){100}){100}", r"\p{Nosuch}", "[[:nosuch:]]", "(?"],
)  # fmt: skip
def test_refused(pattern: str) -> None:
    with pytest.raises(PatternError, match="error parsing regexp"):
        compile_pattern(pattern)


def test_all_matches() -> None:
    assert compile_pattern("[0-9]+").find_all("1 22 333") == ["1", "22", "333"]
    assert compile_pattern("[0-9]+").find_all("1 22 333", 2) == ["1", "22"]
    assert compile_pattern("a*").find_all("baac") == ["", "aa", ""]


def test_time_grows_with_the_text_alone() -> None:
    assert not compile_pattern("(a+)+$").matches("a" * 2000 + "b")
    assert not compile_pattern("(a|aa)+$").matches("a" * 2000 + "b")


ATOMS = st.sampled_from(["a", "b", "[ab]", "[^a]", ".", "^", "$", "\\w", "c"])


def patterns() -> st.SearchStrategy[str]:
    return st.recursive(
        ATOMS,
        lambda inner: st.one_of(
            st.tuples(inner, inner).map("".join),
            st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
            st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "*?", "+?"])).map(
                lambda pair: f"(?:{pair[0]}){pair[1]}"
            ),
        ),
        max_leaves=5,
    )


@settings(max_examples=200, deadline=None)
@given(patterns(), st.text("abc", max_size=6))
def test_whether_it_matches_agrees_with_python(pattern: str, text: str) -> None:
    """Without newlines, `$` means the same to both."""
    assert compile_pattern(pattern).matches(text) == (re.search(pattern, text) is not None)
