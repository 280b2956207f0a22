"""Text to a program: parse, check, validate, plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from roadstead.expr.cel.checker import Checked, check
from roadstead.expr.cel.cost import Meter, needs_meter
from roadstead.expr.cel.declarations import Environment
from roadstead.expr.cel.errors import CompileError, EvaluationError
from roadstead.expr.cel.evaluator import Run, plan
from roadstead.expr.cel.parser import MAX_LENGTH, parse
from roadstead.expr.cel.types import Type
from roadstead.expr.cel.validators import validate


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled expression. `type` is the static type of its result."""

    text: str
    type: Type
    checked: Checked
    run: Run
    meter: Meter | None = None

    def evaluate(self, variables: Mapping[str, Any]) -> Any:
        """The value on these variables. EvaluationError if it has none, or costs more than it may."""
        if self.meter is not None:
            self.meter.reset()
        try:
            return self.run(variables)
        except RecursionError:
            raise EvaluationError("expression is nested too deeply") from None


def compile_text(text: str, environment: Environment) -> Program:
    """The program of an expression. CompileError says where it is wrong (`ERROR: <input>:line:column: ...`)."""
    if len(text.encode()) > MAX_LENGTH:
        raise CompileError(f"too long: {len(text.encode())} bytes, at most {MAX_LENGTH} are allowed")
    try:
        checked = check(parse(text), environment)
        validate(checked)
        meter = Meter() if needs_meter(checked.root) else None
        return Program(text, checked.type(checked.root), checked, plan(checked, meter), meter)
    except CompileError as err:
        line = text.count("\n", 0, err.at) + 1
        column = err.at - (text.rfind("\n", 0, err.at) + 1) + 1
        raise CompileError(f"compilation failed: ERROR: <input>:{line}:{column}: {err}", err.at) from None
    except RecursionError:
        raise CompileError("compilation failed: the expression is nested too deeply") from None
