"""LimitRanger: what the LimitRanges of a namespace give to pods that do not say, and refuse to those that ask for too
much or too little (k8s plugin/pkg/admission/limitranger, whose texts these are)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from roadstead.cluster.embedded.admission import AdmissionRequest
from roadstead.expr.quantity import Quantity, parse
from roadstead.kinds.core.effective import effective
from roadstead.kinds.core.limit_range import CONTAINER, POD
from roadstead.kinds.errors import access_denied
from roadstead.kinds.names import LIMIT_RANGES, PODS
from roadstead.kinds.object import Json

ANNOTATION: Final = "kubernetes.io/limit-ranger"
POD_LEVEL: Final = ("cpu", "memory")
"""Resources of which the pod may ask for all its containers together (KEP-2837)."""

_Amounts: TypeAlias = dict[str, Quantity]


class LimitRanger:
    """See the module. Looks at new pods; costs nothing where there is no LimitRange. O(LimitRanges of all
    namespaces)."""

    def admit(self, request: AdmissionRequest) -> None:
        if request.kind.resource != PODS or request.subresource or request.operation != "CREATE":
            return
        assert request.object is not None
        ranges = [item for item in request.list_all(LIMIT_RANGES) if item.meta.namespace == request.namespace]
        if not ranges:
            return
        items = [(item.decode().get("spec") or {}).get("limits") or [] for item in ranges]
        for limits in items:
            _fill_in(request.object, limits)
        for limits in items:
            problems = list(dict.fromkeys(_problems(request.object["spec"], limits)))
            if problems:
                why = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
                raise access_denied(PODS, request.name, why)


def _containers(spec: Json) -> Iterator[tuple[str, Json]]:
    """(what the annotation calls it, container)"""
    for field, words in (("containers", "container"), ("initContainers", "init container")):
        for container in spec.get(field) or ():
            yield words, container


def _fill_in(pod: Json, limits: list[Json]) -> None:
    items = [item for item in limits if item.get("type") == CONTAINER]
    given = {
        "requests": {name: text for item in items for name, text in (item.get("defaultRequest") or {}).items()},
        "limits": {name: text for item in items for name, text in (item.get("default") or {}).items()},
    }
    told: list[str] = []
    for words, container in _containers(pod["spec"]):
        for field, word in (("requests", "request"), ("limits", "limit")):
            present = (container.get("resources") or {}).get(field) or {}
            missing = {name: text for name, text in given[field].items() if name not in present}
            if missing:
                container["resources"] = {**(container.get("resources") or {}), field: {**present, **missing}}
                told.append(f"{', '.join(sorted(missing))} {word} for {words} {container.get('name', '')}")
    if told:
        pod["metadata"]["annotations"] = {
            **(pod["metadata"].get("annotations") or {}),
            ANNOTATION: f"LimitRanger plugin set: {'; '.join(told)}",
        }


def _problems(spec: Json, limits: list[Json]) -> Iterator[str]:
    for item in limits:
        if item.get("type") == CONTAINER:
            for _, container in _containers(spec):
                resources = container.get("resources") or {}
                yield from _broken(CONTAINER, item, _amounts(resources, "requests"), _amounts(resources, "limits"))
        elif item.get("type") == POD:
            yield from _broken(POD, item, _of_the_pod(spec, "requests"), _of_the_pod(spec, "limits"))


def _amounts(resources: Json, field: str) -> _Amounts:
    return {name: parse(text) for name, text in (resources.get(field) or {}).items()}


def _of_the_pod(spec: Json, field: str) -> _Amounts:
    """Requests or limits of a pod: of what runs together, or of the greediest moment of its start; its own numbers come
    first."""
    running = effective(
        (_amounts(one.get("resources") or {}, field) for one in spec.get("containers") or ()),
        (
            (_amounts(one.get("resources") or {}, field), one.get("restartPolicy") == "Always")
            for one in spec.get("initContainers") or ()
        ),
        _plus,
        max,
    )
    running |= {name: q for name, q in _amounts(spec.get("resources") or {}, field).items() if name in POD_LEVEL}
    return running


def _plus(one: Quantity, other: Quantity) -> Quantity:
    return Quantity(one.nano + other.nano, one.format)


_Rule: TypeAlias = Callable[[str, str, Quantity, Quantity | None, Quantity | None], str]
"""(type of the limit, resource, what is enforced, request, limit) -> what is wrong, or "" """


def _least(kind: str, name: str, enforced: Quantity, request: Quantity | None, limit: Quantity | None) -> str:
    said = f"minimum {name} usage per {kind} is {enforced}"
    if request is None:
        return f"{said}.  No request is specified"
    if request < enforced:
        return f"{said}, but request is {request}"
    return f"{said}, but limit is {limit}" if limit is not None and limit < enforced else ""


def _most(kind: str, name: str, enforced: Quantity, request: Quantity | None, limit: Quantity | None) -> str:
    said = f"maximum {name} usage per {kind} is {enforced}"
    if limit is None:
        return f"{said}.  No limit is specified"
    if limit > enforced:
        return f"{said}, but limit is {limit}"
    return f"{said}, but request is {request}" if request is not None and request > enforced else ""


def _ratio(kind: str, name: str, enforced: Quantity, request: Quantity | None, limit: Quantity | None) -> str:
    said = f"{name} max limit to request ratio per {kind} is {enforced}"
    if request is None or not request.nano:
        return f"{said}, but no request is specified or request is 0"
    if limit is None or not limit.nano:
        return f"{said}, but no limit is specified or limit is 0"
    found = limit.milli / request.milli
    return f"{said}, but provided ratio is {found:f}" if found * 1000 > enforced.milli else ""


_RULES: Final[tuple[tuple[str, _Rule], ...]] = (("min", _least), ("max", _most), ("maxLimitRequestRatio", _ratio))


def _broken(kind: str, item: Json, requests: _Amounts, limits: _Amounts) -> Iterator[str]:
    for field, rule in _RULES:
        for name, text in sorted((item.get(field) or {}).items()):
            problem = rule(kind, name, parse(text), requests.get(name), limits.get(name))
            if problem:
                yield problem
