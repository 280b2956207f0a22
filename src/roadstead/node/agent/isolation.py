"""Which tier of isolation this machine allows. Found by trying, once, at the agent's start; published as a node label.

| tier   | what a pod's processes get |
|---|---|
| root   | a mount and a UTS name space: volumes at their mount paths, /etc/hosts with the peers, the pod's host name |
| userns | the same through a user name space, for pods that need it (volumes mounted, or named peers); set-uid programs (sudo) and programs that check file owners (ssh) do not work in such pods |
| bare   | the machine as it is; `ROADSTEAD_VOLUME_<NAME>`, `ROADSTEAD_HOSTS_FILE` and `ROADSTEAD_PEERS` say where things are |

No tier limits processors; memory limits are kept by watching resident size (keeper/shim.py).
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import roadstead

log = logging.getLogger(__name__)

BARE: Final = "bare"
USERNS: Final = "userns"
ROOT: Final = "root"
TIERS: Final = (BARE, USERNS, ROOT)
LABEL: Final = "roadstead.dev/isolation"

_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); from roadstead.node.keeper.probe import main; main(*sys.argv[2:])"
)
_PROBE_SECONDS = 10


def find_tier(state: Path) -> str:
    """The best tier that works here. Takes some 20 ms for each that is tried."""
    for tier in (ROOT, USERNS) if os.geteuid() == 0 else (USERNS,):
        why = try_tier(tier, state)
        if not why:
            return tier
        log.info("isolation %s is not possible here: %s", tier, why)
    return BARE


def try_tier(tier: str, state: Path) -> str:
    """Why this tier does not work here; "" if it does."""
    stage = state / "probe"
    stage.mkdir(parents=True, exist_ok=True)
    source = os.path.dirname(os.path.dirname(os.path.abspath(roadstead.__file__)))
    command = [sys.executable, "-S", "-E", "-s", "-c", _PROGRAM, source, tier, os.fspath(stage)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return done.stderr.decode(errors="replace").strip().rpartition("\n")[2] or f"exit status {done.returncode}"


def applies(tier: str, needed: bool) -> str:
    """The tier that one container runs in: user name spaces only where something needs them, since they cost it sudo
    and ssh."""
    return BARE if tier == USERNS and not needed else tier
