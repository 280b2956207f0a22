"""Regular expressions: `matches`, and Kubernetes' `find` and `findAll`. The syntax and meaning are RE2's."""

from __future__ import annotations

from typing import Final

from roadstead.expr.cel.declarations import Library
from roadstead.expr.cel.errors import EvaluationError
from roadstead.expr.re2 import Pattern, PatternError, compile_pattern


def compiled(pattern: str) -> Pattern:
    """The pattern, compiled. EvaluationError if RE2 would not take it."""
    try:
        return compile_pattern(pattern)
    except PatternError as err:
        raise EvaluationError(str(err)) from None


def matches(text: str, pattern: str) -> bool:
    """Does the pattern match anywhere in the text?"""
    return compiled(pattern).matches(text)


def find(text: str, pattern: str) -> str:
    """The leftmost match, or an empty string."""
    span = compiled(pattern).search(text)
    return text[span[0] : span[1]] if span else ""


def find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    return compiled(pattern).find_all(text, limit)


REGEX: Final = Library(
    """
find: string.(string) -> string
findAll: string.(string) -> list(string); string.(string, int) -> list(string)
""",
    {"find": find, "findAll": find_all},
)
