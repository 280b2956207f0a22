"""What a configuration may say, beyond its shape (Kueue: pkg/config/validation.go; kueue.md 1.12). Also what is not
supported and would change what users get: that is an error too, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

import msgspec

from roadstead.expr.quantity import QuantityError, parse
from roadstead.expr.selectors import from_object, matches_selector
from roadstead.expr.syntax import qualified_name
from roadstead.kinds.configuration import gates
from roadstead.kinds.configuration.shape import Configuration, Resources
from roadstead.kinds.durations import parse_duration

Found: TypeAlias = Iterator[tuple[str, str]]
"""(field path, what is wrong)"""

MAPPINGS_MAX: Final = 16
CLASSES_MAX: Final = 8
STRATEGIES: Final = ("LessThanOrEqualToFinalShare", "LessThanInitialShare")
OURS: Final = "batch/job"
FRAMEWORKS: Final = (
    OURS,
    "jobset.x-k8s.io/jobset",
    *(f"kubeflow.org/{name}" for name in ("pytorchjob", "tfjob", "xgboostjob", "paddlejob", "jaxjob", "mpijob")),
    "trainer.kubeflow.org/trainjob",
    *(f"ray.io/{name}" for name in ("raycluster", "rayjob", "rayservice")),
    "workload.codeflare.dev/appwrapper",
    "sparkoperator.k8s.io/sparkapplication",
    "pod",
    "deployment",
    "statefulset",
    "leaderworkerset.x-k8s.io/leaderworkerset",
)
"""Names of integrations that Kueue knows."""

_UNSUPPORTED: Final = {
    "multiKueue": "MultiKueue is not supported. Leave it out",
    "tls": "versions and ciphers of TLS cannot be chosen: they are those of Python's default context. Leave it out",
    "metrics.customLabels": "labels of metrics cannot be chosen. Leave it out",
    "integrations.externalFrameworks": "jobs of other controllers are not supported. Leave it out",
}


def problems(configuration: Configuration) -> Found:
    """Everything that is wrong with a configuration of the right shape."""
    c = configuration
    for path, why in _UNSUPPORTED.items():
        if is_set(c, path):
            yield path, f"not supported: {why}"
    yield from ((f"featureGates.{name}", why) for name, why in gates.problems(c.feature_gates or {}))
    yield from _durations(c)
    yield from _pods_ready(c)
    yield from _integrations(c)
    yield from _sharing(c)
    yield from _own(c)
    if c.resources is not None:
        yield from _resources(c.resources)
    if c.leader_election is not None and c.leader_election.leader_elect is False:
        yield "leaderElection.leaderElect", "cannot be false: the operator always stands for election. Leave it out"
    if c.managed_jobs_namespace_selector is not None:
        yield from _selector(c)


def value_at(configuration: Configuration, path: str) -> Any:
    """What a field says; None if it, or what it is in, is not set."""
    value: Any = configuration
    for step in path.split("."):
        if value is None:
            return None
        names = {field.encode_name: field.name for field in msgspec.structs.fields(type(value))}
        value = getattr(value, names[step])
    return value


def is_set(configuration: Configuration, path: str) -> bool:
    """Does the file say anything there? An empty list or mapping says nothing."""
    value = value_at(configuration, path)
    return value is not None and value != () and value != {}


# ---------------------------------------------------------------------- values


def _durations(c: Configuration) -> Found:
    for path, least in (
        ("waitForPodsReady.timeout", 0),
        ("waitForPodsReady.recoveryTimeout", 0),
        ("leaderElection.leaseDuration", 1),
        ("leaderElection.renewDeadline", 1),
        ("leaderElection.retryPeriod", 1),
        ("controller.cacheSyncTimeout", 0),
        ("admissionFairSharing.usageHalfLifeTime", 0),
        ("admissionFairSharing.usageSamplingInterval", 1),
        ("objectRetentionPolicies.workloads.afterFinished", 0),
        ("objectRetentionPolicies.workloads.afterDeactivatedByKueue", 0),
    ):
        text = value_at(c, path)
        if text is None:
            continue
        try:
            amount = parse_duration(text)
        except ValueError as error:
            yield path, str(error)
            continue
        if amount < least:
            yield path, f"{text} is too short: must be {'more than' if least else 'at least'} 0s"


def _pods_ready(c: Configuration) -> Found:
    strategy = c.wait_for_pods_ready.requeuing_strategy if c.wait_for_pods_ready is not None else None
    if strategy is None:
        return
    path = "waitForPodsReady.requeuingStrategy"
    if strategy.timestamp not in (None, "Eviction", "Creation"):
        yield f"{path}.timestamp", f"{strategy.timestamp!r} is unknown: must be Eviction or Creation"
    for name, value in (
        ("backoffLimitCount", strategy.backoff_limit_count),
        ("backoffBaseSeconds", strategy.backoff_base_seconds),
        ("backoffMaxSeconds", strategy.backoff_max_seconds),
    ):
        if value is not None and value < 0:
            yield f"{path}.{name}", f"{value} is negative: must be at least 0"


def _integrations(c: Configuration) -> Found:
    frameworks = c.integrations.frameworks if c.integrations is not None else None
    for number, name in enumerate(frameworks or ()):
        if name not in FRAMEWORKS:
            yield f"integrations.frameworks[{number}]", f"{name!r} is unknown; there are: {', '.join(FRAMEWORKS)}"
    yield from _twice("integrations.frameworks", frameworks or ())
    if frameworks and OURS not in frameworks:
        yield "integrations.frameworks", f"{OURS} is the only kind that is queued here, and it is always: name it too"
    keys = (c.integrations.label_keys_to_copy if c.integrations is not None else None) or ()
    for number, key in enumerate(keys):
        for why in qualified_name(key):
            yield f"integrations.labelKeysToCopy[{number}]", f"{key!r} is no label key: {why}"


def _sharing(c: Configuration) -> Found:
    if c.fair_sharing is not None:
        said = c.fair_sharing.preemption_strategies or ()
        sets = [STRATEGIES[:1], STRATEGIES[1:], STRATEGIES]
        if said not in sets:
            allowed = " or ".join(f"[{', '.join(each)}]" for each in sets)
            yield "fairSharing.preemptionStrategies", f"must be {allowed}, not [{', '.join(said)}]"
    if c.admission_fair_sharing is not None:
        for name, weight in (c.admission_fair_sharing.resource_weights or {}).items():
            if weight < 0:
                yield f"admissionFairSharing.resourceWeights[{name}]", f"{weight:g} is negative: must be at least 0"


def _own(c: Configuration) -> Found:
    turns = value_at(c, "roadstead.preemption.turns")
    if turns is not None and turns < 0:
        yield "roadstead.preemption.turns", f"{turns} is negative: must be at least 0 (0: no end, as in Kueue)"


def _resources(r: Resources) -> Found:
    strategy = r.quota_check_strategy
    if strategy not in (None, "BlockUndeclared", "IgnoreUndeclared"):
        yield "resources.quotaCheckStrategy", f"{strategy!r} is unknown: must be BlockUndeclared or IgnoreUndeclared"
    if strategy == "IgnoreUndeclared" and r.exclude_resource_prefixes:
        why = "cannot be set together with quotaCheckStrategy IgnoreUndeclared, which leaves out more than these"
        yield "resources.excludeResourcePrefixes", why
    transformations = r.transformations or ()
    yield from _twice("resources.transformations", [each.input for each in transformations], "input")
    for number, each in enumerate(transformations):
        path = f"resources.transformations[{number}]"
        if not each.input:
            yield f"{path}.input", "is missing: name the resource that is transformed"
        if each.strategy not in (None, "Retain", "Replace"):
            yield f"{path}.strategy", f"{each.strategy!r} is unknown: must be Retain or Replace"
        for name, amount in (each.outputs or {}).items():
            try:
                parse(amount)
            except QuantityError as error:
                yield f"{path}.outputs[{name}]", f"{amount!r} is no quantity: {error}"
    yield from _mappings(r)


def _mappings(r: Resources) -> Found:
    """Quota for DeviceClasses (KEP-2941; kueue.md 7.4)."""
    path, mappings = "resources.deviceClassMappings", r.device_class_mappings or ()
    if len(mappings) > MAPPINGS_MAX:
        yield path, f"has {len(mappings)} entries: at most {MAPPINGS_MAX} are allowed"
    yield from _twice(path, [each.name for each in mappings], "name")
    classes = [name for each in mappings for name in each.device_class_names or ()]
    for name, count in Counter(classes).items():
        if count > 1:
            yield path, f"DeviceClass {name!r} is in {count} places: its devices can count under one name only"
    for number, each in enumerate(mappings):
        here = f"{path}[{number}]"
        for problem in qualified_name(each.name) if each.name else ["is missing: name the quota resource"]:
            yield f"{here}.name", problem
        if not 1 <= len(each.device_class_names or ()) <= CLASSES_MAX:
            yield f"{here}.deviceClassNames", f"must name 1 to {CLASSES_MAX} DeviceClasses"
        if each.sources:
            yield f"{here}.sources", "not supported: devices are counted, not their counters or capacity. Leave it out"


def _selector(c: Configuration) -> Found:
    path = "managedJobsNamespaceSelector"
    selector = c.managed_jobs_namespace_selector
    assert selector is not None
    wrong = False
    for number, each in enumerate(selector.match_expressions or ()):
        here = f"{path}.matchExpressions[{number}]"
        takes = {"In": True, "NotIn": True, "Exists": False, "DoesNotExist": False}.get(each.operator)
        if takes is None:
            wrong = True
            yield f"{here}.operator", f"{each.operator!r} is unknown: must be In, NotIn, Exists or DoesNotExist"
        elif takes is not bool(each.values):
            wrong = True
            yield f"{here}.values", f"{'must' if takes else 'must not'} be set with operator {each.operator}"
    if wrong:
        return
    chosen = from_object(msgspec.to_builtins(selector))
    for namespace in ("kube-system", *([c.namespace] if c.namespace else [])):
        if matches_selector(chosen, {"kubernetes.io/metadata.name": namespace}):
            yield path, f"must not match namespace {namespace}, whose jobs would wait for those that make them start"


def _twice(path: str, values: Iterable[str], name: str = "") -> Found:
    for value, count in Counter(values).items():
        if count > 1:
            yield path, f"{name + ' ' if name else ''}{value!r} is there {count} times; once is enough"
