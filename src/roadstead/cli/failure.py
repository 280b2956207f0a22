"""How a command fails: three beats on stderr (what happened, the numbers, what to do) and an exit code."""

from __future__ import annotations

import click


class Failure(click.ClickException):
    """A command cannot do what was asked. `what` is a sentence; `hint` is what to do next."""

    def __init__(self, what: str, hint: str = "", exit_code: int = 1) -> None:
        super().__init__(what)
        self.hint = hint
        self.exit_code = exit_code

    def show(self, file: object = None) -> None:
        del file
        click.echo(f"error: {self.message}", err=True)
        if self.hint:
            click.echo(self.hint, err=True)
