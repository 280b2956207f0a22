"""RuntimeClass: the overhead, node selector and tolerations that a pod gets from the class it names
(k8s plugin/pkg/admission/runtimeclass, whose texts these are; KEP-585, KEP-688)."""

from __future__ import annotations

from roadstead.cluster.embedded.admission import AdmissionRequest
from roadstead.expr.quantity import compare
from roadstead.kinds.errors import access_denied
from roadstead.kinds.names import PODS, RUNTIME_CLASSES
from roadstead.kinds.object import Json


class RuntimeClass:
    """Looks at new pods. The class must exist; an overhead may only come from one."""

    def admit(self, request: AdmissionRequest) -> None:
        if request.kind.resource != PODS or request.subresource or request.operation != "CREATE":
            return
        assert request.object is not None
        spec = request.object["spec"]
        name = spec.get("runtimeClassName")
        found: Json = {}
        if name is not None:
            stored = request.lookup(RUNTIME_CLASSES, "", name)
            if stored is None:
                raise access_denied(PODS, request.name, f'pod rejected: RuntimeClass "{name}" not found')
            found = stored.decode()
        try:
            _overhead(spec, found.get("overhead"))
            _scheduling(spec, found.get("scheduling") or {})
        except _Conflict as conflict:
            raise access_denied(PODS, request.name, str(conflict)) from conflict


class _Conflict(Exception):
    """The pod and its class say different things."""


def _overhead(spec: Json, overhead: Json | None) -> None:
    given = spec.get("overhead")
    if overhead is None:
        if given:
            raise _Conflict("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")
        return
    fixed = overhead.get("podFixed") or {}
    if given and not _are_equal(given, fixed):
        raise _Conflict("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
    if fixed:
        spec["overhead"] = dict(fixed)


def _are_equal(one: Json, other: Json) -> bool:
    return one.keys() == other.keys() and all(compare(one[name], other[name]) == 0 for name in one)


def _scheduling(spec: Json, scheduling: Json) -> None:
    selector = dict(spec.get("nodeSelector") or {})
    for key, value in (scheduling.get("nodeSelector") or {}).items():
        if selector.get(key, value) != value:
            raise _Conflict(
                f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                f"pod.spec.nodeSelector[{key}] = {selector[key]}"
            )
        selector[key] = value
    if selector:
        spec["nodeSelector"] = selector
    more = scheduling.get("tolerations")
    if more:
        spec["tolerations"] = _merged([*(spec.get("tolerations") or ()), *more])


def _merged(tolerations: list[Json]) -> list[Json]:
    """Those that no other one among them makes superfluous; of equal ones the first."""
    kept: list[Json] = []
    for i, one in enumerate(tolerations):
        if any(_covers(other, one) for other in kept):
            continue
        if not any(other != one and _covers(other, one) for other in tolerations[i + 1 :]):
            kept.append(one)
    return kept


def _covers(wide: Json, narrow: Json) -> bool:
    """`wide` tolerates whatever `narrow` does."""
    if wide == narrow:
        return True
    operator = wide.get("operator") or "Equal"
    if wide.get("key", "") != narrow.get("key", "") and (wide.get("key") or operator != "Exists"):
        return False
    if wide.get("effect") and wide.get("effect") != narrow.get("effect", ""):
        return False
    if wide.get("effect") == "NoExecute" and (limit := wide.get("tolerationSeconds")) is not None:
        seconds = narrow.get("tolerationSeconds")
        if seconds is None or seconds > limit:
            return False
    if operator == "Exists":
        return True
    return bool(narrow.get("operator") == "Equal" and narrow.get("value", "") == wide.get("value", ""))
