"""ControllerRevision (apps/v1): a template that a controller once had, kept so that it can be gone back to."""

from __future__ import annotations

from typing import Any

from roadstead.kinds import ages, errors
from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.core import checks
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.names import CONTROLLER_REVISIONS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Column, Strategy


class ControllerRevisionStrategy(Strategy):
    """ControllerRevisions: what they hold never changes, its place in the order may."""

    columns = (
        Column("Name", format="name"),
        Column("Controller"),
        Column("Revision"),
        Column("Age"),
    )

    def validate(self, obj: Json) -> list[FieldError]:
        found: list[FieldError] = []
        checks.not_negative(obj.get("revision"), "revision", found)
        data = obj.get("data")
        if data is None:
            found.append(errors.required("data", "data is mandatory"))
        elif not isinstance(data, dict):
            found.append(errors.required("data", "data must be a valid JSON object"))
        return found

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        found: list[FieldError] = []
        checks.not_negative(new.get("revision"), "revision", found)
        if new.get("data") != old.get("data"):
            found.append(invalid("data", new.get("data"), "field is immutable"))
        return found

    def cells(self, obj: Json, now: float) -> list[Any]:
        metadata = obj["metadata"]
        owner = next((owner for owner in metadata.get("ownerReferences") or () if owner.get("controller")), None)
        named = "<none>"
        if owner is not None:
            group = owner["apiVersion"].rpartition("/")[0]
            named = f"{owner['kind']}{'.' if group else ''}{group}".lower() + f"/{owner['name']}"
        return [metadata["name"], named, obj.get("revision", 0), ages.created(obj, now)]


def kind() -> Kind:
    return builtin_kind(CONTROLLER_REVISIONS, "ControllerRevision", ControllerRevisionStrategy())
