"""A kind's schema, compiled from the recorded facts: types, required, defaults, enums, list types, merge keys.

Built-in kinds go through `decoding` (what Go's typed round trip does; a value of the wrong type is a 400), custom kinds
through `structural` (pruning, defaults; a value of the wrong type is a 422 of `validate`). Metadata is typed in both.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

from roadstead.kinds import checking, decoding, structural
from roadstead.kinds.errors import FieldError, StatusError
from roadstead.kinds.facts import facts
from roadstead.kinds.leaves import Fault, Shape
from roadstead.kinds.object import Json, Resource

OBJECT_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


class DecodeError(StatusError):
    """400: the object cannot be decoded as its kind. `why` is the bare reason, for patches, which word it otherwise."""

    def __init__(self, version: str, kind: str, why: str) -> None:
        super().__init__(400, "BadRequest", f'{kind} in version "{version}" cannot be handled as a {kind}: {why}')
        self.why = why


class Schema:
    """One kind's schema. Compiled on first use, shared by all requests."""

    def __init__(self, resource: Resource, kind: str, raw: Json, *, component: str, is_custom: bool) -> None:
        """`raw` is the recorded schema (references as `ref`); `component` its name in OpenAPI."""
        self.resource = resource
        self.kind = kind
        self.raw = raw
        self.component = component
        self.is_custom = is_custom

    @cached_property
    def _typed(self) -> Shape:
        return decoding.struct_shape(self.component)

    @cached_property
    def _metadata(self) -> Shape:
        return decoding.struct_shape(OBJECT_META)

    @cached_property
    def _shape(self) -> structural.Shape | None:
        properties = {name: inner for name, inner in self.raw["properties"].items() if name != "metadata"}
        return structural.shaper({**self.raw, "properties": {**properties, "metadata": _UNTOUCHED}})

    @cached_property
    def _check(self) -> checking.Check:
        properties = {name: inner for name, inner in self.raw["properties"].items() if name != "metadata"}
        return checking.checker({**self.raw, "properties": properties})

    @cached_property
    def _check_status(self) -> checking.Check:
        return checking.checker(self.raw["properties"].get("status", {}), "status")

    def check(self, obj: Json, mode: str = "Ignore") -> list[str]:
        """Bring a decoded object into the form that is stored, in place, and list the fields that nobody knows.

        Unknown fields and nulls are dropped; built-in kinds get canonical quantities, times and bytes, custom kinds the
        defaults of their schema. Answers with texts such as `unknown field "spec.foo"` in document order, empty in mode
        Ignore; mode Strict raises them as one DecodeError. A value that cannot be decoded is a DecodeError in every mode.
        """
        unknown: list[str] = []
        if not self.is_custom:
            try:
                self._typed(obj, "", unknown)
            except Fault as fault:
                raise self.error(decoding.describe(self.component, fault)) from None
        else:
            metadata = obj.get("metadata")
            try:
                if metadata is not None:
                    self._metadata(metadata, "metadata", unknown)
            except Fault as fault:
                below = Fault(
                    fault.path.removeprefix("metadata").removeprefix("."),
                    why=fault.why,
                    struct=fault.struct,
                    go_type=fault.go_type,
                    value=fault.value,
                )
                raise self.error(decoding.describe(OBJECT_META, below)) from None
            if self._shape is not None:
                pruned: list[str] = []
                self._shape(obj, "", pruned)
                unknown += sorted(pruned)
        if mode == "Ignore" or not unknown:
            return []
        texts = [f'unknown field "{path}"' for path in unknown]
        if mode == "Strict":
            raise self.error("strict decoding error: " + ", ".join(texts))
        return texts

    def error(self, why: str) -> DecodeError:
        """The 400 that says why an object cannot be decoded as this kind."""
        return DecodeError(self.resource.version, self.kind, why)

    def validate(self, obj: Json, subresource: str = "") -> list[FieldError]:
        """Field errors of a custom kind's object against its schema; always empty for built-in kinds (they decode or not).

        On /status only the status is looked at, as the real server does.
        """
        found: list[FieldError] = []
        if self.is_custom:
            if subresource == "status":
                if "status" in obj:
                    self._check_status(obj["status"], "status", found)
            else:
                self._check(obj, "", found)
        return found

    # --- for patches: how the lists and maps below a node merge

    def property(self, node: Json, name: str) -> Json | None:
        """The schema of one property of an object or map node, references resolved; None if it is unknown."""
        properties = node.get("properties")
        if properties is not None:
            inner = properties.get(name)
        else:
            inner = node.get("additionalProperties")
        if not isinstance(inner, dict):
            return None
        reference = inner.get("ref")
        if reference is None:
            return inner
        # patch strategies sit beside the reference
        beside = {key: value for key, value in inner.items() if key.startswith("x-kubernetes-patch")}
        return {**facts().schemas[reference], **beside}

    def items(self, node: Json) -> Json:
        """The schema of a list node's elements, references resolved."""
        return facts().resolve(node.get("items", {}))


_UNTOUCHED: Final[Json] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def recorded(resource: Resource, kind: str, *, is_custom: bool = False) -> Schema:
    """The schema of a kind in the packaged facts."""
    component = facts().kinds[f"{resource.api_version}/{kind}"]
    return Schema(resource, kind, facts().schemas[component], component=component, is_custom=is_custom)
