"""The annotation that adds to the priority of a Workload (KEP-7990; kueue.md 2.13)."""

from __future__ import annotations

from typing import Final

from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.names import PRIORITY_BOOST_ANNOTATION
from roadstead.kinds.object import Json

PATH: Final = f"metadata.annotations[{PRIORITY_BOOST_ANNOTATION}]"
MOST: Final = 2**31 - 1


def boost_of(text: str) -> int | None:
    """The number that the annotation says (32 bits, signed); None if it says none."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits.isascii() or not digits.isdigit() or len(digits) > 10:
        return None
    found = int(text)
    return found if -MOST - 1 <= found <= MOST else None


def boost_errors(workload: Json) -> list[FieldError]:
    """What is wrong with the annotation of a Workload; nothing if it has none."""
    text = (workload["metadata"].get("annotations") or {}).get(PRIORITY_BOOST_ANNOTATION)
    if text is None or boost_of(text) is not None:
        return []
    return [invalid(PATH, text, 'must be a signed integer of 32 bits, such as "-5"')]
