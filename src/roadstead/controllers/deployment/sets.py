"""The ReplicaSets of one Deployment while it is looked at: which is the new one, which are old, and what is to become
of their sizes and annotations (deployment_util.go)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import orjson

from roadstead.controllers.replica_pods import letters
from roadstead.kinds.int_or_percent import scaled
from roadstead.kinds.names import REPLICA_SETS
from roadstead.kinds.object import Json, Object, owner_reference
from roadstead.kinds.views.apps import DeploymentView, ReplicaSetView
from roadstead.runtime.cluster import Create, Update

HASH_LABEL: Final = "pod-template-hash"
REVISION: Final = "deployment.kubernetes.io/revision"
HISTORY: Final = "deployment.kubernetes.io/revision-history"
DESIRED: Final = "deployment.kubernetes.io/desired-replicas"
MAXIMUM: Final = "deployment.kubernetes.io/max-replicas"
NOT_COPIED: Final = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        HISTORY,
        DESIRED,
        MAXIMUM,
        "deprecated.deployment.rollback.to",
    }
)
_HISTORY_LIMIT: Final = 2000
_HASH_LENGTH: Final = 10
_LONGEST_NAME: Final = 253


class OwnedSet:
    """One ReplicaSet and what is to become of it."""

    def __init__(self, obj: Object) -> None:
        self.obj = obj
        self.view = obj.view(ReplicaSetView)
        self.replicas = self.view.spec.replicas
        """As it shall be."""
        self._value: Json | None = None

    @property
    def name(self) -> str:
        return self.obj.meta.name

    @property
    def available(self) -> int:
        return self.view.status.available_replicas

    @property
    def revision(self) -> int:
        return _number(self.obj.meta.annotations.get(REVISION)) or 0

    @property
    def order(self) -> tuple[str, str]:
        """Oldest first."""
        return (self.obj.meta.creation_timestamp or "", self.name)

    def annotation(self, name: str) -> int | None:
        """A number that an annotation holds; None if it is none."""
        return _number(self.obj.meta.annotations.get(name))

    @property
    def value(self) -> Json:
        """The decoded object, to be edited."""
        if self._value is None:
            self._value = self.obj.decode()
        return self._value

    def resize(self, replicas: int, deployment: DeploymentView, *, force: bool = False) -> bool:
        """Give it a size; `force` also where only the annotations change. True if the size changes."""
        if not force and replicas == self.replicas:
            return False
        changes = replicas != self.replicas
        self.replicas = replicas
        if changes:
            self.value["spec"]["replicas"] = replicas
        annotate_sizes(self.value, deployment)
        return changes

    def update(self) -> Update | None:
        """The write that makes it so."""
        if self._value is None or self._value == self.obj.decode():
            return None
        return Update(REPLICA_SETS, self._value)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,10}", text, re.ASCII) else None


# --- new and old


def without_hash(template: Json) -> Json:
    """A template as it was before a ReplicaSet was made of it."""
    metadata = dict(template.get("metadata") or {})
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name != HASH_LABEL}
    metadata["labels"] = labels
    kept = {name: value for name, value in metadata.items() if value}
    return {**template, "metadata": kept}


def find_new(deployment: DeploymentView, sets: Iterable[OwnedSet]) -> OwnedSet | None:
    """The oldest ReplicaSet with the Deployment's template."""
    wanted = without_hash(deployment.spec.template)
    same = (each for each in sets if without_hash(each.view.spec.template) == wanted)
    return min(same, key=lambda each: each.order, default=None)


def template_hash(template: Json, collisions: int | None) -> str:
    """What tells this template from others. (The real controller hashes Go's memory; the letters differ, their meaning
    does not.)"""
    seed = orjson.dumps(without_hash(template), option=orjson.OPT_SORT_KEYS).decode()
    return letters(f"{seed}/{collisions or 0}", _HASH_LENGTH)


def set_name(deployment: DeploymentView, digest: str) -> str:
    base = deployment.metadata.name[: _LONGEST_NAME - len(digest) - 1]
    return f"{base}-{digest}"


def new_set(owner: Object, deployment: DeploymentView, replicas: int, revision: int) -> Create:
    """The ReplicaSet of the Deployment's template."""
    fresh: Json = owner.decode()["spec"]
    template = fresh["template"]
    digest = template_hash(template, deployment.status.collision_count)
    labels = template.setdefault("metadata", {}).setdefault("labels", {})
    labels[HASH_LABEL] = digest
    selector = fresh["selector"]
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: digest}
    spec: Json = {"replicas": replicas, "selector": selector, "template": template}
    if deployment.spec.min_ready_seconds:
        spec["minReadySeconds"] = deployment.spec.min_ready_seconds
    value: Json = {
        "apiVersion": REPLICA_SETS.api_version,
        "kind": "ReplicaSet",
        "metadata": {
            "name": set_name(deployment, digest),
            "namespace": deployment.metadata.namespace,
            "labels": dict(labels),
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": spec,
    }
    hand_down(value, deployment, revision)
    annotate_sizes(value, deployment)
    return Create(REPLICA_SETS, value)


# --- annotations


def hand_down(value: Json, deployment: DeploymentView, revision: int) -> None:
    """A new ReplicaSet carries the Deployment's annotations and the highest revision, and remembers those it had
    before."""
    metadata = value["metadata"]
    annotations: dict[str, str] = dict(metadata.get("annotations") or {})
    annotations |= {name: text for name, text in deployment.metadata.annotations.items() if name not in NOT_COPIED}
    had = annotations.get(REVISION)
    if (_number(had) or 0) < revision:
        annotations[REVISION] = str(revision)
        if had:
            annotations[HISTORY] = _remembered(annotations.get(HISTORY, ""), had)
    if annotations:
        metadata["annotations"] = annotations


def _remembered(history: str, revision: str) -> str:
    known = [*(history.split(",") if history else ()), revision]
    while len(",".join(known)) > _HISTORY_LIMIT:
        del known[0]
    return ",".join(known)


def annotate_sizes(value: Json, deployment: DeploymentView) -> None:
    """How large the Deployment was meant to be when this size was given: a change of that is told from it."""
    annotations = value["metadata"].setdefault("annotations", {})
    annotations[DESIRED] = str(deployment.spec.replicas)
    annotations[MAXIMUM] = str(deployment.spec.replicas + max_surge(deployment))


# --- numbers


def is_rolling(deployment: DeploymentView) -> bool:
    return deployment.spec.strategy.type == "RollingUpdate"


def _fenceposts(deployment: DeploymentView) -> tuple[int, int]:
    """(surge, unavailable): rounding down may make both 0, and then nothing could move."""
    rolling: Any = deployment.spec.strategy.rolling_update
    total = deployment.spec.replicas
    surge = scaled(rolling.max_surge if rolling else 0, total, up=True)
    unavailable = scaled(rolling.max_unavailable if rolling else 0, total, up=False)
    return surge, unavailable or (0 if surge else 1)


def max_surge(deployment: DeploymentView) -> int:
    """How many pods there may be beyond `replicas`."""
    return _fenceposts(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: DeploymentView) -> int:
    """How many of `replicas` need not be available."""
    if not is_rolling(deployment) or deployment.spec.replicas == 0:
        return 0
    return min(_fenceposts(deployment)[1], deployment.spec.replicas)


def new_size(deployment: DeploymentView, sets: Sequence[OwnedSet], current: int) -> int:
    """How large the new ReplicaSet may be now. `sets`: all, with what the new one has."""
    wanted = deployment.spec.replicas
    if not is_rolling(deployment):
        return wanted
    room = wanted + max_surge(deployment) - sum(each.replicas for each in sets)
    return current if room <= 0 else current + min(room, wanted - current)


def share(each: OwnedSet, deployment: DeploymentView, to_add: int, added: int) -> int:
    """How many of `to_add` pods (or fewer, if negative) fall to this ReplicaSet, in proportion to its size."""
    if each.replicas == 0 or to_add == 0 or to_add == added:
        return 0
    fraction = _fraction(each, deployment)
    allowed = to_add - added
    return min(fraction, allowed) if to_add > 0 else max(fraction, allowed)


def _fraction(each: OwnedSet, deployment: DeploymentView) -> int:
    if deployment.spec.replicas == 0:
        return -each.replicas
    now = deployment.spec.replicas + max_surge(deployment)
    before = each.annotation(MAXIMUM) or deployment.status.replicas
    if before == 0:
        return 0
    grown = each.replicas * now / before
    return int(grown + 0.5) - each.replicas
