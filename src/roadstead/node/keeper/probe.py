"""Does this machine let us give processes a file system view of their own? Run as a program, so that trying harms
nobody.

python -c '...' SOURCE KIND STAGE     exit status 0: yes
"""

from __future__ import annotations

import os
import sys

from roadstead.node.keeper import mounts


def main(kind: str, stage: str) -> None:
    """Enter name spaces of this kind ("root" | "userns"), bind a file over /etc/hosts and a directory at a new path."""
    binds = [
        {"source": "/dev/null", "target": "/etc/hosts", "read_only": False},
        {"source": "/var", "target": "/roadstead-probe/deep", "read_only": True},
    ]
    mounts.enter(kind == "userns", "probe", binds, stage)
    if os.uname().nodename != "probe" or not os.path.isdir("/roadstead-probe/deep"):
        sys.exit("the mounts were made and are not seen")
