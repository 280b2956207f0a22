"""How commands print: tables as kubectl prints them, JSON, YAML, names; colour only on a terminal that wants it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

FORMATS = ("table", "wide", "json", "yaml", "name")

output_option = click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="How to print the answer.",
)
namespace_option = click.option("-n", "--namespace", default="default", show_default=True, help="Namespace.")


def _or_before_the_verb(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """`roadstead --home DIR status` means the same as `roadstead status --home DIR`."""
    del option
    found: str | None = value or context.find_root().params.get("home")
    return found


home_option = click.option(
    "--home",
    metavar="DIR",
    default=None,
    callback=_or_before_the_verb,
    help="State of the cluster. Default: $ROADSTEAD_HOME, else the XDG state directory.",
)


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Left-aligned columns three blanks apart, as kubectl prints them."""
    lines = [list(header), *(["<none>" if cell in (None, "") else str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def dump(value: Any, form: str) -> str:
    """JSON (two blanks, as kubectl) or YAML."""
    if form == "json":
        import orjson

        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    import yaml

    return yaml.safe_dump(value, sort_keys=False, default_flow_style=False, allow_unicode=True).rstrip()


def wants_colour(stream: Any = None) -> bool:
    """True on a terminal, unless NO_COLOR (no-color.org) or a dumb terminal says otherwise."""
    stream = stream or sys.stdout
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def write_bytes(chunk: bytes) -> None:
    """Output of a job, byte for byte, at once. Nothing where this process has no stdout (`>&-`)."""
    if sys.stdout is not None:
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()


def note(text: str) -> None:
    """A remark beside the answer: on stderr, dimmed on a terminal, so that stdout stays the command's own."""
    if sys.stderr is None:
        return
    click.echo(click.style(text, dim=True) if wants_colour(sys.stderr) else text, err=True)
