"""CEL, the Common Expression Language, with Kubernetes' library: the one place that reads and runs expressions.

`device.compile_selector(text)` and `device.selects(program, variables)` are what device selection needs;
`program.compile_text` takes any environment. It is our own because what users see of it (which expressions are refused,
with which message, what a run may cost, Kubernetes' own types) no Python binding offers, and because closures over
Python values cost a microsecond where a binding to another language costs ten. Pure: text and values in, values out.
"""

from roadstead.expr.cel.errors import CelError, CompileError, EvaluationError

__all__ = ["CelError", "CompileError", "EvaluationError"]
