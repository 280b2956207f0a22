"""The kinds that are served, in the order of discovery."""

from __future__ import annotations

from functools import lru_cache

from roadstead.kinds.apiextensions import definition
from roadstead.kinds.apps import controller_revision, deployment, replica_set
from roadstead.kinds.batch import job
from roadstead.kinds.coordination import lease
from roadstead.kinds.core import (
    config_map,
    endpoints,
    event,
    limit_range,
    namespace,
    node,
    pod,
    secret,
    service,
    service_account,
)
from roadstead.kinds.discovery import endpoint_slice
from roadstead.kinds.kueue import (
    admission_check,
    cluster_queue,
    cohort,
    local_queue,
    resource_flavor,
    topology,
    workload,
    workload_priority_class,
)
from roadstead.kinds.node import runtime_class
from roadstead.kinds.policy import disruption_budget
from roadstead.kinds.rbac import binding, role
from roadstead.kinds.registry import Registry
from roadstead.kinds.resource import claim, claim_template, device_class, resource_slice, taint_rule
from roadstead.kinds.roadstead import placement
from roadstead.kinds.scheduling import priority_class


@lru_cache(maxsize=1)
def default_registry() -> Registry:
    """Every kind that Roadstead serves. One registry per process: schemas compile once, on first use."""
    return Registry(
        [
            config_map.kind(),
            endpoints.kind(),
            event.kind(),
            limit_range.kind(),
            namespace.kind(),
            node.kind(),
            pod.kind(),
            secret.kind(),
            service_account.kind(),
            service.kind(),
            controller_revision.kind(),
            deployment.kind(),
            replica_set.kind(),
            job.kind(),
            lease.kind(),
            endpoint_slice.kind(),
            runtime_class.kind(),
            disruption_budget.kind(),
            binding.cluster_role_binding(),
            role.cluster_role(),
            binding.role_binding(),
            role.role(),
            priority_class.kind(),
            definition.kind(),
            device_class.kind(),
            taint_rule.kind(),
            claim.kind(),
            claim_template.kind(),
            resource_slice.kind(),
            admission_check.kind(),
            cluster_queue.kind(),
            cohort.kind(),
            local_queue.kind(),
            resource_flavor.kind(),
            topology.kind(),
            workload.kind(),
            workload_priority_class.kind(),
            placement.kind(),
        ]
    )
