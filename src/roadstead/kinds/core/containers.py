"""Containers of a pod spec (kubernetes `validateContainers` and what it calls), in the server's order."""

from __future__ import annotations

from typing import Any, Final

from roadstead.expr import syntax
from roadstead.kinds import errors
from roadstead.kinds.core import checks
from roadstead.kinds.core.probes import validate_lifecycle, validate_probes
from roadstead.kinds.core.references import field_reference, key_reference, resource_reference
from roadstead.kinds.core.resources import validate_requirements
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.object import Json

PROTOCOLS: Final = ("SCTP", "TCP", "UDP")
PULL_POLICIES: Final = ("Always", "IfNotPresent", "Never")
MESSAGE_POLICIES: Final = ("File", "FallbackToLogsOnError")
RESTART_POLICIES: Final = ("Always", "Never", "OnFailure")
PROPAGATIONS: Final = ("Bidirectional", "HostToContainer", "None")
_SOURCES: Final = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def validate_containers(spec: Json, volumes: set[str], claims: set[str], path: str, found: list[FieldError]) -> None:
    """All containers of a pod spec: regular, then init, then ephemeral ones."""
    containers = spec.get("containers")
    grace = spec.get("terminationGracePeriodSeconds", 30)
    names: set[str] = set()
    if not containers:
        found.append(errors.required(f"{path}.containers"))
    for i, container in enumerate(containers or ()):
        here = f"{path}.containers[{i}]"
        _common(container, volumes, claims, here, spec, found)
        _unique(container, names, here, found)
        if "lifecycle" in container:
            validate_lifecycle(container["lifecycle"], grace, f"{here}.lifecycle", found)
        validate_probes(container, grace, here, found)
        _restart_policy(container, here, found)
    _host_ports(containers, f"{path}.containers", found)
    init_names = set(names)
    for i, container in enumerate(spec.get("initContainers") or ()):
        here = f"{path}.initContainers[{i}]"
        _common(container, volumes, claims, here, spec, found)
        _unique(container, init_names, here, found)
        _init_container(container, grace, here, found)
    for i, container in enumerate(spec.get("ephemeralContainers") or ()):
        here = f"{path}.ephemeralContainers[{i}]"
        _common(container, volumes, claims, here, spec, found)
        _unique(container, init_names, here, found)
        target = container.get("targetContainerName")
        if target and target not in names:
            found.append(
                FieldError(errors.NOT_FOUND, f"{here}.targetContainerName", f"Not found: {errors.go_value(target)}")
            )


def _unique(container: Json, names: set[str], path: str, found: list[FieldError]) -> None:
    name = container.get("name", "")
    if name in names:
        found.append(errors.duplicate(f"{path}.name", name))
    elif name:
        names.add(name)


def _common(
    container: Json, volumes: set[str], claims: set[str], path: str, spec: Json, found: list[FieldError]
) -> None:
    name = container.get("name", "")
    if not name:
        found.append(errors.required(f"{path}.name"))
    else:
        checks.dns_label(name, f"{path}.name", found)
    if not container.get("image"):
        found.append(errors.required(f"{path}.image"))
    policy = container.get("terminationMessagePolicy", "")
    if policy not in MESSAGE_POLICIES:
        checks.one_of(policy, MESSAGE_POLICIES, f"{path}.terminationMessagePolicy", found, keep_order=True)
    if "ports" in container:
        _ports(container["ports"], f"{path}.ports", found, on_host=bool(spec.get("hostNetwork")))
    if "env" in container:
        _environment(container["env"], f"{path}.env", found)
    if "envFrom" in container:
        _environment_from(container["envFrom"], f"{path}.envFrom", found)
    if "volumeMounts" in container:
        _mounts(container, volumes, f"{path}.volumeMounts", found)
    if "volumeDevices" in container:
        _devices(container, volumes, f"{path}.volumeDevices", found)
    if container.get("imagePullPolicy", "") not in PULL_POLICIES:
        checks.one_of(container.get("imagePullPolicy", ""), PULL_POLICIES, f"{path}.imagePullPolicy", found)
    resources = container.get("resources")
    if resources:
        validate_requirements(resources, claims, f"{path}.resources", found)
    if "resizePolicy" in container:
        _resize_policy(container["resizePolicy"], f"{path}.resizePolicy", found)
    if "securityContext" in container:
        _security_context(container["securityContext"], f"{path}.securityContext", found)


def _ports(ports: list[Json], path: str, found: list[FieldError], *, on_host: bool) -> None:
    names: set[str] = set()
    for i, port in enumerate(ports):
        here = f"{path}[{i}]"
        name = port.get("name", "")
        if name:
            problems = syntax.port_name(name)
            if problems:
                found.extend(invalid(f"{here}.name", name, why) for why in problems)
            elif name in names:
                found.append(errors.duplicate(f"{here}.name", name))
            else:
                names.add(name)
        number, host_port = port.get("containerPort", 0), port.get("hostPort", 0)
        if number == 0:
            found.append(errors.required(f"{here}.containerPort"))
        else:
            checks.port_number(number, f"{here}.containerPort", found)
        if host_port:
            checks.port_number(host_port, f"{here}.hostPort", found)
            if on_host and host_port != number:
                why = "must match `containerPort` when `hostNetwork` is true"
                found.append(invalid(f"{here}.hostPort", host_port, why))
        checks.one_of(port.get("protocol", ""), PROTOCOLS, f"{here}.protocol", found)


def _host_ports(containers: Any, path: str, found: list[FieldError]) -> None:
    taken: set[tuple[str, str, int]] = set()
    for i, container in enumerate(containers or ()):
        for j, port in enumerate(container.get("ports") or ()):
            if not port.get("hostPort"):
                continue
            key = (port.get("protocol", ""), port.get("hostIP", ""), port["hostPort"])
            if key in taken:
                shown = f"{key[0]}/{key[1]}/{key[2]}" if key[1] else f"{key[0]}//{key[2]}"
                found.append(errors.duplicate(f"{path}[{i}].ports[{j}].hostPort", shown))
            taken.add(key)


def _environment(variables: list[Json], path: str, found: list[FieldError]) -> None:
    for i, variable in enumerate(variables):
        name = variable.get("name", "")
        if not name:
            found.append(errors.required(f"{path}[{i}].name"))
        else:
            problems = syntax.env_name(name)
            if problems:
                found.extend(invalid(f"{path}[{i}].name", name, why) for why in problems)
        source = variable.get("valueFrom")
        if source is not None:
            _value_from(source, variable.get("value", ""), f"{path}[{i}].valueFrom", found)


def _value_from(source: Json, value: str, path: str, found: list[FieldError]) -> None:
    given = [name for name in _SOURCES if name in source]
    for name in given:
        here = f"{path}.{name}"
        if name == "fieldRef":
            field_reference(source[name], here, found, volume=False)
        elif name == "resourceFieldRef":
            resource_reference(source[name], here, found, volume=False)
        elif name == "fileKeyRef":
            for field in ("volumeName", "path", "key"):
                if not source[name].get(field):
                    found.append(errors.required(f"{here}.{field}"))
        else:
            key_reference(source[name], here, found)
    if not given:
        listed = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        found.append(invalid(path, "", f"must specify one of: {listed}"))
    if value:
        if given:
            found.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif len(given) > 1:
        found.append(invalid(path, "", "may not have more than one field specified at a time"))


def _environment_from(sources: list[Json], path: str, found: list[FieldError]) -> None:
    for i, source in enumerate(sources):
        here = f"{path}[{i}]"
        prefix = source.get("prefix")
        if prefix:
            found.extend(invalid(f"{here}.prefix", prefix, why) for why in syntax.env_name(prefix))
        given = [name for name in ("configMapRef", "secretRef") if name in source]
        for name in given:
            if not source[name].get("name"):
                found.append(errors.required(f"{here}.{name}.name"))
        if not given:
            found.append(invalid(here, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            found.append(invalid(here, "", "may not have more than one field specified at a time"))


def _mounts(container: Json, volumes: set[str], path: str, found: list[FieldError]) -> None:
    seen: set[str] = set()
    devices = {device.get("name"): device.get("devicePath") for device in container.get("volumeDevices") or ()}
    for i, mount in enumerate(container["volumeMounts"]):
        here = f"{path}[{i}]"
        name, where = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            found.append(errors.required(f"{here}.name"))
        if name not in volumes:
            found.append(FieldError(errors.NOT_FOUND, f"{here}.name", f"Not found: {errors.go_value(name)}"))
        if not where:
            found.append(errors.required(f"{here}.mountPath"))
        if where in seen:
            found.append(invalid(f"{here}.mountPath", where, "must be unique"))
        seen.add(where)
        if name in devices:
            found.append(invalid(f"{here}.name", name, "must not already exist in volumeDevices"))
        if where in devices.values():
            why = "must not already exist as a path in volumeDevices"
            found.append(invalid(f"{here}.mountPath", where, why))
        sub_path, expression = mount.get("subPath", ""), mount.get("subPathExpr", "")
        if sub_path:
            checks.local_path(sub_path, f"{path}.subPath", found)
        if expression:
            if sub_path:
                why = "subPathExpr and subPath are mutually exclusive"
                found.append(invalid(f"{here}.subPathExpr", expression, why))
            checks.local_path(expression, f"{path}.subPathExpr", found)
        propagation = mount.get("mountPropagation")
        if propagation is not None and propagation not in PROPAGATIONS:
            found.append(errors.not_supported(f"{here}.mountPropagation", propagation, PROPAGATIONS))
        if propagation == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
            why = "Bidirectional mount propagation is available only to privileged containers"
            found.append(errors.forbidden(f"{here}.mountPropagation", why))


def _devices(container: Json, volumes: set[str], path: str, found: list[FieldError]) -> None:
    names: set[str] = set()
    paths: set[str] = set()
    for i, device in enumerate(container["volumeDevices"]):
        here = f"{path}[{i}]"
        name, where = device.get("name", ""), device.get("devicePath", "")
        if not name:
            found.append(errors.required(f"{here}.name"))
        if name in names:
            found.append(invalid(f"{here}.name", name, "must be unique"))
        if name not in volumes:
            found.append(FieldError(errors.NOT_FOUND, f"{here}.name", f"Not found: {errors.go_value(name)}"))
        if not where:
            found.append(errors.required(f"{here}.devicePath"))
        if where in paths:
            found.append(invalid(f"{here}.devicePath", where, "must be unique"))
        checks.no_backsteps(where, f"{here}.devicePath", found)
        names.add(name)
        paths.add(where)


def _resize_policy(policies: list[Json], path: str, found: list[FieldError]) -> None:
    seen: set[str] = set()
    for policy in policies:
        name, restart = policy.get("resourceName", ""), policy.get("restartPolicy", "")
        if name in seen:
            found.append(errors.duplicate(path, name))
        seen.add(name)
        checks.one_of(name, ("cpu", "memory"), path, found)
        checks.one_of(restart, ("NotRequired", "RestartContainer"), path, found)


def _restart_policy(container: Json, path: str, found: list[FieldError]) -> None:
    policy = container.get("restartPolicy")
    if policy is not None and policy not in RESTART_POLICIES:
        found.append(errors.not_supported(f"{path}.restartPolicy", policy, RESTART_POLICIES))
    rules = container.get("restartPolicyRules") or ()
    if rules and policy is None:
        why = "must specify restartPolicy when restart rules are used"
        found.append(errors.required(f"{path}.restartPolicy", why))
    for i, rule in enumerate(rules):
        here = f"{path}.restartPolicyRules[{i}]"
        checks.one_of(rule.get("action", ""), ("Restart", "RestartAllContainers"), f"{here}.action", found)
        codes = rule.get("exitCodes")
        if codes is None:
            found.append(errors.required(f"{here}.exitCodes", "must be specified"))
        else:
            checks.one_of(codes.get("operator", ""), ("In", "NotIn"), f"{here}.exitCodes.operator", found)


def _init_container(container: Json, grace: int, path: str, found: list[FieldError]) -> None:
    """Only restartable init containers (sidecars) have probes and hooks."""
    _restart_policy(container, path, found)
    if container.get("restartPolicy") == "Always":
        if "lifecycle" in container:
            validate_lifecycle(container["lifecycle"], grace, f"{path}.lifecycle", found)
        validate_probes(container, grace, path, found)
        return
    for name in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
        if name in container:
            why = "may not be set for init containers without restartPolicy=Always"
            found.append(errors.forbidden(f"{path}.{name}", why))


def _security_context(context: Json, path: str, found: list[FieldError]) -> None:
    for name in ("runAsUser", "runAsGroup"):
        value = context.get(name)
        if value is not None and not 0 <= value <= checks.MAX_INT32:
            found.append(invalid(f"{path}.{name}", value, checks.between(0, checks.MAX_INT32)))
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            found.append(invalid(path, context, why))
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            found.append(invalid(path, context, why))
