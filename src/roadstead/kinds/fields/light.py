"""A write in a small change's time: most writes touch what one manager owns, over and over, so the entries of all
others are passed on as they are, undecoded. Whatever is out of the ordinary is left to `apply`, which this must agree
with.
"""

from __future__ import annotations

from typing import Any

from roadstead.kinds.fields import paths
from roadstead.kinds.fields.compare import Comparison
from roadstead.kinds.fields.managers import UPDATE, UPDATERS
from roadstead.kinds.fields.paths import SELF, Set
from roadstead.kinds.object import Json


def touches(fields: Json, change: Set) -> bool:
    """True if FieldsV1 has any path of a set. O(change)."""
    for element in change.members:
        inner = fields.get(element)
        if inner is not None and (not inner or SELF in inner):
            return True
    for element, below in change.children.items():
        inner = fields.get(element)
        if inner and touches(inner, below):
            return True
    return False


def covers(fields: Json, wanted: Set) -> bool:
    """True if FieldsV1 has every path of a set. O(wanted)."""
    for element in wanted.members:
        inner = fields.get(element)
        if inner is None or (inner and SELF not in inner):
            return False
    for element, below in wanted.children.items():
        inner = fields.get(element)
        if not inner or not covers(inner, below):
            return False
    return True


def written(
    entries: list[Json], change: Comparison, mine: Set, name: str, version: str, subresource: str, time: str
) -> list[Json] | None:
    """The entries after `name` wrote what `mine` says, of a change that is nobody else's business; None if it is: then
    somebody loses something, or there are entries of other versions, or too many. O(change) for each entry."""
    made: list[Json] = []
    updaters = 0
    found = False
    for entry in entries:
        if entry.get("apiVersion") != version:
            return None
        fields = entry.get("fieldsV1") or {}
        is_update = entry.get("operation") == UPDATE
        updaters += is_update
        if is_update and entry.get("manager") == name and (entry.get("subresource") or "") == subresource:
            found = True
            if touches(fields, change.removed):
                return None
            if mine:
                if not covers(fields, mine):
                    fields = paths.encode(paths.decode(fields).union(mine))
                entry = {**entry, "time": time, "fieldsV1": fields}
        elif touches(fields, change.added) or touches(fields, change.modified) or touches(fields, change.removed):
            return None
        made.append(entry)
    if mine and not found:
        updaters += 1
        entry = {"manager": name, "operation": UPDATE, "apiVersion": version, "time": time, "fieldsType": "FieldsV1"}
        entry["fieldsV1"] = paths.encode(mine)
        if subresource:
            entry["subresource"] = subresource
        made.append(entry)
    if updaters > UPDATERS:
        return None
    made.sort(key=_order)
    return made


def _order(entry: Json) -> tuple[Any, ...]:
    return (
        entry["operation"],
        entry.get("time") or "",
        entry.get("manager") or "",
        entry["apiVersion"],
        entry.get("subresource") or "",
    )
