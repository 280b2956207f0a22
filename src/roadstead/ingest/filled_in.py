"""What pods of a template will ask for, once the API server has filled in what their template leaves open.

As the server does when it creates them, and as Kueue counts them (pkg/workload `AdjustResources`, `ValidateLimitRange`;
kueue.md 3.1): a container's own limits stand in where it requests nothing, then the defaults of the namespace's
LimitRanges do, and the overhead of the RuntimeClass comes on top. (Kueue up to 0.19 takes LimitRange defaults before
own limits: such pods then request more than it counted.) The node selector and the tolerations of a RuntimeClass are
filled in as well, which Kueue leaves out: where we choose the node, it must be one that the pod can run on.

What then exceeds a LimitRange would be refused by the server: the class of the pod says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeAlias

import orjson
from msgspec.structs import replace

from roadstead.expr.quantity import QuantityError, canonical
from roadstead.ingest.pod_class import Resolve, pod_class
from roadstead.ingest.reading import Lookup, view
from roadstead.kinds.names import RUNTIME_CLASSES
from roadstead.kinds.object import Json, Object
from roadstead.kinds.views.kueue import WorkloadView
from roadstead.model.workload import OutOfRange, PodClass

Ranges: TypeAlias = Callable[[str], Sequence[Object]]
"""namespace -> its LimitRanges, by name."""

_CONTAINERS: Final = ("initContainers", "containers")


def no_ranges(namespace: str) -> Sequence[Object]:
    """Where there are no LimitRanges, or they are not looked at."""
    return ()


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Of several LimitRanges the narrowest bounds and the first defaults count."""

    least: Mapping[str, int] = field(default_factory=dict)
    most: Mapping[str, int] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    requests: Mapping[str, Any] = field(default_factory=dict)


def runtime_class_names(workload: Object) -> tuple[str, ...]:
    """RuntimeClasses that a Workload's pods name."""
    if b'"runtimeClassName"' not in workload.raw:
        return ()
    found = view(workload, WorkloadView, [])
    specs = [pod_set.template.get("spec") or {} for pod_set in found.spec.pod_sets] if found is not None else []
    return tuple(dict.fromkeys(name for spec in specs if isinstance(name := spec.get("runtimeClassName"), str)))


def pod_class_of_template(
    spec: Mapping[str, Any], namespace: str, resolve: Resolve, lookup: Lookup, ranges: Ranges
) -> PodClass:
    """The class of pods made from a template in a namespace. Raises UnreadableError as `pod_class` does.
    O(containers)."""
    bounds = _summary(tuple(found.raw for found in ranges(namespace)))
    name = spec.get("runtimeClassName")
    found = lookup(RUNTIME_CLASSES, "", name) if isinstance(name, str) else None
    if not bounds and found is None:
        return pod_class(spec, resolve)
    plain = pod_class(spec, resolve)  # of the right shape, or it raises
    filled = dict(spec)
    if found is not None:
        _run_as(filled, found.decode())
    of_container = bounds.get("Container")
    if of_container is not None:
        for kind in _CONTAINERS:
            if filled.get(kind):
                filled[kind] = [_with_defaults(container, of_container) for container in filled[kind]]
    made = pod_class(filled, resolve) if filled != spec else plain
    broken = tuple(_broken(filled, made, bounds))
    return replace(made, out_of_range=broken) if broken else made


def _run_as(spec: Json, runtime_class: Json) -> None:
    fixed = (runtime_class.get("overhead") or {}).get("podFixed")
    if fixed and not spec.get("overhead"):
        spec["overhead"] = fixed
    scheduling = runtime_class.get("scheduling") or {}
    if scheduling.get("nodeSelector"):
        spec["nodeSelector"] = {**scheduling["nodeSelector"], **(spec.get("nodeSelector") or {})}
    if scheduling.get("tolerations"):
        spec["tolerations"] = [*(spec.get("tolerations") or ()), *scheduling["tolerations"]]


def _with_defaults(container: Json, bounds: _Bounds) -> Json:
    resources = container.get("resources") or {}
    own = resources.get("limits") or {}
    requests = {**bounds.requests, **own, **(resources.get("requests") or {})}
    return {**container, "resources": {**resources, "limits": {**bounds.limits, **own}, "requests": requests}}


def _broken(spec: Json, made: PodClass, bounds: Mapping[str, _Bounds]) -> Iterator[OutOfRange]:
    of_container, of_pod = bounds.get("Container"), bounds.get("Pod")
    if of_container is not None:
        for kind in _CONTAINERS:
            for number, container in enumerate(spec.get(kind) or ()):
                resources = container.get("resources") or {}
                asked = [_amounts(resources.get(name)) for name in ("requests", "limits")]
                names = sorted({name for each in asked for name in each})
                most = {name: max(each[name] for each in asked if name in each) for name in names}
                least = {name: min(each[name] for each in asked if name in each) for name in names}
                yield from _outside(f"{kind}[{number}]", least, most, of_container)
    if of_pod is not None:
        total = dict(made.requests)
        yield from _outside("", total, total, of_pod)


def _outside(where: str, least: Mapping[str, int], most: Mapping[str, int], bounds: _Bounds) -> Iterator[OutOfRange]:
    for name, amount in most.items():
        if amount > bounds.most.get(name, amount):
            yield OutOfRange(where, name, amount, bounds.most[name])
    for name, amount in least.items():
        if amount < bounds.least.get(name, amount):
            yield OutOfRange(where, name, amount, bounds.least[name])


@lru_cache(maxsize=1024)
def _summary(raw: tuple[bytes, ...]) -> Mapping[str, _Bounds]:
    """Type of limit -> what all the ranges together say of it."""
    found: dict[str, _Bounds] = {}
    for item in (item for each in raw for item in _items(orjson.loads(each))):
        known = found.get(item["type"], _Bounds())
        most, least = _amounts(item.get("max")), _amounts(item.get("min"))
        found[item["type"]] = _Bounds(
            least={name: max(least.get(name, 0), known.least.get(name, 0)) for name in {*least, *known.least}},
            most={
                name: min(each[name] for each in (most, known.most) if name in each) for name in {*most, *known.most}
            },
            limits={**(item.get("default") or {}), **known.limits},
            requests={**(item.get("defaultRequest") or {}), **known.requests},
        )
    return found


def _items(limit_range: Json) -> list[Json]:
    limits = (limit_range.get("spec") or {}).get("limits") or []
    return [item for item in limits if isinstance(item, dict) and isinstance(item.get("type"), str)]


def _amounts(quantities: Any) -> dict[str, int]:
    """Canonical amounts; what is none is left out."""
    found: dict[str, int] = {}
    for name, quantity in (quantities or {}).items() if isinstance(quantities, dict) else ():
        try:
            found[name] = canonical(name, quantity)
        except QuantityError:
            continue
    return found
