"""What a definition's schema may say (apiextensions-apiserver `schema.ValidateStructural` and
`ValidateCustomResourceDefinitionOpenAPISchema`): structural at its core, value validations around it, rules in CEL that compile.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from roadstead.expr.re2 import compile_pattern
from roadstead.kinds import structural
from roadstead.kinds.apiextensions import embedded
from roadstead.kinds.apiextensions.field_paths import BadPath, resolved
from roadstead.kinds.apiextensions.rules import compile_rules, rules_of
from roadstead.kinds.apiextensions.structural_checks import structural_errors
from roadstead.kinds.checking import Checker
from roadstead.kinds.errors import FieldError, forbidden, invalid, not_supported, required
from roadstead.kinds.object import Json

TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")
_META: Final = structural.OF_RESOURCES
_REASONS: Final = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_AT_ROOT: Final = (
    "Description", "Type", "Format", "Title", "Maximum", "ExclusiveMaximum", "Minimum", "ExclusiveMinimum", "MaxLength", "MinLength",
    "Pattern", "MaxItems", "MinItems", "UniqueItems", "MultipleOf", "Required", "Items", "Properties", "ExternalDocs", "Example",
    "XPreserveUnknownFields", "XValidations",
)  # fmt: skip
_GO_NAMES: Final = {
    "x-kubernetes-preserve-unknown-fields": "XPreserveUnknownFields",
    "x-kubernetes-validations": "XValidations",
}


def schema_errors(schema: Json, path: str, *, has_status: bool) -> list[FieldError]:
    """Everything that is wrong with the schema of one version. O(schema), and the rules are compiled."""
    found = _root_errors(schema, path, has_status=has_status)
    problems = sorted(structural_errors(schema, "root", path), key=lambda error: f"{error.field}: {error.body}")
    if not problems:
        problems = list(_defaults(schema, path, is_root=True))
    found.extend(problems)
    schema_problems, rule_problems = _open_api(schema, path, _Place(checks_rules=not problems), is_root=True)
    return [*found, *schema_problems, *rule_problems]


def _root_errors(schema: Json, path: str, *, has_status: bool) -> list[FieldError]:
    found: list[FieldError] = []
    if has_status:
        for name in schema:
            go_name = _GO_NAMES.get(name, name[:1].upper() + name[1:])
            if name == "type":
                if schema["type"] != "object":
                    why = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
                    found.append(invalid(f"{path}.type", schema["type"], why))
                    break
            elif go_name not in _AT_ROOT:
                why = f"only [{' '.join(_AT_ROOT)}] fields are allowed at the root of the schema if the status subresource is enabled"
                found.append(invalid(path, schema, why))
                break
    if schema.get("nullable"):
        found.append(forbidden(f"{path}.nullable", "nullable cannot be true at the root"))
    return found


# --- defaults


def _defaults(schema: Json, path: str, *, is_root: bool = False, in_meta: bool = False) -> Iterable[FieldError]:
    """A default must be what an object may hold there: pruned, and valid."""
    if schema.get("default") is not None and not in_meta:
        yield from _default(schema, schema["default"], f"{path}.default")
    if isinstance(schema.get("items"), dict):
        yield from _defaults(schema["items"], f"{path}.items", in_meta=in_meta)
    is_object = is_root or bool(schema.get("x-kubernetes-embedded-resource"))
    for name, inner in (schema.get("properties") or {}).items():
        inside = (in_meta and not is_object) or (is_object and name in _META)
        yield from _defaults(inner, f"{path}.properties[{name}]", in_meta=inside)


def _default(schema: Json, value: Any, path: str) -> list[FieldError]:
    pruned, unknown = copy.deepcopy(value), list[str]()
    bare = _without_defaults(schema)
    shape = structural.shaper(bare)
    if shape is not None:
        shape(pruned, "", unknown)
    if unknown:
        return [invalid(path, value, "must not have unknown fields")]
    found: list[FieldError] = []
    if embedded.has_embedded(schema):
        why = embedded.coerce(copy.deepcopy(value), schema, [])
        if why:
            return [invalid(path, value, why)]
        found += embedded.validate(value, schema, path)
    if not found:
        # sentences name the value itself "" here; errors stand at the default
        Checker(path, lambda text: compile_pattern(text).search).check(schema)(value, path, found)
    rules = rules_of(schema, is_root=bool(schema.get("x-kubernetes-embedded-resource"))) if not found else None
    if rules is not None:
        found += [replace(error, field=_beneath(path, error.field)) for error in rules.check(value, value)]
    return found


def _beneath(path: str, field: str) -> str:
    return path if field == "<nil>" else f"{path}{field}" if field.startswith("[") else f"{path}.{field}"


def _without_defaults(schema: Json) -> Json:
    """The schema as pruning reads it."""
    kept = {name: inner for name, inner in schema.items() if name != "default"}
    if kept.get("properties"):
        kept["properties"] = {name: _without_defaults(inner) for name, inner in kept["properties"].items()}
    for name in ("items", "additionalProperties"):
        if isinstance(kept.get(name), dict):
            kept[name] = _without_defaults(kept[name])
    return kept


# --- what OpenAPI allows and Kubernetes does not, extensions, rules


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the schema we are."""

    checks_rules: bool = True
    no_defaults: str | None = None
    """Why defaults are forbidden here; None: they are not."""
    in_meta: bool = False
    uncorrelated: str = ""
    """The first node above that makes old and new values incomparable."""


_UNSUPPORTED: Final = (
    ("id", "id is not supported"),
    ("additionalItems", "additionalItems is not supported"),
    ("patternProperties", "patternProperties is not supported"),
    ("definitions", "definitions is not supported"),
    ("dependencies", "dependencies is not supported"),
    ("$ref", "$ref is not supported"),
)


def _open_api(
    schema: Json, path: str, place: _Place, *, is_root: bool = False
) -> tuple[list[FieldError], list[FieldError]]:
    """(problems of the schema, problems of its rules)."""
    found, broken = _standard(schema, path, place), list[FieldError]()

    def descend(inner: Json, where: str, at: _Place) -> None:
        below, rules = _open_api(inner, where, at)
        found.extend(below)
        broken.extend(rules)

    if schema.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        found.append(forbidden(f"{path}.uniqueItems", why))
    properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
    if additional is not None:
        if properties and additional is not True:
            why = "additionalProperties and properties are mutual exclusive"
            found.append(forbidden(f"{path}.additionalProperties", why))
        if isinstance(additional, dict):
            inside = place
            if place.in_meta:
                inside = replace(place, no_defaults="inside additionalProperties applying to object metadata")
            descend(additional, f"{path}.additionalProperties", inside)
    map_type = schema.get("x-kubernetes-map-type")
    for name, inner in properties.items():
        inside = place
        if map_type not in (None, "granular", "atomic") and not inside.uncorrelated:
            inside = replace(inside, uncorrelated=path)
        if (is_root or schema.get("x-kubernetes-embedded-resource")) and name in _META:
            inside = replace(
                inside, in_meta=True, no_defaults=f"in top-level {name}" if is_root else inside.no_defaults
            )
        descend(inner, f"{path}.properties[{name}]", inside)
    junctor = replace(place, checks_rules=False)
    if isinstance(schema.get("not"), dict):
        descend(schema["not"], f"{path}.not", junctor)
    for name in ("allOf", "oneOf", "anyOf"):
        for i, inner in enumerate(schema.get(name) or ()):
            descend(inner, f"{path}.{name}[{i}]", junctor)
    items = schema.get("items")
    if isinstance(items, dict):
        inside = place
        if schema.get("x-kubernetes-list-type") != "map" and not inside.uncorrelated:
            inside = replace(inside, uncorrelated=path)
        descend(items, f"{path}.items", inside)
    found += _extensions(schema, path)
    found += _rule_forms(schema, path)
    if place.checks_rules and not found and schema.get("x-kubernetes-validations"):
        broken += _rules(schema, path, place, is_root=is_root)
    return found, broken


def _standard(schema: Json, path: str, place: _Place) -> list[FieldError]:
    found: list[FieldError] = []
    kind = schema.get("type")
    if kind and kind not in TYPES:
        found.append(not_supported(f"{path}.type", kind, TYPES))
    if schema.get("default") is not None and place.no_defaults is not None:
        found.append(forbidden(f"{path}.default", f"must not be set {place.no_defaults}".rstrip()))
    found += [forbidden(f"{path}.{name}", why) for name, why in _UNSUPPORTED if schema.get(name)]
    if kind == "null":
        why = "type cannot be set to null, use nullable as an alternative"
        found.append(forbidden(f"{path}.type", why))
    if isinstance(schema.get("items"), list):
        found.append(forbidden(f"{path}.items", "items must be a schema object and not an array"))
    if place.in_meta and schema.get("x-kubernetes-embedded-resource"):
        found.append(forbidden(f"{path}.x-kubernetes-embedded-resource", "must not be used inside of resource meta"))
    return found


def _extensions(schema: Json, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    kind = schema.get("type") or ""
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        found.append(invalid(f"{path}.x-kubernetes-preserve-unknown-fields", False, "must be true or undefined"))
    map_type = schema.get("x-kubernetes-map-type")
    if map_type is not None:
        if kind != "object":
            why = "must be object if x-kubernetes-map-type is specified"
            found.append(invalid(f"{path}.type", kind, why) if kind else required(f"{path}.type", why))
        if map_type not in ("atomic", "granular"):
            where = f"{path}.x-kubernetes-map-type"
            found.append(not_supported(where, map_type, ("atomic", "granular"), keep_order=True))
    list_type, items = schema.get("x-kubernetes-list-type"), schema.get("items")
    item = items if isinstance(items, dict) else None
    if list_type is not None and kind != "array":
        why = "must be array if x-kubernetes-list-type is specified"
        found.append(invalid(f"{path}.type", kind, why) if kind else required(f"{path}.type", why))
    elif list_type == "set" and item is not None:
        why = "must be atomic as item of a list with x-kubernetes-list-type=set"
        inner = item.get("x-kubernetes-list-type")
        if item.get("type") == "array" and inner not in (None, "atomic"):
            found.append(invalid(f"{path}.items.x-kubernetes-list-type", inner, why))
        elif item.get("type") == "object" and item.get("x-kubernetes-map-type") != "atomic":
            found.append(invalid(f"{path}.items.x-kubernetes-map-type", inner, why))
    if list_type is not None and list_type not in ("atomic", "set", "map"):
        where = f"{path}.x-kubernetes-list-type"
        found.append(not_supported(where, list_type, ("atomic", "set", "map"), keep_order=True))
    keys = schema.get("x-kubernetes-list-map-keys") or []
    if keys and list_type != "map":
        why, where = "must be map if x-kubernetes-list-map-keys is non-empty", f"{path}.x-kubernetes-list-type"
        found.append(required(where, why) if list_type is None else invalid(where, list_type, why))
    if list_type == "map":
        found += _map_list(keys, items, path)
    if item is not None and list_type in ("set", "map"):
        found += _keyed_items(keys if list_type == "map" else (), item, list_type, path)
    return found


def _map_list(keys: list[str], items: Any, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    where = f"{path}.x-kubernetes-list-map-keys"
    if not keys:
        found.append(required(where, "must not be empty if x-kubernetes-list-type is map"))
    if items is None:
        found.append(required(f"{path}.items", "must have a schema if x-kubernetes-list-type is map"))
        return found
    if not isinstance(items, dict):
        why = "must only have a single schema if x-kubernetes-list-type is map"
        found.append(invalid(f"{path}.items", items, why))
        return found
    kind = items.get("type") or ""
    if kind != "object":
        why = "must be object if parent array's x-kubernetes-list-type is map"
        found.append(invalid(f"{path}.items.type", kind, why))
        return found
    seen: set[str] = set()
    for key in keys:
        inner = (items.get("properties") or {}).get(key)
        if inner is None:
            found.append(invalid(where, keys, "entries must all be names of item properties"))
        elif inner.get("type") in ("array", "object"):
            why = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            found.append(invalid(f"{path}.items.properties[{key}].type", kind, why))
        if key in seen:
            found.append(invalid(where, keys, "must not contain duplicate entries"))
        seen.add(key)
    return found


def _keyed_items(keys: Iterable[str], item: Json, list_type: str, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    if item.get("nullable"):
        why = f"cannot be nullable when x-kubernetes-list-type is {list_type}"
        found.append(forbidden(f"{path}.items.nullable", why))
    needed = item.get("required") or ()
    for key in keys:
        inner = (item.get("properties") or {}).get(key)
        if inner is None:
            continue
        where, which = f"{path}.items.properties[{key}]", "this property is in x-kubernetes-list-map-keys, so it"
        if key not in needed and inner.get("default") is None:
            found.append(required(f"{where}.default", f"{which} must have a default or be a required property"))
        if inner.get("nullable"):
            found.append(forbidden(f"{where}.nullable", f"{which} cannot be nullable"))
    return found


def _rule_forms(schema: Json, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    for i, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        where = f"{path}.x-kubernetes-validations[{i}]"
        text, message, expression = rule.get("rule", ""), rule.get("message", ""), rule.get("messageExpression", "")
        if not text.strip():
            found.append(required(f"{where}.rule", "rule is not specified"))
        elif message and not message.strip():
            found.append(invalid(f"{where}.message", message, "must be non-empty if specified"))
        elif _has_newline(message.strip()):
            found.append(invalid(f"{where}.message", message, "must not contain line breaks"))
        elif _has_newline(text.strip()) and not message.strip():
            found.append(required(f"{where}.message", "message must be specified if rule contains line breaks"))
        if expression and not expression.strip():
            found.append(required(f"{where}.messageExpression", "messageExpression must be non-empty if specified"))
        if rule.get("reason") is not None and rule["reason"] not in _REASONS:
            found.append(not_supported(f"{where}.reason", rule["reason"], _REASONS, keep_order=True))
        field = rule.get("fieldPath", "")
        if field and not field.strip():
            found.append(invalid(f"{where}.fieldPath", field, "must be non-empty if specified"))
        if _has_newline(field):
            found.append(invalid(f"{where}.fieldPath", field, "must not contain line breaks"))
        if field:
            try:
                resolved(field, schema)
            except BadPath:
                found.append(invalid(f"{where}.fieldPath", field, "must be a valid path"))
    return found


def _has_newline(text: str) -> bool:
    return "\n" in text or "\r" in text


def _rules(schema: Json, path: str, place: _Place, *, is_root: bool) -> list[FieldError]:
    found: list[FieldError] = []
    written = schema["x-kubernetes-validations"]
    is_object = is_root or bool(schema.get("x-kubernetes-embedded-resource"))
    for i, rule in enumerate(compile_rules(schema, is_root=is_object)):
        where = f"{path}.x-kubernetes-validations[{i}]"
        if rule.problem:
            found.append(invalid(f"{where}.rule", written[i], rule.problem))
        if rule.message_problem:
            found.append(invalid(f"{where}.messageExpression", written[i], rule.message_problem))
        if rule.uses_old:
            if place.uncorrelated:
                why = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {place.uncorrelated}"
                found.append(invalid(f"{where}.rule", rule.text, why))
        elif written[i].get("optionalOldSelf") is not None:
            why = "may not be set if oldSelf is not used in rule"
            found.append(invalid(f"{where}.optionalOldSelf", written[i]["optionalOldSelf"], why))
    return found
