"""Run the benchmarks one after another and print what they say."""

from __future__ import annotations

import importlib
import os
import pkgutil
import platform
import sys
import time
from typing import Final

import benchmarks

BY_NAME: Final = {
    "kueue-baseline": ("kueue_load", "baseline"),
    "kueue-large-scale": ("kueue_load", "large_scale"),
    "kueue-tas": ("kueue_load", "tas"),
}
"""Too long for everybody's every run: (module, function)."""


def main(names: list[str]) -> int:
    """Run what is named, or all modules. Exit code 2 for an unknown name."""
    known = sorted(
        module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.name.startswith("_")
    )
    unknown = [name for name in names if name not in known and name not in BY_NAME]
    if unknown:
        there_are = ", ".join([*known, *BY_NAME])
        print(f"No benchmark {', '.join(unknown)}; there are: {there_are}.", file=sys.stderr)
        return 2
    cores = len(os.sched_getaffinity(0))
    print(
        f"Python {platform.python_version()}, {cores} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f} at the start"
    )
    for name in names or known:
        in_module, function = BY_NAME.get(name, (name, "run"))
        module = importlib.import_module(f"benchmarks.{in_module}")
        if not hasattr(module, function):
            continue
        title = " ".join((module.__doc__ or name).strip().partition("\n\n")[0].split())
        print(f"\n== {name}: {title}", flush=True)
        started = time.monotonic()
        for line in getattr(module, function)():
            print(line, flush=True)
        print(f"   ({time.monotonic() - started:.1f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
