"""Kubernetes' own types: quantities, versions, addresses, URLs, and named formats (apiserver `pkg/cel/library`)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from roadstead.expr import quantity as quantities
from roadstead.expr import syntax
from roadstead.expr.cel.declarations import Library
from roadstead.expr.cel.errors import EvaluationError
from roadstead.expr.cel.values import INT_MAX, INT_MIN, NONE, Cidr, Format, Optional, Semver, Url
from roadstead.expr.quantity import Quantity

_NANO: Final = 10**9

# --- quantities


def quantity(text: str) -> Quantity:
    if text in ("+", "-"):
        return Quantity(0)  # a sign alone is zero to Kubernetes' parser
    try:
        return quantities.parse(text)
    except quantities.QuantityError as err:
        raise EvaluationError(str(err)) from None


def _is(parse: Callable[..., Any]) -> Callable[..., bool]:
    def check(*args: Any) -> bool:
        try:
            parse(*args)
        except EvaluationError:
            return False
        return True

    return check


def as_integer(value: Quantity) -> int:
    if value.nano % _NANO or not INT_MIN <= value.nano // _NANO <= INT_MAX:
        raise EvaluationError("cannot convert value to integer")
    return value.nano // _NANO


def _nano(value: Quantity | int) -> int:
    return value.nano if isinstance(value, Quantity) else value * _NANO


def _order(left: Any, right: Any) -> int:
    return int(left > right) - int(left < right)


QUANTITY: Final = Library(
    """
quantity: (string) -> Quantity
isQuantity: (string) -> bool
isInteger: Quantity.() -> bool
asInteger: Quantity.() -> int
asApproximateFloat: Quantity.() -> double
sign: (Quantity) -> int
add: Quantity.(Quantity) -> Quantity; Quantity.(int) -> Quantity
sub: Quantity.(Quantity) -> Quantity; Quantity.(int) -> Quantity
isGreaterThan: Quantity.(Quantity) -> bool
isLessThan: Quantity.(Quantity) -> bool
compareTo: Quantity.(Quantity) -> int
""",
    {
        "quantity": quantity,
        "isQuantity": _is(quantity),
        "isInteger": _is(as_integer),
        "asInteger": as_integer,
        "asApproximateFloat": lambda value: value.nano / _NANO,
        "sign": lambda value: _order(value.nano, 0),
        "add": lambda value, other: replace(value, nano=value.nano + _nano(other)),
        "sub": lambda value, other: replace(value, nano=value.nano - _nano(other)),
        "isGreaterThan": lambda left, right: left.nano > right.nano,
        "isLessThan": lambda left, right: left.nano < right.nano,
        "compareTo": lambda left, right: _order(left.nano, right.nano),
    },
)

# --- versions

_NUMBER: Final = r"(0|[1-9][0-9]*)"
_SEMVER: Final = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}"
    r"(?:-((?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?",
    re.ASCII,
)


def semver(text: str, normalize: bool = False) -> Semver:
    """A version by semver 2.0.0; normalized: without a leading `v` or leading zeros, missing parts are 0."""
    match = _SEMVER.fullmatch(_normal(text) if normalize else text)
    if match is None:
        if text.count(".") < 2:
            raise EvaluationError("No Major.Minor.Patch elements found")
        raise EvaluationError(f"Invalid character(s) found in version {text!r}")
    major, minor, patch, pre, build = match.groups()
    found = Semver(int(major), int(minor), int(patch), tuple(pre.split(".")) if pre else (), build or "")
    if max(found.major, found.minor, found.patch) > 2**64 - 1:
        raise EvaluationError("value out of range")
    return found


def _normal(text: str) -> str:
    text = text.removeprefix("v")
    end = min((at for at in (text.find("-"), text.find("+")) if at >= 0), default=len(text))
    parts = text[:end].split(".")
    parts = [part.lstrip("0") or "0" if part.isdigit() else part for part in parts]
    parts += ["0"] * (3 - len(parts))
    return ".".join(parts) + text[end:]


SEMVER: Final = Library(
    """
semver: (string) -> Semver; (string, bool) -> Semver
isSemver: (string) -> bool; (string, bool) -> bool
isGreaterThan: Semver.(Semver) -> bool
isLessThan: Semver.(Semver) -> bool
compareTo: Semver.(Semver) -> int
major: Semver.() -> int
minor: Semver.() -> int
patch: Semver.() -> int
""",
    {
        "semver": semver,
        "isSemver": _is(semver),
        "isGreaterThan": lambda left, right: left.key() > right.key(),
        "isLessThan": lambda left, right: left.key() < right.key(),
        "compareTo": lambda left, right: _order(left.key(), right.key()),
        "major": lambda value: value.major,
        "minor": lambda value: value.minor,
        "patch": lambda value: value.patch,
    },
)

# --- addresses

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def ip(text: str) -> Address:
    """An address: no zone, no IPv4 in IPv6, no leading zeros."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise EvaluationError(f"IP Address {text!r} parse error during conversion from string") from None
    if isinstance(found, ipaddress.IPv6Address) and (found.ipv4_mapped is not None or found.scope_id):
        raise EvaluationError(f"IP Address {text!r}: IPv4-mapped IPv6 addresses and zones are not allowed")
    return found


def cidr(text: str) -> Cidr:
    address, slash, bits = text.partition("/")
    if not slash or not bits.isascii() or not bits.isdigit() or (len(bits) > 1 and bits[0] == "0"):
        raise EvaluationError(f"network address parse error during conversion from string: {text!r}")
    found = ip(address)
    if int(bits) > found.max_prefixlen:
        raise EvaluationError(f"network address parse error during conversion from string: {text!r}")
    return Cidr(found, int(bits))


def _within(outer: Cidr, address: Address) -> bool:
    return address.version == outer.address.version and address in outer.network


def _contains_cidr(outer: Cidr, other: Cidr | str) -> bool:
    other = cidr(other) if isinstance(other, str) else other
    return other.bits >= outer.bits and _within(outer, other.network.network_address)


def _network_text(value: Address | Cidr) -> str:
    return f"{value.address}/{value.bits}" if isinstance(value, Cidr) else str(value)


def _is_canonical(text: str) -> bool:
    return str(ip(text)) == text


IP: Final = Library(
    """
ip: (string) -> IP; CIDR.() -> IP
isIP: (string) -> bool
ip.isCanonical: (string) -> bool
family: IP.() -> int
isUnspecified: IP.() -> bool
isLoopback: IP.() -> bool
isLinkLocalMulticast: IP.() -> bool
isLinkLocalUnicast: IP.() -> bool
isGlobalUnicast: IP.() -> bool
string: (IP) -> string; (CIDR) -> string
cidr: (string) -> CIDR
isCIDR: (string) -> bool
containsIP: CIDR.(IP) -> bool; CIDR.(string) -> bool
containsCIDR: CIDR.(CIDR) -> bool; CIDR.(string) -> bool
masked: CIDR.() -> CIDR
prefixLength: CIDR.() -> int
""",
    {
        "ip": lambda value: value.address if isinstance(value, Cidr) else ip(value),
        "isIP": _is(ip),
        "ip.isCanonical": _is_canonical,
        "family": lambda value: value.version,
        "isUnspecified": lambda value: value.is_unspecified,
        "isLoopback": lambda value: value.is_loopback,
        "isLinkLocalMulticast": lambda value: value.is_multicast and _link_local_group(value),
        "isLinkLocalUnicast": lambda value: value.is_link_local,
        "isGlobalUnicast": lambda value: not (
            value.is_unspecified or value.is_loopback or value.is_multicast or value.is_link_local
            or str(value) == "255.255.255.255"
        ),
        "string": _network_text,
        "cidr": cidr,
        "isCIDR": _is(cidr),
        "containsIP": lambda outer, value: _within(outer, ip(value) if isinstance(value, str) else value),
        "containsCIDR": _contains_cidr,
        "masked": lambda value: Cidr(value.network.network_address, value.bits),
        "prefixLength": lambda value: value.bits,
    },
)  # fmt: skip


def _link_local_group(value: Address) -> bool:
    if value.version == 4:
        return value in ipaddress.ip_network("224.0.0.0/24")
    return int(value) >> 112 & 0xF == 2


# --- URLs


def url(text: str) -> Url:
    """An absolute URL or an absolute path (Go's url.ParseRequestURI)."""
    problem = _url_problem(text)
    if problem:
        shown = text.replace("\\", "\\\\").replace('"', '\\"')
        raise EvaluationError(f'URL parse error during conversion from string: parse "{shown}": {problem}')
    parts = urlsplit(text)
    query = tuple((key, tuple(values)) for key, values in parse_qs(parts.query, keep_blank_values=True).items())
    return Url(parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, text)


def _url_problem(text: str) -> str:
    """Why Go's url.ParseRequestURI does not take a text, in its words; "" if it does."""
    if any(ord(char) < 0x20 or ord(char) == 0x7F for char in text):
        return "net/url: invalid control character in URL"
    if not text:
        return "empty url"
    escape = re.search(r"%(?![0-9A-Fa-f]{2}).{0,2}", text)
    if escape is not None:
        return f'invalid URL escape "{escape[0]}"'
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text, re.ASCII)
    if text.startswith(":"):
        return "missing protocol scheme"
    rest = text[scheme.end() :] if scheme is not None else text
    if not rest.startswith("/"):
        return "" if scheme is not None and rest else "invalid URI for request"
    authority = re.match(r"//([^/?#]*)", rest) if scheme is not None else None
    host = authority[1].rpartition("@")[2] if authority is not None else ""
    if " " in host:
        return 'invalid character " " in host name'
    port = re.search(r":[^:\]]*$", host)
    if port is not None and not (port[0][1:] == "" or port[0][1:].isdigit()):
        return f'invalid port "{port[0]}" after host'
    try:
        urlsplit(text).port  # noqa: B018  # reading it checks it
    except ValueError as error:
        return str(error)
    return ""


def _hostname(value: Url) -> str:
    host = value.host
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _port(value: Url) -> str:
    rest = value.host.partition("]")[2] if value.host.startswith("[") else value.host
    return rest.partition(":")[2]


URL: Final = Library(
    """
url: (string) -> URL
isURL: (string) -> bool
getScheme: URL.() -> string
getHost: URL.() -> string
getHostname: URL.() -> string
getPort: URL.() -> string
getEscapedPath: URL.() -> string
getQuery: URL.() -> map(string, list(string))
""",
    {
        "url": url,
        "isURL": _is(url),
        "getScheme": lambda value: value.scheme,
        "getHost": lambda value: value.host,
        "getHostname": _hostname,
        "getPort": _port,
        "getEscapedPath": lambda value: value.path,
        "getQuery": lambda value: {key: list(values) for key, values in value.query},
    },
)

# --- named formats


def _pattern(text: str, sentence: str) -> Callable[[str], Sequence[str]]:
    compiled = re.compile(text, re.ASCII)
    return lambda value: () if compiled.fullmatch(value) else (sentence,)


def _prefix(check: Callable[[str], Sequence[str]]) -> Callable[[str], Sequence[str]]:
    return lambda value: check(value[:-1] + "a" if value.endswith("-") else value)


def _calendar(parse: Callable[[str], Any], sentence: str) -> Callable[[str], Sequence[str]]:
    def check(value: str) -> Sequence[str]:
        try:
            parse(value)
        except ValueError:
            return (sentence,)
        return ()

    return check


_BASE64: Final = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
_UUID: Final = r"(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"


def _uri(value: str) -> Sequence[str]:
    try:
        url(value)
    except EvaluationError as err:
        return (str(err),)
    return ()


_CHECKS: Final[dict[str, Callable[[str], Sequence[str]]]] = {
    "dns1123Label": syntax.dns_label,
    "dns1123Subdomain": syntax.dns_subdomain,
    "dns1035Label": syntax.dns_1035_label,
    "qualifiedName": syntax.qualified_name,
    "dns1123LabelPrefix": _prefix(syntax.dns_label),
    "dns1123SubdomainPrefix": _prefix(syntax.dns_subdomain),
    "dns1035LabelPrefix": _prefix(syntax.dns_1035_label),
    "labelValue": syntax.label_value,
    "uri": _uri,
    "uuid": _pattern(_UUID, "does not match the UUID format"),
    "byte": _pattern(_BASE64, "invalid base64"),
    "date": _calendar(date.fromisoformat, "invalid date"),
    "datetime": _calendar(datetime.fromisoformat, "invalid datetime"),
}
FORMATS: Final = {name: Format(name, check) for name, check in _CHECKS.items()}


def _validate(form: Format, text: str) -> Optional:
    problems = list(form.check(text))
    return Optional(True, problems) if problems else NONE


NAMED_FORMATS: Final = Library(
    "\n".join(
        (
            "format.named: (string) -> optional(Format)",
            "validate: Format.(string) -> optional(list(string))",
            *(f"format.{name}: () -> Format" for name in FORMATS),
        )
    ),
    {
        "format.named": lambda name: Optional(True, FORMATS[name]) if name in FORMATS else NONE,
        "validate": _validate,
        **{f"format.{name}": (lambda form=form: form) for name, form in FORMATS.items()},
    },
)
