"""The option --config of `up`, `server` and `operator`: a file in the form of Kueue's configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from roadstead.cli.failure import Failure

if TYPE_CHECKING:
    from roadstead.compose.configuration import Configured

Command = TypeVar("Command", bound=Callable[..., Any])

FILE_NAME = "config.yaml"
"""Read from the home of an embedded cluster, if it is there and no other is named."""


def config_option(default: str) -> Callable[[Command], Command]:
    """The option; `default`: what is read when the option is not given, in words."""
    return click.option(
        "--config",
        "config",
        type=click.Path(path_type=Path),
        default=None,
        metavar="FILE",
        help=f"A Configuration of config.kueue.x-k8s.io/v1beta2.  [default: {default}]",
    )


def configuration(named: Path | None, home: Path | None = None) -> Configured:
    """What the named file means, else the one in the home directory, else nothing. Raises Failure with all that is
    wrong with it."""
    from roadstead.compose.configuration import PLAINLY, load
    from roadstead.compose.running import Refused

    path = named
    if path is None and home is not None and (home / FILE_NAME).exists():
        path = home / FILE_NAME
    if path is None:
        return PLAINLY
    try:
        return load(path)
    except Refused as error:
        raise Failure(str(error), error.hint) from error
