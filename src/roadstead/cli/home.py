"""Where one embedded cluster keeps its state: `$ROADSTEAD_HOME`, else `$XDG_STATE_HOME/roadstead`
(~/.local/state/roadstead)."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOCKET_PATH_LIMIT = 100
"""Unix socket paths end at 107 bytes on Linux; a deeper home gets its socket under the temporary directory."""


@dataclass(frozen=True, slots=True)
class Home:
    """Paths of one cluster. Everything below `root` is 0700, files with secrets 0600."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def nodes(self) -> Path:
        """Run directories of the node agent: one folder per attempt of a container."""
        return self.root / "nodes"

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def socket(self) -> Path:
        path = self.root / "api.sock"
        if len(str(path)) <= SOCKET_PATH_LIMIT:
            return path
        digest = hashlib.sha256(str(self.root).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"roadstead-{os.getuid()}" / f"{digest}.sock"

    def record(self, part: str) -> Path:
        """The file in which a part (server, node) says that it is ready, and how to reach it."""
        return self.root / "run" / f"{part}.json"

    def prepare(self) -> None:
        """Make the folders. OSError if one cannot be made, or the socket's belongs to somebody else."""
        for folder in (self.root, self.data, self.pki, self.logs, self.nodes, self.root / "run", self.socket.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.socket.parent != self.root and self.socket.parent.stat().st_uid != os.getuid():
            raise PermissionError(errno.EPERM, "it belongs to another user", str(self.socket.parent))

    def forget(self) -> None:
        """Remove what a cluster keeps here, and the directory itself if nothing else is in it."""
        for folder in (self.data, self.pki, self.logs, self.nodes, self.root / "run"):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (self.kubeconfig, self.socket):
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.root.rmdir()


def find_home(explicit: str | None = None, environment: Mapping[str, str] = os.environ) -> Home:
    """The home of the cluster that commands talk to."""
    if explicit:
        return Home(Path(explicit).absolute())
    if named := environment.get("ROADSTEAD_HOME"):
        return Home(Path(named).absolute())
    state = environment.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return Home(Path(state).absolute() / "roadstead")


def write_record(path: Path, value: Mapping[str, Any]) -> None:
    """Write a small JSON file so that readers see all of it or none."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(value, file)
    os.replace(scratch, path)


def read_record(path: Path) -> dict[str, Any] | None:
    """What `write_record` wrote, or None if it wrote nothing."""
    try:
        value = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return value if isinstance(value, dict) else None
