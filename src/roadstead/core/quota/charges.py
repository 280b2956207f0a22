"""What quota one pod is charged for, from what it asks for (Kueue KEP-2937 transformations, KEP-7513; kueue.md 7.1-7.3).

In this order: resources with an excluded prefix are dropped; each transformation gives its outputs, from the request and never from
another's output; totals of generated amounts below nothing count as nothing; what is kept of the request is added. Nodes and devices
are found by what the pod asks for, whatever it is charged.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import TypeAlias

from roadstead.model.amounts import CPU, UNLIMITED, ResourceName
from roadstead.model.resources import PLAIN, ResourceRules

Requests: TypeAlias = tuple[tuple[ResourceName, int], ...]


def charged(requests: Requests, rules: ResourceRules) -> Requests:
    """Canonical amounts that one pod with these requests is charged, by resource name in order.

    >>> from roadstead.model.resources import Output, Transformation
    >>> credits = Transformation("cpu", (Output("credits", 10**9),))
    >>> charged((("cpu", 4000), ("memory", 10)), ResourceRules(("mem",), (credits,)))
    (('cpu', 4000), ('credits', 4))

    O(resources x transformations) once for each class of pods.
    """
    if rules is PLAIN or not (rules.excluded_prefixes or rules.transformations):
        return requests
    return _charged(requests, rules)


@lru_cache(maxsize=4096)
def _charged(requests: Requests, rules: ResourceRules) -> Requests:
    asked = {name: amount for name, amount in requests if not name.startswith(rules.excluded_prefixes)}
    kept = dict(asked)
    generated: dict[ResourceName, Fraction] = {}
    for each in rules.transformations:
        if each.source not in asked:
            continue
        base = _units(each.source, asked[each.source])
        if each.multiply_by in asked:
            base *= _units(each.multiply_by, asked[each.multiply_by])
        for output in each.outputs:
            generated[output.resource] = generated.get(output.resource, Fraction()) + base * output.factor
        if each.replaces:
            kept.pop(each.source, None)
    for name, units in generated.items():
        amount = ceil(max(units, Fraction()) * (1000 if name == CPU else 1))
        kept[name] = min(kept.get(name, 0) + amount, UNLIMITED)
    return tuple(sorted(kept.items()))


def _units(resource: ResourceName, amount: int) -> Fraction:
    return Fraction(amount, 1000 if resource == CPU else 1)
