"""The few Linux calls that Python's standard library lacks, through libc."""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWUSER = 0x10000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_NOATIME, MS_NODIRATIME, MS_BIND = 32, 1024, 2048, 4096
MS_MOVE = 8192
MS_REC, MS_PRIVATE, MS_RELATIME = 16384, 1 << 18, 1 << 21
MNT_DETACH = 2

_FALLOC_PUNCH_HOLE_KEEP_SIZE = 2 | 1
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def set_parent_death_signal(signal: int) -> None:
    """Ask the kernel to send `signal` to this process when the thread that forked it dies. Lost on credential
    changes."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")


def become_subreaper() -> None:
    """Become the parent of descendants whose own parent dies."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl(PR_SET_CHILD_SUBREAPER)")


def unshare(flags: int) -> None:
    """Leave name spaces for new ones. EPERM or ENOSPC where the machine does not allow it."""
    _check(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    arguments = [os.fsencode(text) if text else None for text in (source, target, kind, data)]
    result = _libc.mount(arguments[0], arguments[1], arguments[2], ctypes.c_ulong(flags), arguments[3])
    _check(result, f"mount {source or kind} on {target}")


def unmount(target: str, flags: int = 0) -> None:
    _check(_libc.umount2(os.fsencode(target), flags), f"unmount {target}")


def pivot_root(new_root: str, put_old: str) -> None:
    number = _SYS_PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        raise OSError(38, f"pivot_root is not known for machine type {os.uname().machine}")
    result = _libc.syscall(ctypes.c_long(number), os.fsencode(new_root), os.fsencode(put_old))
    _check(result, f"pivot_root {new_root}")


def punch_hole(fd: int, offset: int, length: int) -> None:
    """Give the blocks of a part of a file back; it reads as zeros, and the file keeps its size. EOPNOTSUPP where that
    is not known."""
    result = _libc.fallocate(fd, _FALLOC_PUNCH_HOLE_KEEP_SIZE, ctypes.c_long(offset), ctypes.c_long(length))
    _check(result, "fallocate(FALLOC_FL_PUNCH_HOLE)")


def join(pid: int, flags: int) -> None:
    """Enter those name spaces of process `pid`, setns(2). For a user name space this process must have one thread
    only."""
    known = ((CLONE_NEWUSER, "user"), (CLONE_NEWUTS, "uts"), (CLONE_NEWNS, "mnt"))
    wanted = [(flag, name) for flag, name in known if flags & flag]
    opened = [os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for _, name in wanted]
    for fd, (flag, name) in zip(opened, wanted, strict=True):
        _check(_libc.setns(fd, flag), f"setns {name}")
        os.close(fd)


def set_hostname(name: str) -> None:
    """Set the host name of this UTS name space (not of the machine, if `unshare(CLONE_NEWUTS)` came first)."""
    encoded = os.fsencode(name)
    _check(_libc.sethostname(encoded, ctypes.c_size_t(len(encoded))), "sethostname")
