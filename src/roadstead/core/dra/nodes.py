"""For which nodes a slice or device is (KEP-4381 "node selection", KEP-4815 per-device selection)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from roadstead.core.dra.outcome import AllocationError
from roadstead.expr import syntax
from roadstead.expr.selectors import matches_node_term
from roadstead.model.dra import Device, NodeChoice, ResourceSlice
from roadstead.model.selection import NodeTerm, Requirement


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What the allocator knows of a node."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()


def chosen(choice: NodeChoice, node: NodeFacts, what: str) -> bool:
    """Is it for this node? AllocationError if its selector cannot be parsed; `what` names the object in the message."""
    if choice.name:
        return choice.name == node.name
    if choice.all:
        return True
    if choice.term is not None:
        problem = term_problem(choice.term)
        if problem:
            raise AllocationError(
                "node_selector",
                f"gather pool information: failed to perform node selection for {what}: failed to parse node selector: {problem}",
            )
        return matches_node_term(choice.term, dict(node.labels), node.name)
    return False


def concerns(of: ResourceSlice, node: NodeFacts) -> bool:
    """Does the slice concern the node? With per-device selection: does any device? O(devices) then, else
    O(selector)."""
    if not of.nodes.by_device:
        return chosen(of.nodes, node, f"slice {of.name}")
    return any(device_chosen(of, device, node) for device in of.devices)


def device_chosen(of: ResourceSlice, device: Device, node: NodeFacts) -> bool:
    return chosen(device.nodes, node, f"device {device.name} of slice {of.name}")


@lru_cache(maxsize=1024)
def term_problem(term: NodeTerm) -> str:
    """What is wrong with a node selector term, empty if nothing (component-helpers `nodeaffinity.NewNodeSelector`)."""
    for requirement in term.labels:
        problem = _label_problem(requirement)
        if problem:
            return problem
    for requirement in term.fields:
        if requirement.operator not in ("In", "NotIn"):
            return f"{requirement.operator!r} is not a valid field selector operator"
        if len(requirement.values) != 1:
            return f"field {requirement.key}: exactly one value is needed, it has {len(requirement.values)}"
    return ""


def _label_problem(requirement: Requirement) -> str:
    key, operator, values = requirement.key, requirement.operator, requirement.values
    problems = syntax.qualified_name(key)
    if problems:
        return f"key {key!r}: {problems[0]}"
    if operator in ("In", "NotIn"):
        if not values:
            return f"key {key}: for 'in', 'notin' operators, values set can't be empty"
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            return f"key {key}: values set must be empty for exists and does not exist"
    elif operator in ("Gt", "Lt"):
        if len(values) != 1 or not values[0].lstrip("+-").isdigit():
            return f"key {key}: for 'Gt', 'Lt' operators, exactly one integer is required"
    else:
        return f"{operator!r} is not a valid label selector operator"
    for value in values:
        problems = syntax.label_value(value)
        if problems:
            return f"key {key}, value {value!r}: {problems[0]}"
    return ""
