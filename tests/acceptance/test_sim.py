"""The simulation from the command line, on processes of its own."""

from __future__ import annotations

import subprocess
import sys


def test_seeds_on_two_processes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "roadstead.cli", "sim", "--seeds", "1..4", "--jobs", "2"],
        capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("4 passed, 0 failed: ")
