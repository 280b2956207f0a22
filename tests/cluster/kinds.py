"""A small registry of its own: kinds whose rules are plain, so that these tests are about the store and nothing
else."""

from __future__ import annotations

from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.names import CONFIG_MAPS, JOBS, LEASES, NAMESPACES, PODS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind, Registry, Subresource
from roadstead.kinds.schema import Schema
from roadstead.kinds.strategy import Strategy


class Anything(Schema):
    """Every object is right; a field `unknown` is reported."""

    def __init__(self) -> None:
        """Nothing to compile."""

    def check(self, obj: Json, mode: str = "Ignore") -> list[str]:
        return ['unknown field "unknown"'] if mode == "Warn" and "unknown" in obj else []

    def validate(self, obj: Json, subresource: str = "") -> list[FieldError]:
        return []


class PodStrategy(Strategy):
    has_generation = True
    graceful = True
    has_status = True
    field_names = ("spec.nodeName", "status.phase")

    def prepare_create(self, obj: Json) -> None:
        obj["status"] = {"phase": "Pending"}

    def fields(self, obj: Json) -> dict[str, str]:
        return {
            "spec.nodeName": obj.get("spec", {}).get("nodeName", ""),
            "status.phase": obj.get("status", {}).get("phase", ""),
        }


class NamespaceStrategy(Strategy):
    has_status = True

    def prepare_create(self, obj: Json) -> None:
        obj.setdefault("spec", {})["finalizers"] = ["kubernetes"]
        obj["status"] = {"phase": "Active"}


class JobStrategy(Strategy):
    has_generation = True
    has_status = True
    default_propagation = "Orphan"

    def default(self, obj: Json) -> None:
        obj.setdefault("spec", {}).setdefault("parallelism", 1)

    def validate(self, obj: Json) -> list[FieldError]:
        count = obj["spec"]["parallelism"]
        return [invalid("spec.parallelism", count, "must be greater than or equal to 0")] if count < 0 else []


class LeaseStrategy(Strategy):
    create_on_update = True
    unconditional_update = False


def small_registry() -> Registry:
    """namespaces, pods, configmaps, jobs, leases."""
    status = Subresource("status")
    anything = Anything()
    return Registry(
        [
            Kind(
                NAMESPACES,
                "Namespace",
                "namespace",
                False,
                anything,
                NamespaceStrategy(),
                subresources=(status, Subresource("finalize", ("update",))),
            ),
            Kind(
                PODS,
                "Pod",
                "pod",
                True,
                anything,
                PodStrategy(),
                subresources=(status, Subresource("binding", ("create",))),
            ),
            Kind(CONFIG_MAPS, "ConfigMap", "configmap", True, anything, Strategy()),
            Kind(JOBS, "Job", "job", True, anything, JobStrategy(), subresources=(status,)),
            Kind(LEASES, "Lease", "lease", True, anything, LeaseStrategy()),
        ]
    )
