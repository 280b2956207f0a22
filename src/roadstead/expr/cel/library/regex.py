"""Regular expressions: `matches`, and Kubernetes' `find` and `findAll`. The syntax and meaning are RE2's."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from roadstead.expr.cel.declarations import Library
from roadstead.expr.cel.errors import EvaluationError

_FOREIGN: Final = re.compile(r"\\[1-9]|\\[Zk]|\(\?(?:[=!#(>]|<[=!]|P[=>])|[*+?}]\+")
"""What Python knows and RE2 refuses: backreferences, lookaround, comments, conditions, atomic groups, possessive repeats."""


@lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, compiled. EvaluationError if RE2 would not take it."""
    if _FOREIGN.search(re.sub(r"\\\\|\\\+", "", pattern)):
        raise EvaluationError(f"error parsing regexp: invalid or unsupported Perl syntax: `{pattern}`")
    try:
        return re.compile(_translated(pattern))
    except (re.error, RecursionError, OverflowError) as err:
        raise EvaluationError(f"error parsing regexp: {err}: `{pattern}`") from None


def _translated(pattern: str) -> str:
    """`\\z` is Python's `\\Z`; `$` means the very end; classes are ASCII."""
    parts, at, in_class = [], 0, False
    while at < len(pattern):
        char = pattern[at]
        if char == "\\" and at + 1 < len(pattern):
            pair = pattern[at : at + 2]
            parts.append({"\\z": "\\Z"}.get(pair, pair))
            at += 2
            continue
        if char == "[" and not in_class:
            in_class = True
        elif char == "]" and in_class:
            in_class = False
        parts.append("\\Z" if char == "$" and not in_class and "(?" not in pattern else char)
        at += 1
    return "(?a)" + "".join(parts) if not re.match(r"\(\?[a-zA-Z]+\)", pattern) else "".join(parts)


def matches(text: str, pattern: str) -> bool:
    """Does the pattern match anywhere in the text?"""
    return compiled(pattern).search(text) is not None


def find(text: str, pattern: str) -> str:
    """The leftmost match, or an empty string."""
    found = compiled(pattern).search(text)
    return found.group() if found else ""


def find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [match.group() for match in compiled(pattern).finditer(text)]
    return found if limit < 0 else found[:limit]


REGEX: Final = Library(
    """
find: string.(string) -> string
findAll: string.(string) -> list(string); string.(string, int) -> list(string)
""",
    {"find": find, "findAll": find_all},
)
