"""Small checks of resource.k8s.io, with the real server's sentences (kubernetes `pkg/apis/resource/validation`).

Each appends what it finds to `found`. Lists that are too long yield that one error and no more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from roadstead.expr import syntax
from roadstead.kinds import errors
from roadstead.kinds.errors import FieldError, invalid

MAX_DRIVER: Final = 63
MAX_POOL: Final = 253
MAX_ID: Final = 32
MAX_KEY: Final = MAX_DRIVER + 1 + MAX_ID

Check = Callable[[Any, str, list[FieldError]], None]

_C_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_C_IDENTIFIER_TEXT: Final = (
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' "
    "(e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')"
)
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_NOT_NORMAL: Final = "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters"


def driver_name(value: str, path: str, found: list[FieldError]) -> None:
    """A DNS subdomain, in any case, of at most 63 characters."""
    if not value:
        found.append(errors.required(path))
        return
    if len(value) > MAX_DRIVER:
        found.append(errors.too_long(path, MAX_DRIVER))
    found.extend(invalid(path, value, why) for why in syntax.dns_subdomain(value.lower()))


def pool_name(value: str, path: str, found: list[FieldError]) -> None:
    """DNS subdomains joined by slashes."""
    if not value:
        found.append(errors.required(path))
        return
    if len(value) > MAX_POOL:
        found.append(errors.too_long(path, MAX_POOL))
    for part in value.split("/"):
        found.extend(invalid(path, part, why) for why in syntax.dns_subdomain(part))


def label(value: str, path: str, found: list[FieldError]) -> None:
    """Names of devices, requests, counter sets and counters: DNS labels."""
    found.extend(invalid(path, value, why) for why in syntax.dns_label(value))


def label_key(value: str, path: str, found: list[FieldError]) -> None:
    """Keys of taints and types of conditions."""
    found.extend(invalid(path, value, why) for why in syntax.label_key(value))


def label_value(value: str, path: str, found: list[FieldError]) -> None:
    found.extend(invalid(path, value, why) for why in syntax.label_value(value))


def qualified_name(value: str, path: str, found: list[FieldError]) -> None:
    """`id` or `domain/id`. A second slash passes, as upstream."""
    parts = value.split("/")
    if len(parts) == 1:
        _identifier(parts[0], path, found)
    elif len(parts) == 2:
        if parts[0]:
            driver_name(parts[0], path, found)
        else:
            found.append(invalid(path, "", "the domain must not be empty"))
        if parts[1]:
            _identifier(parts[1], path, found)
        else:
            found.append(invalid(path, "", "the name must not be empty"))


def fully_qualified_name(value: str, path: str, found: list[FieldError]) -> None:
    """`domain/id`."""
    qualified_name(value, path, found)
    if "/" not in value:
        why = "a fully qualified name must be a domain and a name separated by a slash"
        found.append(invalid(path, value, why))


def _identifier(value: str, path: str, found: list[FieldError]) -> None:
    if len(value) > MAX_ID:
        found.append(errors.too_long(path, MAX_ID))
    if not _C_IDENTIFIER.fullmatch(value):
        found.append(invalid(path, value, _C_IDENTIFIER_TEXT))


def uuid(value: str, path: str, found: list[FieldError]) -> None:
    """A lower-case UUID with dashes."""
    if not _UUID.fullmatch(value):
        found.append(invalid(path, value, f"error validating uid: {_uuid_trouble(value)}"))
    elif value != value.lower():
        found.append(invalid(path, value, _NOT_NORMAL))


def _uuid_trouble(value: str) -> str:
    """What Go's uuid package says about a text that is none."""
    bare = value.removeprefix("urn:uuid:").strip("{}")
    if len(value) not in (32, 36, 38, 45):
        return f"invalid UUID length: {len(value)}"
    return "invalid UUID format" if bare else "invalid prefix"


def each(values: Sequence[Any] | None, limit: int, check: Check, path: str, found: list[FieldError]) -> bool:
    """Every element of a list that may hold `limit` (negative: any number). False if there were too many."""
    values = values or ()
    if 0 <= limit < len(values):
        found.append(errors.too_many(path, len(values), limit))
        return False
    for i, value in enumerate(values):
        check(value, f"{path}[{i}]", found)
    return True


def distinct(
    values: Sequence[Any] | None,
    limit: int,
    check: Check,
    key: Callable[[Any], Any],
    path: str,
    found: list[FieldError],
    shown: Callable[[Any], Any] | None = None,
) -> None:
    """`each`, and no two with the same key (which is what is shown of them, unless `shown` says otherwise)."""
    if not each(values, limit, check, path, found):
        return
    seen: set[Any] = set()
    for i, value in enumerate(values or ()):
        name = key(value)
        if name in seen:
            found.append(errors.duplicate(f"{path}[{i}]", name if shown is None else shown(value)))
        seen.add(name)


def mapping(
    values: Mapping[str, Any] | None,
    limit: int,
    longest: int,
    check_key: Check,
    check: Check,
    path: str,
    found: list[FieldError],
) -> None:
    """Keys and values of a map; keys beyond `longest` are shown shortened in paths. In order of keys."""
    values = values or {}
    if 0 <= limit < len(values):
        found.append(errors.too_many(path, len(values), limit))
        return
    for name, value in sorted(values.items()):
        check_key(name, path, found)
        check(value, f"{path}[{shortened(name, longest)}]", found)


def shortened(text: str, longest: int) -> str:
    """The text, its middle cut out if it is longer than that."""
    longest = max(longest, 16)
    if len(text) <= longest:
        return text
    rest = longest - 3
    return f"{text[: (rest + 1) // 2]}...{text[len(text) - rest // 2 :]}"


def the_name(value: Any) -> Any:
    """Key of lists whose elements have names."""
    return value.get("name", "")


def itself(value: Any) -> Any:
    return value


def nothing(value: Any, path: str, found: list[FieldError]) -> None:
    """For values that any parsed quantity may be."""


def immutable(new: Any, old: Any, path: str, found: list[FieldError]) -> None:
    if new != old:
        found.append(invalid(path, new, "field is immutable"))


def conditions(values: Iterable[Mapping[str, Any]] | None, path: str, found: list[FieldError]) -> None:
    """Conditions as apimachinery checks them (`ValidateConditions`)."""
    seen: set[str] = set()
    for i, condition in enumerate(values or ()):
        here = f"{path}[{i}]"
        kind, status = condition.get("type", ""), condition.get("status", "")
        if kind in seen:
            found.append(errors.duplicate(f"{here}.type", kind))
        seen.add(kind)
        label_key(kind, f"{here}.type", found)
        if status not in ("True", "False", "Unknown"):
            found.append(errors.not_supported(f"{here}.status", status, ("False", "True", "Unknown")))
        generation = condition.get("observedGeneration", 0)
        if generation < 0:
            found.append(invalid(f"{here}.observedGeneration", generation, "must be greater than or equal to zero"))
        if not condition.get("lastTransitionTime"):
            found.append(errors.required(f"{here}.lastTransitionTime"))
        _reason(condition.get("reason", ""), f"{here}.reason", found)
        if len(condition.get("message", "").encode()) > 32 * 1024:
            found.append(errors.too_long(f"{here}.message", 32 * 1024))


_REASON: Final = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?", re.ASCII)
_REASON_TEXT: Final = (
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or "
    "'_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or "
    "'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')"
)


def _reason(value: str, path: str, found: list[FieldError]) -> None:
    if not value:
        found.append(errors.required(path))
        return
    if not _REASON.fullmatch(value):
        found.append(invalid(path, value, _REASON_TEXT))
    if len(value) > 1024:
        found.append(errors.too_long(path, 1024))
