"""`roadstead replay`: decide again what a server's journal recorded, and say whether it comes out the same."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from roadstead.cli.failure import Failure
from roadstead.cli.home import find_home
from roadstead.cli.output import home_option


@click.command(short_help="decide a server's journal again, and compare")
@home_option
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
def command(home: str | None, files: tuple[Path, ...]) -> int:
    """Give the deciding core what a server gave it, at the same times, and compare the plans byte for byte.

    FILE: files of a journal, oldest first. Default: all of the cluster at --home, running or not. Exits 1 at the first difference,
    and shows it: a program that decides otherwise than the one that wrote the journal, or a bug.
    """
    from roadstead.history.format import JournalError, files_in
    from roadstead.history.replay import replay

    folder = find_home(home).data / "journal"
    paths = list(files) or files_in(folder)
    if not paths:
        raise Failure(
            f"there is no journal in {folder}.",
            "A server keeps one unless it was started with --journal 0. Name files, or another --home.",
        )
    try:
        found = replay(paths)
    except JournalError as error:
        raise Failure(str(error), error.hint) from error
    decisions = "1 decision" if found.decisions == 1 else f"{found.decisions:,} decisions"
    seen = f"{decisions} ({found.commands:,} commands) in {_files(found.files)}"
    if found.divergence is None:
        click.echo(f"The same: {seen}.")
        return 0
    different = found.divergence
    at = datetime.fromtimestamp(different.now / 1e9, UTC).isoformat(timespec="milliseconds")
    what = f"decision {different.decision}" if different.decision else "the snapshot that it begins with"
    click.echo(f"Different: {what} of {different.path}, at {at}; {seen} were replayed.")
    for text in different.difference:
        click.echo(text)
    return 1


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
