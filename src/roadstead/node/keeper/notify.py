"""A word to the agent that a run changed: one datagram, lost without harm (the agent also looks by itself)."""

from __future__ import annotations

import contextlib
import os
import socket

NAME = "events.sock"


def _address(root: str) -> tuple[int, str]:
    """A descriptor and a short path through it: socket paths may have 107 bytes, state directories are longer."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return fd, f"/proc/self/fd/{fd}/{NAME}"


def tell(root: str, run_id: str) -> None:
    """Tell whoever listens on `root` that this run changed."""
    try:
        fd, address = _address(root)
    except OSError:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sender:
            sender.sendto(run_id.encode(), address)
    except OSError:
        pass
    finally:
        os.close(fd)


def listen(root: str) -> socket.socket:
    """A non-blocking socket that receives run ids; takes the place of an earlier listener."""
    fd, address = _address(root)
    try:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(root, NAME))
        listener.bind(address)
        os.chmod(os.path.join(root, NAME), 0o600)
    finally:
        os.close(fd)
    return listener
