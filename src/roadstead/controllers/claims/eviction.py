"""Pods leave devices that were tainted NoExecute, unless their claims tolerate it (pkg/controller/devicetainteviction;
KEP-5055).

Taints are those that drivers publish and those of DeviceTaintRules. The latter also reach devices that nobody publishes
any more. Two faults of upstream are not repeated: a toleration with an empty effect tolerates every effect here as
well, as its documentation says, and a rule whose eviction is over says so after a restart, too.

A pod of an admitted workload would only come back to the same device, which its Placement names. So the Placement goes
first: the workload is evicted, as when a node fails, and placed anew on devices that it may have.

Kept in memory only: how many pods were evicted for each rule, for its message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from roadstead.controllers.claims.names import (
    BY_CLAIM,
    USED,
    claims_by_used_device,
    pod_keys,
    pods_by_claim,
    uses_claims,
)
from roadstead.controllers.claims.tainted import counted, hit_by, leaves_at, may_be_evicted, progress, results_of
from roadstead.controllers.claims.tally import RuleId, Tally
from roadstead.controllers.conditions import get_condition, set_condition
from roadstead.controllers.node_lifecycle import disrupted
from roadstead.kinds.names import (
    DEVICE_TAINT_RULES,
    MEMBER_ANNOTATION,
    PLACEMENTS,
    PODS,
    RESOURCE_CLAIMS,
    RESOURCE_SLICES,
    WORKLOAD_ANNOTATION,
)
from roadstead.kinds.object import Object, Resource
from roadstead.kinds.times import format_time, parse_time
from roadstead.kinds.views.claim import (
    DeviceName,
    DeviceResultView,
    DeviceTaintView,
    SliceView,
    TaintRuleView,
)
from roadstead.kinds.views.common import has_condition
from roadstead.kinds.views.pod import PodView
from roadstead.runtime.cluster import Delete, Update
from roadstead.runtime.step import NOTHING, SECOND, Index, Key, KeysOf, Note, Read, Step, nobody

PUBLISHED: Final = "by-published-device"
"""Index of slices by the devices in them."""
PERIOD: Final = 10 * SECOND
"""The shortest time between two changes of what a rule tells, for one spec: so nothing is called over before everybody
has seen it."""
_REASON: Final = "DeletionByDeviceTaintManager"
_MESSAGE: Final = "Device Taint manager: deleting due to NoExecute taint"
_CONDITION: Final = "EvictionInProgress"
_RULE: Final = "rule:"
"""Keys of rules among keys of pods: names of namespaces have no colon."""


def slices_by_device(found: Object) -> Iterable[str]:
    """Index function for PUBLISHED."""
    spec = found.view(SliceView).spec
    return [str(DeviceName(spec.driver, spec.pool.name, device.name)) for device in spec.devices or ()]


def _own_key(pod: Object, read: Read) -> Iterable[Key]:
    if uses_claims(pod):
        yield pod.key
        if read.list(DEVICE_TAINT_RULES):
            yield from _rules_hitting(pod, read)


def _rules_hitting(pod: Object, read: Read) -> Iterator[Key]:
    """The rules whose status a change of this pod may concern."""
    devices = [result.name for result in results_of(pod, read)]
    for rule in read.list(DEVICE_TAINT_RULES):
        selector = rule.view(TaintRuleView).spec.device_selector
        if selector is not None and any(selector.selects(device) for device in devices):
            yield (_RULE, rule.meta.name)


def _claims_pods(claim: Object, read: Read) -> Iterable[Key]:
    for key in pod_keys(claim, read):
        yield key
        pod = read.get(PODS, *key)
        if pod is not None and read.list(DEVICE_TAINT_RULES):
            yield from _rules_hitting(pod, read)


def _slices_pods(found: Object, read: Read) -> Iterable[Key]:
    spec = found.view(SliceView).spec
    for device in spec.devices or ():
        if device.taints:
            name = str(DeviceName(spec.driver, spec.pool.name, device.name))
            for claim in read.by_index(RESOURCE_CLAIMS, USED, name):
                yield from pod_keys(claim, read)


def _rules_pods(rule: Object, read: Read) -> Iterable[Key]:
    yield (_RULE, rule.meta.name)
    yield from (pod.key for pod in hit_by(rule.view(TaintRuleView), read))


@dataclass(frozen=True, slots=True)
class _Taint:
    """A taint with the rule that put it there; None: a driver."""

    view: DeviceTaintView
    rule: RuleId | None


class DeviceTaintController:
    """Deletes pods whose devices have a taint that they do not tolerate (any longer), and says in each rule's status
    how far that is."""

    name: ClassVar[str] = "device-taint-eviction"
    watches: Mapping[Resource, KeysOf] = {
        PODS: _own_key,
        RESOURCE_CLAIMS: _claims_pods,
        RESOURCE_SLICES: _slices_pods,
        DEVICE_TAINT_RULES: _rules_pods,
        PLACEMENTS: nobody,
    }
    indexes: Mapping[tuple[Resource, str], Index] = {
        (PODS, BY_CLAIM): pods_by_claim,
        (RESOURCE_CLAIMS, USED): claims_by_used_device,
        (RESOURCE_SLICES, PUBLISHED): slices_by_device,
    }

    def __init__(self) -> None:
        self._tally = Tally()

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        if key[0] == _RULE:
            return self._tell(key[1], read, now)
        pod = read.get(PODS, *key)
        if pod is None or not may_be_evicted(pod):
            return NOTHING
        at, rules = evict_at(pod, read)
        if at is None or at > now:
            self._tally.stays(pod)
        if at is None:
            return NOTHING
        if at > now:
            return Step(again_at=at)
        for rule in rules:
            self._tally.decided(rule, pod)
        stages: list[tuple[Update | Delete, ...]] = []
        if not has_condition(pod.view(PodView).status.conditions, "DisruptionTarget"):
            stages.append((Update(PODS, disrupted(pod, _REASON, _MESSAGE, now), "status"),))
        if (placement := _placement_of(pod, read)) is not None:
            stages.append((Delete(placement.ref, placement.meta.uid),))
        stages.append((Delete(pod.ref, pod.meta.uid),))
        note = Note(pod, "Normal", "DeviceTaintManagerEviction", "Marking for deletion")
        return Step(tuple(stages), notes=(note,))

    # ------------------------------------------------------------------ what a rule tells

    def _tell(self, name: str, read: Read, now: int) -> Step:
        rule = read.get(DEVICE_TAINT_RULES, "", name)
        if rule is None:
            self._tally.forget(name)
            return NOTHING
        evicted, more = self._tally.gone(RuleId(name, rule.meta.uid), read)
        view = rule.view(TaintRuleView)
        value = rule.decode()
        known = get_condition(value, _CONDITION)
        is_current = known is not None and known.get("observedGeneration", 0) == view.metadata.generation
        if known is not None and is_current:
            if view.spec.taint.effect == "None":
                return NOTHING  # told once for each spec
            not_before = parse_time(known["lastTransitionTime"]) + PERIOD
            if not_before > now:
                return Step(again_at=not_before)
        reason, message, is_running = progress(view, read)
        if reason == "NotStarted" and (
            evicted or (known is not None and known.get("reason") in ("PodsPendingEviction", "Completed"))
        ):
            reason = "Completed"
        if evicted:
            told = f"{counted(evicted, 'pod')} evicted since starting the controller."
            message = f"{message} {told}" if message else told
        again_at = now + PERIOD if more else None
        if not set_condition(value, _CONDITION, is_running, reason, message, now):
            return Step(again_at=again_at)
        condition = get_condition(value, _CONDITION)
        assert condition is not None
        condition["lastTransitionTime"] = format_time(now)  # of any change: PERIOD counts from it
        return Step(((Update(DEVICE_TAINT_RULES, value, "status"),),), again_at=again_at)


def _placement_of(pod: Object, read: Read) -> Object | None:
    """The Placement whose member the pod is."""
    name = pod.meta.annotations.get(WORKLOAD_ANNOTATION)
    if not name or MEMBER_ANNOTATION not in pod.meta.annotations:
        return None
    found = read.get(PLACEMENTS, pod.meta.namespace, name)
    return found if found is not None and found.meta.deletion_timestamp is None else None


# ---------------------------------------------------------------------- when


def evict_at(pod: Object, read: Read) -> tuple[int | None, tuple[RuleId, ...]]:
    """When the first of the pod's devices is tolerated no longer (None: never, as things are), and the rules behind
    it."""
    times = [
        (at, taint.rule)
        for result in results_of(pod, read)
        for taint in _taints_of(result, read)
        if taint.view.effect == "NoExecute" and (at := leaves_at(result, taint.view)) is not None
    ]
    first = min((at for at, _ in times), default=None)
    return first, tuple(dict.fromkeys(rule for at, rule in times if at == first and rule))


def _taints_of(result: DeviceResultView, read: Read) -> Iterator[_Taint]:
    """Of the newest generation of its pool, if it is still published, and of every rule that selects it."""
    device = DeviceName(*result.name[:3])
    slices = [found.view(SliceView).spec for found in read.by_index(RESOURCE_SLICES, PUBLISHED, str(device))]
    newest = max((spec.pool.generation for spec in slices), default=0)
    for spec in slices:
        if spec.pool.generation == newest:
            for published in spec.devices or ():
                if published.name == device.device:
                    yield from (_Taint(taint, None) for taint in published.taints or ())
    for rule in read.list(DEVICE_TAINT_RULES):
        spec_of_rule = rule.view(TaintRuleView).spec
        if spec_of_rule.device_selector is not None and spec_of_rule.device_selector.selects(device):
            yield _Taint(spec_of_rule.taint, RuleId(rule.meta.name, rule.meta.uid))
