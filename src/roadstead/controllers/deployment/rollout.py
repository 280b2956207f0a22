"""How a Deployment's ReplicaSets get their sizes: rolled, recreated, or scaled in proportion (rolling.go, recreate.go,
sync.go).

Each function edits the `OwnedSet`s and says whether it changed a size; nothing is written here.
"""

from __future__ import annotations

from collections.abc import Sequence

from roadstead.controllers.deployment.sets import (
    DESIRED,
    OwnedSet,
    is_rolling,
    max_surge,
    max_unavailable,
    new_size,
    share,
)
from roadstead.kinds.views.apps import DeploymentView


def is_scaled(deployment: DeploymentView, sets: Sequence[OwnedSet]) -> bool:
    """Somebody changed `spec.replicas`: an active ReplicaSet was sized for another number."""
    return any(each.replicas > 0 and each.annotation(DESIRED) not in (None, deployment.spec.replicas) for each in sets)


def grow_new(deployment: DeploymentView, new: OwnedSet, old: Sequence[OwnedSet]) -> bool:
    """Bring the new ReplicaSet towards its size, as far as the surge allows."""
    wanted = deployment.spec.replicas
    if new.replicas > wanted:
        return new.resize(wanted, deployment)
    if new.replicas == wanted:
        return False
    return new.resize(new_size(deployment, [*old, new], new.replicas), deployment)


def shrink_old(deployment: DeploymentView, new: OwnedSet, old: Sequence[OwnedSet]) -> bool:
    """Take pods from old ReplicaSets: first those that are not available, which costs nothing, then as many as are
    available beyond what must be."""
    active = [each for each in old if each.replicas > 0]
    if not active:
        return False
    least = deployment.spec.replicas - max_unavailable(deployment)
    total = sum(each.replicas for each in old) + new.replicas
    room = total - least - (new.replicas - new.available)
    if room <= 0:
        return False
    changed = _drop_unhealthy(deployment, active, room)
    return _drop_available(deployment, new, active, least) or changed


def _drop_unhealthy(deployment: DeploymentView, old: Sequence[OwnedSet], most: int) -> bool:
    dropped = 0
    for each in sorted(old, key=lambda each: each.order):
        unhealthy = each.replicas - each.available
        if dropped >= most or unhealthy <= 0:
            continue
        number = min(most - dropped, unhealthy)
        each.resize(each.replicas - number, deployment)
        dropped += number
    return dropped > 0


def _drop_available(deployment: DeploymentView, new: OwnedSet, old: Sequence[OwnedSet], least: int) -> bool:
    room = sum(each.available for each in old) + new.available - least
    dropped = 0
    for each in sorted(old, key=lambda each: each.order):
        if dropped >= room:
            break
        number = min(each.replicas, room - dropped)
        if number:
            each.resize(each.replicas - number, deployment)
            dropped += number
    return dropped > 0


def empty_old(deployment: DeploymentView, old: Sequence[OwnedSet]) -> bool:
    """Recreate: all pods go before new ones come."""
    return sum(each.resize(0, deployment) for each in old) > 0


def scale(deployment: DeploymentView, new: OwnedSet | None, old: Sequence[OwnedSet]) -> bool:
    """A new number for the whole: to the only active ReplicaSet, or to all of a rollout in proportion."""
    everything = [*old, *([new] if new else [])]
    active = [each for each in everything if each.replicas > 0]
    wanted = deployment.spec.replicas
    if len(active) <= 1:
        chosen = active[0] if active else new or max(old, key=lambda each: each.order, default=None)
        return chosen is not None and chosen.resize(wanted, deployment)
    if new is not None and new.replicas == new.available == new.annotation(DESIRED) == wanted:
        return sum(each.resize(0, deployment) for each in old if each.replicas > 0) > 0
    return is_rolling(deployment) and _scale_in_proportion(deployment, active)


def _scale_in_proportion(deployment: DeploymentView, active: list[OwnedSet]) -> bool:
    wanted = deployment.spec.replicas
    allowed = wanted + max_surge(deployment) if wanted > 0 else 0
    to_add = allowed - sum(each.replicas for each in active)
    # larger ones first; among equals, newer ones grow and older ones shrink first
    active.sort(key=lambda each: each.order, reverse=to_add > 0)
    active.sort(key=lambda each: -each.replicas)
    added = 0
    sizes = []
    for each in active:
        part = share(each, deployment, to_add, added)
        added += part
        sizes.append(each.replicas + part)
    if to_add:
        sizes[0] = max(0, sizes[0] + to_add - added)
    return sum(each.resize(size, deployment, force=True) for each, size in zip(active, sizes, strict=True)) > 0
