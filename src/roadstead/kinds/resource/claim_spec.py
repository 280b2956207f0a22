"""What a claim asks for: requests, constraints between their devices, configuration (of claims and of their
templates)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from roadstead.expr import syntax
from roadstead.kinds import errors
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.object import Json
from roadstead.kinds.resource import checks, taints
from roadstead.kinds.resource.selectors import MAX_CONFIGS, validate_config, validate_selectors

MAX_REQUESTS: Final = 32
MAX_CONSTRAINTS: Final = 32
MAX_ALTERNATIVES: Final = 8
MODES: Final = ("All", "ExactCount")
_EITHER: Final = "exactly one of `exactly` or `firstAvailable` is required"
_NO_SUCH: Final = (
    "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
)

RequestNames = Mapping[str, frozenset[str]]
"""Names of requests, each with those of its alternatives."""


def default_spec(spec: Json) -> None:
    """One device each where nothing is said. No requests are null, as the real server writes them."""
    spec["devices"].setdefault("requests", None)
    for body in _bodies(spec):
        body.setdefault("allocationMode", "ExactCount")
        if body["allocationMode"] == "ExactCount":
            body.setdefault("count", 1)
        taints.default_tolerations(body)


def drop_gated(spec: Json, old: Json | None) -> None:
    """Fields behind gates that are off are dropped, unless the stored object has them (DRADerivedAttributes)."""
    if old is not None and any("derivedAttributes" in body for body in _bodies(old)):
        return
    for body in _bodies(spec):
        body.pop("derivedAttributes", None)


def _bodies(spec: Json) -> Iterator[Json]:
    for request in (spec.get("devices") or {}).get("requests") or ():
        if request.get("exactly") is not None:
            yield request["exactly"]
        yield from request.get("firstAvailable") or ()


def wants_admin_access(spec: Json) -> int | None:
    """The index of the first request that asks for admin access."""
    for i, request in enumerate((spec.get("devices") or {}).get("requests") or ()):
        if (request.get("exactly") or {}).get("adminAccess"):
            return i
    return None


def request_names(spec: Json) -> RequestNames:
    return {
        request.get("name", ""): frozenset(body.get("name", "") for body in request.get("firstAvailable") or ())
        for request in (spec.get("devices") or {}).get("requests") or ()
    }


def validate_spec(spec: Json, path: str, found: list[FieldError]) -> None:
    """A new claim spec."""
    devices: Json = spec.get("devices") or {}
    path = f"{path}.devices"
    names = request_names(spec)

    def constraint(value: Json, at: str, into: list[FieldError]) -> None:
        _constraint(value, names, at, into)

    def config(value: Json, at: str, into: list[FieldError]) -> None:
        validate_references(value.get("requests"), names, f"{at}.requests", into)
        validate_config(value, at, into)

    checks.distinct(devices.get("requests"), MAX_REQUESTS, _request, checks.the_name, f"{path}.requests", found)
    checks.each(devices.get("constraints"), MAX_CONSTRAINTS, constraint, f"{path}.constraints", found)
    checks.each(devices.get("config"), MAX_CONFIGS, config, f"{path}.config", found)


def _request(request: Json, path: str, found: list[FieldError]) -> None:
    checks.label(request.get("name", ""), f"{path}.name", found)
    exactly, alternatives = request.get("exactly"), request.get("firstAvailable")
    if alternatives and exactly is not None:
        found.append(invalid(path, None, f"{_EITHER}, but multiple fields are set"))
    elif alternatives:
        here = f"{path}.firstAvailable"
        checks.distinct(alternatives, MAX_ALTERNATIVES, _alternative, checks.the_name, here, found)
    elif exactly is not None:
        _body(exactly, f"{path}.exactly", found)
    else:
        found.append(errors.required(path, _EITHER))


def _alternative(body: Json, path: str, found: list[FieldError]) -> None:
    checks.label(body.get("name", ""), f"{path}.name", found)
    _body(body, path, found)


def _body(body: Json, path: str, found: list[FieldError]) -> None:
    device_class = body.get("deviceClassName", "")
    if not device_class:
        found.append(errors.required(f"{path}.deviceClassName"))
    else:
        here = f"{path}.deviceClassName"
        found.extend(invalid(here, device_class, why) for why in syntax.dns_subdomain(device_class))
    validate_selectors(body.get("selectors"), f"{path}.selectors", found)
    mode, count = body.get("allocationMode", ""), body.get("count", 0)
    if mode == "All":
        if count:
            found.append(invalid(f"{path}.count", count, "must not be specified when allocationMode is 'All'"))
    elif mode == "ExactCount":
        if count <= 0:
            found.append(invalid(f"{path}.count", count, "must be greater than zero"))
    else:
        found.append(errors.not_supported(f"{path}.allocationMode", mode, MODES, keep_order=True))
    for i, toleration in enumerate(body.get("tolerations") or ()):
        taints.validate_toleration(toleration, f"{path}.tolerations[{i}]", found)


def _constraint(constraint: Json, names: RequestNames, path: str, found: list[FieldError]) -> None:
    validate_references(constraint.get("requests"), names, f"{path}.requests", found)
    match, differ = constraint.get("matchAttribute"), constraint.get("distinctAttribute")
    if match is not None:
        checks.fully_qualified_name(match, f"{path}.matchAttribute", found)
    elif differ is not None:
        checks.fully_qualified_name(differ, f"{path}.distinctAttribute", found)
    else:
        # the real server's words, wrong as they are
        why = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
        found.append(errors.required(path, why))


def validate_references(values: Any, names: RequestNames, path: str, found: list[FieldError]) -> None:
    """A list of requests of this claim, each once."""

    def known(value: str, at: str, into: list[FieldError]) -> None:
        validate_reference(value, names, at, into)

    checks.distinct(values, MAX_REQUESTS, known, checks.itself, path, found)


def validate_reference(name: str, names: RequestNames, path: str, found: list[FieldError]) -> None:
    """`request` or `request/alternative` of this claim."""
    parts = name.split("/")
    if len(parts) > 2:
        found.append(invalid(path, name, _NO_SUCH))
        return
    for part in parts:
        checks.label(part, path, found)
    if parts[0] not in names or (len(parts) == 2 and parts[1] not in names[parts[0]]):
        found.append(invalid(path, name, _NO_SUCH))
