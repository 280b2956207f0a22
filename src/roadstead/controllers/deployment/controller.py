"""Deployments: a ReplicaSet for each template they have had, sized so that enough pods are available while one takes
over from the other (kubernetes `pkg/controller/deployment`).

One look is one sync of the real controller: sizes change, then the status is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from roadstead.controllers.deployment import rollout
from roadstead.controllers.deployment.sets import (
    REVISION,
    OwnedSet,
    find_new,
    hand_down,
    is_rolling,
    new_set,
    new_size,
    set_name,
    template_hash,
)
from roadstead.controllers.deployment.status import (
    FOREVER,
    PROGRESSING,
    Says,
    counted,
    find,
    follow_pause,
    follow_rollout,
    has_deadline,
    is_complete,
    take_failures,
)
from roadstead.controllers.ownership import (
    UNCONTROLLED,
    claims,
    controlled,
    owner_key,
    selects,
    suitors,
    uncontrolled,
)
from roadstead.kinds.names import DEPLOYMENTS, PODS, REPLICA_SETS
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.views.apps import DeploymentView
from roadstead.kinds.views.pod import has_ended
from roadstead.runtime.cluster import Create, Delete, Update, Write
from roadstead.runtime.step import NOTHING, Index, Key, KeysOf, Note, Present, Read, Step, same_key


def _selector(owner: Object) -> Json | None:
    return owner.view(DeploymentView).spec.selector


def _keys_of_set(changed: Object, read: Read) -> Iterable[Key]:
    if changed.meta.controller is None:
        return suitors(changed, read.list(DEPLOYMENTS, changed.meta.namespace), _selector)
    return owner_key(changed, DEPLOYMENTS, "Deployment")


def _keys_of_pod(changed: Object, read: Read) -> Iterable[Key]:
    """Who recreates waits for pods to be gone."""
    for namespace, name in owner_key(changed, REPLICA_SETS, "ReplicaSet"):
        owner = read.get(REPLICA_SETS, namespace, name)
        for key in owner_key(owner, DEPLOYMENTS, "Deployment") if owner is not None else ():
            found = read.get(DEPLOYMENTS, *key)
            if found is not None and not is_rolling(found.view(DeploymentView)):
                yield key


class DeploymentController:
    """Rolls out the templates of Deployments."""

    name: ClassVar[str] = "deployment"
    watches: Mapping[Resource, KeysOf] = {DEPLOYMENTS: same_key, REPLICA_SETS: _keys_of_set, PODS: _keys_of_pod}
    indexes: Mapping[tuple[Resource, str], Index] = {(REPLICA_SETS, UNCONTROLLED): uncontrolled}

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        found = read.get(DEPLOYMENTS, *key)
        if found is None:
            return NOTHING
        view = found.view(DeploymentView)
        owned = controlled(read, REPLICA_SETS, found)
        if not found.meta.deletion_timestamp:
            orphans = read.by_index(REPLICA_SETS, UNCONTROLLED, key[0])
            changes = claims(found, view.spec.selector, owned, orphans)
            if changes:
                return Step((changes,), now, confirm=(Present(found.ref, found.meta.uid),))
        sets = [OwnedSet(each) for each in owned if selects(view.spec.selector, each)]
        return _Sync(found, view, sets, read, now).step()


class _Sync:
    """One look at one Deployment; used once."""

    def __init__(self, found: Object, view: DeploymentView, sets: list[OwnedSet], read: Read, now: int) -> None:
        self.found = found
        self.view = view
        self.read = read
        self.now = now
        self.new = find_new(view, sets)
        self.old = sorted((each for each in sets if each is not self.new), key=lambda each: each.order)
        self.sizes = {each.name: each.replicas for each in sets}
        self.create: Create | None = None
        self.deletes: list[Delete] = []
        self.notes: list[Note] = []
        self.revision = ""
        """What the Deployment's annotation shall say; "": as it does."""
        self.collided = False

    def step(self) -> Step:
        if self.found.meta.deletion_timestamp:
            return self._done(rolls=False)
        self._follow_revision()
        if self.view.spec.paused:
            rollout.scale(self.view, self.new, self.old)
            self._clean_up()
            return self._done(rolls=False)
        if rollout.is_scaled(self.view, [*self.old, *([self.new] if self.new else [])]):
            rollout.scale(self.view, self.new, self.old)
            return self._done(rolls=False)
        if is_rolling(self.view):
            self._roll()
        else:
            self._recreate()
        return self._done(rolls=True)

    # --- what to do

    def _roll(self) -> None:
        if self.new is None:
            self._make()
        elif not rollout.grow_new(self.view, self.new, self.old) and not rollout.shrink_old(
            self.view, self.new, self.old
        ):
            self._clean_up_when_complete()

    def _recreate(self) -> None:
        if rollout.empty_old(self.view, self.old) or self._old_pods_run():
            return
        if self.new is None:
            self._make()
        elif not self.new.resize(self.view.spec.replicas, self.view):
            self._clean_up_when_complete()

    def _old_pods_run(self) -> bool:
        return any(
            each.view.status.replicas > 0 or any(not has_ended(pod) for pod in controlled(self.read, PODS, each.obj))
            for each in self.old
        )

    def _follow_revision(self) -> None:
        """The new ReplicaSet has the highest revision, and the Deployment has that one's."""
        if self.new is None:
            return
        revision = max((each.revision for each in self.old), default=0) + 1
        value = self.new.value
        hand_down(value, self.view, revision)
        if value["spec"].get("minReadySeconds", 0) != self.view.spec.min_ready_seconds:
            value["spec"]["minReadySeconds"] = self.view.spec.min_ready_seconds
        self.revision = value["metadata"]["annotations"][REVISION]

    def _make(self) -> None:
        """A ReplicaSet for this template, unless its name is taken by another one: then a new name is needed."""
        digest = template_hash(self.view.spec.template, self.view.status.collision_count)
        taken = self.read.get(REPLICA_SETS, self.found.meta.namespace, set_name(self.view, digest))
        if taken is not None:
            self.collided = True
            return
        revision = max((each.revision for each in self.old), default=0) + 1
        replicas = new_size(self.view, self.old, 0)
        self.create = new_set(self.found, self.view, replicas, revision)
        self.revision = str(revision)
        if replicas:
            self._note(f"Scaled up replica set {self.create.value['metadata']['name']} from 0 to {replicas}")

    def _clean_up_when_complete(self) -> None:
        if is_complete(self.view, self.found.decode().get("status") or {}, self.found.meta.generation):
            self._clean_up()

    def _clean_up(self) -> None:
        """Old ReplicaSets are kept as history, so many and no more."""
        limit = self.view.spec.revision_history_limit
        if limit is None or limit == FOREVER:
            return
        alive = [each for each in self.old if not each.obj.meta.deletion_timestamp]
        alive.sort(key=lambda each: (each.revision, each.order))
        for each in alive[: max(0, len(alive) - limit)]:
            status = each.view.status
            if status.replicas or each.replicas or each.obj.meta.generation > status.observed_generation:
                continue
            self.deletes.append(Delete(each.obj.ref, each.obj.meta.uid))

    # --- saying so

    def _note(self, message: str) -> None:
        self.notes.append(Note(self.found, "Normal", "ScalingReplicaSet", message))

    def _done(self, *, rolls: bool) -> Step:
        updates: list[Write] = []
        for each in [*([self.new] if self.new else []), *self.old]:
            update = each.update()
            if update is not None:
                updates.append(update)
            before = self.sizes[each.name]
            if each.replicas != before:
                way = "up" if each.replicas > before else "down"
                self._note(f"Scaled {way} replica set {each.name} from {before} to {each.replicas}")
        value = self.found.decode()
        stored: Json = value.get("status") or {}
        status = counted(self.found, self.view, self.new, self.old, self.now)
        again = None
        if self.collided:
            status["collisionCount"] = stored.get("collisionCount", 0) + 1
        if not self.found.meta.deletion_timestamp:
            follow_pause(self.view, status, self.now)
            self._tell_of_new(status)
        if rolls:
            again = follow_rollout(self.found, self.view, self.new, status, self.now)
            take_failures(status, self.new, self.old)
        annotations = value["metadata"].get("annotations") or {}
        if self.revision and annotations.get(REVISION) != self.revision:
            value["metadata"]["annotations"] = {**annotations, REVISION: self.revision}
        value["status"] = status
        stages: list[tuple[Write, ...]] = []
        if self.create is not None:
            stages.append((self.create,))
        if updates:
            stages.append(tuple(updates))
        if self.deletes:
            stages.append(tuple(self.deletes))
        if value != self.found.decode():
            stages.append((Update(DEPLOYMENTS, value, "status"),))
        return Step(tuple(stages), again, tuple(self.notes))

    def _tell_of_new(self, status: Json) -> None:
        if not has_deadline(self.view):
            return
        if self.create is not None:
            name = self.create.value["metadata"]["name"]
            says = Says(PROGRESSING, "True", "NewReplicaSetCreated", f'Created new replica set "{name}"')
            says.put(status, self.now)
        elif self.new is not None and find(status["conditions"], PROGRESSING) is None:
            says = Says(PROGRESSING, "True", "FoundNewReplicaSet", f'Found new replica set "{self.new.name}"')
            says.put(status, self.now)
