"""What resource.k8s.io needs that a kind alone cannot know: the time, and the namespace (kubernetes
`pkg/registry/resource`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from roadstead.cluster.embedded.admission import AdmissionRequest
from roadstead.kinds.errors import forbidden, invalid_object
from roadstead.kinds.names import (
    ADMIN_ACCESS_LABEL,
    DEVICE_TAINT_RULES,
    NAMESPACES,
    RESOURCE_CLAIM_TEMPLATES,
    RESOURCE_CLAIMS,
    RESOURCE_SLICES,
)
from roadstead.kinds.object import Json
from roadstead.kinds.resource import claim_spec, claim_status
from roadstead.kinds.times import format_time

_WHY: Final = f"admin access to devices requires the `{ADMIN_ACCESS_LABEL}: true` label on the containing namespace"


class DeviceTaintTime:
    """A taint without `timeAdded` was added now; a rule whose effect changes starts anew."""

    def admit(self, request: AdmissionRequest) -> None:
        if request.object is None or request.subresource:
            return
        if request.kind.resource == DEVICE_TAINT_RULES:
            taint = request.object["spec"]["taint"]
            before = (request.old or {}).get("spec", {}).get("taint")
            if (
                before is not None
                and taint.get("effect") != before.get("effect")
                and taint.get("timeAdded") == before.get("timeAdded")
            ):
                taint["timeAdded"] = format_time(request.now)
        for taint in _taints(request):
            if not taint.get("timeAdded"):
                taint["timeAdded"] = format_time(request.now)


def _taints(request: AdmissionRequest) -> Iterator[Json]:
    assert request.object is not None
    if request.kind.resource == DEVICE_TAINT_RULES:
        yield request.object["spec"]["taint"]
    elif request.kind.resource == RESOURCE_SLICES:
        for device in request.object["spec"].get("devices") or ():
            yield from device.get("taints") or ()


class AdminAccess:
    """Claims may ask for (and be given) admin access only where the namespace says so (KEP-5018)."""

    def admit(self, request: AdmissionRequest) -> None:
        path = self._path(request)
        if path is None:
            return
        namespace = request.lookup(NAMESPACES, "", request.namespace)
        if namespace is not None and namespace.meta.labels.get(ADMIN_ACCESS_LABEL) == "true":
            return
        kind = request.kind
        raise invalid_object(kind.resource.group, kind.kind, request.name, [forbidden(path, _WHY)])

    @staticmethod
    def _path(request: AdmissionRequest) -> str | None:
        """The field that asks for it in this write, if it was not there before."""
        obj, old, resource = request.object, request.old or {}, request.kind.resource
        if obj is None:
            return None
        if resource == RESOURCE_CLAIMS and request.subresource == "status":
            number = claim_status.wants_admin_access(obj.get("status") or {})
            if number is None or claim_status.wants_admin_access(old.get("status") or {}) is not None:
                return None
            return f"status.allocation.devices.results[{number}].adminAccess"
        if request.operation != "CREATE" or request.subresource:
            return None  # what is asked for never changes
        if resource == RESOURCE_CLAIMS:
            number = claim_spec.wants_admin_access(obj["spec"])
        elif resource == RESOURCE_CLAIM_TEMPLATES:
            number = claim_spec.wants_admin_access(obj["spec"]["spec"])
        else:
            return None
        return None if number is None else f"spec.devices.requests[{number}].adminAccess"
