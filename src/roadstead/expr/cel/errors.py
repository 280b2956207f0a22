"""What can go wrong with a CEL expression: while it is compiled, and while it runs."""

from __future__ import annotations


class CelError(Exception):
    """Base of both."""


class CompileError(CelError):
    """The expression is not accepted: syntax, unknown names, types, or literals that a validator refuses. `at` is the
    offset."""

    def __init__(self, message: str, at: int = 0) -> None:
        super().__init__(message)
        self.at = at


class EvaluationError(CelError):
    """The expression has no value on this input: missing key, no such overload, division by zero, overflow, cost
    limit."""


class CostExceeded(EvaluationError):
    """It ran past the cost it was allowed. No operator hides it, not even `||`."""


def no_such_overload(function: str, *kinds: str) -> EvaluationError:
    return EvaluationError(f"no such overload: {function}({', '.join(kinds)})")
