"""What happens to ownership when an object is written, and to an object when a configuration is applied to it.

`updated` is for create, update and patch: what changed goes to the writer, from all others, and never conflicts.
`applied` is server-side apply: the configuration over the object, without what its manager applied before and nobody
else owns, unless it changes what others own. The steps and their order are structured-merge-diff's `merge.Updater`
between apimachinery's managers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from roadstead.kinds.errors import StatusError, bad_request
from roadstead.kinds.fields import light
from roadstead.kinds.fields import managers as entries
from roadstead.kinds.fields.compare import Comparison, compare, covered, with_structs
from roadstead.kinds.fields.managers import APPLY, UPDATE, Manager, Managers, Owned
from roadstead.kinds.fields.merge import NotMergeable, merge, reconciled, without
from roadstead.kinds.fields.paths import Path, Set, shown
from roadstead.kinds.fields.typed import Type
from roadstead.kinds.fields.validate import problems
from roadstead.kinds.metadata import ANNOTATIONS_LIMIT
from roadstead.kinds.object import Json

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
BEFORE_FIRST_APPLY: Final = "before-first-apply"
KUBECTL: Final = "kubectl"

_SELF: Final = Manager("", "")
_NEVER_OWNED: Final = Set.of(
    ("f:apiVersion",),
    ("f:kind",),
    ("f:metadata",),
    *(
        ("f:metadata", f"f:{name}")
        for name in (
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
        )
    ),
)


class Conflicts(Exception):
    """What an apply would change although others own it."""

    def __init__(self, found: list[tuple[Manager, Path]]) -> None:
        super().__init__(self)
        self.found = found

    @property
    def paths(self) -> Set:
        return Set.of(*(path for _, path in self.found))

    def status(self) -> StatusError:
        """The 409, with a cause for each field."""
        found = self.found
        if len(found) == 1:
            manager, path = found[0]
            message = f"Apply failed with 1 conflict: conflict with {manager.shown}: {shown(path)}"
        else:
            lines: list[str] = []
            for manager in sorted({manager for manager, _ in found}):
                lines.append(f"conflicts with {manager.shown}:")
                lines += [f"- {shown(path)}" for whose, path in found if whose == manager]
            message = f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
        causes = [
            {"reason": "FieldManagerConflict", "message": f"conflict with {manager.shown}", "field": shown(path)}
            for manager, path in found
        ]
        return StatusError(409, "Conflict", message, {"causes": causes})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a write arrives: which version of which kind, at which endpoint."""

    api_version: str
    kind: str
    subresource: str
    type_of: Callable[[str], Type | None]
    """The type of the kind in an API version; None where it is not served (any more): its owners are forgotten."""
    reset: Callable[[str, str], Set]
    """What the endpoint (of that API version, the subresource) does not let anybody change, and so nobody owns by
    it."""
    empty: Json
    """What a new object is before anything is written to it."""
    is_custom: bool = False
    """The schema is somebody's own: it may change under the entries, and objects need not fit it."""

    @property
    def type(self) -> Type:
        found = self.type_of(self.api_version)
        assert found is not None
        return found


def updated(place: Place, live: Json | None, obj: Json, sent: Any, manager: str, now: int) -> list[Json] | None:
    """The managedFields of an object that `manager` writes, in terms of what it wrote (`obj`, decoded and defaulted,
    without managedFields). `live` is what is stored (None: nothing), `sent` the managedFields that the writer sent.
    None: no entries.

    An object without entries gets none by being changed: its fields belong to nobody until somebody applies.
    O(changes), and for new objects O(object)."""
    known = (live or {}).get("metadata", {}).get("managedFields")
    found: Managers | None = None
    if place.subresource == "":
        if entries.is_reset(sent):
            found = {}
        else:
            found = entries.read(sent) or None
    if found is None:
        if known and live is not None:
            made = _written(place, without_entries(live), obj, known, manager, now)
            if made is not None:
                return made
        found = entries.read(known) or {}
    if found or live is None:
        before = place.empty if live is None else without_entries(live)
        if place.is_custom and problems(place.type, obj, allow_duplicates=True):
            return known if isinstance(known, list) else None
        found = entries.capped(_update(place, before, obj, found, manager, now))
    return entries.write(found) or None


def _written(place: Place, before: Json, obj: Json, known: list[Json], name: str, now: int) -> list[Json] | None:
    """The entries after a write in the ordinary; None if it is not."""
    if before == obj:
        return list(known)
    if place.is_custom:
        return None
    change, mine = _change(place, before, obj)
    time = entries.now_text(now)
    return light.written(known, change, mine, name or "unknown", place.api_version, place.subresource, time)


def _change(place: Place, before: Json, after: Json) -> tuple[Comparison, Set]:
    """What a write changes, and what of it its writer owns then."""
    reset = place.reset(place.api_version, place.subresource)
    change = Comparison(*(part.outside(reset) for part in compare(place.type, before, after)))
    return change, change.modified.union(change.added).difference(_NEVER_OWNED)


def without_entries(obj: Json) -> Json:
    """The object without managedFields, sharing all else."""
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict) or "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {name: inner for name, inner in metadata.items() if name != "managedFields"}}


def _update(place: Place, before: Json, after: Json, found: Managers, name: str, now: int) -> Managers:
    """Ownership after a write that is no apply."""
    found = _reconciled(place, found)
    found, change = _settle(place, before, after, found, _SELF, force=True)
    mine = change.modified.union(change.added).outside(place.reset(place.api_version, place.subresource))
    mine = mine.difference(_NEVER_OWNED)
    if mine:
        manager = entries.manager_of(name, UPDATE, place.api_version, place.subresource)
        previous = found.get(manager)
        if previous is not None:
            mine = mine.union(previous.fields)
        found[manager] = Owned(mine, place.api_version, entries.now_text(now))
    return found


def _reconciled(place: Place, found: Managers) -> Managers:
    made: Managers = {}
    if not place.is_custom and all(owned.version == place.api_version for owned in found.values()):
        return found  # schemas of built-in kinds do not change
    for manager, owned in found.items():
        kind = place.type_of(owned.version)
        if kind is not None:
            made[manager] = owned._replace(fields=reconciled(kind, owned.fields))
    return made


def _settle(
    place: Place, before: Any, after: Any, found: Managers, writer: Manager, *, force: bool
) -> tuple[Managers, Comparison]:
    """Take from all but the writer what changed. Raises Conflicts unless `force`."""
    changes: dict[str, Comparison] = {}

    def change_in(version: str) -> Comparison:
        known = changes.get(version)
        if known is None:
            kind = place.type_of(version)
            assert kind is not None  # of all others the owners were forgotten
            change = compare(kind, before, after)
            reset = place.reset(version, place.subresource)
            known = changes[version] = Comparison(*(part.outside(reset) for part in change))
        return known

    mine = change_in(place.api_version)
    conflicts: list[tuple[Manager, Path]] = []
    made: Managers = {}
    for manager in sorted(found):
        owned = found[manager]
        if manager == writer:
            made[manager] = owned
            continue
        change = change_in(owned.version)
        taken = owned.fields.intersection(change.modified.union(change.added))
        conflicts += [(manager, path) for path in taken]
        left = owned.fields.difference(taken).difference(change.removed)
        if left:
            made[manager] = owned._replace(fields=left)
    if conflicts and not force:
        raise Conflicts(conflicts)
    return made, mine


def applied(place: Place, live: Json | None, config: Json, manager: str, now: int, *, force: bool) -> tuple[Json, Any]:
    """The object after `manager` applied `config`, not defaulted or checked yet, and its managedFields (None: no
    entries). `live` is what is stored; None: nothing is. Raises StatusError 400, 409, and 500 for what the schema does
    not know."""
    _check(place, config)
    start: Json = {"apiVersion": place.api_version, "kind": place.kind, **(place.empty if live is None else live)}
    known = start.get("metadata", {}).get("managedFields")
    found = entries.read(known)
    if found is None:
        raise StatusError(500, "", "failed to decode managed fields: the stored entries cannot be read")
    start = without_entries(start)
    if not found:
        found = _update(place, place.empty, start, found, BEFORE_FIRST_APPLY, now)
    about = f"{_about(config)}; {_gvk(config)}"
    why = problems(place.type, config)
    if why:
        raise StatusError(500, "", f"failed to create typed patch object ({about}): {why}")
    try:
        made, owners = _apply(place, start, config, dict(found), manager, now, force=force)
    except Conflicts as conflicts:
        left = _without_own(place, start, conflicts) if manager == KUBECTL else conflicts
        if left is not None:
            raise left.status() from None
        made, owners = _apply(place, start, config, dict(found), manager, now, force=True)
    except NotMergeable as error:
        raise StatusError(500, "", f"failed to merge config: {error}") from error
    if manager == KUBECTL:
        made = _with_last_applied(made, config)
    return made, entries.write(owners) or None


_NUMBER: Final = re.compile(r"json: cannot unmarshal number \S+ into Go struct field \S+ of type (\w+)")


def not_convertible(config: Json, why: str) -> StatusError:
    """The 500 for a configuration that fits the types of the schema, and yet is no object of the kind: quantities,
    times, fractions."""
    about = f"{_about(config)}; {_gvk(config)}"
    fraction = _NUMBER.fullmatch(why)
    if fraction:
        why = f"cannot convert float64 to {fraction.group(1)}"
    message = f"failed to convert new object ({about}) to proper version: unable to convert unstructured object to {_gvk(config)}: {why}"
    return StatusError(500, "", message)


def _gvk(config: Json) -> str:
    version = config.get("apiVersion")
    group, slash, rest = (version if isinstance(version, str) else "").partition("/")
    if not slash:
        group, rest = "", group
    kind = config.get("kind")
    return f"{group}/{rest}, Kind={kind if isinstance(kind, str) else ''}"


def _about(config: Json) -> str:
    metadata = config.get("metadata")
    if not isinstance(metadata, dict):
        return "/"
    return f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}"


def _check(place: Place, config: Json) -> None:
    if (config.get("apiVersion"), config.get("kind")) != (place.api_version, place.kind):
        raise bad_request(f"invalid object type: {_gvk(config)}")
    metadata = config.get("metadata")
    if isinstance(metadata, dict) and metadata.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")


def _apply(
    place: Place, live: Json, config: Json, found: Managers, name: str, now: int, *, force: bool
) -> tuple[Json, Managers]:
    kind = place.type
    found = _reconciled(place, found)
    made = merge(kind, live, config)
    writer = entries.manager_of(name, APPLY, place.api_version, place.subresource)
    last = found.get(writer)
    fields = covered(kind, config).outside(place.reset(place.api_version, place.subresource))
    found[writer] = Owned(fields, place.api_version, "" if last is None else last.time)
    if last is not None and last.fields:
        made = _pruned(place, made, found, last)
    found, _ = _settle(place, live, made, found, writer, force=force)
    mine = found.pop(writer)
    left = mine.fields.difference(_NEVER_OWNED)
    if left:
        time = entries.now_text(now) if made != live else mine.time
        found[writer] = Owned(left, place.api_version, time)
    return made, found


def _pruned(place: Place, made: Any, found: Managers, last: Owned) -> Any:
    """Without what the manager applied last and does not apply now, but with all that anybody owns."""
    kind = place.type_of(last.version)
    if kind is None:
        return made
    last_fields = with_structs(last.fields, kind)
    pruned = without(kind, made, last_fields)
    by_version: dict[str, Set] = {}
    for owned in found.values():
        by_version[owned.version] = by_version.get(owned.version, Set()).union(owned.fields)
    for version in sorted(by_version, key=lambda version: version != last.version):
        typed = place.type_of(version)
        if typed is None:
            continue
        everything = with_structs(covered(typed, made), typed)
        kept = with_structs(covered(typed, pruned), typed).union(with_structs(by_version[version], typed))
        pruned = without(typed, made, everything.difference(kept))
    left = with_structs(covered(kind, pruned), kind)
    everything = with_structs(covered(kind, made), kind)
    return without(kind, made, everything.difference(left).intersection(last_fields))


def _without_own(place: Place, live: Json, conflicts: Conflicts) -> Conflicts | None:
    """The conflicts that are not about what kubectl itself applied from the client's side and nobody changed since;
    None if there are none left."""
    try:
        text = live.get("metadata", {}).get("annotations", {})[LAST_APPLIED]
        last = orjson.loads(text)
    except (KeyError, ValueError):
        return conflicts
    if not isinstance(last, dict) or last.get("apiVersion") != place.api_version or problems(place.type, last):
        return conflicts
    change = compare(place.type, last, live)
    own = covered(place.type, last).difference(change.modified).difference(change.added).difference(change.removed)
    left = [(manager, path) for manager, path in conflicts.found if path not in own]
    return Conflicts(left) if left else None


def _with_last_applied(made: Json, config: Json) -> Json:
    """kubectl's note of what it applied last, kept true where there is one, so that going back to the client's side
    works."""
    metadata = made.get("metadata")
    annotations: Mapping[str, Any] = (metadata.get("annotations") if isinstance(metadata, dict) else None) or {}
    if not annotations.get(LAST_APPLIED):
        return made
    noted = config
    own = config.get("metadata", {}).get("annotations")
    if isinstance(own, dict):
        rest = {name: inner for name, inner in own.items() if name != LAST_APPLIED}
        noted = {**config, "metadata": {**config["metadata"], "annotations": rest}}
        if not rest:
            del noted["metadata"]["annotations"]
    text = orjson.dumps(noted, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    kept = {**annotations, LAST_APPLIED: text}
    if sum(len(name.encode()) + len(str(inner).encode()) for name, inner in kept.items()) > ANNOTATIONS_LIMIT:
        del kept[LAST_APPLIED]
    return {**made, "metadata": {**made["metadata"], "annotations": kept}}
