"""The operator: our admission in front of a real cluster's own controllers and scheduler, in Kueue's place.

What it leaves to others is as telling as what it runs: jobs are counted by the cluster's Job controller, pods are bound
by its scheduler, garbage, nodes, namespaces and accounts are its own. Flavors are quotas only: topologies are not
looked at, because nothing here pins pods to a domain yet.

Several may run; one leads (runtime/leader.py). Everything that the leader knows is inside the Runner of its term: a
leader that loses its lease drops it whole and stands again, with nothing but what the server says. (client-go ends the
process there, because it cannot stop what its callers started; here a term is one task, and its end cancels all that
belongs to it.)
"""

from __future__ import annotations

import logging
import socket
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import uvloop

from roadstead.cluster.remote import RemoteCluster, from_kubeconfig
from roadstead.cluster.remote.in_cluster import in_cluster
from roadstead.compose.configuration import NAMESPACE, PLAINLY, Configured
from roadstead.compose.preflight import preflight
from roadstead.compose.rights import LEASE_NAME, rights
from roadstead.compose.running import Refused, beside, stopped
from roadstead.controllers.admission import AdmissionDecider
from roadstead.controllers.queues import (
    AdmissionCheckController,
    ClusterQueueController,
    LocalQueueController,
    ResourceFlavorController,
    usage_controllers,
)
from roadstead.controllers.workload import AdmissionChecksController, AfterlifeController, WorkloadController
from roadstead.controllers.workload.policy import NO_POLICY, Policy
from roadstead.core.rules import Rules
from roadstead.ingest import RESOURCES
from roadstead.kinds.names import TOPOLOGIES
from roadstead.kinds.object import Resource
from roadstead.kinds.times import SECOND
from roadstead.runtime import election
from roadstead.runtime.cluster import Cluster
from roadstead.runtime.election import Elector
from roadstead.runtime.guard import GuardedCluster
from roadstead.runtime.leader import Election, Terms
from roadstead.runtime.runner import Runner
from roadstead.runtime.step import Controller

log = logging.getLogger(__name__)

COMPONENT: Final = "roadstead-operator"
RULES: Final = Rules(place_all=False)
DECIDED_FROM: Final[tuple[Resource, ...]] = tuple(resource for resource in RESOURCES if resource != TOPOLOGIES)


def _identity() -> str:
    """Names this process and no other (client-go's form: hostname_uuid)."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


@dataclass(frozen=True, slots=True)
class OperatorOptions:
    """Which cluster, and how its operators agree on who leads. `kubeconfig` None: the cluster that this process runs
    in."""

    kubeconfig: Path | None = None
    context: str = ""
    namespace: str = NAMESPACE
    terms: Terms = field(default_factory=Terms)
    identity: str = field(default_factory=_identity)
    configured: Configured = PLAINLY


def operate(options: OperatorOptions) -> None:
    """Run until SIGTERM or SIGINT. Raises Refused (or KubeconfigError) if the cluster cannot be operated as it is."""
    uvloop.run(_operate(options))


async def _operate(options: OperatorOptions) -> None:
    stopping = stopped()
    for sentence in options.configured.in_vain:
        log.warning("configuration: %s", sentence)
    own = _connect(options, None)
    elector = Elector(own, Election(options.namespace, LEASE_NAME, options.identity, options.terms))
    work = _connect(options, elector.may_write)
    try:
        policy = options.configured.policy
        needed = watched(policy)
        deletes = policy.delete_deactivated is not None
        await preflight(own, needed, rights(needed, options.namespace, deletes_jobs=deletes))
        async with beside(serve_terms(elector, work, options.configured)):
            await stopping.wait()
            log.info("stopping")
        await elector.release()
    except* election.LeaseRefused as group:
        raise _no_lease(group, options.namespace) from None
    finally:
        await own.close()
        await work.close()


def _connect(options: OperatorOptions, may_send: Callable[[], bool] | None) -> RemoteCluster:
    landing = options.terms.landing / SECOND
    if options.kubeconfig is None:
        return in_cluster(write_timeout_seconds=landing, may_send=may_send)
    return from_kubeconfig(options.kubeconfig, options.context, write_timeout_seconds=landing, may_send=may_send)


def _no_lease(group: ExceptionGroup[election.LeaseRefused], namespace: str) -> Refused:
    return Refused(
        f"The lease {namespace}/{LEASE_NAME} cannot be written: {group.exceptions[0]}.",
        "Apply what `roadstead manifests` prints, or name the namespace that holds it with --namespace.",
    )


async def serve_terms(elector: Elector, cluster: Cluster, configured: Configured = PLAINLY) -> None:
    """Stand for election, lead as long as the lease lasts, and again, until cancelled. Raises election.LeaseRefused."""
    while True:
        await elector.acquire()
        log.info("leading as %s", elector.holder)
        async with beside(lead(cluster, elector.may_write, configured)):
            reason = await elector.keep()
        log.warning("stopped leading: %s. What was known is dropped; standing for election again", reason)


async def lead(cluster: Cluster, may_write: Callable[[], bool], configured: Configured = PLAINLY) -> None:
    """One term: decide and control until cancelled."""
    runner = Runner(
        GuardedCluster(cluster, may_write),
        controllers(configured.policy),
        [AdmissionDecider(configured.rules(RULES), served=DECIDED_FROM)],
        component=COMPONENT,
    )
    await runner.run()


def controllers(policy: Policy = NO_POLICY) -> Sequence[Controller]:
    """The controllers that a real cluster does not have itself."""
    return (
        WorkloadController(policy=policy),
        AfterlifeController(policy),
        AdmissionChecksController(),
        ClusterQueueController(),
        LocalQueueController(),
        *usage_controllers(policy.admission_sharing),
        ResourceFlavorController(),
        AdmissionCheckController(),
    )


def watched(policy: Policy = NO_POLICY) -> list[Resource]:
    """Every resource that the operator lists and watches."""
    found = {resource for controller in controllers(policy) for resource in controller.watches}
    return sorted(found | set(DECIDED_FROM))


__all__ = ["NAMESPACE", "OperatorOptions", "Refused", "controllers", "lead", "operate", "serve_terms", "watched"]
