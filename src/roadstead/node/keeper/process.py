"""What the child does between fork and exec: wait for leave, enter its name spaces, become the program.

Everything that goes wrong is reported through a pipe that a successful exec closes, so the shim knows why and the log
stays the program's own.
"""

from __future__ import annotations

import os
import signal
from typing import NoReturn

from roadstead.node.keeper import linux, mounts, runs, tree
from roadstead.node.keeper.runs import Json


def become(spec: Json, path: str, shim: int, go: int, report: int, log: int) -> NoReturn:
    """Become the program that `spec` (of the run at `path`) describes, once a byte comes through `go`. Never returns.

    `log` becomes stdout and stderr.
    """
    try:
        os.setsid()
        linux.set_parent_death_signal(signal.SIGKILL)
        if os.getppid() != shim or os.read(go, 1) != b"!":
            _vanish()  # the shim died before it let us go: nothing has happened
        _connect(os.open("/dev/null", os.O_RDONLY), log, log)
        _close_all_but(report, go)
        _isolate(spec, os.path.join(path, "stage"))
        _change_user(spec)
        _execute(spec, spec["argv"], path, shim)
    except BaseException as error:
        _report(report, str(error) or type(error).__name__)
    finally:
        os._exit(128)


def join(spec: Json, command: Json, path: str, here: str, shim: int, container: int, report: int) -> NoReturn:
    """Become a further command in the world of a running container. Never returns.

    `spec` is the container's, `command` and `here` the command's own (commands.py), `container` the pid of its main
    process.
    """
    try:
        os.setsid()
        linux.set_parent_death_signal(signal.SIGKILL)
        if os.getppid() != shim:
            _vanish()
        _connect(*_open_streams(here, command["streams"]))
        os.close(os.open(os.path.join(here, "opened"), os.O_WRONLY | os.O_CREAT, 0o600))
        _close_all_but(report)
        isolation = spec.get("isolation", "bare")
        if isolation != "bare":
            user = linux.CLONE_NEWUSER if isolation == "userns" else 0
            linux.join(container, user | linux.CLONE_NEWUTS | linux.CLONE_NEWNS)
        _change_user(spec)
        _execute(spec, command["argv"], path, shim)
    except BaseException as error:
        _report(report, str(error) or type(error).__name__)
    finally:
        os._exit(128)


def _open_streams(here: str, names: list[str]) -> tuple[int, int, int]:
    """Our ends of the command's fifos. Nothing waits here: who asked has opened the other ends, or is gone."""
    flags = {"stdin": os.O_RDONLY, "stdout": os.O_WRONLY, "stderr": os.O_WRONLY}
    opened: dict[str, int] = {}
    for name in names:
        opened[name] = os.open(os.path.join(here, name), flags[name] | os.O_NONBLOCK)
        os.set_blocking(opened[name], True)
    nothing = os.open("/dev/null", os.O_RDWR)
    out = opened.get("stdout", nothing)
    return opened.get("stdin", nothing), out, opened.get("stderr", out)


def _vanish() -> NoReturn:
    """End as the kernel would have ended us with our shim, so that nobody takes it for an exit code of the
    program's."""
    os.kill(os.getpid(), signal.SIGKILL)
    os._exit(137)


def _report(report: int, text: str) -> None:
    try:
        os.write(report, text.encode()[:2000])
    except OSError:
        _vanish()  # nobody reads it: the shim is gone


def _connect(*streams: int) -> None:
    """These become stdin, stdout, stderr."""
    for number, fd in enumerate(streams):
        os.dup2(fd, number)


def _close_all_but(*keep: int) -> None:
    """Close inherited descriptors; above all the shim's lock, which must not outlive the shim."""
    low = 3
    for fd in sorted(keep):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))


def _isolate(spec: Json, stage: str) -> None:
    isolation = spec.get("isolation", "bare")
    if isolation != "bare":
        mounts.enter(isolation == "userns", spec.get("hostname", ""), spec.get("binds", []), stage)


def _change_user(spec: Json) -> None:
    user = spec.get("user")
    if user:
        os.setgroups(user.get("groups", []))
        os.setresgid(user["gid"], user["gid"], user["gid"])
        os.setresuid(user["uid"], user["uid"], user["uid"])


def _reset_signals() -> None:
    """The defaults, nothing blocked: Python ignores SIGPIPE and the shim ignores more, and ignoring survives exec."""
    for number in range(1, signal.NSIG):
        try:
            signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError):
            continue  # SIGKILL, SIGSTOP, and numbers that the C library keeps
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _enter(cwd: str) -> None:
    try:
        os.chdir(cwd)
    except OSError as error:
        raise OSError(f"working directory {cwd!r} cannot be entered: {error.strerror}") from error


def _execute(spec: Json, argv: list[str], path: str, shim: int) -> NoReturn:
    """Find argv[0] as execvpe does, and say plainly what was looked for if it is not there."""
    _reset_signals()
    # Changing credentials cleared it; if the shim died in between, its end of a pipe is no proof any more but its pid
    # is.
    linux.set_parent_death_signal(signal.SIGKILL)
    if os.getppid() != shim:
        _vanish()
    _enter(spec["cwd"])
    env = {**spec["env"], tree.MARK: runs.mark(path)}
    try:
        os.execvpe(argv[0], argv, env)
    except FileNotFoundError as error:
        where = "" if "/" in argv[0] else f" in PATH={env.get('PATH', os.defpath)}"
        raise OSError(f'exec: "{argv[0]}": executable file not found{where}') from error
    except OSError as error:
        raise OSError(f'exec: "{argv[0]}": {(error.strerror or str(error)).lower()}') from error
