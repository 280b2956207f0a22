"""Resource requests and limits: names, amounts, and how the two relate (kubernetes
`ValidateContainerResourceRequirements`)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from roadstead.expr import quantity, syntax
from roadstead.kinds import errors
from roadstead.kinds.core import checks
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.object import Json

_CONTAINER_RESOURCES: Final = frozenset({"cpu", "memory", "ephemeral-storage"})
_STANDARD_RESOURCES: Final = _CONTAINER_RESOURCES | {
    "storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "requests.storage",
    "services.nodeports",
    "services.loadbalancers",
}
_HUGE: Final = "hugepages-"


def is_native(name: str) -> bool:
    """Kubernetes' own resources: no prefix, or one of kubernetes.io."""
    return "/" not in name or "kubernetes.io/" in name


@lru_cache(maxsize=1024)
def is_extended(name: str) -> bool:
    """A device-like resource (`nvidia.com/gpu`): whole numbers, never overcommitted."""
    if is_native(name) or name.startswith("requests."):
        return False
    return not syntax.qualified_name(f"requests.{name}")


def may_overcommit(name: str) -> bool:
    """More may be promised of it, as limits, than there is."""
    return is_native(name) and not name.startswith(_HUGE)


@lru_cache(maxsize=1024)
def name_problems(name: str) -> tuple[str, ...]:
    """What is wrong with the name of a resource, of whatever (kubernetes `ValidateResourceName`)."""
    problems = tuple(syntax.qualified_name(name))
    if not problems and "/" not in name and name not in _STANDARD_RESOURCES and not name.startswith(_HUGE):
        return ("must be a standard resource type or fully qualified",)
    return problems


@lru_cache(maxsize=1024)
def container_name_problems(name: str) -> tuple[str, ...]:
    """What is wrong with the name of a resource that a container asks for."""
    problems = name_problems(name)
    if "/" not in name:
        if not syntax.qualified_name(name) and name not in _CONTAINER_RESOURCES and not name.startswith(_HUGE):
            return (*problems, "must be a standard resource for containers")
    elif not problems and not is_native(name) and not is_extended(name):
        return ("doesn't follow extended resource name standard",)
    return problems


def validate_requirements(resources: Json, claims: set[str] | None, path: str, found: list[FieldError]) -> None:
    """`resources` of a container. `claims`: names of the pod's claims, None where claims are not known."""
    limits: dict[str, str] = resources.get("limits") or {}
    requests: dict[str, str] = resources.get("requests") or {}
    for name, amount in limits.items():
        _amount(name, amount, f"{path}.limits[{name}]", found)
    for name, amount in requests.items():
        _amount(name, amount, f"{path}.requests[{name}]", found)
        limit = limits.get(name)
        if limit is None:
            if not may_overcommit(name):
                found.append(errors.required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
        elif amount != limit:
            relation = quantity.compare(amount, limit)
            if relation and not may_overcommit(name):
                found.append(invalid(f"{path}.requests", amount, f"must be equal to {name} limit of {limit}"))
            elif relation > 0:
                why = f"must be less than or equal to {name} limit of {limit}"
                found.append(invalid(f"{path}.requests", amount, why))
    named = {*limits, *requests}
    if any(name.startswith(_HUGE) for name in named) and not named & {"cpu", "memory"}:
        found.append(errors.forbidden(path, "HugePages require cpu or memory"))
    if "claims" in resources and claims is not None:
        _claims(resources, claims, f"{path}.claims", found)


def _amount(name: str, amount: str, path: str, found: list[FieldError]) -> None:
    problems = container_name_problems(name)
    if problems:
        found.extend(invalid(path, name, why) for why in problems)
    parsed = quantity.parse(amount)
    if parsed.nano < 0:
        found.append(invalid(path, amount, checks.NOT_NEGATIVE))
    if not parsed.is_whole and is_extended(name):
        found.append(invalid(path, amount, "must be an integer"))


def _claims(resources: Json, claims: set[str], path: str, found: list[FieldError]) -> None:
    seen: set[tuple[str, str]] = set()
    for i, claim in enumerate(resources["claims"]):
        name, request = claim.get("name", ""), claim.get("request", "")
        if not name:
            found.append(errors.required(f"{path}[{i}].name"))
            continue
        if (name, request) in seen:
            found.append(errors.duplicate(f"{path}[{i}]", f"{name}/{request}" if request else name))
        seen.add((name, request))
        if name not in claims:
            found.append(FieldError(errors.NOT_FOUND, f"{path}[{i}].name", f"Not found: {errors.go_value(name)}"))
