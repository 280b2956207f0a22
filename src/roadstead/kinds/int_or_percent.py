"""Numbers that may be written as a share: `3` or `"25%"` (apimachinery `intstr`, kubernetes
`pkg/apis/apps/validation`)."""

from __future__ import annotations

import re
from typing import Any, Final

from roadstead.kinds.core import checks
from roadstead.kinds.errors import FieldError, invalid

_PERCENT: Final = re.compile(r"[0-9]+%", re.ASCII)
_NO_PERCENT: Final = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
    "validation is '[0-9]+%')"
)


def percent(value: Any) -> int | None:
    """The number before the percent sign; None if it is no share."""
    return int(value[:-1]) if isinstance(value, str) and _PERCENT.fullmatch(value) else None


def plain(value: Any) -> int:
    """The number, be it a share or not; 0 of a text that is neither."""
    share = percent(value)
    if share is not None:
        return share
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"[+-]?[0-9]+", value, re.ASCII) else 0
    return int(value or 0)


def scaled(value: Any, total: int, *, up: bool) -> int:
    """The number itself, or its share of `total`, rounded up or down."""
    share = percent(value)
    if share is None:
        return plain(value)
    return -(-share * total // 100) if up else share * total // 100


def not_negative(value: Any, path: str, found: list[FieldError]) -> None:
    """A whole number that is not below 0, or a share."""
    if isinstance(value, str):
        if percent(value) is None:
            found.append(invalid(path, value, _NO_PERCENT))
    else:
        checks.not_negative(value, path, found)


def at_most_all(value: Any, path: str, found: list[FieldError]) -> None:
    share = percent(value)
    if share is not None and share > 100:
        found.append(invalid(path, value, "must not be greater than 100%"))
