"""Devices as the search sees them: everything that does not depend on the node or the claim is worked out once.

What CEL says about a device depends on the driver, attributes, capacity and shareability alone, so devices that agree
in these share one `Facts`, and an expression runs once per (expression, distinct device) as long as the inventory
lives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from roadstead.core.dra import capacity
from roadstead.expr.cel.device import compile_derived, compile_selector, selects, variables_of
from roadstead.expr.cel.errors import CompileError, EvaluationError
from roadstead.model.dra import Attribute, Device, DeviceId, ResourceSlice


@dataclass(slots=True, eq=False)
class Facts:
    """What CEL may look at, and what it said so far. `failure` is set if the device cannot be shown to CEL at all."""

    driver: str
    device: Device
    variables: dict[str, Any] | None = None
    failure: EvaluationError | None = None
    verdicts: dict[str | None, bool | EvaluationError] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    whole: dict[bool, bool] = field(default_factory=dict)
    """By whether ranges are fractional: does its capacity allow a request that names none?"""

    def selected(self, expression: str) -> bool:
        """The selector's verdict. CompileError or EvaluationError, as often as it is asked. O(1) after the first
        time."""
        found = self.verdicts.get(expression)
        if found is None:
            found = self.verdicts[expression] = self._run(expression)
        if isinstance(found, EvaluationError):
            raise found.with_traceback(None)
        return found

    def _run(self, expression: str) -> bool | EvaluationError:
        program = compile_selector(expression)
        try:
            return selects(program, self._shown())
        except EvaluationError as err:
            return err

    def is_whole(self, *, fractional: bool) -> bool:
        """Can a dedicated device of this kind be given to a request without capacities? O(1) after the first time."""
        found = self.whole.get(fractional)
        if found is None:
            needed = capacity.consumption(self.device, {}, fractional=fractional)
            found = needed is not None and capacity.fits(needed, self.device, {}, {})
            self.whole[fractional] = found
        return found

    def derived(self, expression: str) -> Any:
        """A derived attribute's value. CompileError or EvaluationError if it has none."""
        if expression not in self.values:
            self.values[expression] = compile_derived(expression).evaluate(self._shown())
        return self.values[expression]

    def _shown(self) -> dict[str, Any]:
        if self.failure is not None:
            raise self.failure
        if self.variables is None:
            try:
                self.variables = variables_of(self.driver, self.device)
            except EvaluationError as err:
                self.failure = err
                raise
        return self.variables


@dataclass(slots=True, eq=False)
class Candidate:
    """A published device."""

    id: DeviceId
    device: Device
    slice: ResourceSlice
    facts: Facts
    attributes: dict[str, Attribute]
    has_groups: bool

    def attribute(self, name: str) -> Attribute | None:
        """By `domain/name`, then by `name` alone if the domain is the driver."""
        found = self.attributes.get(name)
        if found is None:
            domain, _, local = name.partition("/")
            if domain == self.id.driver:
                return self.attributes.get(local)
        return found


class FactsTable:
    """Distinct devices, interned."""

    def __init__(self) -> None:
        self.known: dict[tuple[object, ...], Facts] = {}

    def candidates(self, of: ResourceSlice) -> tuple[Candidate, ...]:
        """The slice's devices in list order. O(devices)."""
        found = []
        for device in of.devices:
            key = (of.driver, device.attributes, device.capacity, device.shareable)
            facts = self.known.get(key)
            if facts is None:
                facts = self.known[key] = Facts(of.driver, device)
            found.append(
                Candidate(
                    DeviceId(of.driver, of.pool, device.name), device, of, facts, dict(device.attributes),
                    any(use.groups for use in device.consumes),
                )
            )  # fmt: skip
        return tuple(found)


__all__ = ["Candidate", "CompileError", "EvaluationError", "Facts", "FactsTable"]
