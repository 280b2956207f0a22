"""String formats that a schema may ask for, as the API server checks them (kube-openapi `strfmt`, apiextensions
`formats.go`).

A name's dashes do not count (`date-time` is `datetime`). Formats that are not here are ignored.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from roadstead.expr import syntax
from roadstead.kinds import times

Format = Callable[[str], bool]


def _matches(pattern: str, flags: re.RegexFlag = re.ASCII) -> Format:
    compiled = re.compile(pattern, flags)
    return lambda text: compiled.fullmatch(text) is not None


def _hostname(text: str) -> bool:
    labels = text.split(".")
    return (
        0 < len(text) <= 255
        and all(_LABEL.fullmatch(label) for label in labels)
        and _TOP.fullmatch(labels[-1]) is not None
    )


_LABEL: Final = re.compile(r"[^\W_](?:[\w-]{0,61}[^\W_])?")
_TOP: Final = re.compile(r"[^\W_](?:-?[^\W_]{0,62})*")


def _email(text: str) -> bool:
    """One address, with a name before it or without (RFC 5322)."""
    named = re.fullmatch(r"[^<>@]*<([^<>]+)>", text.strip())
    return _ADDRESS.fullmatch(named[1] if named is not None else text.strip()) is not None


_ADDRESS: Final = re.compile(r"(?:[\w.!#$%&'*+/=?^`{|}~-]+|\"[^\"]+\")@(?:[\w-]+(?:\.[\w-]+)*|\[[^\]]+\])")


def _ipv4(text: str) -> bool:
    parts = text.split(".")
    return len(parts) == 4 and all(part.isascii() and part.isdigit() and int(part) < 256 for part in parts)


def _ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text


def _cidr(text: str) -> bool:
    address, slash, bits = text.partition("/")
    if not slash or not (bits.isascii() and bits.isdigit()):
        return False
    return (_ipv4(address) and int(bits) <= 32) or (_ipv6(address) and int(bits) <= 128)


def _uri(text: str) -> bool:
    """Go's `url.ParseRequestURI`: absolute, or a path from the root."""
    if not text or any(ord(char) < 0x21 or char == "\x7f" for char in text):
        return False
    try:
        scheme = urlsplit(text).scheme
    except ValueError:
        return False
    return text.startswith("/") or bool(scheme)


def _byte(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return bool(text)


def _isbn10(text: str) -> bool:
    digits = re.sub(r"[\s-]", "", text)
    if not re.fullmatch(r"[0-9]{9}[0-9X]", digits, re.ASCII):
        return False
    return sum((10 - i) * (10 if digit == "X" else int(digit)) for i, digit in enumerate(digits)) % 11 == 0


def _isbn13(text: str) -> bool:
    digits = re.sub(r"[\s-]", "", text)
    if not re.fullmatch(r"[0-9]{13}", digits, re.ASCII):
        return False
    return sum(int(digit) * (3 if i % 2 else 1) for i, digit in enumerate(digits)) % 10 == 0


def _credit_card(text: str) -> bool:
    digits = re.sub(r"[^0-9]", "", text)
    if not _CARD.fullmatch(digits):
        return False
    doubled = [int(digit) * 2 if i % 2 else int(digit) for i, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


_CARD: Final = re.compile(
    r"4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}"
    r"|(?:2131|1800|35\d{3})\d{11}",
    re.ASCII,
)


def _duration(text: str) -> bool:
    """Go's durations (`1h30m`), or Scala's (`22 ns`, `3 weeks`)."""
    if _GO_DURATION.fullmatch(text):
        return True
    parts = re.findall(r"(\d+)\s*([A-Za-zµ]+)", text)
    return bool(parts) and all(unit.rstrip("s") in _UNITS or unit in _UNITS for _, unit in parts)


_GO_DURATION: Final = re.compile(r"[+-]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)", re.ASCII)
_UNITS: Final = frozenset(
    {
        "ns", "nano", "nanosecond", "us", "µs", "micro", "microsecond", "ms", "milli", "millisecond", "s", "sec", "second", "m",
        "min", "minute", "h", "hr", "hour", "d", "day", "w", "wk", "week",
    }
)  # fmt: skip


def _date(text: str) -> bool:
    return re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) is not None and times.is_time(f"{text}T00:00:00Z")


def _uuid(version: str = "", variant: str = "[0-9a-f]") -> Format:
    third = f"{version}[0-9a-f]{{3}}" if version else "[0-9a-f]{4}"
    pattern = rf"[0-9a-f]{{8}}-?[0-9a-f]{{4}}-?{third}-?{variant}[0-9a-f]{{3}}-?[0-9a-f]{{12}}"
    return _matches(pattern, re.ASCII | re.IGNORECASE)


_CHANNEL: Final = r"(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])"

_FORMATS: Final[Mapping[str, Format]] = {
    "bsonobjectid": _matches(r"[0-9a-fA-F]{24}"),
    "uri": _uri,
    "email": _email,
    "hostname": _hostname,
    "ipv4": _ipv4,
    "ipv6": _ipv6,
    "cidr": _cidr,
    "mac": _matches(
        r"(?:[0-9a-fA-F]{2}([:-]))(?:[0-9a-fA-F]{2}\1){4}(?:[0-9a-fA-F]{2})(?:\1[0-9a-fA-F]{2}\1[0-9a-fA-F]{2})?"
    ),
    "uuid": _uuid(),
    "uuid3": _uuid("3"),
    "uuid4": _uuid("4", "[89ab]"),
    "uuid5": _uuid("5", "[89ab]"),
    "isbn": lambda text: _isbn10(text) or _isbn13(text),
    "isbn10": _isbn10,
    "isbn13": _isbn13,
    "creditcard": _credit_card,
    "ssn": _matches(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": _matches(r"#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": _matches(rf"rgb\(\s*{_CHANNEL}\s*,\s*{_CHANNEL}\s*,\s*{_CHANNEL}\s*\)"),
    "byte": _byte,
    "password": lambda text: True,
    "date": _date,
    "duration": _duration,
    "datetime": times.is_time,
    "k8sshortname": lambda text: not syntax.dns_label(text),
    "k8slongname": lambda text: not syntax.dns_subdomain(text),
}

_NUMBERS: Final = {"integer": ("int32", "int64"), "number": ("float", "double")}


def string_format(name: str) -> Format | None:
    """Whether a text is of the format; None for a format that nobody checks."""
    return _FORMATS.get(name.replace("-", ""))


def recognized(schema_type: str, name: str) -> bool:
    """The API server knows this format on a value of this type ("": of any); it warns of definitions with others."""
    if schema_type in _NUMBERS:
        return name in _NUMBERS[schema_type]
    return schema_type in ("", "string") and string_format(name) is not None
