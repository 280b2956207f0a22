"""OpenAPI v3 (kubernetes-api section 3): what kubectl reads before `create -f`, `apply` and `explain`.

One document per group version, made on first use and kept as bytes: paths with the operations that clients look at, and
every schema that they lead to, with list types and merge keys. Descriptions of built-in kinds are not ours to copy and
are left out.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import orjson

from roadstead.apiserver.patches import accepted_types
from roadstead.apiserver.version import GIT_VERSION
from roadstead.kinds.facts import facts
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind, Registry, Subresource

PREFIX: Final = "/openapi/v3"
META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1"
_SUBRESOURCE_ACTIONS: Final = {"get": "get", "update": "put", "patch": "patch", "create": "post"}


class OpenApi:
    """The index and the documents of all group versions served."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._made_of = -1
        self._kinds: dict[str, list[Kind]] = {}
        self._made: dict[str, tuple[bytes, str]] = {}
        self._index: tuple[bytes, str] | None = None

    def _renew(self) -> None:
        """Forget the documents of group versions whose kinds have changed."""
        if self._made_of == self._registry.version:
            return
        self._made_of = self._registry.version
        kinds: dict[str, list[Kind]] = {}
        for kind in self._registry:
            group, version = kind.resource.group, kind.resource.version
            kinds.setdefault(f"apis/{group}/{version}" if group else f"api/{version}", []).append(kind)
        self._made = {name: made for name, made in self._made.items() if kinds.get(name) == self._kinds.get(name)}
        self._kinds = kinds
        self._index = None

    def paths(self) -> list[str]:
        """Paths of the index and of all documents."""
        self._renew()
        return [PREFIX, *(f"{PREFIX}/{name}" for name in self._kinds)]

    def knows(self, path: str) -> bool:
        """There is an index or a document at `path`."""
        self._renew()
        return path == PREFIX or path.removeprefix(f"{PREFIX}/") in self._kinds

    def index(self) -> tuple[bytes, str]:
        """The index and its digest. Makes all documents the first time (some ten milliseconds), and later those that
        have changed."""
        self._renew()
        if self._index is None:
            paths = {}
            for name in self._kinds:
                _, digest = self.document(f"{PREFIX}/{name}")
                paths[name] = {"serverRelativeURL": f"{PREFIX}/{name}?hash={digest}"}
            self._index = _digested({"paths": paths})
        return self._index

    def document(self, path: str) -> tuple[bytes, str]:
        """The document at `path` and its digest. Raises KeyError for a path that `knows` denies."""
        self._renew()
        name = path.removeprefix(f"{PREFIX}/")
        found = self._made.get(name)
        if found is None:
            found = self._made[name] = _digested(_document(self._kinds[name], name))
        return found


def _digested(value: Json) -> tuple[bytes, str]:
    body = orjson.dumps(value)
    return body, hashlib.sha256(body).hexdigest().upper()


def _document(kinds: list[Kind], name: str) -> Json:
    paths: Json = {}
    for kind in kinds:
        paths.update(_paths(kind, f"/{name}"))
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": GIT_VERSION},
        "paths": paths,
        "components": {"schemas": _components(kinds)},
    }


# --- schemas


def _components(kinds: list[Kind]) -> Json:
    """Every schema that the kinds lead to."""
    known = facts().schemas
    components: Json = {}
    wanted: list[str] = [f"{META}.ListMeta", f"{META}.ObjectMeta"]
    for kind in kinds:
        components[kind.schema.component] = _kind_schema(kind)
        components[list_component(kind)] = _list_schema(kind)
        wanted.extend(_subresource_component(sub) for sub in kind.subresources if sub.kind)
    for component in list(components.values()):
        wanted.extend(_references(component))
    while wanted:
        name = wanted.pop()
        if name in components or name not in known:
            continue
        components[name] = _public(known[name])
        wanted.extend(_references(components[name]))
    return dict(sorted(components.items()))


def list_component(kind: Kind) -> str:
    """The component name of the kind's list."""
    return f"{kind.schema.component}List"


def _subresource_component(sub: Subresource) -> str:
    version = sub.version or "v1"
    return facts().kinds.get(f"{sub.group}/{version}/{sub.kind}" if sub.group else f"{version}/{sub.kind}", "")


def _kind_schema(kind: Kind) -> Json:
    schema: Json = _public(kind.schema.raw)
    properties = dict(schema.get("properties", {}))
    properties["metadata"] = {"allOf": [{"$ref": f"#/components/schemas/{META}.ObjectMeta"}], "default": {}}
    return {**schema, "properties": properties, "x-kubernetes-group-version-kind": [_gvk(kind)]}


def _list_schema(kind: Kind) -> Json:
    item = {"allOf": [{"$ref": f"#/components/schemas/{kind.schema.component}"}], "default": {}}
    return {
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "items": {"type": "array", "items": item},
            "metadata": {"allOf": [{"$ref": f"#/components/schemas/{META}.ListMeta"}], "default": {}},
        },
        "x-kubernetes-group-version-kind": [{**_gvk(kind), "kind": kind.list_kind}],
    }


def _public(schema: Any) -> Any:
    """A schema as clients read it: `ref` becomes `$ref`, wrapped in allOf where something stands beside it."""
    if isinstance(schema, list):
        return [_public(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("ref")
    if isinstance(reference, str):
        pointer = {"$ref": f"#/components/schemas/{reference}"}
        beside = {key: _public(value) for key, value in schema.items() if key != "ref"}
        return {"allOf": [pointer], **beside} if beside else pointer
    return {key: value if key in _DATA else _public(value) for key, value in schema.items()}


_DATA: Final = frozenset({"default", "enum", "example"})
"""What a schema says of values: no schema itself."""


def _references(schema: Any) -> list[str]:
    found: list[str] = []
    if isinstance(schema, list):
        for item in schema:
            found.extend(_references(item))
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref" and isinstance(value, str):
                found.append(value.rpartition("/")[2])
            else:
                found.extend(_references(value))
    return found


# --- paths


def _paths(kind: Kind, prefix: str) -> Json:
    scope = "/namespaces/{namespace}" if kind.namespaced else ""
    collection = f"{prefix}{scope}/{kind.resource.plural}"
    item = f"{collection}/{{name}}"
    paths: Json = {collection: _collection_operations(kind), item: _item_operations(kind)}
    if kind.namespaced:
        everywhere = _operation(kind, "list", list_component(kind), ())
        paths[f"{prefix}/{kind.resource.plural}"] = {"get": everywhere}
    for sub in kind.subresources:
        component = (_subresource_component(sub) if sub.kind else "") or kind.schema.component
        paths[f"{item}/{sub.name}"] = {
            _SUBRESOURCE_ACTIONS[verb]: _operation(
                kind, _action(verb), component, ("name", *_scope(kind)), body=_body(kind, verb, component)
            )
            for verb in sub.verbs
        }
    return paths


def _collection_operations(kind: Kind) -> Json:
    component, scope = kind.schema.component, _scope(kind)
    operations = {
        "get": ("list", _operation(kind, "list", list_component(kind), scope)),
        "post": ("create", _operation(kind, "post", component, scope, body=_body(kind, "create", component))),
        "delete": ("deletecollection", _operation(kind, "deletecollection", "", scope)),
    }
    return {method: operation for method, (verb, operation) in operations.items() if verb in kind.verbs}


def _item_operations(kind: Kind) -> Json:
    component, scope = kind.schema.component, ("name", *_scope(kind))
    operations = {
        "get": ("get", _operation(kind, "get", component, scope)),
        "put": ("update", _operation(kind, "put", component, scope, body=_body(kind, "update", component))),
        "patch": ("patch", _operation(kind, "patch", component, scope, body=_body(kind, "patch", component))),
        "delete": ("delete", _operation(kind, "delete", "", scope)),
    }
    return {method: operation for method, (verb, operation) in operations.items() if verb in kind.verbs}


def _operation(
    kind: Kind, action: str, component: str, path_parameters: tuple[str, ...], body: Json | None = None
) -> Json:
    """`component` "" stands for an answer that depends (a delete: a Status, or what is left)."""
    schema = {"$ref": f"#/components/schemas/{component}"} if component else {"type": "object"}
    response = {"application/json": {"schema": schema}}
    operation: Json = {
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in path_parameters),
            *_query_parameters(action),
        ],
        "responses": {"200": {"description": "OK", "content": response}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _gvk(kind),
    }
    if body is not None:
        operation["requestBody"] = body
    return operation


def _query_parameters(action: str) -> list[Json]:
    text, flag, number = {"type": "string"}, {"type": "boolean"}, {"type": "integer"}
    names: dict[str, Json] = {}
    if action in ("post", "put", "patch"):
        names = {"dryRun": text, "fieldManager": text, "fieldValidation": text}
        if action == "patch":
            names["force"] = flag
    elif action in ("list", "deletecollection"):
        names = {
            "labelSelector": text,
            "fieldSelector": text,
            "limit": number,
            "continue": text,
            "resourceVersion": text,
            "resourceVersionMatch": text,
            "timeoutSeconds": number,
        }
        if action == "list":
            names |= {"watch": flag, "allowWatchBookmarks": flag, "sendInitialEvents": flag}
    if action in ("delete", "deletecollection"):
        names |= {"dryRun": text, "gracePeriodSeconds": number, "propagationPolicy": text}
    return [{"name": name, "in": "query", "schema": schema} for name, schema in names.items()]


def _body(kind: Kind, verb: str, component: str) -> Json | None:
    if verb == "patch":
        patch = {"schema": {"type": "object"}}
        return {"content": dict.fromkeys(accepted_types(kind), patch), "required": True}
    if verb in ("create", "update"):
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{component}"}}}
        return {"content": content, "required": True}
    return None


def _action(verb: str) -> str:
    return {"create": "post", "update": "put"}.get(verb, verb)


def _scope(kind: Kind) -> tuple[str, ...]:
    return ("namespace",) if kind.namespaced else ()


def _gvk(kind: Kind) -> Json:
    return {"group": kind.resource.group, "version": kind.resource.version, "kind": kind.kind}


def empty_body(kind: Kind) -> Json:
    """The fields beside metadata that Go writes for an empty object of this built-in kind: its struct-typed ones, and
    null for required lists. Bookmarks carry them."""
    if kind.is_custom:
        return {}
    return {name: value for name, value in _zero(kind.schema.raw).items() if name != "metadata"}


def _zero(schema: Json) -> Json:
    known = facts().schemas
    value: Json = {}
    for name, inner in schema.get("properties", {}).items():
        if inner.get("default") == {} and "ref" in inner:
            value[name] = _zero(known.get(inner["ref"], {}))
        elif name in schema.get("required", ()) and inner.get("type") in ("array", "object"):
            value[name] = None
    return value
