"""What matters for deciding about a pod, from its spec or from a pod template's.

Effective requests are Kubernetes' own (component-helpers `PodRequests`; KEP-753 sidecars, KEP-2837 pod-level resources,
KEP-688 overhead): per resource the larger of what runs together and of any moment of initialisation. Limits stand in
where requests are missing (Kueue 3.1). Equal specs are worked out once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import add
from typing import Any, TypeAlias

import msgspec
import orjson
from msgspec.structs import replace

from roadstead.expr.quantity import Quantity, QuantityError, parse
from roadstead.ingest.reading import toleration_of
from roadstead.kinds.core.effective import effective
from roadstead.kinds.views.common import QuantityLike
from roadstead.kinds.views.kueue import TolerationView
from roadstead.model.amounts import CPU, UNLIMITED
from roadstead.model.dra import PodClaim
from roadstead.model.selection import NodeTerm, Requirement
from roadstead.model.workload import PodClass

_Nano: TypeAlias = dict[str, int]


class _Resources(msgspec.Struct, frozen=True, rename="camel"):
    requests: Mapping[str, QuantityLike] | None = None
    limits: Mapping[str, QuantityLike] | None = None


class _Container(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    restart_policy: str | None = None
    resources: _Resources | None = None


class _Expression(msgspec.Struct, frozen=True, rename="camel"):
    key: str = ""
    operator: str = ""
    values: tuple[str, ...] | None = None


class _Term(msgspec.Struct, frozen=True, rename="camel"):
    match_expressions: tuple[_Expression, ...] | None = None
    match_fields: tuple[_Expression, ...] | None = None


class _Terms(msgspec.Struct, frozen=True, rename="camel"):
    node_selector_terms: tuple[_Term, ...] | None = None


class _NodeAffinity(msgspec.Struct, frozen=True, rename="camel"):
    required_during_scheduling_ignored_during_execution: _Terms | None = None


class _Affinity(msgspec.Struct, frozen=True, rename="camel"):
    node_affinity: _NodeAffinity | None = None


class ClaimRef(msgspec.Struct, frozen=True, rename="camel"):
    """One of `spec.resourceClaims`."""

    name: str = ""
    resource_claim_name: str | None = None
    resource_claim_template_name: str | None = None


class _PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    containers: tuple[_Container, ...] | None = None
    init_containers: tuple[_Container, ...] | None = None
    overhead: Mapping[str, QuantityLike] | None = None
    resources: _Resources | None = None
    node_selector: Mapping[str, str] | None = None
    affinity: _Affinity | None = None
    tolerations: tuple[TolerationView, ...] | None = None
    resource_claims: tuple[ClaimRef, ...] | None = None


Resolve: TypeAlias = Callable[[ClaimRef], PodClaim | None]
"""What a pod's claim is; None if the pod turned out to need none under this name."""


class UnreadableError(ValueError):
    """The pod spec can't be understood; the message says where."""


def pod_class(spec: Mapping[str, Any], resolve: Resolve | None = None) -> PodClass:
    """The class of a pod with this spec; without `resolve` its claims are left out. UnreadableError if it has no shape
    of one.

    O(containers); about 2 us where an equal spec was seen lately.
    """
    return pod_class_of_bytes(orjson.dumps(spec), resolve)


def pod_class_of_bytes(spec: bytes, resolve: Resolve | None = None) -> PodClass:
    """`pod_class` of a spec as JSON."""
    pod, refs = _read(spec)
    if not refs or resolve is None:
        return pod
    return replace(pod, claims=tuple(claim for ref in refs if (claim := resolve(ref)) is not None))


def claim_refs(spec: Mapping[str, Any]) -> tuple[ClaimRef, ...]:
    """`spec.resourceClaims` of a pod or template; none if the spec has no shape of one."""
    if not spec.get("resourceClaims"):
        return ()
    try:
        return _read(orjson.dumps(spec))[1]
    except UnreadableError:
        return ()


@lru_cache(maxsize=4096)
def _read(spec: bytes) -> tuple[PodClass, tuple[ClaimRef, ...]]:
    try:
        pod = msgspec.json.decode(spec, type=_PodSpec)
        requests, exceeded = _requests(pod)
    except (msgspec.ValidationError, msgspec.DecodeError, QuantityError) as error:
        raise UnreadableError(str(error)) from error
    found = PodClass(
        requests=tuple(sorted((name, _canonical(name, nano)) for name, nano in requests.items())),
        node_selector=tuple(sorted((pod.node_selector or {}).items())),
        node_affinity=_terms(pod.affinity),
        tolerations=tuple(toleration_of(toleration) for toleration in pod.tolerations or ()),
        limits_exceeded=exceeded,
    )
    return found, pod.resource_claims or ()


def _canonical(resource: str, nano: int) -> int:
    quantity = Quantity(max(nano, 0))
    return min(quantity.milli if resource == CPU else quantity.value, UNLIMITED)


def _requests(pod: _PodSpec) -> tuple[_Nano, tuple[str, ...]]:
    """(effective requests in nano-units, resources whose request is above their own limit)."""
    exceeded: set[str] = set()
    running: _Nano = effective(
        (_own_requests(one.resources, exceeded) for one in pod.containers or ()),
        ((_own_requests(one.resources, exceeded), one.restart_policy == "Always") for one in pod.init_containers or ()),
        add,
        max,
    )
    if pod.resources is not None:
        whole = _own_requests(pod.resources, exceeded, missing_from_limits=False)
        limits = _nano(pod.resources.limits)
        running |= {name: nano for name, nano in limits.items() if name not in running and _is_pod_level(name)}
        running |= {name: nano for name, nano in whole.items() if _is_pod_level(name)}
    _add(running, _nano(pod.overhead))
    return running, tuple(sorted(exceeded))


def _is_pod_level(resource: str) -> bool:
    return resource in (CPU, "memory") or resource.startswith("hugepages-")


def _own_requests(resources: _Resources | None, exceeded: set[str], *, missing_from_limits: bool = True) -> _Nano:
    if resources is None:
        return {}
    requests, limits = _nano(resources.requests), _nano(resources.limits)
    exceeded.update(name for name, nano in requests.items() if name in limits and nano > limits[name])
    return limits | requests if missing_from_limits else requests


def _nano(quantities: Mapping[str, QuantityLike] | None) -> _Nano:
    return {name: parse(quantity).nano for name, quantity in (quantities or {}).items()}


def _add(into: _Nano, more: _Nano) -> None:
    for name, nano in more.items():
        into[name] = into.get(name, 0) + nano


def _terms(affinity: _Affinity | None) -> tuple[NodeTerm, ...]:
    node = affinity.node_affinity if affinity else None
    required = node.required_during_scheduling_ignored_during_execution if node else None
    if required is None:
        return ()
    terms = required.node_selector_terms or (_Term(),)  # required without terms matches no node
    return tuple(NodeTerm(_requirements(term.match_expressions), _requirements(term.match_fields)) for term in terms)


def _requirements(expressions: tuple[_Expression, ...] | None) -> tuple[Requirement, ...]:
    return tuple(Requirement(each.key, each.operator, tuple(each.values or ())) for each in expressions or ())
