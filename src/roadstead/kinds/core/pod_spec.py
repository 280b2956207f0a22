"""Validation of a pod spec, for pods and for every template (kubernetes `ValidatePodSpec`, in its order)."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from roadstead.expr import quantity, syntax
from roadstead.kinds import errors
from roadstead.kinds.core import checks, scheduling
from roadstead.kinds.core.containers import validate_containers
from roadstead.kinds.core.resources import validate_requirements
from roadstead.kinds.core.volumes import validate_claims, validate_volumes
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.metadata import check_annotations, check_labels
from roadstead.kinds.object import Json

RESTART_POLICIES: Final = ("Always", "OnFailure", "Never")
DNS_POLICIES: Final = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
PREEMPTION_POLICIES: Final = ("Never", "PreemptLowerPriority")
_BAD_ADDRESS: Final = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"


def validate_pod_spec(spec: Json, path: str) -> list[FieldError]:
    """Everything wrong with a defaulted pod spec at `path`."""
    found: list[FieldError] = []
    volumes = validate_volumes(spec["volumes"], f"{path}.volumes", found) if "volumes" in spec else set()
    claims = (
        validate_claims(spec["resourceClaims"], f"{path}.resourceClaims", found) if "resourceClaims" in spec else set()
    )
    validate_containers(spec, volumes, claims, path, found)
    if "resources" in spec:
        validate_requirements(spec["resources"], None, f"{path}.resources", found)
    if spec.get("restartPolicy", "") not in RESTART_POLICIES:
        checks.one_of(spec.get("restartPolicy", ""), RESTART_POLICIES, f"{path}.restartPolicy", found, keep_order=True)
    if spec.get("dnsPolicy", "") not in DNS_POLICIES:
        checks.one_of(spec.get("dnsPolicy", ""), DNS_POLICIES, f"{path}.dnsPolicy", found, keep_order=True)
    if "nodeSelector" in spec:
        found += check_labels(spec["nodeSelector"], f"{path}.nodeSelector")
    if spec.get("securityContext"):
        _security_context(spec["securityContext"], f"{path}.securityContext", found)
    if "affinity" in spec:
        scheduling.validate_affinity(spec["affinity"], f"{path}.affinity", found)
    if "dnsConfig" in spec or spec.get("dnsPolicy") == "None":
        _dns(spec, path, found)
    if "readinessGates" in spec:
        scheduling.validate_readiness_gates(spec["readinessGates"], f"{path}.readinessGates", found)
    if "schedulingGates" in spec:
        scheduling.validate_gates(spec["schedulingGates"], f"{path}.schedulingGates", found)
    if "topologySpreadConstraints" in spec:
        scheduling.validate_spread(spec["topologySpreadConstraints"], f"{path}.topologySpreadConstraints", found)
    for name in ("serviceAccountName", "nodeName"):
        if spec.get(name):
            found.extend(invalid(f"{path}.{name}", spec[name], why) for why in syntax.dns_subdomain(spec[name]))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= checks.MAX_INT32:
        found.append(invalid(f"{path}.activeDeadlineSeconds", deadline, checks.between(1, checks.MAX_INT32)))
    for name in ("hostname", "subdomain"):
        if spec.get(name):
            checks.dns_label(spec[name], f"{path}.{name}", found)
    if "tolerations" in spec:
        scheduling.validate_tolerations(spec["tolerations"], f"{path}.tolerations", found)
    for i, alias in enumerate(spec.get("hostAliases") or ()):
        _host_alias(alias, f"{path}.hostAliases[{i}]", found)
    for name in ("priorityClassName", "runtimeClassName"):
        if spec.get(name):
            found.extend(invalid(f"{path}.{name}", spec[name], why) for why in syntax.dns_subdomain(spec[name]))
    policy = spec.get("preemptionPolicy")
    if policy is not None and policy not in PREEMPTION_POLICIES:
        checks.one_of(policy, PREEMPTION_POLICIES, f"{path}.preemptionPolicy", found)
    for name, amount in (spec.get("overhead") or {}).items():
        if quantity.parse(amount).nano < 0:
            found.append(invalid(f"{path}.overhead[{name}]", amount, checks.NOT_NEGATIVE))
    system = (spec.get("os") or {}).get("name")
    if system is not None and system not in ("linux", "windows"):
        found.append(errors.not_supported(f"{path}.os", system, ("linux", "windows")))
    return found


def validate_template(template: Json, path: str) -> list[FieldError]:
    """A pod template: labels, annotations and spec (kubernetes `ValidatePodTemplateSpec`)."""
    metadata: Json = template.get("metadata") or {}
    found = check_labels(metadata.get("labels"), f"{path}.labels")
    found += check_annotations(metadata.get("annotations"), f"{path}.annotations")
    found += validate_pod_spec(template["spec"], f"{path}.spec")
    if template["spec"].get("ephemeralContainers"):
        why = "ephemeral containers not allowed in pod template"
        found.append(errors.forbidden(f"{path}.spec.ephemeralContainers", why))
    return found


def _security_context(context: Json, path: str, found: list[FieldError]) -> None:
    for name in ("fsGroup", "runAsUser", "runAsGroup"):
        value = context.get(name)
        if value is not None and not 0 <= value <= checks.MAX_INT32:
            found.append(invalid(f"{path}.{name}", value, checks.between(0, checks.MAX_INT32)))
    for i, group in enumerate(context.get("supplementalGroups") or ()):
        if not 0 <= group <= checks.MAX_INT32:
            found.append(invalid(f"{path}.supplementalGroups[{i}]", group, checks.between(0, checks.MAX_INT32)))
    policy = context.get("fsGroupChangePolicy")
    if policy is not None and policy not in ("Always", "OnRootMismatch"):
        found.append(errors.not_supported(f"{path}.fsGroupChangePolicy", policy, ("Always", "OnRootMismatch")))
    seen: set[str] = set()
    for i, sysctl in enumerate(context.get("sysctls") or ()):
        name = sysctl.get("name", "")
        if not name:
            found.append(errors.required(f"{path}.sysctls[{i}].name"))
        elif name in seen:
            found.append(errors.duplicate(f"{path}.sysctls[{i}].name", name))
        seen.add(name)


def _dns(spec: Json, path: str, found: list[FieldError]) -> None:
    config: Json = spec.get("dnsConfig") or {}
    here = f"{path}.dnsConfig"
    servers, searches = config.get("nameservers") or (), config.get("searches") or ()
    if spec.get("dnsPolicy") == "None" and not servers:
        if "dnsConfig" not in spec:
            why = f"must provide `dnsConfig` when `dnsPolicy` is {spec['dnsPolicy']}"
            found.append(errors.required(here, why))
            return
        why = f"must provide at least one DNS nameserver when `dnsPolicy` is {spec['dnsPolicy']}"
        found.append(errors.required(f"{here}.nameservers", why))
    if len(servers) > 3:
        found.append(invalid(f"{here}.nameservers", list(servers), "must not have more than 3 nameservers"))
    for i, server in enumerate(servers):
        _address(server, f"{here}.nameservers[{i}]", found)
    if len(searches) > 32:
        found.append(invalid(f"{here}.searches", list(searches), "must not have more than 32 search paths"))
    for i, search in enumerate(searches):
        name = search.removesuffix(".")
        if search != ".":
            found.extend(invalid(f"{here}.searches[{i}]", search, why) for why in syntax.dns_subdomain(name))
    for i, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            found.append(errors.required(f"{here}.options[{i}]", "must not be empty"))


def _host_alias(alias: Json, path: str, found: list[FieldError]) -> None:
    _address(alias.get("ip", ""), f"{path}.ip", found)
    for i, name in enumerate(alias.get("hostnames") or ()):
        found.extend(invalid(f"{path}.hostnames[{i}]", name, why) for why in syntax.dns_subdomain(name))


def _address(text: Any, path: str, found: list[FieldError]) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        found.append(invalid(path, text, _BAD_ADDRESS))


def warnings(spec: Json, path: str) -> list[str]:
    """Advice about a pod spec that is allowed but hardly meant."""
    found: list[str] = []
    for i, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        if constraint.get("labelSelector") is None:
            where = f"{path}.topologySpreadConstraints[{i}].labelSelector"
            found.append(f"{where}: a null labelSelector results in matching no pod")
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        why = "must be >= 0; negative values are invalid and will be treated as 1"
        found.append(f"{path}.terminationGracePeriodSeconds: {why}")
    for name in ("containers", "initContainers"):
        for i, container in enumerate(spec.get(name) or ()):
            here = f"{path}.{name}[{i}]"
            for kind in ("limits", "requests"):
                amount = (container.get("resources") or {}).get(kind, {}).get("memory")
                if amount is not None and not quantity.parse(amount).is_whole:
                    why = f'fractional byte value "{amount}" is invalid, must be an integer'
                    found.append(f"{here}.resources.{kind}[memory]: {why}")
            seen: set[str] = set()
            for j, variable in enumerate(container.get("env") or ()):
                if variable.get("name") in seen:
                    quoted = errors.go_quote(variable["name"])
                    why = f"hides previous definition of {quoted}, which may be dropped when using apply"
                    found.append(f"{here}.env[{j}]: {why}")
                seen.add(variable.get("name", ""))
    return found
