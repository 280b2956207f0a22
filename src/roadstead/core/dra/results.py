"""A solution as an allocation: results, merged configuration, and from which nodes the devices can be used (dra.md 4.7,
4.8)."""

from __future__ import annotations

from collections.abc import Sequence

from roadstead.core.dra.asking import Option
from roadstead.core.dra.features import Features
from roadstead.core.dra.search import Taken
from roadstead.model.dra import Allocation, Claim, ConfigResult, DeviceResult
from roadstead.model.selection import NodeTerm, Requirement


def allocation(
    claim: Claim, options: Sequence[Option], taken: Sequence[Taken], node: str, features: Features
) -> Allocation:
    """The allocation of one claim; `options` are those chosen, one per request."""
    return Allocation(
        tuple(_result(each, features) for each in taken), merged_config(claim, options), node_term(taken, node)
    )


def _result(taken: Taken, features: Features) -> DeviceResult:
    device, body = taken.candidate.device, taken.option.body
    return DeviceResult(
        request=taken.option.name,
        id=taken.candidate.id,
        admin=True if body.admin else None,
        tolerations=body.tolerations,
        share=taken.share,
        consumed=taken.consumed,
        binding_conditions=device.binding_conditions if features.binding_conditions else (),
        binding_failure_conditions=device.binding_failure_conditions if features.binding_conditions else (),
    )


def merged_config(claim: Claim, options: Sequence[Option]) -> tuple[ConfigResult, ...]:
    """Class configurations in the order of requests, each class once with the requests that use it; then the claim's
    own that name no request, a request, or an alternative that was chosen. Named requests are dropped where they are
    all.
    """
    if not claim.config and not any(option.device_class.config for option in options):
        return ()
    by_class: dict[str, list[str]] = {}
    classes = {}
    for option in options:
        by_class.setdefault(option.device_class.name, []).append(option.name)
        classes[option.device_class.name] = option.device_class
    found = [
        ConfigResult(True, tuple(names), config) for name, names in by_class.items() for config in classes[name].config
    ]
    known = {option.request.name for option in options} | {option.name for option in options}
    for own in claim.config:
        if not own.requests or any(name in known for name in own.requests):
            found.append(ConfigResult(False, own.requests, own.config))
    return tuple(
        ConfigResult(each.from_class, (), each.config) if _covers_all(each.requests, options) else each
        for each in found
    )


def _covers_all(names: Sequence[str], options: Sequence[Option]) -> bool:
    return all(option.request.name in names or option.name in names for option in options)


def node_term(taken: Sequence[Taken], node: str) -> NodeTerm | None:
    """None: usable from every node. One node, if any device is bound to it; else what the devices' selectors require
    together."""
    labels: list[Requirement] = []
    fields: list[Requirement] = []
    for each in taken:
        of, device = each.candidate.slice, each.candidate.device
        choice = device.nodes if of.nodes.by_device else of.nodes
        if choice.name or device.binds_to_node:
            return NodeTerm(fields=(Requirement("metadata.name", "In", (node,)),))
        if choice.term is not None:
            _add(labels, choice.term.labels)
            _add(fields, choice.term.fields)
    return NodeTerm(tuple(labels), tuple(fields)) if labels or fields else None


def _add(have: list[Requirement], more: Sequence[Requirement]) -> None:
    known = {(each.key, each.operator, frozenset(each.values)) for each in have}
    for each in more:
        signature = (each.key, each.operator, frozenset(each.values))
        if signature not in known:
            known.add(signature)
            have.append(each)
