"""The entries of `metadata.managedFields`: who owns which fields, by which operation, since when (apimachinery's
managedfields)."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from roadstead.kinds.fields import paths
from roadstead.kinds.fields.paths import NotFields, Set
from roadstead.kinds.object import Json
from roadstead.kinds.times import format_time

APPLY: Final = "Apply"
UPDATE: Final = "Update"
FIELDS_TYPE: Final = "FieldsV1"

UPDATERS: Final = 10
"""More entries of operation Update than this, and the oldest become one."""
ANCIENT: Final = "ancient-changes"


class Manager(NamedTuple):
    """Who: one entry of managedFields each. Whoever applies is the same in every version (`version` is "" then)."""

    name: str
    operation: str
    version: str = ""
    subresource: str = ""

    @property
    def shown(self) -> str:
        """As conflicts name it."""
        subresource = f' with subresource "{self.subresource}"' if self.subresource else ""
        version = f" using {self.version}" if self.operation == UPDATE else ""
        return f'"{self.name}"{subresource}{version}'


class Owned(NamedTuple):
    """What a manager owns, in the terms of one API version, and since when (RFC 3339, "" unknown)."""

    fields: Set
    version: str
    time: str = ""


Managers = dict[Manager, Owned]


def manager_of(name: str, operation: str, version: str, subresource: str) -> Manager:
    return Manager(name or "unknown", operation, "" if operation == APPLY else version, subresource)


def is_reset(entries: Any) -> bool:
    """True for `[]` and `[{}]`: who sends that wants ownership forgotten."""
    return isinstance(entries, list) and (not entries or (len(entries) == 1 and not _meant(entries[0])))


def _meant(entry: Any) -> bool:
    return not isinstance(entry, dict) or any(found not in (None, "") for found in entry.values())


def read(entries: Any) -> Managers | None:
    """The managers of an object; None if the entries are none that anybody could have written (the caller keeps what it
    had)."""
    found: Managers = {}
    for entry in entries or ():
        operation, version = entry.get("operation"), entry.get("apiVersion")
        if operation not in (APPLY, UPDATE) or not version or entry.get("fieldsType") != FIELDS_TYPE:
            return None
        try:
            fields = paths.decode(entry.get("fieldsV1") or {})
        except NotFields:
            return None
        manager = Manager(
            entry.get("manager") or "",
            operation,
            "" if operation == APPLY else version,
            entry.get("subresource") or "",
        )
        found[manager] = Owned(fields, version, entry.get("time") or "")
    return found


def write(managers: Managers) -> list[Json]:
    """The entries: those who apply first, then by time and name."""
    rows = sorted(
        managers.items(),
        key=lambda row: (row[0].operation, row[1].time, row[0].name, row[1].version, row[0].subresource),
    )
    return [_entry(manager, owned) for manager, owned in rows]


def _entry(manager: Manager, owned: Owned) -> Json:
    entry: Json = {"manager": manager.name, "operation": manager.operation, "apiVersion": owned.version}
    if owned.time:
        entry["time"] = owned.time
    entry["fieldsType"] = FIELDS_TYPE
    entry["fieldsV1"] = paths.encode(owned.fields)
    if manager.subresource:
        entry["subresource"] = manager.subresource
    if not manager.name:
        del entry["manager"]
    return entry


def differ_in_time_only(entries: Any, before: Any) -> bool:
    """True if two lists of entries say the same of who owns what."""
    if not isinstance(entries, list) or not isinstance(before, list) or len(entries) != len(before):
        return False
    timeless = [{**entry, "time": ""} for entry in before]
    return all({**entry, "time": ""} in timeless for entry in entries)


def capped(managers: Managers) -> Managers:
    """With at most UPDATERS entries of operation Update: the oldest of a version are put together under ANCIENT."""
    updaters = [manager for manager in managers if manager.operation == UPDATE]
    if len(updaters) <= UPDATERS:
        return managers
    updaters.sort(key=lambda manager: (managers[manager].time, manager))
    kept = dict(managers)
    first: dict[str, Manager] = {}
    left = len(updaters)
    for manager in updaters:
        if left <= UPDATERS:
            break
        owned = managers[manager]
        known = first.get(owned.version)
        if known is None:
            first[owned.version] = manager
            continue
        bucket = Manager(ANCIENT, UPDATE, owned.version)
        if bucket not in kept:
            kept[bucket] = kept.pop(known)
        kept[bucket] = Owned(owned.fields.union(kept[bucket].fields), owned.version, owned.time)
        if manager != bucket:
            del kept[manager]
        left -= 1
    return kept


def now_text(now: int) -> str:
    """The time of an entry, of nanoseconds since the epoch."""
    return format_time(now)
