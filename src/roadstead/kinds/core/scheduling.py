"""How a pod asks to be placed: tolerations, affinity, spread, gates. Rules of one pod spec, no decisions."""

from __future__ import annotations

from typing import Any, Final

from roadstead.expr import syntax
from roadstead.kinds import errors
from roadstead.kinds.core import checks
from roadstead.kinds.core.node import EFFECTS
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.object import Json

_EMPTY_TOPOLOGY: Final = "can not be empty"


def validate_tolerations(tolerations: Any, path: str, found: list[FieldError]) -> None:
    """Tolerations of a pod (kubernetes `ValidateTolerations`)."""
    for i, toleration in enumerate(tolerations or ()):
        here = f"{path}[{i}]"
        key, operator = toleration.get("key", ""), toleration.get("operator", "")
        value, effect = toleration.get("value", ""), toleration.get("effect", "")
        if key:
            found.extend(invalid(f"{here}.key", key, why) for why in syntax.label_key(key))
        elif operator != "Exists":
            why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            found.append(invalid(f"{here}.operator", operator, why))
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            found.append(
                invalid(f"{here}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set")
            )
        if operator in ("Equal", ""):
            problems = syntax.label_value(value)
            if problems:
                found.append(invalid(f"{here}.operator", value, ";".join(problems)))
        elif operator == "Exists":
            if value:
                found.append(invalid(f"{here}.operator", toleration, "value must be empty when `operator` is 'Exists'"))
        else:
            found.append(errors.not_supported(f"{here}.operator", operator, ("Equal", "Exists"), keep_order=True))
        if effect and effect not in EFFECTS:
            found.append(errors.not_supported(f"{here}.effect", effect, EFFECTS, keep_order=True))


def validate_affinity(affinity: Any, path: str, found: list[FieldError]) -> None:
    """Node affinity, pod affinity and anti-affinity."""
    if not affinity:
        return
    node = affinity.get("nodeAffinity")
    if node:
        here = f"{path}.nodeAffinity"
        required = node.get("requiredDuringSchedulingIgnoredDuringExecution")
        if required is not None:
            node_selector(required, f"{here}.requiredDuringSchedulingIgnoredDuringExecution", found)
        for i, term in enumerate(node.get("preferredDuringSchedulingIgnoredDuringExecution") or ()):
            below = f"{here}.preferredDuringSchedulingIgnoredDuringExecution[{i}]"
            _weight(term, below, found)
            node_term(term["preference"], f"{below}.preference", found)
    for name in ("podAffinity", "podAntiAffinity"):
        pods = affinity.get(name) or {}
        here = f"{path}.{name}"
        for i, term in enumerate(pods.get("requiredDuringSchedulingIgnoredDuringExecution") or ()):
            _pod_term(term, f"{here}.requiredDuringSchedulingIgnoredDuringExecution[{i}]", found)
        for i, weighted in enumerate(pods.get("preferredDuringSchedulingIgnoredDuringExecution") or ()):
            below = f"{here}.preferredDuringSchedulingIgnoredDuringExecution[{i}]"
            _weight(weighted, below, found)
            _pod_term(weighted["podAffinityTerm"], f"{below}.podAffinityTerm", found)


def _weight(term: Json, path: str, found: list[FieldError]) -> None:
    weight = term.get("weight", 0)
    if not 1 <= weight <= 100:
        found.append(invalid(f"{path}.weight", weight, "must be in the range 1-100"))


def node_selector(selector: Json, path: str, found: list[FieldError]) -> None:
    """A NodeSelector: at least one term."""
    terms = selector.get("nodeSelectorTerms")
    if not terms:
        found.append(errors.required(f"{path}.nodeSelectorTerms", "must have at least one node selector term"))
    for i, term in enumerate(terms or ()):
        node_term(term, f"{path}.nodeSelectorTerms[{i}]", found)


def node_term(term: Json, path: str, found: list[FieldError]) -> None:
    """One term: requirements on labels and on metadata.name."""
    for i, requirement in enumerate(term.get("matchExpressions") or ()):
        checks.requirement(requirement, f"{path}.matchExpressions[{i}]", found, compares=True)
    for i, requirement in enumerate(term.get("matchFields") or ()):
        _match_field(requirement, f"{path}.matchFields[{i}]", found)


def _match_field(requirement: Json, path: str, found: list[FieldError]) -> None:
    operator, values, key = requirement.get("operator", ""), requirement.get("values") or (), requirement.get("key", "")
    if operator not in ("In", "NotIn"):
        found.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    elif len(values) != 1:
        why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        found.append(errors.required(f"{path}.values", why))
    if key != "metadata.name":
        found.append(invalid(f"{path}.key", key, "not a valid field selector key"))
    else:
        for j, value in enumerate(values):
            found.extend(invalid(f"{path}.values[{j}]", value, why) for why in syntax.dns_subdomain(value))


def _pod_term(term: Json, path: str, found: list[FieldError]) -> None:
    checks.label_selector(term.get("labelSelector"), f"{path}.labelSelector", found)
    checks.label_selector(term.get("namespaceSelector"), f"{path}.namespaceSelector", found)
    for name in term.get("namespaces") or ():
        found.extend(invalid(f"{path}.namespace", name, why) for why in syntax.dns_label(name))
    key = term.get("topologyKey", "")
    if not key:
        found.append(errors.required(f"{path}.topologyKey", _EMPTY_TOPOLOGY))
    found.extend(invalid(f"{path}.topologyKey", key, why) for why in syntax.label_key(key))


def validate_spread(constraints: Any, path: str, found: list[FieldError]) -> None:
    """topologySpreadConstraints."""
    seen: set[tuple[str, str]] = set()
    for i, constraint in enumerate(constraints or ()):
        here = f"{path}[{i}]"
        skew, key = constraint.get("maxSkew", 0), constraint.get("topologyKey", "")
        action = constraint.get("whenUnsatisfiable", "")
        if skew <= 0:
            found.append(invalid(f"{here}.maxSkew", skew, "must be greater than zero"))
        if not key:
            found.append(errors.required(f"{here}.topologyKey", _EMPTY_TOPOLOGY))
        else:
            found.extend(invalid(f"{here}.topologyKey", key, why) for why in syntax.label_key(key))
        actions = ("DoNotSchedule", "ScheduleAnyway")
        if action not in actions:
            found.append(errors.not_supported(f"{here}.whenUnsatisfiable", action, actions))
        if (key, action) in seen:
            shown = "{" + f"{key}, {action}" + "}"
            found.append(errors.duplicate(f"{here}.{{topologyKey, whenUnsatisfiable}}", shown))
        seen.add((key, action))
        domains = constraint.get("minDomains")
        if domains is not None:
            if domains <= 0:
                found.append(invalid(f"{here}.minDomains", domains, "must be greater than zero"))
            if action != "DoNotSchedule":
                why = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
                found.append(invalid(f"{here}.minDomains", domains, why))
        for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            policy = constraint.get(name)
            if policy is not None and policy not in ("Honor", "Ignore"):
                found.append(errors.not_supported(f"{here}.{name}", policy, ("Honor", "Ignore")))
        checks.label_selector(constraint.get("labelSelector"), f"{here}.labelSelector", found)


def validate_gates(gates: Any, path: str, found: list[FieldError]) -> None:
    """schedulingGates: qualified names, each once."""
    seen: set[str] = set()
    for i, gate in enumerate(gates or ()):
        name = gate.get("name", "")
        found.extend(invalid(f"{path}[{i}]", name, why) for why in syntax.qualified_name(name))
        if name in seen:
            found.append(errors.duplicate(f"{path}[{i}]", name))
        seen.add(name)


def validate_readiness_gates(gates: Any, path: str, found: list[FieldError]) -> None:
    for i, gate in enumerate(gates or ()):
        name = gate.get("conditionType", "")
        found.extend(invalid(f"{path}[{i}].conditionType", name, why) for why in syntax.qualified_name(name))
