"""`python -m roadstead.testing.conformance SUITE FILE...`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from roadstead.testing.conformance import SUITES, Suite, Unusable


def main(arguments: Sequence[str]) -> int:
    """Run one suite on the files named. 0: all passed, 1: something failed, 2: it could not run."""
    if len(arguments) < 2 or arguments[0] not in SUITES:
        print(f"usage: python -m roadstead.testing.conformance {{{','.join(SUITES)}}} FILE...", file=sys.stderr)
        return 2
    files = [Path(name) for name in arguments[1:]]
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        print(f"{len(missing)} of {len(files)} files do not exist: {', '.join(missing)}", file=sys.stderr)
        return 2
    suite = cast(Suite, importlib.import_module(f"roadstead.testing.conformance.{arguments[0]}"))
    try:
        report = suite.run(files)
    except Unusable as err:
        print(err, file=sys.stderr)
        return 2
    for line in report.lines():
        print(line)
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
