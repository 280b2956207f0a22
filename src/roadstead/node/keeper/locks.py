"""Locks that say "somebody is alive": open-file-description locks, which the kernel drops with their last holder.

Unlike flock(2) they can be *asked about* without being taken (F_OFD_GETLK), so a look never makes a starting shim
believe that it has a rival. They belong to the open file, so a forked child must close its copy. See fcntl_locking(2).
"""

from __future__ import annotations

import fcntl
import os
import struct

_FLOCK = "hhqqi4x"  # struct flock on 64-bit Linux: type, whence, start, len, pid


def acquire(path: str) -> int | None:
    """Take the lock on `path` (created if absent); the descriptor to keep open, or None if somebody holds it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except (BlockingIOError, PermissionError):
        os.close(fd)
        return None
    return fd


def is_held(path: str) -> bool:
    """Does somebody hold the lock on `path`? Takes nothing; False if the file does not exist."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    finally:
        os.close(fd)
    kind: int = struct.unpack(_FLOCK, answer)[0]
    return kind != fcntl.F_UNLCK
