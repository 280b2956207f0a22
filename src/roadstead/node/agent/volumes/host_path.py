"""hostPath: a file or directory of the machine. What must be there, and what is made, in the kubelet's words
(k8s `pkg/volume/hostpath/host_path.go` checkType)."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from roadstead.node.agent.problems import config_error

DIRECTORY_MODE: Final = 0o755
FILE_MODE: Final = 0o644

_CHECKS: Final[dict[str, tuple[Callable[[int], bool], str]]] = {
    "Directory": (stat.S_ISDIR, "directory"),
    "DirectoryOrCreate": (stat.S_ISDIR, "directory"),
    "File": (stat.S_ISREG, "file"),
    "FileOrCreate": (stat.S_ISREG, "file"),
    "Socket": (stat.S_ISSOCK, "socket file"),
    "CharDevice": (stat.S_ISCHR, "character device"),
    "BlockDevice": (stat.S_ISBLK, "block device"),
}


def prepare(volume: str, path: str, kind: str) -> Path:
    """The path that the volume is, made if its type says so. CannotStart if it is not what the type says.

    Without a type whatever is there will do; what is not there becomes a directory, as container runtimes do it.
    """
    try:
        if kind in ("", "DirectoryOrCreate") and not os.path.lexists(path):
            os.makedirs(path, DIRECTORY_MODE, exist_ok=True)
        elif kind == "FileOrCreate" and not os.path.lexists(path):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = None
    except OSError as error:
        raise config_error(f'hostPath volume "{volume}": {path}: {error.strerror}') from error
    if kind:
        is_right, what = _CHECKS[kind]
        if mode is None or not is_right(mode):
            raise config_error(
                f'MountVolume.SetUp failed for volume "{volume}" : hostPath type check failed: {path} is not a {what}'
            )
    elif mode is None:
        raise config_error(f'hostPath volume "{volume}": {path} is not there and could not be made')
    return Path(path)
