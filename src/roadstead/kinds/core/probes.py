"""Probes and lifecycle hooks: exactly one handler, and numbers that make sense."""

from __future__ import annotations

import re
from typing import Final

from roadstead.kinds import errors
from roadstead.kinds.core import checks
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.object import Json

_HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_NUMBERS: Final = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_HEADER: Final = re.compile(r"[-A-Za-z0-9]+", re.ASCII)
_HEADER_TEXT: Final = (
    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is "
    "'[-A-Za-z0-9]+')"
)


def validate_probes(container: Json, grace: int, path: str, found: list[FieldError]) -> None:
    """The three probes of a container."""
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is None:
            continue
        here = f"{path}.{name}"
        _handler(probe, grace, here, found)
        for number in _NUMBERS:
            checks.not_negative(probe.get(number), f"{here}.{number}", found)
        grace_of_probe = probe.get("terminationGracePeriodSeconds")
        if grace_of_probe is not None and grace_of_probe <= 0:
            found.append(invalid(f"{here}.terminationGracePeriodSeconds", grace_of_probe, "must be greater than 0"))
        if name == "readinessProbe":
            if grace_of_probe is not None:
                why = "must not be set for readinessProbes"
                found.append(invalid(f"{here}.terminationGracePeriodSeconds", grace_of_probe, why))
        elif probe.get("successThreshold", 1) != 1:
            found.append(invalid(f"{here}.successThreshold", probe["successThreshold"], "must be 1"))


def validate_lifecycle(lifecycle: Json, grace: int, path: str, found: list[FieldError]) -> None:
    """postStart and preStop."""
    for name in ("postStart", "preStop"):
        if name in lifecycle:
            _handler(lifecycle[name], grace, f"{path}.{name}", found)


def _handler(handler: Json, grace: int, path: str, found: list[FieldError]) -> None:
    given = [name for name in _HANDLERS if name in handler]
    if not given:
        found.append(errors.required(path, "must specify a handler type"))
        return
    name = given[0]
    _action(name, handler[name], grace, f"{path}.{name}", found)
    for other in given[1:]:
        found.append(errors.forbidden(f"{path}.{other}", "may not specify more than 1 handler type"))


def _action(name: str, action: Json, grace: int, path: str, found: list[FieldError]) -> None:
    match name:
        case "exec":
            if not action.get("command"):
                found.append(errors.required(f"{path}.command"))
        case "httpGet":
            if not action.get("path"):
                found.append(errors.required(f"{path}.path"))
            checks.port(action.get("port", 0), f"{path}.port", found)
            if action.get("scheme", "") not in ("HTTP", "HTTPS"):
                found.append(errors.not_supported(f"{path}.scheme", action.get("scheme", ""), ("HTTP", "HTTPS")))
            for header in action.get("httpHeaders") or ():
                if not _HEADER.fullmatch(header.get("name", "")):
                    found.append(invalid(f"{path}.httpHeaders", header.get("name", ""), _HEADER_TEXT))
        case "tcpSocket":
            checks.port(action.get("port", 0), f"{path}.port", found)
        case "grpc":
            checks.port_number(action.get("port", 0), f"{path}.port", found)
        case _:
            seconds = action.get("seconds", 0)
            if not 0 <= seconds <= grace:
                why = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
                found.append(invalid(path, seconds, why))
