"""What a CustomResourceDefinition may say (apiextensions-apiserver `apis/apiextensions/validation/validation.go`).

Errors stand where the API server puts them: what is the same in all versions is spoken of as `spec.validation`,
`spec.subresources` and so on, as in its internal form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from roadstead.expr import syntax
from roadstead.kinds.apiextensions.field_paths import BadPath, resolved
from roadstead.kinds.apiextensions.schema_checks import schema_errors
from roadstead.kinds.errors import FieldError, duplicate, forbidden, invalid, not_supported, required, too_many
from roadstead.kinds.object import Json

MOST_SELECTABLE: Final = 8
_COLUMN_TYPES: Final = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS: Final = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_SHARED: Final = (
    ("schema", "validation"),
    ("subresources", "subresources"),
    ("additionalPrinterColumns", "additionalPrinterColumns"),
    ("selectableFields", "selectableFields"),
)
APPROVAL: Final = "api-approved.kubernetes.io"
_APPROVAL_PAGE: Final = "https://github.com/kubernetes/enhancements/pull/1111"


def definition_errors(crd: Json) -> list[FieldError]:
    """Everything that is wrong with a definition whose defaults are filled in."""
    spec: Json = crd["spec"]
    found: list[FieldError] = []
    names: Json = spec.get("names") or {}
    name = crd["metadata"].get("name", "")
    if name != f"{names.get('plural', '')}.{spec.get('group', '')}":
        found.append(invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group'))
    found += _spec(spec)
    found += _names((crd.get("status") or {}).get("acceptedNames") or {}, "status.acceptedNames")
    found += stored_version_errors(crd)
    found += _approval(crd)
    if spec.get("preserveUnknownFields"):
        why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        found.append(invalid("spec.preserveUnknownFields", True, why))
    return found


def change_errors(new: Json, old: Json, *, is_established: bool) -> list[FieldError]:
    """What may not change, after everything else."""
    found: list[FieldError] = []

    def fixed(path: str, now: Any, before: Any) -> None:
        if now != before:
            found.append(invalid(path, now, "field is immutable"))

    spec, was = new["spec"], old["spec"]
    if is_established:
        fixed("spec.scope", spec.get("scope"), was.get("scope"))
        fixed("spec.names.kind", spec["names"].get("kind"), was["names"].get("kind"))
    fixed("spec.group", spec.get("group"), was.get("group"))
    fixed("spec.names.plural", spec["names"].get("plural"), was["names"].get("plural"))
    return found


def _shared(versions: Sequence[Json], name: str) -> bool:
    """All versions say the same under this name, and something."""
    return bool(versions) and all(
        bool(version.get(name)) and version[name] == versions[0][name] for version in versions
    )


def _spec(spec: Json) -> list[FieldError]:
    found: list[FieldError] = []
    group = spec.get("group", "")
    problems = syntax.dns_subdomain(group)
    if not group:
        found.append(required("spec.group"))
    elif problems:
        found.append(invalid("spec.group", group, ",".join(problems)))
    elif "." not in group:
        found.append(invalid("spec.group", group, "should be a domain with at least one dot"))
    found += _choice("spec.scope", spec.get("scope", ""), ("Cluster", "Namespaced"))
    versions: list[Json] = spec.get("versions") or []
    for i, version in enumerate(versions):
        if not _schema(version):
            found.append(required(f"spec.versions[{i}].schema.openAPIV3Schema"))
    shared = {name for name, _ in _SHARED if _shared(versions, name)}
    seen: set[str] = set()
    for i, version in enumerate(versions):
        path = f"spec.versions[{i}]"
        problems = syntax.dns_1035_label(version.get("name", ""))
        if problems:
            found.append(invalid(f"{path}.name", version.get("name", ""), ",".join(problems)))
        found += _version(version, path, shared)
        seen.add(version.get("name", ""))
    if len(seen) < len(versions):
        found.append(invalid("spec.versions", versions, "must contain unique version names"))
    if sum(bool(version.get("storage")) for version in versions) != 1:
        why = "must have exactly one version marked as storage version"
        found.append(invalid("spec.versions", versions, why))
    names: Json = spec.get("names") or {}
    for name in ("plural", "singular", "kind", "listKind"):
        if not names.get(name):
            found.append(required(f"spec.names.{name}"))
    found += _names(names, "spec.names")
    first: Json = versions[0] if versions else {}
    if "schema" in shared:
        has_status = any("status" in (version.get("subresources") or {}) for version in versions)
        found += schema_errors(_schema(first) or {}, "spec.validation.openAPIV3Schema", has_status=has_status)
    if "subresources" in shared:
        found += _subresources(first, "spec.subresources")
    if "additionalPrinterColumns" in shared:
        found += _columns(first, "spec.additionalPrinterColumns")
    if "selectableFields" in shared:
        found += _selectable(first, "spec.selectableFields")
    return found + _conversion(spec.get("conversion") or {}, versions)


def _schema(version: Json) -> Json | None:
    schema: Json | None = (version.get("schema") or {}).get("openAPIV3Schema")
    return schema


def _version(version: Json, path: str, shared: set[str]) -> list[FieldError]:
    found: list[FieldError] = []
    warning = version.get("deprecationWarning")
    if warning is not None:
        found += [invalid(f"{path}.deprecationWarning", warning, why) for why in _warning(version, warning)]
    schema = _schema(version)
    if "schema" not in shared and schema is not None:
        has_status = "status" in (version.get("subresources") or {})
        found += schema_errors(schema, f"{path}.schema.openAPIV3Schema", has_status=has_status)
    if "subresources" not in shared:
        found += _subresources(version, f"{path}.subresources")
    if "additionalPrinterColumns" not in shared:
        found += _columns(version, f"{path}.additionalPrinterColumns")
    if "selectableFields" not in shared and version.get("selectableFields"):
        found += _selectable(version, f"{path}.selectableFields")
    return found


def _warning(version: Json, text: str) -> list[str]:
    if not version.get("deprecated"):
        return ["can only be set for deprecated versions"]
    found = []
    if len(text.encode()) > 256:
        found.append("must be <= 256 characters long")
    if not text:
        found.append("must not be an empty string")
    at = next((i for i, char in enumerate(text) if not char.isprintable()), None)
    if at is not None:
        words = "must only contain printable UTF-8 characters; non-printable character found at index"
        found.append(f"{words} {len(text[:at].encode())}")
    return found


def _choice(path: str, value: str, choices: Sequence[str]) -> list[FieldError]:
    if not value:
        return [required(path)]
    return [] if value in choices else [not_supported(path, value, choices, keep_order=True)]


def _names(names: Json, path: str) -> list[FieldError]:
    found: list[FieldError] = []

    def label(where: str, value: str, *, any_case: bool = False) -> None:
        problems = syntax.dns_1035_label(value.lower() if any_case else value)
        if value and problems:
            before = "may have mixed case, but should otherwise match: " if any_case else ""
            found.append(invalid(where, value, before + ",".join(problems)))

    label(f"{path}.plural", names.get("plural", ""))
    label(f"{path}.singular", names.get("singular", ""))
    label(f"{path}.kind", names.get("kind", ""), any_case=True)
    label(f"{path}.listKind", names.get("listKind", ""), any_case=True)
    for i, name in enumerate(names.get("shortNames") or ()):
        label(f"{path}.shortNames[{i}]", name)
    if names.get("kind") and names["kind"] == names.get("listKind"):
        found.append(invalid(f"{path}.listKind", names["listKind"], "kind and listKind may not be the same"))
    for i, name in enumerate(names.get("categories") or ()):
        label(f"{path}.categories[{i}]", name)
    return found


def _json_path(path: str, text: str) -> list[FieldError]:
    if not text.startswith("."):
        return [invalid(path, text, "must be a simple json path starting with .")]
    return []


def _columns(version: Json, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    for i, column in enumerate(version.get("additionalPrinterColumns") or ()):
        where = f"{path}[{i}]"
        if not column.get("name"):
            found.append(required(f"{where}.name"))
        kinds = f"must be one of {','.join(_COLUMN_TYPES)}"
        if not column.get("type"):
            found.append(required(f"{where}.type", kinds))
        elif column["type"] not in _COLUMN_TYPES:
            found.append(invalid(f"{where}.type", column["type"], kinds))
        if column.get("format") and column["format"] not in _COLUMN_FORMATS:
            why = f"must be one of {','.join(_COLUMN_FORMATS)}"
            found.append(invalid(f"{where}.format", column["format"], why))
        if not column.get("jsonPath"):
            found.append(required(f"{where}.JSONPath"))
        else:
            found += _json_path(f"{where}.JSONPath", column["jsonPath"])
    return found


def _subresources(version: Json, path: str) -> list[FieldError]:
    scale = (version.get("subresources") or {}).get("scale")
    if scale is None:
        return []
    found: list[FieldError] = []
    for name, start in (("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")):
        where, text = f"{path}.scale.{name}", scale.get(name, "")
        if not text:
            found.append(required(where))
            continue
        problems = _json_path(where, text)
        if not problems and not text.startswith(start):
            problems = [invalid(where, text, f"should be a json path under {start[:-1]}")]
        found += problems
    text = scale.get("labelSelectorPath") or ""
    if text:
        where = f"{path}.scale.labelSelectorPath"
        problems = _json_path(where, text)
        if not problems and not text.startswith((".spec.", ".status.")):
            problems = [invalid(where, text, "should be a json path under either .spec or .status")]
        found += problems
    return found


def _selectable(version: Json, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for i, field in enumerate(version["selectableFields"]):
        where, text = f"{path}[{i}].jsonPath", field.get("jsonPath", "")
        if not text:
            found.append(required(where))
            continue
        try:
            shown, schema = resolved(text, _schema(version) or {}, brackets=False)
        except BadPath as error:
            found.append(invalid(where, text, f"is an invalid path: {error}"))
            continue
        if shown.partition(".")[0] == "metadata":
            found.append(invalid(where, text, "must not point to fields in metadata"))
        if schema.get("type") not in ("string", "boolean", "integer"):
            why = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."
            found.append(invalid(where, text, why))
        if shown in seen:
            found.append(duplicate(where, text))
        seen.add(shown)
    if len(seen) > MOST_SELECTABLE:
        found.append(too_many(path, len(seen), MOST_SELECTABLE))
    return found


def _conversion(conversion: Json, versions: Sequence[Json]) -> list[FieldError]:
    strategy, webhook = conversion.get("strategy", ""), conversion.get("webhook")
    found = _choice("spec.conversion.strategy", strategy, ("None", "Webhook"))
    client = (webhook or {}).get("clientConfig")
    reviewed = (webhook or {}).get("conversionReviewVersions") or []
    if strategy != "Webhook":
        why = "should not be set when strategy is not set to Webhook"
        if client is not None:
            found.append(forbidden("spec.conversion.webhookClientConfig", why))
        if reviewed:
            found.append(forbidden("spec.conversion.conversionReviewVersions", why))
        return found
    where = "spec.conversion.webhookClientConfig"
    if client is None:
        found.append(required(where, "required when strategy is set to Webhook"))
    elif (client.get("url") is None) == (client.get("service") is None):
        found.append(required(where, "exactly one of url or service is required"))
    if not reviewed:
        found.append(required("spec.conversion.conversionReviewVersions"))
    elif not {"v1", "v1beta1"} & set(reviewed):
        why = "must include at least one of v1, v1beta1"
        found.append(invalid("spec.conversion.conversionReviewVersions", reviewed, why))
    if len(versions) > 1 and not found:
        why = (
            f"this server does not call conversion webhooks, and the definition has {len(versions)} versions; serve one version, or "
            "set the strategy to None if all have the same fields"
        )
        found.append(invalid("spec.conversion.strategy", strategy, why))
    return found


def stored_version_errors(crd: Json) -> list[FieldError]:
    """Versions that objects may still be stored in must stay in the definition."""
    stored: list[str] = (crd.get("status") or {}).get("storedVersions") or []
    path = "status.storedVersions"
    if not stored:
        return [invalid(path, None, "must have at least one stored version")]
    found: list[FieldError] = []
    left = {name: i for i, name in enumerate(stored)}
    for version in crd["spec"].get("versions") or ():
        name = version.get("name", "")
        if version.get("storage") and name not in left:
            found.append(invalid(path, stored, f"must have the storage version {name}"))
        left.pop(name, None)
    for name, i in left.items():
        why = (
            f"missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage "
            f"migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
        )
        found.append(invalid(f"{path}[{i}]", name, why))
    return found


def is_protected(group: str) -> bool:
    """A group of the Kubernetes community: its definitions say where they were approved."""
    return any(group == domain or group.endswith(f".{domain}") for domain in ("k8s.io", "kubernetes.io"))


def approval(crd: Json) -> tuple[str, str]:
    """(Approved | Bypassed | Missing | Invalid, the sentence) of a protected group's definition."""
    given = (crd["metadata"].get("annotations") or {}).get(APPROVAL, "")
    if not given:
        return "Missing", f'protected groups must have approval annotation "{APPROVAL}", see {_APPROVAL_PAGE}'
    if given.startswith("unapproved"):
        return "Bypassed", f'not approved: "{given}"'
    scheme, slashes, rest = given.partition("://")
    if scheme and slashes and rest.partition("/")[0]:
        return "Approved", f"approved in {given}"
    why = f'protected groups must have approval annotation "{APPROVAL}" with either a URL or a reason starting with "unapproved", see '
    return "Invalid", why + _APPROVAL_PAGE


def _approval(crd: Json) -> list[FieldError]:
    if not is_protected(crd["spec"].get("group", "")):
        return []
    state, why = approval(crd)
    path = f"metadata.annotations[{APPROVAL}]"
    if state == "Missing":
        return [required(path, why)]
    given = (crd["metadata"].get("annotations") or {}).get(APPROVAL, "")
    return [invalid(path, given, why)] if state == "Invalid" else []
