"""The message of a terminated container: what it wrote to `$ROADSTEAD_TERMINATION_LOG`, or the end of its log if it
asked for that.

Limits are the kubelet's: 4096 bytes of the file; 2048 bytes or 80 lines of the log, and that only after a failure.
"""

from __future__ import annotations

import os

from roadstead.node.keeper import runs
from roadstead.node.keeper.runs import Run

FILE = "message"
_FILE_BYTES = 4096
_LOG_BYTES, _LOG_LINES = 2048, 80


def of(run: Run) -> str:
    """The message of an ended run, "" if there is none."""
    text = _tail(os.path.join(run.path, FILE), _FILE_BYTES)
    if text or run.exit is None or run.exit.exit_code == 0:
        return text
    spec = runs.read_json(os.path.join(run.path, "spec.json")) or {}
    if not spec.get("message_from_log"):
        return ""
    return "".join(_tail(run.log, _LOG_BYTES).splitlines(keepends=True)[-_LOG_LINES:])


def _tail(path: str, limit: int) -> str:
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - limit))
            return file.read(limit).decode(errors="replace")
    except OSError:
        return ""
