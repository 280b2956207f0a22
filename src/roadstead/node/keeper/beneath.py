"""Opening what lies beneath a directory whose content others can change at any moment: no link there may lead out of
it.

As the kubelet does it for subPath (k8s `pkg/volume/util/subpath/subpath_linux.go`): links are resolved first, since one
that stays inside is fine, then the way is walked from the top, from one directory's descriptor to the next entry and
without following any link. What is changed in between can only make it fail.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

_FLAGS = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class LeadsOut(OSError):
    """A link beneath the directory leads out of it, or somebody is changing links there right now."""

    def __init__(self, top: str, below: str) -> None:
        super().__init__(errno.ELOOP, f"{below!r} leads out of {top} by a symbolic link: remove the link")


def open_beneath(top: str, below: str, *, make: bool = False) -> int:
    """A descriptor (O_PATH: to mount or to stat, not to read) of the file or directory `below` directory `top`.

    With `make` missing directories are made, none of them outside `top`. Raises LeadsOut, and OSError as open(2) and
    mkdir(2) do.
    """
    real_top = os.path.realpath(top)
    real = os.path.realpath(os.path.join(real_top, below))
    if os.path.commonpath((real_top, real)) != real_top:
        raise LeadsOut(top, below)
    here = os.open(real_top, _FLAGS | os.O_DIRECTORY)
    for name in os.path.relpath(real, real_top).split(os.sep):
        above = here
        try:
            here = _enter(above, name, make)
        finally:
            os.close(above)
        if stat.S_ISLNK(os.fstat(here).st_mode):
            os.close(here)
            raise LeadsOut(top, below)
    return here


def _enter(parent: int, name: str, make: bool) -> int:
    try:
        return os.open(name, _FLAGS, dir_fd=parent)
    except FileNotFoundError:
        if not make:
            raise
    with contextlib.suppress(FileExistsError):  # somebody was quicker: what they made is looked at like everything else
        os.mkdir(name, dir_fd=parent)
    return os.open(name, _FLAGS, dir_fd=parent)
