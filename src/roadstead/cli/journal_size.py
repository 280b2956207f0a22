"""How much of its decisions a server keeps: the option --journal of `up` and `server`."""

from __future__ import annotations

from typing import Final

import click

from roadstead.expr.quantity import canonical

DEFAULT: Final = "64Mi"
LEAST: Final = 1 << 20


class JournalSize(click.ParamType[int]):
    """A Kubernetes quantity of bytes; 0 for none. Comes as a number."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            size = canonical("memory", str(value))
        except ValueError:
            self.fail(f"{value!r} is no amount of bytes. Write 64Mi or 1Gi, or 0 for no journal.", param, ctx)
        if size and size < LEAST:
            self.fail(f"{value} is less than 1Mi. Give more, or 0 for no journal.", param, ctx)
        return size


journal_option = click.option(
    "--journal",
    "journal_size",
    type=JournalSize(),
    default=DEFAULT,
    show_default=True,
    metavar="SIZE",
    help="Disk space for the journal of decisions, which `replay` reads; 0: keep none.",
)
