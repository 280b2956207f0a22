"""One process per data directory: an exclusive lock on a file in it, held as long as the store is open.

The lock is the kernel's (`flock`), so it goes with the process however that ends; the pid in the file is only for the
message.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from roadstead.cluster.embedded.failures import DirectoryInUse

LOCK_FILE = "store.lock"


class DirectoryLock:
    """Holds `directory` for this process until `release`. Raises DirectoryInUse if another process holds it."""

    def __init__(self, directory: Path) -> None:
        path = directory / LOCK_FILE
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise DirectoryInUse(
                f"The data directory {directory} is in use: process {holder} holds its lock. "
                "Stop that process, or use another directory."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Give the directory back. Harmless when called twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
