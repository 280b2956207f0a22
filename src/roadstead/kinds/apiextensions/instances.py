"""The kinds that a definition brings: one for each version that it serves."""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property
from typing import Any, Final

from roadstead.expr.re2 import compile_pattern
from roadstead.kinds import structural
from roadstead.kinds.apiextensions import embedded
from roadstead.kinds.apiextensions.definition import has_condition
from roadstead.kinds.apiextensions.ratcheting import unchanged
from roadstead.kinds.apiextensions.rules import Rules, rules_of
from roadstead.kinds.apiextensions.scale import SCALE, Scale
from roadstead.kinds.checking import Check, Checker
from roadstead.kinds.custom import CustomStrategy
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.registry import EVERY_VERSION, Kind, Storage, Subresource
from roadstead.kinds.schema import OBJECT_META, Schema

VERBS: Final = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
READ_KEPT: Final = 4096
"""Objects of one version that are remembered as they are shown."""


class DefinedSchema(Schema):
    """The schema of one version of a definition."""

    def __init__(self, resource: Resource, kind: str, declared: Json) -> None:
        """`declared`: openAPIV3Schema."""
        self.declared = declared
        raw = declared
        if not declared.get("x-kubernetes-preserve-unknown-fields"):
            own = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"ref": OBJECT_META}}
            raw = {**declared, "properties": {**(declared.get("properties") or {}), **own}}
        component = ".".join((*reversed(resource.group.split(".")), resource.version, kind))
        super().__init__(resource, kind, raw, component=component, is_custom=True)

    @cached_property
    def _bare(self) -> Json:
        """Without the envelope, which is checked as any object's."""
        properties = self.declared.get("properties") or {}
        kept = {name: inner for name, inner in properties.items() if name not in structural.OF_RESOURCES}
        return {**self.declared, "properties": kept}

    @cached_property
    def _shape(self) -> structural.Shape | None:
        return structural.shaper(self._bare, is_root=True)

    @cached_property
    def _check(self) -> Check:
        properties = {**self._bare["properties"]}
        named = ((self.declared.get("properties") or {}).get("metadata") or {}).get("properties")
        if named:
            properties["metadata"] = {"type": "object", "properties": named}
        return Checker("", _pattern).check({**self._bare, "properties": properties})

    @cached_property
    def _check_status(self) -> Check:
        return Checker("status", _pattern).check((self.declared.get("properties") or {}).get("status") or {})

    @cached_property
    def has_embedded(self) -> bool:
        return embedded.has_embedded(self._bare)

    def check(self, obj: Json, mode: str = "Ignore") -> list[str]:
        if not self.has_embedded:
            return super().check(obj, mode)
        texts = super().check(obj, "Warn" if mode == "Strict" else mode)
        unknown: list[str] = []
        problem = embedded.coerce(obj, self._bare, unknown)
        if problem:
            raise self.error(problem)
        if mode == "Ignore":
            return []
        texts += [f'unknown field "{path}"' for path in unknown]
        if texts and mode == "Strict":
            raise self.error("strict decoding error: " + ", ".join(texts))
        return texts

    def shown(self, obj: Json) -> None:
        """What reading does to a stored object: it is pruned and gets defaults anew, for its schema may have
        changed."""
        if self._shape is not None:
            self._shape(obj, "", [])

    def validate(self, obj: Json, subresource: str = "") -> list[FieldError]:
        found = super().validate(obj, subresource)
        if self.has_embedded:
            found += embedded.validate(obj, self._bare)
        return found

    @cached_property
    def rules(self) -> Rules | None:
        return rules_of(self._bare)


def _pattern(text: str) -> Any:
    return compile_pattern(text).search


class DefinedStrategy(CustomStrategy):
    """Objects of a definition's version."""

    def __init__(self, schema: DefinedSchema, version: Json) -> None:
        subresources = version.get("subresources") or {}
        printed = {
            "subresources": subresources,
            "columns": version.get("additionalPrinterColumns") or [],
            "selectable": [field["jsonPath"] for field in version.get("selectableFields") or ()],
        }
        super().__init__(schema, printed)
        self.defined = schema
        self.counted = Scale.of(subresources["scale"]) if subresources.get("scale") else None
        self.scale = self.counted
        self.deprecated = _deprecation(schema, version)

    def validate(self, obj: Json) -> list[FieldError]:
        found = self.schema.validate(obj)
        if self.counted is not None:
            found += self.counted.errors(obj)
        return self._with_rules(found, obj, None)

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        found = self.schema.validate(new, subresource)
        if found:
            found = unchanged(found, new, old, self.defined.declared)
        if self.counted is not None:
            found += self.counted.errors(new, status_only=subresource == "status")
        return self._with_rules(found, new, old)

    def errors_of_another_kind(self, obj: Json) -> list[FieldError]:
        """The real server reads it as it is, without defaults, and finds out late."""
        found = [invalid("kind", obj.get("kind"), f"must be {self.schema.kind}")]
        if self.defined.has_embedded:
            found += embedded.validate(obj, self.defined.declared)
        return self._with_rules(found, obj, None)

    def _with_rules(self, found: list[FieldError], new: Json, old: Json | None) -> list[FieldError]:
        rules = self.defined.rules
        if rules is None:
            return found
        if structural.blocks_rules(found):
            return [*found, structural.UNCHECKED]
        return found + rules.check(new, old)


def _deprecation(schema: Schema, version: Json) -> str:
    if not version.get("deprecated"):
        return ""
    default = f"{schema.resource.api_version} {schema.kind} is deprecated"
    return str(version.get("deprecationWarning") or default)


class Reader:
    """Stored objects as one version shows them. Remembers the newest, for lists and watchers ask for the same again and
    again."""

    def __init__(self, resource: Resource) -> None:
        self._api_version = resource.api_version
        self._schema: DefinedSchema | None = None
        self._known: OrderedDict[int, tuple[Object, Object]] = OrderedDict()

    def use(self, schema: DefinedSchema) -> None:
        """From now on by this schema: also for whoever watches since before."""
        self._schema = schema
        self._known.clear()

    def read(self, found: Object) -> Object:
        known = self._known.get(id(found))
        if known is not None and known[0] is found:
            return known[1]
        shown = self._read(found)
        self._known[id(found)] = (found, shown)
        if len(self._known) > READ_KEPT:
            self._known.popitem(last=False)
        return shown

    def _read(self, found: Object) -> Object:
        value = found.decode()
        before = found.raw
        value["apiVersion"] = self._api_version
        if self._schema is not None:
            self._schema.shown(value)
        shown = Object.of(found.resource, value)
        return found if shown.raw == before else shown


class Readers:
    """The readers of all versions that were ever served here."""

    def __init__(self) -> None:
        self._readers: dict[Resource, Reader] = {}

    def of(self, schema: DefinedSchema) -> Reader:
        reader = self._readers.setdefault(schema.resource, Reader(schema.resource))
        reader.use(schema)
        return reader


def stored_resource(crd: Json) -> Resource:
    """Under which resource the objects of a definition are kept."""
    return Resource(crd["spec"]["group"], EVERY_VERSION, crd["spec"]["names"]["plural"])


def defined_kinds(crd: Json, readers: Readers) -> list[Kind]:
    """The kinds of an accepted definition. Schemas compile on first use."""
    spec, names = crd["spec"], crd["status"]["acceptedNames"]
    group, stored = spec["group"], stored_resource(crd)
    storage = next(version["name"] for version in spec["versions"] if version.get("storage"))
    is_leaving = has_condition(crd, "Terminating")
    kinds = []
    for version in spec["versions"]:
        if not version.get("served"):
            continue
        resource = Resource(group, version["name"], names["plural"])
        schema = DefinedSchema(resource, names["kind"], (version.get("schema") or {}).get("openAPIV3Schema") or {})
        subresources = version.get("subresources") or {}
        kinds.append(
            Kind(
                resource=resource,
                kind=names["kind"],
                singular=names.get("singular", ""),
                namespaced=spec["scope"] == "Namespaced",
                schema=schema,
                strategy=DefinedStrategy(schema, version),
                short_names=tuple(names.get("shortNames") or ()),
                categories=tuple(names.get("categories") or ()),
                subresources=(
                    *((Subresource("status", ("get", "patch", "update")),) if "status" in subresources else ()),
                    *((SCALE,) if subresources.get("scale") else ()),
                ),
                verbs=VERBS,
                is_leaving=is_leaving,
                is_custom=True,
                storage=Storage(stored, f"{group}/{storage}", readers.of(schema).read),
            )
        )
    return kinds
