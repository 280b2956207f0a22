"""Event (v1): what happened to an object, told by whoever saw it."""

from __future__ import annotations

from typing import Any, Final

from roadstead.expr import syntax
from roadstead.kinds import ages, errors
from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.names import EVENTS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Column, Strategy

_REFERENCE: Final = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_CLUSTER_SCOPED_HOME: Final = ("default", "kube-system")


class EventStrategy(Strategy):
    """Events."""

    create_on_update = True
    field_names = (
        *(f"involvedObject.{name}" for name in _REFERENCE),
        "reason",
        "reportingComponent",
        "source",
        "type",
    )
    columns = (
        Column("Last Seen"),
        Column("Type"),
        Column("Reason"),
        Column("Object"),
        Column("Subobject", priority=1),
        Column("Source", priority=1),
        Column("Message"),
        Column("First Seen", priority=1),
        Column("Count", priority=1),
        Column("Name", priority=1),
    )

    def validate(self, obj: Json) -> list[FieldError]:
        about = obj["involvedObject"].get("namespace", "")
        namespace = obj["metadata"].get("namespace", "")
        if obj.get("eventTime"):
            return _reported(obj, about, namespace)
        home = ("", "default") if not about else (about,)
        return [] if namespace in home else [_elsewhere(about)]

    def fields(self, obj: Json) -> dict[str, str]:
        about = obj["involvedObject"]
        found = {f"involvedObject.{name}": about.get(name, "") for name in _REFERENCE}
        found["reason"] = obj.get("reason", "")
        found["reportingComponent"] = obj.get("reportingComponent", "")
        found["source"] = (obj.get("source") or {}).get("component", "") or obj.get("reportingComponent", "")
        found["type"] = obj.get("type", "")
        return found

    def cells(self, obj: Json, now: float) -> list[Any]:
        about = obj["involvedObject"]
        source = obj.get("source") or {}
        first = ages.age(obj.get("firstTimestamp") or obj.get("eventTime"), now)
        series = obj.get("series") or {}
        last_seen = series.get("lastObservedTime") or obj.get("lastTimestamp")
        last = ages.age(last_seen, now) if last_seen else first
        count = series.get("count") or obj.get("count") or 1
        where = (
            f"{about.get('kind', '').lower()}/{about.get('name', '')}"
            if about.get("name")
            else about.get("kind", "").lower()
        )
        component = source.get("component") or obj.get("reportingComponent", "")
        host = source.get("host") or obj.get("reportingInstance", "")
        return [
            last,
            obj.get("type", ""),
            obj.get("reason", ""),
            where,
            about.get("fieldPath", ""),
            f"{component}, {host}" if host else component,
            obj.get("message", "").strip(),
            first,
            count,
            obj["metadata"]["name"],
        ]


def _elsewhere(namespace: str) -> FieldError:
    return invalid("involvedObject.namespace", namespace, "does not match event.namespace")


def _reported(obj: Json, about: str, namespace: str) -> list[FieldError]:
    """Events of the newer form (with eventTime) say who reports them and what was done."""
    found: list[FieldError] = []
    if not about and namespace not in _CLUSTER_SCOPED_HOME:
        found.append(_elsewhere(about))
    reporter = obj.get("reportingComponent", "")
    if not reporter:
        found.append(errors.required("reportingComponent"))
    found.extend(invalid("reportingComponent", reporter, why) for why in syntax.qualified_name(reporter))
    for name, limit in (("reportingInstance", 128), ("action", 128), ("reason", 128)):
        value = obj.get(name, "")
        if not value:
            found.append(errors.required(name))
        if len(value.encode()) > limit:
            found.append(invalid(name, "", f"can have at most {limit} characters"))
    if len(obj.get("message", "").encode()) > 1024:
        found.append(invalid("message", "", "can have at most 1024 characters"))
    return found


def kind() -> Kind:
    return builtin_kind(EVENTS, "Event", EventStrategy(), short_names=("ev",))
