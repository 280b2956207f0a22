"""Run the benchmarks one after another and print what they say."""

from __future__ import annotations

import importlib
import os
import pkgutil
import platform
import sys
import time

import benchmarks


def main(names: list[str]) -> int:
    """Run the modules named, or all. Exit code 2 for an unknown name."""
    known = sorted(
        module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.name.startswith("_")
    )
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"No benchmark {', '.join(unknown)}; there are: {', '.join(known)}.", file=sys.stderr)
        return 2
    cores = len(os.sched_getaffinity(0))
    print(
        f"Python {platform.python_version()}, {cores} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f} at the start"
    )
    for name in names or known:
        module = importlib.import_module(f"benchmarks.{name}")
        if not hasattr(module, "run"):
            continue
        title = (module.__doc__ or name).strip().splitlines()[0]
        print(f"\n== {name}: {title}", flush=True)
        started = time.monotonic()
        for line in module.run():
            print(line, flush=True)
        print(f"   ({time.monotonic() - started:.1f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
