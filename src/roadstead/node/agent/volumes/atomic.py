"""A directory of files that changes as a whole: readers see all of the old content or all of the new, never a mixture.

The layout is the kubelet's (k8s `pkg/volume/util/atomic_writer.go`), which programs know: the files lie in a directory
with a name of its own, `..data` is a symbolic link to it, and what readers open are links into `..data`. A new content
is written beside the old, then the one link `..data` is replaced. Programs that watch a volume watch for `..data`.

    token -> ..data/token        keys -> ..data/keys        ..data -> ..1764000000000000000/
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

Files = Mapping[str, tuple[bytes, int]]
"""Relative path -> (content, mode)."""

DATA: Final = "..data"
_NEW_DATA: Final = "..data_tmp"


def write(place: Path, files: Files) -> bool:
    """Make `place` hold exactly these files; False if it did already. Raises OSError; the old content is then still
    there.

    Paths are relative, without `..` and not beginning with it. Files that are no links of ours (a directory written by
    an older agent) are replaced one by one.
    """
    place.mkdir(mode=0o755, parents=True, exist_ok=True)
    old = _current(place)
    is_new = old is None or _content(place / old) != dict(files)
    if is_new:
        _publish(place, files)
    _link(place, files)
    for entry in os.scandir(place):
        if entry.name.startswith(".."):
            if entry.name not in (DATA, os.path.basename(os.readlink(place / DATA))):
                _remove(entry)
        elif entry.name not in {path.partition("/")[0] for path in files}:
            _remove(entry)
    return is_new


def read(place: Path, path: str) -> bytes | None:
    """The content of one file, or None if there is none."""
    with contextlib.suppress(OSError):
        return (place / DATA / path).read_bytes()
    return None


def _current(place: Path) -> str | None:
    """The name of the directory that `..data` leads to."""
    try:
        name = os.readlink(place / DATA)
    except OSError:
        return None
    return name if (place / name).is_dir() else None


def _content(top: Path) -> dict[str, tuple[bytes, int]]:
    found = {}
    for directory, _, names in os.walk(top):
        for name in names:
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, top)] = (file.read(), os.fstat(file.fileno()).st_mode & 0o7777)
    return found


def _publish(place: Path, files: Files) -> None:
    name = f"..{time.time_ns()}"
    fresh = place / name
    fresh.mkdir(mode=0o755)
    try:
        for path, (content, mode) in files.items():
            target = fresh / path
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            # The mode first: nobody may open the file in between who may not later.
            with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(content)
                os.fchmod(file.fileno(), mode)
        (place / _NEW_DATA).unlink(missing_ok=True)
        os.symlink(name, place / _NEW_DATA)
        os.replace(place / _NEW_DATA, place / DATA)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _link(place: Path, files: Files) -> None:
    for first in {path.partition("/")[0] for path in files}:
        link, target = place / first, f"{DATA}/{first}"
        with contextlib.suppress(OSError):
            if os.readlink(link) == target:
                continue
        if link.is_dir() and not link.is_symlink():
            shutil.rmtree(link)
        made = place / f"..{first}.link"
        made.unlink(missing_ok=True)
        os.symlink(target, made)
        os.replace(made, link)


def _remove(entry: os.DirEntry[str]) -> None:
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path, ignore_errors=True)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(entry.path)
