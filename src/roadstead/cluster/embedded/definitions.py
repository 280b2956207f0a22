"""Definitions at work: the kinds that CustomResourceDefinitions bring are served from the moment they are stored.

One reader of the definitions' feed keeps the registry. It accepts names that nobody in the group has
(apiextensions-apiserver `controller/status/naming_controller.go`), says so in the status, and when a definition is
deleted removes its objects first, then lets it go and ends the watches on them
(`controller/finalizer/crd_finalizer.go`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

from roadstead.cluster.embedded.requests import SYSTEM, DeleteOptions, WriteOptions
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.apiextensions.definition import has_condition, set_condition
from roadstead.kinds.apiextensions.definition_checks import approval, is_protected
from roadstead.kinds.apiextensions.instances import Readers, defined_kinds, stored_resource
from roadstead.kinds.errors import StatusError
from roadstead.kinds.names import DEFINITIONS, INSTANCES_FINALIZER
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.registry import Kind, Registry

log = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS: Final = 0.1
"""How often objects are looked for that hold up the end of their definition."""
RETRY_SECONDS: Final = 1.0
_WRITER: Final = WriteOptions(SYSTEM, "roadstead")


class Definitions:
    """Keeps `resources.registry` true to the definitions in the store. `load()` before anything else is served, then
    `run()`."""

    def __init__(self, resources: Resources, clock: Callable[[], int] = time.time_ns) -> None:
        self._resources = resources
        self._registry: Registry = resources.registry
        self._store: Store = resources.store
        self._clock = clock
        self._readers = Readers()
        self._made: dict[str, tuple[Object, list[Kind]]] = {}
        """uid -> the definition, and the kinds made of it: made again when it changes."""
        self._served: frozenset[Resource] = frozenset()
        self.changed: list[Callable[[], None]] = []
        """Called after the kinds that are served have changed."""

    def load(self) -> None:
        """Serve what the stored definitions say. O(definitions)."""
        kinds: list[Kind] = []
        found = self._store.list(DEFINITIONS)
        for definition in found:
            known = self._made.get(definition.meta.uid)
            if known is None or known[0] is not definition:
                known = self._made[definition.meta.uid] = (definition, self._kinds_of(definition))
            kinds.extend(known[1])
        uids = {definition.meta.uid for definition in found}
        self._made = {uid: made for uid, made in self._made.items() if uid in uids}
        self._registry.define(kinds)
        served = frozenset(kind.stored for kind in kinds)
        gone, self._served = self._served - served, served
        for resource in gone:
            self._store.end_watches(resource)
        for listener in self.changed:
            listener()

    def _kinds_of(self, definition: Object) -> list[Kind]:
        crd = definition.decode()
        names = (crd.get("status") or {}).get("acceptedNames") or {}
        is_accepted = bool(names.get("plural")) and has_condition(crd, "Established")
        if not is_accepted and not self._accept(crd):
            return []
        return defined_kinds(crd, self._readers)

    async def run(self) -> None:
        """Follow the definitions until cancelled, or until the store is closed."""
        subscription = self._store.subscribe(DEFINITIONS, self._store.revision)
        self.load()
        while True:
            waiting = await self._tend()
            await subscription.wait(waiting)
            if subscription.is_closed:
                return
            if subscription.take():
                self.load()

    async def _tend(self) -> float | None:
        """Write what there is to say about each definition; gives after how many seconds to look again unasked."""
        waiting: float | None = None
        for definition in self._store.list(DEFINITIONS):
            try:
                if definition.meta.deletion_timestamp:
                    if not await self._remove(definition):
                        waiting = LOOK_AGAIN_SECONDS
                else:
                    await self._establish(definition)
            except StatusError as error:
                if error.code not in (404, 409):
                    log.warning("definition %s: %s", definition.meta.name, error.message)
                    waiting = RETRY_SECONDS
        return waiting

    # --- names

    async def _establish(self, definition: Object) -> None:
        crd = definition.decode()
        before = definition.decode()
        self._accept(crd)
        if crd["status"] != before.get("status"):
            kind = self._registry.get(DEFINITIONS)
            assert kind is not None
            await self._resources.update(kind, "", definition.meta.name, crd, _WRITER, "status")

    def _accept(self, crd: Json) -> bool:
        """Accept the names that are free, and say in the status, in place, what came of it. True if the definition is
        to be served."""
        wanted: Json = crd["spec"]["names"]
        status: Json = crd.setdefault("status", {})
        accepted: Json = dict(status.get("acceptedNames") or {})
        resources, kinds = self._taken(crd)
        problem: tuple[str, str] | None = None
        for name, reason, taken in (
            ("plural", "PluralConflict", resources),
            ("singular", "SingularConflict", resources),
            ("shortNames", "ShortNamesConflict", resources),
            ("kind", "KindConflict", kinds),
            ("listKind", "ListKindConflict", kinds),
        ):
            value = wanted.get(name)
            asked = value if isinstance(value, list) else [value] if value else []
            had = accepted.get(name) or []
            in_use = [one for one in asked if one in taken and one not in (had if isinstance(had, list) else [had])]
            if in_use:
                problem = (reason, ", ".join(f'"{one}" is already in use' for one in in_use))
            elif asked:
                accepted[name] = value
            else:
                accepted.pop(name, None)
        if wanted.get("categories"):
            accepted["categories"] = wanted["categories"]
        else:
            accepted.pop("categories", None)
        status["acceptedNames"] = {"plural": "", "kind": "", **accepted}
        now = self._clock()
        if problem is None:
            set_condition(crd, now, "NamesAccepted", "True", "NoConflicts", "no conflicts found")
            if not has_condition(crd, "Established"):
                message = "the initial names have been accepted"
                set_condition(crd, now, "Established", "True", "InitialNamesAccepted", message)
        else:
            set_condition(crd, now, "NamesAccepted", "False", *problem)
            if not has_condition(crd, "Established"):
                set_condition(crd, now, "Established", "False", "NotAccepted", "not all names are accepted")
        self._say_approval(crd, now)
        return has_condition(crd, "Established")

    def _say_approval(self, crd: Json, now: int) -> None:
        if not is_protected(crd["spec"]["group"]):
            return
        state, why = approval(crd)
        truth, reason = {
            "Approved": ("True", "ApprovedAnnotation"),
            "Bypassed": ("False", "UnapprovedAnnotation"),
            "Missing": ("False", "MissingAnnotation"),
        }.get(state, ("False", "InvalidAnnotation"))
        set_condition(crd, now, "KubernetesAPIApprovalPolicyConformant", truth, reason, why)

    def _taken(self, crd: Json) -> tuple[set[str], set[str]]:
        """(resource names, kinds) that other definitions of the group have."""
        resources: set[str] = set()
        kinds: set[str] = set()
        group, name = crd["spec"]["group"], crd["metadata"]["name"]
        for other in self._store.list(DEFINITIONS):
            if other.meta.name == name or not other.meta.name.endswith(f".{group}"):
                continue
            value = other.decode()
            if value["spec"]["group"] != group:
                continue
            names = (value.get("status") or {}).get("acceptedNames") or {}
            resources.update(_present((names.get("plural"), names.get("singular"), *(names.get("shortNames") or ()))))
            kinds.update(_present((names.get("kind"), names.get("listKind"))))
        return resources, kinds

    # --- the end

    async def _remove(self, definition: Object) -> bool:
        """Take a deleted definition further towards its end; False while objects of it are left."""
        if INSTANCES_FINALIZER not in definition.meta.finalizers:
            return True
        crd = definition.decode()
        stored = stored_resource(crd)
        spec = crd["spec"]
        is_ours = not self._registry.owns(spec["group"], spec["names"]["plural"])
        kind = self._registry.get(stored) if is_ours else None
        if kind is not None and has_condition(crd, "Established"):
            await self._delete_all(kind)
            if self._store.count(stored):
                return False
        kind = self._registry.get(DEFINITIONS)
        assert kind is not None
        left = [name for name in definition.meta.finalizers if name != INSTANCES_FINALIZER]
        crd["metadata"]["finalizers"] = left
        await self._resources.update(kind, "", definition.meta.name, crd, _WRITER)
        return True

    async def _delete_all(self, kind: Kind) -> None:
        for found in self._store.list(kind.stored):
            if found.meta.deletion_timestamp:
                continue
            try:
                await self._resources.delete(
                    kind, found.meta.namespace, found.meta.name, DeleteOptions(uid=found.meta.uid)
                )
            except StatusError as error:
                if error.code not in (404, 409):
                    raise


def _present(names: Iterable[str | None]) -> list[str]:
    return [name for name in names if name]
