"""How much of its decisions a server keeps: the option --journal of `up` and `server`."""

from __future__ import annotations

from typing import Final

import click

from roadstead.expr.quantity import canonical

DEFAULT: Final = "64Mi"
LEAST: Final = 1 << 20


def _bytes(context: click.Context, option: click.Parameter, text: str) -> int:
    """A Kubernetes quantity of bytes; 0 for none."""
    try:
        size = canonical("memory", text)
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is no amount of bytes. Write 64Mi or 1Gi, or 0 for no journal.", context, option
        ) from error
    if size < 0 or 0 < size < LEAST:
        raise click.BadParameter(f"{text} is less than 1Mi. Give more, or 0 for no journal.", context, option)
    return size


journal_option = click.option(
    "--journal",
    "journal_size",
    callback=_bytes,
    default=DEFAULT,
    show_default=True,
    metavar="SIZE",
    help="Disk space for the journal of decisions, which `replay` reads; 0: keep none.",
)
