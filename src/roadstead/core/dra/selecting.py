"""Is a device what a request asks for? Class selectors, then the request's, then the node (per-device selection).

Evaluation stops at the first selector that is false; one that fails ends the attempt, whichever device it failed on.
"""

from __future__ import annotations

from collections.abc import Sequence

from roadstead.core.dra.candidates import Candidate
from roadstead.core.dra.constraints import Values, derived_values
from roadstead.core.dra.features import Features
from roadstead.core.dra.nodes import NodeFacts, device_chosen
from roadstead.core.dra.outcome import AllocationError
from roadstead.expr.cel.errors import CompileError, EvaluationError
from roadstead.model.dra import DeviceClass, DeviceRequest


def selectable(
    candidate: Candidate,
    node: NodeFacts,
    name: str,
    request: DeviceRequest,
    device_class: DeviceClass,
    features: Features,
) -> bool:
    """`name`: the request's, for errors. AllocationError (`cel_compile`, `cel_runtime`, `selector_empty`) if a selector
    fails. O(selectors), CEL only the first time."""
    if candidate.device.binding_conditions and not features.binding_conditions:
        return False
    verdicts = candidate.facts.verdicts
    for number, expression in enumerate(device_class.selectors):
        known = verdicts.get(expression)
        if known is not True and not _selected(candidate, "", device_class.name, number, expression):
            return False
    for number, expression in enumerate(request.selectors):
        known = verdicts.get(expression)
        if known is not True and not _selected(candidate, name, "", number, expression):
            return False
    return not candidate.slice.nodes.by_device or device_chosen(candidate.slice, candidate.device, node)


def _selected(candidate: Candidate, request: str, device_class: str, number: int, expression: str | None) -> bool:
    whose = f"DeviceClass {device_class}" if device_class else f"request {request}"
    where = f"selectors[{number}] of {whose}"
    if expression is None:
        what = f"{where} is empty, or of a kind that is not known here"
        raise AllocationError("selector_empty", what, device_class=device_class)
    try:
        return candidate.facts.selected(expression)
    except CompileError as err:
        raise AllocationError("cel_compile", f"{where} does not compile: {err}", device_class=device_class) from None
    except EvaluationError as err:
        what = f"{where} fails on device {'/'.join(candidate.id)}: {err}"
        raise AllocationError("cel_runtime", what, device_class=device_class) from None


def derive(candidate: Candidate, derived: Sequence[tuple[str, str]], wanted: str) -> Values | None:
    """A request's derived attribute of a device, None if the request derives none of this name.

    AllocationError (`derived_attribute`) if it has no value. It is worked out when a constraint first asks for it.
    """
    for name, expression in derived:
        if name != wanted:
            continue
        where = f"evaluate derived attribute {name} on device {'/'.join(candidate.id)} failed"
        try:
            values = derived_values(candidate.facts.derived(expression))
        except (CompileError, EvaluationError) as err:
            raise AllocationError("derived_attribute", f"{where}: {err}") from None
        if values is None:
            raise AllocationError("derived_attribute", f"{where}: no attribute can hold a value of this type")
        return values
    return None
