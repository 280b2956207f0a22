"""What a configuration file means here: rules for deciding, a policy for workloads, terms for the operator; and what it
says in vain.

Waiting for pods is off unless the file has a `waitForPodsReady` stanza. (Kueue 0.19 has it on, with 30 minutes, also
without.)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from roadstead.compose.running import Refused
from roadstead.controllers.workload.policy import NO_POLICY, Policy
from roadstead.core.rules import AdmissionFairSharing, Rules, WaitForPodsReady
from roadstead.expr.quantity import parse
from roadstead.expr.selectors import from_object
from roadstead.kinds.configuration import Configuration, read
from roadstead.kinds.configuration.gates import INSIDE, SWITCHES
from roadstead.kinds.configuration.reading import Wrong
from roadstead.kinds.configuration.rules import OURS, is_set, value_at
from roadstead.kinds.configuration.shape import Resources, WaitForPodsReadyStanza
from roadstead.kinds.durations import parse_duration
from roadstead.kinds.times import SECOND
from roadstead.model.resources import PLAIN, Output, ResourceRules, Transformation
from roadstead.model.selection import LabelSelector, Requirement

NAMESPACE: Final = "roadstead-system"
START_TIMEOUT: Final = "30m"

_IN_VAIN: Final = {
    "webhook": "there is no webhook server: the API server itself holds jobs, or the operator does",
    "internalCertManagement": "there is no webhook server that needs a certificate",
    "health": "probes are answered by the API server (/livez, /readyz)",
    "pprofBindAddress": "there is no Go profile to serve",
    "controller": "controllers are one process and need no limits of their own",
    "clientConnection": "writes are not throttled by a rate",
    "visibilityServer": "pending workloads are served by the API server itself",
    "metrics.bindAddress": "metrics are served by the API server (/metrics)",
    "metrics.enableClusterQueueResources": "gauges of quota and usage are always served",
    "metrics.localQueueMetrics": "metrics of LocalQueues are not chosen one by one",
    "leaderElection.resourceLock": "the lock is a Lease",
    "leaderElection.resourceName": "the Lease has a name of its own, so that this never leads beside Kueue by accident",
    "leaderElection.resourceNamespace": "the Lease is in `namespace`",
}
"""Fields of Kueue's own processes that have nothing to act on here: said at the start, so that nobody counts on
them."""


@dataclass(frozen=True, slots=True)
class Configured:
    """A configuration, ready to be used. `in_vain`: what the file says without effect, one sentence each."""

    file: Configuration = field(default_factory=Configuration)
    policy: Policy = NO_POLICY
    in_vain: tuple[str, ...] = ()

    def rules(self, base: Rules) -> Rules:
        """`base` with what is configured about deciding."""
        sharing = self.file.fair_sharing
        strategies = (sharing.preemption_strategies or ()) if sharing is not None else ()
        turns = value_at(self.file, "roadstead.preemption.turns")
        return replace(
            base,
            fair_sharing=strategies,
            resources=_resources(self.file.resources),
            admission_sharing=self.policy.admission_sharing,
            pods_ready=self.policy.pods_ready,
            feud_turns=base.feud_turns if turns is None else turns,
            priority_boost=self.gate("PriorityBoost"),
        )

    def gate(self, name: str) -> bool:
        """Is one of the gates that can be switched on?"""
        return is_on(self.file, name)

    def lease_times(self) -> tuple[int | None, int | None, int | None]:
        """leaseDuration, renewDeadline, retryPeriod in nanoseconds, where the file says them."""
        found = self.file.leader_election
        if found is None:
            return None, None, None
        return _duration(found.lease_duration), _duration(found.renew_deadline), _duration(found.retry_period)


PLAINLY: Final = Configured()
"""No file: everything as it is by itself."""


def load(path: Path) -> Configured:
    """Read a configuration file. Refused if it cannot be read or used, with all that is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Refused(f"the configuration {path} cannot be read: {why}.", "Give another file with --config.") from error
    try:
        return configured(read(text))
    except Wrong as error:
        listed = "".join(f"\n  {problem}" for problem in error.problems)
        count = "1 problem" if len(error.problems) == 1 else f"{len(error.problems)} problems"
        raise Refused(f"the configuration {path} has {count}:{listed}", "Correct the file and start again.") from error


def configured(file: Configuration) -> Configured:
    """What a valid file means."""
    return Configured(file, _policy(file), tuple(_in_vain(file)))


def _policy(file: Configuration) -> Policy:
    retention = file.object_retention_policies.workloads if file.object_retention_policies is not None else None
    keys = file.integrations.label_keys_to_copy if file.integrations is not None else None
    return Policy(
        pods_ready=_pods_ready(file),
        delete_finished=_duration(retention.after_finished) if retention is not None else None,
        delete_deactivated=_duration(retention.after_deactivated_by_kueue) if retention is not None else None,
        manage_all=file.manage_jobs_without_queue_name or False,
        labels_to_copy=keys or (),
        admission_sharing=_admission_sharing(file),
        namespaces=managed_namespaces(file),
    )


def managed_namespaces(file: Configuration) -> LabelSelector:
    """Namespaces whose jobs are held without a queue name: those that the file selects, else all but the system's."""
    chosen = file.managed_jobs_namespace_selector
    if chosen is not None:
        found = from_object(msgspec.to_builtins(chosen))
        assert found is not None
        return found
    system = ("kube-system", file.namespace or NAMESPACE)
    return LabelSelector((Requirement("kubernetes.io/metadata.name", "NotIn", system),))


def _pods_ready(file: Configuration) -> WaitForPodsReady | None:
    stanza = file.wait_for_pods_ready
    if stanza is None or is_on(file, "DisableWaitForPodsReady"):
        return None
    return _as_rule(stanza)


def is_on(file: Configuration, gate: str) -> bool:
    """Is this gate, one that can be switched, on?"""
    return (file.feature_gates or {}).get(gate, SWITCHES[gate])


def _as_rule(stanza: WaitForPodsReadyStanza) -> WaitForPodsReady:
    timeout = parse_duration(stanza.timeout or START_TIMEOUT)
    recovery = _duration(stanza.recovery_timeout)
    strategy = stanza.requeuing_strategy
    base = strategy.backoff_base_seconds if strategy is not None else None
    most = strategy.backoff_max_seconds if strategy is not None else None
    return WaitForPodsReady(
        timeout=timeout,
        recovery_timeout=timeout if recovery is None else recovery,
        block_admission=stanza.block_admission or False,
        backoff_limit=strategy.backoff_limit_count if strategy is not None else None,
        backoff_base=(60 if base is None else base) * SECOND,
        backoff_max=(3600 if most is None else most) * SECOND,
        by_creation=strategy is not None and strategy.timestamp == "Creation",
    )


def _resources(stanza: Resources | None) -> ResourceRules:
    if stanza is None:
        return PLAIN
    return ResourceRules(
        excluded_prefixes=stanza.exclude_resource_prefixes or (),
        transformations=tuple(
            Transformation(
                each.input,
                tuple(Output(name, parse(amount).nano) for name, amount in sorted((each.outputs or {}).items())),
                replaces=each.strategy == "Replace",
                multiply_by=each.multiply_by or "",
            )
            for each in stanza.transformations or ()
        ),
        ignore_undeclared=stanza.quota_check_strategy == "IgnoreUndeclared",
        device_classes=tuple(
            (device_class, mapping.name)
            for mapping in stanza.device_class_mappings or ()
            for device_class in mapping.device_class_names or ()
        ),
    )


def _admission_sharing(file: Configuration) -> AdmissionFairSharing | None:
    stanza = file.admission_fair_sharing
    if stanza is None:
        return None
    interval = _duration(stanza.usage_sampling_interval)
    return AdmissionFairSharing(
        half_life=_duration(stanza.usage_half_life_time) or 0,
        interval=300 * SECOND if interval is None else interval,
        weights=tuple(sorted((name, round(w * 1000)) for name, w in (stanza.resource_weights or {}).items())),
    )


def _duration(text: str | None) -> int | None:
    return None if text is None else parse_duration(text)


def _in_vain(file: Configuration) -> list[str]:
    said = [f"{path} has no effect: {why}" for path, why in _IN_VAIN.items() if is_set(file, path)]
    for number, name in enumerate((file.integrations.frameworks if file.integrations is not None else None) or ()):
        if name != OURS:
            said.append(f"integrations.frameworks[{number}] has no effect: {name} is not queued here")
    said += [
        f"featureGates.{name} has no effect: it is about how Kueue works inside"
        for name in file.feature_gates or {}
        if name in INSIDE
    ]
    return said
