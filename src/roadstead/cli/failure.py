"""How a command fails: three beats on stderr (what happened, the numbers, what to do) and an exit code."""

from __future__ import annotations


class Failure(Exception):
    """A command cannot do what was asked. `what` is a sentence with the numbers; `hint` is what to do next."""

    def __init__(self, what: str, hint: str = "", exit_code: int = 1) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.exit_code = exit_code
