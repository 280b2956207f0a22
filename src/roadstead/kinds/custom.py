"""What custom kinds share: schema validation first, the kind's own rules after it, printer columns from the recorded CRD."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

from roadstead.expr import jsonpath
from roadstead.kinds import ages, metadata, structural, times
from roadstead.kinds.errors import INVALID, FieldError
from roadstead.kinds.facts import facts
from roadstead.kinds.object import Json, Resource
from roadstead.kinds.registry import Kind, Subresource
from roadstead.kinds.schema import Schema, recorded
from roadstead.kinds.strategy import Column, Strategy

NAME_DESCRIPTION: Final = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to "
    "request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and "
    "configuration definition. Cannot be updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
"""What the API says of metadata.name, and so of the first column of every custom kind's table."""


class CustomStrategy(Strategy):
    """A kind served as a custom resource would be. Subclasses write `rules` and `update_rules` (CEL and webhook rules)."""

    has_generation = True
    unconditional_update = False
    has_rules = True
    """There are rules beyond the schema: a refusal says so when they were skipped."""

    def __init__(self, schema: Schema, printed: Json) -> None:
        """`printed` is the CRD's static part: `columns`, `selectable`, `subresources`."""
        self.schema = schema
        self.has_status = "status" in printed["subresources"]
        self._columns: list[Json] = printed["columns"] or [
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
        ]
        self.columns = (
            Column("Name", format="name", description=NAME_DESCRIPTION),
            *(
                Column(
                    column["name"],
                    column["type"],
                    column.get("format", ""),
                    column.get("priority", 0),
                    column.get("description")
                    or f"Custom resource definition column (in JSONPath format): {column['jsonPath']}",
                )
                for column in self._columns
            ),
        )
        self._selectable: list[str] = printed["selectable"]
        self.field_names = tuple(path.removeprefix(".") for path in self._selectable)

    @property
    def printed_columns(self) -> list[Json]:
        """The columns beside the name as a CRD declares them."""
        return [dict(column) for column in self._columns]

    # --- writing

    def prepare_create(self, obj: Json) -> None:
        if self.has_status:
            obj.pop("status", None)

    def prepare_update(self, new: Json, old: Json, subresource: str) -> None:
        if subresource == "status":
            status = new.get("status")
            managed = new.get("metadata", {}).get("managedFields")
            kept = {**old, "metadata": dict(old["metadata"])}
            if managed is not None:
                kept["metadata"]["managedFields"] = managed
            if status is None:
                kept.pop("status", None)
            else:
                kept["status"] = status
            new.clear()
            new.update(kept)
        elif self.has_status:
            if "status" in old:
                new["status"] = old["status"]
            else:
                new.pop("status", None)

    def validate(self, obj: Json) -> list[FieldError]:
        found = self.schema.validate(obj)
        return self._unchecked(found) if found else self.rules(obj)

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        found = self.schema.validate(new, subresource)
        return self._unchecked(found) if found else self.rules(new) + self.update_rules(new, old)

    def _unchecked(self, found: list[FieldError]) -> list[FieldError]:
        """Rules read what the schema promises, so they wait until it fits; the server mentions it for some errors."""
        return [*found, structural.UNCHECKED] if self.has_rules and structural.blocks_rules(found) else found

    def rules(self, obj: Json) -> list[FieldError]:
        """Rules of one object that its schema cannot say."""
        return []

    def update_rules(self, new: Json, old: Json) -> list[FieldError]:
        """What may not change, and when."""
        return []

    def warnings(self, obj: Json) -> list[str]:
        return metadata.warnings(obj, is_custom=True)

    # --- reading

    @cached_property
    def _paths(self) -> list[jsonpath.Path]:
        return [jsonpath.parse(column["jsonPath"]) for column in self._columns]

    def fields(self, obj: Json) -> dict[str, str]:
        found: dict[str, str] = {}
        for path, name in zip(self._selectable, self.field_names, strict=True):
            value = jsonpath.parse(path).first(obj)
            found[name] = "" if value is None else jsonpath.text(value)
        return found

    def cells(self, obj: Json, now: float) -> list[Any]:
        row: list[Any] = [obj["metadata"]["name"]]
        for column, path in zip(self._columns, self._paths, strict=True):
            row.append(_cell(column["type"], path.first(obj), now))
        return row


def _cell(kind: str, value: Any, now: float) -> Any:
    """A printer column's cell: null where the value is missing or of another type."""
    if value is None:
        return None
    match kind:
        case "date":
            return _date(value, now) if isinstance(value, str) else None
        case "integer":
            return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
        case "number":
            return value if isinstance(value, int | float) and not isinstance(value, bool) else None
        case "boolean":
            return value if isinstance(value, bool) else None
        case _:
            return jsonpath.text(value)


def _date(text: str, now: float) -> str:
    """How long ago a time was: a column may point at any text."""
    if text:
        try:
            times.parse_time(text)
        except ValueError:
            return "<invalid>"
    return ages.age(text, now)


def rule_error(path: str, message: str) -> FieldError:
    """A broken rule of a custom kind as the server words it: the message, no value."""
    return FieldError(INVALID, path, f"Invalid value: {message}")


def custom_kind(resource: Resource, kind: str, strategy: type[CustomStrategy]) -> Kind:
    """A recorded CRD as a served kind."""
    printed = facts().custom[f"{resource.group}/{resource.version}/{kind}"]
    schema = recorded(resource, kind, is_custom=True)
    names = printed["names"]
    return Kind(
        resource=resource,
        kind=kind,
        singular=names["singular"],
        namespaced=printed["scope"] == "Namespaced",
        schema=schema,
        strategy=strategy(schema, printed),
        short_names=tuple(names.get("shortNames", ())),
        categories=tuple(names.get("categories", ())),
        subresources=(Subresource("status"),) if "status" in printed["subresources"] else (),
        is_custom=True,
    )
