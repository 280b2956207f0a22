"""matchAttribute and distinctAttribute over the devices of a claim (KEP-4381, KEP-5075; lists by KEP-5491; derived by
KEP-6080).

An attribute is a set of (type, value): one element, or those of its list. matchAttribute: the intersection over all
devices is not empty. distinctAttribute: the sets are pairwise disjoint. A device without the attribute satisfies
neither.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from roadstead.core.dra.candidates import Candidate
from roadstead.expr.cel.values import Semver, kind_of
from roadstead.model.dra import Attribute, Constraint

Values = frozenset[tuple[str, object]]


def covers(constraint: Constraint, request: str, alternative: str) -> bool:
    """Does the constraint look at this request, or at this alternative of it?"""
    names = constraint.requests
    return not names or request in names or (bool(alternative) and f"{request}/{alternative}" in names)


def values_of(attribute: Attribute | None, *, lists: bool) -> Values | None:
    """The set, None if there is nothing to compare."""
    if attribute is None or not attribute.values or (attribute.is_list and not lists):
        return None
    return frozenset((attribute.kind, value) for value in attribute.values)


def derived_values(value: Any) -> Values | None:
    """A CEL value as a set; None if no attribute can hold it."""
    if isinstance(value, list):
        parts = [derived_values(each) for each in value]
        if any(part is None or isinstance(each, list) for part, each in zip(parts, value, strict=True)):
            return None
        return frozenset(one for part in parts if part is not None for one in part)
    if isinstance(value, Semver):
        pre = f"-{'.'.join(value.pre)}" if value.pre else ""
        build = f"+{value.build}" if value.build else ""
        return frozenset({("version", f"{value.major}.{value.minor}.{value.patch}{pre}{build}")})
    kind = kind_of(value)
    return frozenset({(kind, value)}) if kind in ("int", "bool", "string") else None


@dataclass(slots=True)
class Tracker:
    """One constraint during a search: a stack with an entry per device that it looks at."""

    constraint: Constraint
    lists: bool
    stack: list[Values] = field(default_factory=list)

    def add(self, candidate: Candidate, derived: Values | None) -> bool:
        """Add a device if it fits with those before; `derived` goes before what it publishes. O(size of the
        attribute)."""
        name = self.constraint.match or self.constraint.distinct
        values = derived
        if values is None:
            attribute = candidate.attribute(name)
            values = values_of(attribute, lists=self.lists)
            if values is None and attribute is not None and not self.lists and not self.stack:
                values = frozenset()  # the first device may have any attribute; what it is only matters for the next
        if values is None:
            return False
        before = self.stack[-1] if self.stack else None
        if self.constraint.match:
            together = values if before is None else before & values
            if not together and before is not None:
                return False
            self.stack.append(together)
        else:
            if before is not None and before & values:
                return False
            self.stack.append(values if before is None else before | values)
        return True

    def remove(self) -> None:
        """Undo the latest `add`."""
        self.stack.pop()
