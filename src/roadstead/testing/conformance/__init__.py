"""Recorded answers of real systems, replayed against this one: `python -m roadstead.testing.conformance SUITE FILE...`.

Each suite is a module here with `run(files) -> Report`. A report counts records by class and keeps the first
differences; the last line printed is always `N passed, M failed`, and the exit status is 1 if anything failed.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Protocol

SUITES: Final = ("api", "dra", "kueue", "slurm")
SHOWN_DIFFERENCES: Final = 20
REPOSITORY: Final = Path(__file__).parents[4]


@dataclass(slots=True)
class Report:
    """Counts by class, and the first differences as text."""

    passed: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """Lines that are printed and not counted."""

    def passes(self, name: str, count: int = 1) -> None:
        self.passed[name] += count

    def fails(self, name: str, difference: str) -> None:
        """Count one failure of class `name`; `difference` says what was expected and what came."""
        self.failed[name] += 1
        self.differences.append(difference)

    @property
    def exit_code(self) -> int:
        return 1 if self.failed.total() else 0

    def lines(self, shown: int = SHOWN_DIFFERENCES) -> Iterator[str]:
        """What the runner prints."""
        yield from self.differences[:shown]
        if len(self.differences) > shown:
            yield f"... and {len(self.differences) - shown} more differences"
        yield from self.remarks
        for name in sorted(self.passed | self.failed):
            yield f"{name}: {self.passed[name]} passed, {self.failed[name]} failed"
        yield f"{self.passed.total()} passed, {self.failed.total()} failed"


class Suite(Protocol):
    """What a suite's module offers."""

    def run(self, files: Sequence[Path]) -> Report: ...


class Unusable(Exception):
    """The suite cannot run: what is missing, and what to do."""


def records(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a `.jsonl` or `.jsonl.gz` file."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    for number, line in enumerate(content.splitlines(), 1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as err:
                raise Unusable(f"{path}, line {number} is not JSON: {err}") from err


def judge(relative: str) -> ModuleType:
    """A judge that came with the recordings, loaded from the checkout's `tests/data` (e.g. "api/replay.py")."""
    path = REPOSITORY / "tests" / "data" / relative
    if not path.exists():
        raise Unusable(
            f"The judge {path} does not exist: run from a checkout of the project, it is not part of the package."
        )
    spec = importlib.util.spec_from_file_location(f"conformance_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
