"""What a journal file looks like: gzipped JSON lines, so that `zcat FILE | jq` shows them.

    {"journal": 1, "program": "...", "follows": true, "rules": {...}}     the head; `follows`: on the file before, without a gap
    {"snapshot": {"facts": 2, "memory": {...}}}                           the world in which the file begins: `core.dump`, line by line
    {"_": "Node", ...}                                                    so many facts
    {"now": 1700000000000000000, "given": [...], "plans": [[[commands], [verdicts]], ...]}     each decision

Values are written as `core.encoding` encodes them. A file that a crash cut off ends where it was cut: what is whole
before counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from roadstead.core.encoding import encode
from roadstead.core.plan import Plan

FORMAT: Final = 1
SUFFIX: Final = ".jsonl.gz"
_NAME: Final = re.compile(r"(\d{8})\.jsonl\.gz")


class JournalError(Exception):
    """A file that cannot be read as a journal: what is wrong, and what to do."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


def line(value: Any) -> bytes:
    """One line, the same for equal values."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode() + b"\n"


def encoded_plans(plans: Sequence[Plan]) -> list[Any]:
    """Commands and verdicts of each plan that has any. What plans remember shows in the plans after them."""
    return [[encode(plan.commands), encode(plan.verdicts)] for plan in plans if plan.commands or plan.verdicts]


def file_name(number: int) -> str:
    return f"{number:08}{SUFFIX}"


def files_in(folder: Path) -> list[Path]:
    """Journal files of a folder, oldest first; none if there is no such folder."""
    try:
        return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    except (FileNotFoundError, NotADirectoryError):
        return []


def number_of(path: Path) -> int:
    """The number of a journal file's name, 0 for any other name."""
    found = _NAME.fullmatch(path.name)
    return int(found[1]) if found else 0


def check_head(path: Path, head: Mapping[str, Any]) -> None:
    """JournalError unless this is the first line of a journal that this program can read."""
    version = head.get("journal")
    if not isinstance(version, int):
        raise JournalError(
            f"{path} is no journal: its first line has no format version.", "Journals are in <home>/data/journal."
        )
    if version > FORMAT:
        raise JournalError(
            f"{path} has format {version}; this program reads up to {FORMAT}.",
            f"Replay it with the program that wrote it: roadstead {head.get('program', '')}".rstrip(),
        )


def lines_of(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a journal file, as far as they are whole. JournalError for what is not gzipped JSON; OSError."""
    for number, text in enumerate(_whole_lines(path), 1):
        try:
            value = json.loads(text)
        except ValueError as error:
            raise JournalError(
                f"{path}, line {number}: {error}.",
                "Something else than a crash damaged it; take a copy or another file.",
            ) from error
        if not isinstance(value, dict):
            raise JournalError(f"{path}, line {number}: a JSON object is expected, not {type(value).__name__}.")
        yield value


def _whole_lines(path: Path) -> Iterator[bytes]:
    import zlib

    unpack = zlib.decompressobj(wbits=31)
    rest = b""
    with path.open("rb") as file:
        while chunk := file.read(1 << 16):
            try:
                data = rest + unpack.decompress(chunk)
            except zlib.error as error:
                raise JournalError(f"{path} is no journal: {error}.", "Journals are gzipped JSON lines.") from error
            *whole, rest = data.split(b"\n")
            yield from whole
