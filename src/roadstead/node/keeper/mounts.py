"""A private view of the file system for one process: its volumes at their mount paths, its own /etc/hosts, its own host
name.

Needs root, or user name spaces that anybody may make. Mount points that do not exist are not created on the machine's
disk: the nearest existing directory is covered by a small tmpfs that shows the same entries (each bound back to the
original), and the mount point is made there. For an entry of `/` the process gets a new root built the same way.
"""

from __future__ import annotations

import errno
import os
import stat

from roadstead.node.keeper import linux
from roadstead.node.keeper.beneath import open_beneath
from roadstead.node.keeper.runs import Json

_COVER_LIMIT = 2000
"""Entries of a directory that we are willing to bind one by one, in order to add another beside them."""


def enter(in_user_namespace: bool, hostname: str, binds: list[Json], stage: str) -> None:
    """Move this single-threaded process into new mount and UTS name spaces and set them up. OSError says what failed.

    `stage` is an empty directory that nobody else uses.
    """
    uid, gid = os.getuid(), os.getgid()
    flags = linux.CLONE_NEWNS | linux.CLONE_NEWUTS
    linux.unshare(flags | (linux.CLONE_NEWUSER if in_user_namespace else 0))
    if in_user_namespace:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")  # the same user inside as outside
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
    linux.mount("", "/", flags=linux.MS_REC | linux.MS_PRIVATE)
    if hostname:
        linux.set_hostname(hostname[:64])
    view = _View(stage)
    for bind in sorted(binds, key=lambda bind: str(bind["target"])):
        view.place(bind["source"], bind["target"], bool(bind.get("read_only")), bind.get("within", ""))


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


class _View:
    """The name space being furnished."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.ours: set[str] = set()
        """Directories in which new entries touch nobody else: covers, and volumes of this pod."""

    def place(self, source: str, target: str, read_only: bool, within: str = "") -> None:
        """Bind `source` (file or directory) at `target`, which need not exist. Links on the way are followed (/var/run
        is one), but on the way to the source none that leads out of directory `within`."""
        target = os.path.realpath(target)
        if not os.path.lexists(target):
            self._make_point(target, is_directory=os.path.isdir(source))
        if within:
            # Opened only now: in the name space as it was before, a descriptor would lead to a mount that is not ours
            # to bind.
            opened = open_beneath(within, os.path.relpath(source, within))
            linux.mount(f"/proc/self/fd/{opened}", target, flags=linux.MS_BIND | linux.MS_REC)
            os.close(opened)
        else:
            linux.mount(source, target, flags=linux.MS_BIND | linux.MS_REC)
        if read_only:
            linux.mount("", target, flags=linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | _locked_flags(target))
        self.ours.add(target)

    def _make_point(self, target: str, *, is_directory: bool) -> None:
        """Make `target` exist in this name space only."""
        parent = os.path.dirname(target)
        missing = [target]
        while not os.path.isdir(parent):
            missing.append(parent)
            parent = os.path.dirname(parent)
        if not self._is_ours(parent):
            self._cover(parent)
        for path in reversed(missing):
            if path != target or is_directory:
                os.mkdir(path, 0o755)
            else:
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))

    def _show(self, entry: os.DirEntry[str]) -> None:
        """Show an entry of a directory that is being covered in its cover, too."""
        point = os.path.join(self.stage, entry.name)
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), point)
            return
        if entry.is_dir():
            os.mkdir(point, 0o755)
        else:
            os.close(os.open(point, os.O_CREAT | os.O_WRONLY, 0o644))
        linux.mount(entry.path, point, flags=linux.MS_BIND | linux.MS_REC)

    def _is_ours(self, path: str) -> bool:
        while path not in self.ours:
            if path == "/" or os.path.ismount(path):
                return False
            path = os.path.dirname(path)
        return True

    def _cover(self, path: str) -> None:
        """Put a tmpfs over directory `path` that shows what `path` showed, so that entries can be added. O(entries)
        mounts."""
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        if len(entries) > _COVER_LIMIT:
            raise OSError(
                errno.E2BIG,
                f"a mount point is missing below {path}, which has {len(entries)} entries (at most {_COVER_LIMIT} can be "
                "shown again): mount somewhere else, or create the mount point",
            )
        options = f"mode={stat.S_IMODE(os.stat(path).st_mode):o},size=16m"
        linux.mount("roadstead", self.stage, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, options)
        for entry in entries:
            try:
                self._show(entry)
            except FileNotFoundError:
                continue  # gone since it was listed: /run is full of such
        if path == "/":
            os.chdir(self.stage)
            linux.pivot_root(".", ".")  # both at one place: the old root lies under the new one, pivot_root(2)
            linux.unmount(".", linux.MNT_DETACH)
            os.chdir("/")
        else:
            linux.mount(self.stage, path, flags=linux.MS_MOVE)
        self.ours.add(path)


def _locked_flags(path: str) -> int:
    """Flags that the mount has and that a remount must repeat (mount_namespaces(7): locked in a user name space)."""
    has = os.statvfs(path).f_flag
    pairs = (
        (os.ST_NOSUID, linux.MS_NOSUID),
        (os.ST_NODEV, linux.MS_NODEV),
        (os.ST_NOEXEC, linux.MS_NOEXEC),
        (os.ST_NOATIME, linux.MS_NOATIME),
        (os.ST_NODIRATIME, linux.MS_NODIRATIME),
        (os.ST_RELATIME, linux.MS_RELATIME),
    )
    return sum(flag for bit, flag in pairs if has & bit)
