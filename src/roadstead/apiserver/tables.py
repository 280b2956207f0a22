"""Tables (kubernetes-api section 15): what `kubectl get` prints. Columns and cells are the kind's own, from its strategy."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from roadstead.apiserver import encode
from roadstead.cluster.embedded.requests import Page
from roadstead.kinds.errors import bad_request
from roadstead.kinds.object import Json, Object
from roadstead.kinds.registry import Kind

INCLUDE = ("None", "Metadata", "Object")


def include_object(query_value: str | None) -> str:
    """What each row carries of its object. Raises StatusError 400."""
    value = query_value or "Metadata"
    if value not in INCLUDE:
        raise bad_request(f'unrecognized includeObject value: "{value}"')
    return value


def table(
    kind: Kind,
    items: Sequence[Object],
    metadata: bytes,
    version: str,
    include: str,
    now: float,
    *,
    columns: bool = True,
) -> bytes:
    """A Table of these objects. `columns` False leaves the definitions out (later events of a watch). O(items), each decoded."""
    rows = b",".join([_row(kind, item, version, include, now) for item in items])
    return b'{"kind":"Table","apiVersion":"meta.k8s.io/%s","metadata":%s,"columnDefinitions":%s,"rows":[%s]}' % (
        version.encode(),
        metadata,
        _columns(kind) if columns else b"null",
        rows,
    )


def of_page(kind: Kind, page: Page, version: str, include: str, now: float) -> bytes:
    return table(kind, page.items, encode.list_metadata(page), version, include, now)


def of_object(kind: Kind, found: Object, version: str, include: str, now: float, *, columns: bool = True) -> bytes:
    metadata = orjson.dumps({"resourceVersion": found.meta.resource_version})
    return table(kind, (found,), metadata, version, include, now, columns=columns)


def _columns(kind: Kind) -> bytes:
    definitions = [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": column.description or f"{column.name} of the {kind.singular}.",
            "priority": column.priority,
        }
        for column in kind.strategy.columns
    ]
    return orjson.dumps(definitions)


def _row(kind: Kind, item: Object, version: str, include: str, now: float) -> bytes:
    value = item.decode()
    row: Json = {"cells": kind.strategy.cells(value, now)}
    conditions = kind.strategy.row_conditions(value)
    if conditions:
        row["conditions"] = conditions
    encoded = orjson.dumps(row)
    if include == "None":
        return encoded[:-1] + b',"object":null}'
    shown = item.raw if include == "Object" else encode.partial(item, version)
    return encoded[:-1] + b',"object":' + shown + b"}"
