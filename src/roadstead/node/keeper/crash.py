"""Where tests may kill: `crashpoint(name)` kills its process if the environment asked for exactly this step.

`ROADSTEAD_CRASH_AT=<name>` kills every time; `ROADSTEAD_CRASH_AT=<name>@<file>` only if the file does not exist yet and
could be created, so that whoever starts again afterwards survives. `ROADSTEAD_CRASH_SIGNAL=STOP` holds the process
there instead. Unset, as it always is outside tests, a crash point is one comparison.
"""

from __future__ import annotations

import os
import signal

_SIGNAL = signal.SIGSTOP if os.environ.get("ROADSTEAD_CRASH_SIGNAL") == "STOP" else signal.SIGKILL
_AT, _, _ONCE = os.environ.get("ROADSTEAD_CRASH_AT", "").partition("@")


def crashpoint(name: str) -> None:
    """Die here, as by kill -9, if this step was asked for."""
    if name != _AT:
        return
    if _ONCE:
        try:
            os.close(os.open(_ONCE, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            return
    os.kill(os.getpid(), _SIGNAL)
