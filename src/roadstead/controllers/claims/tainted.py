"""Who uses devices that are tainted, how long that is tolerated, and what a DeviceTaintRule is told to tell of it
(KEP-5055)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from roadstead.controllers.claims.names import USED, claim_for, claims_of, pod_keys
from roadstead.kinds.names import PODS, RESOURCE_CLAIMS, RESOURCE_SLICES
from roadstead.kinds.object import Object
from roadstead.kinds.times import parse_time
from roadstead.kinds.views.claim import (
    ClaimView,
    DeviceName,
    DeviceResultView,
    DeviceTaintView,
    DeviceTolerationView,
    SliceView,
    TaintRuleView,
    TaintSelectorView,
)
from roadstead.kinds.views.pod import PodView
from roadstead.runtime.step import SECOND, Key, Read


def results_of(pod: Object, read: Read) -> Iterator[DeviceResultView]:
    """What the pod's claims were given, of those that are reserved for it."""
    for entry, name in claims_of(pod):
        claim = claim_for(pod, entry, name or "", read)
        if claim is None:
            continue
        view = claim.view(ClaimView)
        if view.status.allocation is not None and any(each.uid == pod.meta.uid for each in view.consumers):
            yield from view.status.allocation.results


def hit_by(rule: TaintRuleView, read: Read) -> list[Object]:
    """Pods with a device that the rule selects, in order of namespace and name. O(claims), where the rule names one
    device O(its)."""
    selector = rule.spec.device_selector
    if selector is None:
        return []
    pods: dict[Key, Object] = {}
    for claim in _claims_of(selector, read):
        view = claim.view(ClaimView)
        allocation = view.status.allocation
        if allocation is None or not any(selector.selects(result.name) for result in allocation.results):
            continue
        uids = {each.uid for each in view.consumers}
        for key in pod_keys(claim, read):
            pod = read.get(PODS, *key)
            if pod is not None and pod.meta.uid in uids:
                pods[key] = pod
    return [pods[key] for key in sorted(pods)]


def _claims_of(selector: TaintSelectorView, read: Read) -> Iterable[Object]:
    """Claims that may have a device that is selected. `USED` must be among the indexes."""
    if selector.driver and selector.pool and selector.device:
        name = DeviceName(selector.driver, selector.pool, selector.device)
        return read.by_index(RESOURCE_CLAIMS, USED, str(name))
    return read.list(RESOURCE_CLAIMS)


def may_be_evicted(pod: Object) -> bool:
    """It is on a node, has not ended, and nobody has told it to go."""
    view = pod.view(PodView)
    return bool(view.spec.node_name) and not view.has_ended and pod.meta.deletion_timestamp is None


def leaves_at(result: DeviceResultView, taint: DeviceTaintView) -> int | None:
    """When whoever was given this device has to leave because of this taint; None: never."""
    since = parse_time(taint.time_added) if taint.time_added else 0
    matching = [one for one in result.tolerations or () if tolerates(one, taint)]
    if not matching:
        return since
    patience: Sequence[int] = [one.toleration_seconds for one in matching if one.toleration_seconds is not None]
    return since + max(min(patience), 0) * SECOND if patience else None


def tolerates(toleration: DeviceTolerationView, taint: DeviceTaintView) -> bool:
    """An empty effect tolerates all effects, an empty key all keys (unlike with nodes also with operator Equal, as the
    allocator does)."""
    if toleration.effect not in ("", "NoExecute") or toleration.key not in ("", taint.key):
        return False
    return toleration.operator == "Exists" or toleration.value == taint.value


# ---------------------------------------------------------------------- what a rule tells


def progress(rule: TaintRuleView, read: Read) -> tuple[str, str, bool]:
    """Reason, message and whether it is true that pods are being evicted."""
    effect = rule.spec.taint.effect
    if effect == "None":
        return "NoEffect", _dry_run(rule, read), False
    if effect != "NoExecute":
        return "OtherEffect", "Eviction only happens for the NoExecute effect.", False
    pods = _due(rule, read)
    if not pods:
        return "NotStarted", "", False
    spaces = len({pod.meta.namespace for pod in pods})
    count = "1 pod needs" if len(pods) == 1 else f"{len(pods)} pods need"
    where = _namespaces(spaces)
    return "PodsPendingEviction", f"{count} to be evicted in {where}.", True


def _due(rule: TaintRuleView, read: Read) -> list[Object]:
    """The pods that are to leave because of this rule."""
    return [pod for pod in hit_by(rule, read) if may_be_evicted(pod) and _is_due(pod, rule, read)]


def _is_due(pod: Object, rule: TaintRuleView, read: Read) -> bool:
    """It is to leave because of this rule, now or later."""
    selector, taint = rule.spec.device_selector, rule.spec.taint
    return selector is not None and any(
        leaves_at(result, taint) is not None for result in results_of(pod, read) if selector.selects(result.name)
    )


def _dry_run(rule: TaintRuleView, read: Read) -> str:
    """What would happen if the effect were NoExecute."""
    selector = rule.spec.device_selector
    published = allocated = 0
    if selector is not None:
        for found in read.list(RESOURCE_SLICES):
            spec = found.view(SliceView).spec
            published += sum(
                selector.selects(DeviceName(spec.driver, spec.pool.name, device.name)) for device in spec.devices or ()
            )
        allocated = len(
            {
                result.name
                for claim in _claims_of(selector, read)
                if (allocation := claim.view(ClaimView).status.allocation) is not None
                for result in allocation.results
                if selector.selects(result.name)
            }
        )
    pods = _due(rule, read)
    spaces = len({pod.meta.namespace for pod in pods})
    return (
        f"{counted(published, 'published device')} selected. {counted(allocated, 'allocated device')} selected. "
        f"{counted(len(pods), 'pod')} would be evicted in {_namespaces(spaces)} if the effect was NoExecute. "
        "This information will not be updated again. Recreate the DeviceTaintRule to trigger an update."
    )


def counted(number: int, noun: str) -> str:
    """`1 pod`, `2 pods`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _namespaces(number: int) -> str:
    return "1 namespace" if number == 1 else f"{number} different namespaces"
