"""The syntax of `slurm.conf` and `gres.conf`: lines of `Key=value`, the first key naming the kind of record.

Source: slurm.conf(5) and gres.conf(5). Keys are case-insensitive and kept in lower case; values are kept as written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_ATTRIBUTE: Final = re.compile(r'\s*([A-Za-z0-9_.]+)[-*+/]?=(?:"([^"]*)"|(\S*))')
_INCLUDE: Final = re.compile(r"\s*include\s+(\S+)\s*$", re.IGNORECASE)


class ConfigurationError(ValueError):
    """A configuration that Slurm's daemons would not start with: where, what, and the line."""


@dataclass(frozen=True, slots=True)
class Record:
    """One line. `key` and `value` are the first pair, `attributes` all of them (the first included), in order."""

    file: str
    line: int
    key: str
    value: str
    attributes: dict[str, str]

    @property
    def where(self) -> str:
        return f"{self.file} line {self.line}"


def records(text: str, file: str = "slurm.conf") -> Iterator[Record]:
    """The lines of a file: comments gone, continuations joined. ConfigurationError at what is not `Key=value`. `Include` lines come
    out as records with the key "include"; it is for the caller to read the file."""
    for number, line in _lines(text):
        included = _INCLUDE.match(line)
        if included:
            yield Record(file, number, "include", included[1], {"include": included[1]})
            continue
        attributes: dict[str, str] = {}
        position = 0
        first = ""
        while match := _ATTRIBUTE.match(line, position):
            key = match[1].lower()
            first = first or key
            attributes[key] = match[3] if match[2] is None else match[2]
            position = match.end()
        rest = line[position:].strip()
        if rest or not first:
            raise ConfigurationError(
                f'Parse error in file {file} line {number}: "{rest}". A line holds pairs of the form Key=value, separated by blanks.'
            )
        yield Record(file, number, first, attributes[first], attributes)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """(number of its first line, text) of every logical line that is not empty."""
    held, start = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = _uncommented(raw).rstrip()
        start = start or number
        backslashes = len(line) - len(line.rstrip("\\"))
        if backslashes % 2:
            held += line[:-1]
            continue
        whole = (held + line).replace("\\#", "#")
        if whole.strip():
            yield start, whole
        held, start = "", 0
    if held.strip():
        yield start, held


def _uncommented(line: str) -> str:
    """Up to a `#` that an even number of backslashes precedes."""
    for match in re.finditer("#", line):
        before = line[: match.start()]
        if (len(before) - len(before.rstrip("\\"))) % 2 == 0:
            return before
    return line
