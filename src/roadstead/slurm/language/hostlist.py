"""Hostlists: `tux[0-7,12]` for nine names, and back.

A list is kept as ranges, as it was written, because sorting and printing depend on them. Zero padding is part of a name (`n01` is
not `n1`), duplicates are kept, and only the last number of a name is ever put in brackets. Grammar: slurm.conf(5), "NodeName";
corners (what is done with unbalanced brackets, in which order several brackets expand, how overlapping ranges sort) as observed
on 22.05.8.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cmp_to_key
from typing import Final

MAX_RANGE: Final = 65536
"""Most names that one range `a-b` may stand for."""

MAX_HOSTS: Final = 1 << 20
"""Most names that one list may stand for; a limit of our own, so that `a[0-65535][0-65535]` is an error and not a full memory."""

_TRAILING: Final = re.compile(r"^(.*?)(\d+)$", re.DOTALL)
_NUMBER: Final = re.compile(r"[ \t\n]*\+?\d+")
_LIMIT: Final = (1 << 64) - 1


class HostlistError(ValueError):
    """The list cannot be read. `lines`: what Slurm's commands print before they give up, without their prefix."""

    def __init__(self, text: str, *lines: str) -> None:
        super().__init__(f"Invalid hostlist: {text}")
        self.lines = lines

    @property
    def explained(self) -> str:
        """The text with its reason, for those who do not compare words."""
        reason = self.lines[0].removeprefix("_parse_single_range: ") if self.lines else "a name goes on after a bracket"
        return f"{self} ({reason}; a range a-b holds at most {MAX_RANGE} names, a list {MAX_HOSTS})."


@dataclass(frozen=True, slots=True)
class Range:
    """Names with one prefix and consecutive numbers, padded with zeros to `width`; `low` is -1 for a name without a number."""

    prefix: str
    low: int = -1
    high: int = -1
    width: int = 0

    def __len__(self) -> int:
        return self.high - self.low + 1

    def names(self) -> Iterator[str]:
        if self.low < 0:
            yield self.prefix
            return
        for number in range(self.low, self.high + 1):
            yield f"{self.prefix}{number:0{self.width}d}"


@dataclass(frozen=True, slots=True)
class Hostlist:
    """A list of names in the order given, duplicates included."""

    ranges: tuple[Range, ...]

    @classmethod
    def parse(cls, text: str) -> Hostlist:
        """The list that `text` stands for. HostlistError if it is none. Time grows with the names of all but the last bracket."""
        ranges: list[Range] = []
        for token in _tokens(text):
            for each in _ranges(token, text):
                _append(ranges, each)
        if sum(map(len, ranges)) > MAX_HOSTS:
            raise HostlistError(text, f"Too many hosts in list: {sum(map(len, ranges))}, at most {MAX_HOSTS}")
        return cls(tuple(ranges))

    @classmethod
    def of(cls, names: Iterable[str]) -> Hostlist:
        """The list of these names. They are taken as they are: a bracket in a name is a letter of it."""
        ranges: list[Range] = []
        for name in names:
            _append(ranges, _plain(name))
        return cls(tuple(ranges))

    def __iter__(self) -> Iterator[str]:
        for each in self.ranges:
            yield from each.names()

    def __len__(self) -> int:
        return sum(map(len, self.ranges))

    def __str__(self) -> str:
        """As Slurm prints it: neighbours with one prefix share a bracket."""
        parts: list[str] = []
        start = 0
        while start < len(self.ranges):
            first = self.ranges[start]
            end = start + 1
            while first.low >= 0 and end < len(self.ranges) and _together(first, self.ranges[end]):
                end += 1
            parts.append(_printed(self.ranges[start:end]))
            start = end
        return ",".join(parts)

    def sorted(self) -> Hostlist:
        """The same names by prefix, then number; what is padded otherwise stands apart. Duplicates stay."""
        ordered = sorted(self.ranges, key=cmp_to_key(_compare))
        out: list[Range] = []
        start = 0
        while start < len(ordered):
            first, end = ordered[start], start + 1
            top, width = first.high, first.width
            while end < len(ordered) and _overlaps(first, top, width, ordered[end]):
                top, end = max(top, ordered[end].high), end + 1
            if end == start + 1:
                _append(out, first)
            else:
                numbers = sorted(number for each in ordered[start:end] for number in range(each.low, each.high + 1))
                for number in numbers:
                    _append(out, Range(first.prefix, number, number, width))
            start = end
        return Hostlist(tuple(out))


def expand(text: str) -> list[str]:
    """The names that a hostlist stands for. HostlistError if it is none."""
    return list(Hostlist.parse(text))


def compress(names: Iterable[str]) -> str:
    """Names as a hostlist, in the order given: `n8,n9,n10` is `n[8-10]`."""
    return str(Hostlist.of(names))


# --- reading


def _tokens(text: str) -> Iterator[str]:
    """The items of a list: separated by commas and blanks outside of brackets. A bracket that is never closed holds nothing."""
    start = position = 0
    while position <= len(text):
        letter = text[position] if position < len(text) else ","
        if letter == "[":
            closing = text.find("]", position)
            if closing > 0:
                position = closing
        elif letter in ", \t\n":
            if position > start:
                yield text[start:position]
            start = position + 1
        position += 1


def _ranges(token: str, text: str) -> list[Range]:
    groups: list[tuple[str, str]] = []
    rest = token
    while "[" in rest:
        closing = rest.find("]", rest.index("["))
        if closing < 0:
            # An open bracket swallows what follows it, and the name keeps a closing one: `n[1-2` is the host `n]`.
            inside = rest.partition("[")[2]
            head = token[: len(token) - len(inside) - 1]
            return [_plain(f"{head}]")] if head else ([_plain(inside)] if inside else [])
        opening = rest.rindex("[", 0, closing)
        groups.append((rest[:opening], rest[opening + 1 : closing]))
        rest = rest[closing + 1 :]
    if not groups:
        return [_plain(token)]
    if rest:
        raise HostlistError(text)
    bodies = [(prefix, [_span(part, text) for part in body.split(",")]) for prefix, body in groups]
    if len(bodies) == 1:
        prefix, spans = bodies[0]
        return [Range(prefix, *span) for span in spans]
    return _product(bodies, text)


def _product(bodies: list[tuple[str, list[tuple[int, int, int]]]], text: str) -> list[Range]:
    """Several brackets: the last varies fastest, then the first, the second, and so on (as observed)."""
    fixed = [
        [f"{number:0{width}d}" for low, high, width in spans for number in range(low, high + 1)]
        for _, spans in bodies[:-1]
    ]
    total = 1
    for values in fixed:
        total *= len(values)
        if total > MAX_HOSTS:
            raise HostlistError(text, f"Too many hosts in list: at most {MAX_HOSTS}")
    heads = []
    chosen: list[list[str]] = [[]]
    for values in reversed(fixed):
        chosen = [[value, *rest] for rest in chosen for value in values]
    for values in chosen:
        heads.append(
            "".join(prefix + value for (prefix, _), value in zip(bodies, values, strict=False)) + bodies[-1][0]
        )
    return [Range(head, *span) for head in heads for span in bodies[-1][1]]


def _span(part: str, text: str) -> tuple[int, int, int]:
    """(low, high, width) of `1`, `08-10` or `3-`. The width is the length of what stands before the dash, blanks and sign too."""
    first, dash, last = part.partition("-")
    if not _NUMBER.fullmatch(first) or (last and not _NUMBER.fullmatch(last)):
        raise HostlistError(text, f"_parse_single_range: Invalid range: `{part}'")
    low = min(int(first), _LIMIT)
    high = min(int(last), _LIMIT) if dash and last else low
    if high < low:
        raise HostlistError(text, f"_parse_single_range: Invalid range: `{part}'")
    if high - low >= MAX_RANGE:
        raise HostlistError(text, f"_parse_single_range: Too many hosts in range `{part}'")
    return low, high, len(first)


def _plain(name: str) -> Range:
    match = _TRAILING.match(name)
    if match is None:
        return Range(name)
    number = min(int(match[2]), _LIMIT)
    return Range(match[1], number, number, len(match[2]))


# --- joining, sorting, printing


def _append(ranges: list[Range], new: Range) -> None:
    """Add a range; it grows the last one if the two print as one."""
    if ranges and new.low >= 0:
        last = ranges[-1]
        if last.prefix == new.prefix and last.low >= 0 and last.high + 1 == new.low:
            width = _common_width(last, new)
            if width:
                ranges[-1] = Range(last.prefix, last.low, new.high, width)
                return
    ranges.append(new)


def _common_width(one: Range, other: Range) -> int:
    """A width under which both print as they do, or 0."""
    if one.width == other.width or _padding(other.low, one.width) == _padding(other.low, other.width):
        return one.width
    if _padding(one.low, one.width) == _padding(one.low, other.width):
        return other.width
    return 0


def _padding(number: int, width: int) -> int:
    return max(0, width - len(str(number)))


def _compare(one: Range, other: Range) -> int:
    if one.prefix != other.prefix:
        return -1 if _natural(one.prefix) < _natural(other.prefix) else 1
    if not _common_width(one, other):
        return one.width - other.width
    return one.low - other.low


def _natural(prefix: str) -> tuple[list[str | int], str]:
    """Numbers within a prefix count as numbers: `r9n` comes before `r10n`."""
    parts: list[str | int] = [int(part) if index % 2 else part for index, part in enumerate(re.split(r"(\d+)", prefix))]
    return parts, prefix


def _overlaps(first: Range, top: int, width: int, other: Range) -> bool:
    return (
        first.low >= 0
        and other.prefix == first.prefix
        and other.low >= 0
        and other.low <= top
        and bool(_common_width(Range(first.prefix, first.low, top, width), other))
    )


def _together(first: Range, other: Range) -> bool:
    return other.low >= 0 and other.prefix == first.prefix


def _printed(ranges: tuple[Range, ...]) -> str:
    first = ranges[0]
    if len(ranges) == 1 and len(first) == 1:
        return next(first.names())
    parts = []
    for each in ranges:
        low, high = f"{each.low:0{each.width}d}", f"{each.high:0{each.width}d}"
        parts.append(low if each.low == each.high else f"{low}-{high}")
    return f"{first.prefix}[{','.join(parts)}]"
