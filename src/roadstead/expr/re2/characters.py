"""Classes of characters: Perl's, POSIX', Unicode's general categories."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Final

Test = Callable[[str], bool]


def is_word(char: str) -> bool:
    return char.isascii() and (char.isalnum() or char == "_")


PERL: Final[dict[str, Test]] = {
    "d": lambda char: "0" <= char <= "9",
    "w": is_word,
    "s": lambda char: char in "\t\n\f\r ",
}
POSIX: Final[dict[str, Test]] = {
    "alnum": lambda char: char.isascii() and char.isalnum(),
    "alpha": lambda char: char.isascii() and char.isalpha(),
    "ascii": lambda char: char.isascii(),
    "blank": lambda char: char in "\t ",
    "cntrl": lambda char: char < " " or char == "\x7f",
    "digit": lambda char: "0" <= char <= "9",
    "graph": lambda char: "!" <= char <= "~",
    "lower": lambda char: "a" <= char <= "z",
    "print": lambda char: " " <= char <= "~",
    "punct": lambda char: "!" <= char <= "~" and not char.isalnum(),
    "space": lambda char: char in "\t\n\v\f\r ",
    "upper": lambda char: "A" <= char <= "Z",
    "word": is_word,
    "xdigit": lambda char: char in "0123456789abcdefABCDEF",
}
ESCAPES: Final = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def none_of(test: Test) -> Test:
    return lambda char: not test(char)


def any_of(tests: list[Test]) -> Test:
    return lambda char: any(test(char) for test in tests)


def between(low: str, high: str) -> Test:
    return lambda char: low <= char <= high


def folded(test: Test) -> Test:
    return lambda char: test(char) or test(char.lower()) or test(char.upper())


def category(name: str) -> Test:
    return lambda char: unicodedata.category(char).startswith(name)


CATEGORIES: Final = frozenset("CLMNPSZ")
