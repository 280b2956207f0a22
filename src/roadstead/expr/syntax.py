"""Names as the API spells them: label keys and values, DNS names, qualified names; with the real server's sentences.

Each function answers with the list of what is wrong, empty if nothing (apimachinery `util/validation`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_LABEL_1123: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = _LABEL_1123 + "(\\." + _LABEL_1123 + ")*"
_LABEL_1035: Final = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE: Final = "(" + _QUALIFIED + ")?"
_PORT_NAME: Final = re.compile(r"[-a-z0-9]+", re.ASCII)
_CONFIG_KEY: Final = "[-._a-zA-Z0-9]+"

_label_1123 = re.compile(_LABEL_1123, re.ASCII)
_subdomain = re.compile(_SUBDOMAIN, re.ASCII)
_label_1035 = re.compile(_LABEL_1035, re.ASCII)
_qualified = re.compile(_QUALIFIED, re.ASCII)
_label_value = re.compile(_LABEL_VALUE, re.ASCII)
_relaxed_env = re.compile(r"[ -<>-~]+", re.ASCII)  # every printable ASCII character except "="
_config_key = re.compile(_CONFIG_KEY, re.ASCII)


def too_long(limit: int, unit: str = "bytes") -> str:
    return f"must be no more than {limit} {unit}"


def _regex(what: str, pattern: str, *examples: str) -> str:
    quoted = ""
    for i, example in enumerate(examples):
        quoted += f"'{example}', " if i == 0 else f" or '{example}', "
    return f"{what} (e.g. {quoted}regex used for validation is '{pattern}')"


_LABEL_TEXT: Final = _regex(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an "
    "alphanumeric character",
    _LABEL_1123,
    "my-name",
    "123-abc",
)
_SUBDOMAIN_TEXT: Final = _regex(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end "
    "with an alphanumeric character",
    _SUBDOMAIN,
    "example.com",
)
_SUBDOMAIN_HINT: Final = "must not contain dots"
_LABEL_1035_TEXT: Final = _regex(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and "
    "end with an alphanumeric character",
    _LABEL_1035,
    "my-name",
    "abc-123",
)
_QUALIFIED_TEXT: Final = _regex(
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    _QUALIFIED,
    "MyName",
    "my.name",
    "123-abc",
)
_LABEL_VALUE_TEXT: Final = _regex(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character",
    _LABEL_VALUE,
    "MyValue",
    "my_value",
    "12345",
)
_CONFIG_KEY_TEXT: Final = _regex(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    _CONFIG_KEY,
    "key.name",
    "KEY_NAME",
    "key-name",
)


@lru_cache(maxsize=16384)
def dns_label(value: str) -> tuple[str, ...]:
    """RFC 1123 label: at most 63."""
    problems = [] if len(value) <= 63 else [too_long(63, "characters")]
    if not _label_1123.fullmatch(value):
        problems.append(_SUBDOMAIN_HINT if _subdomain.fullmatch(value) else _LABEL_TEXT)
    return tuple(problems)


@lru_cache(maxsize=16384)
def dns_subdomain(value: str) -> tuple[str, ...]:
    """RFC 1123 subdomain: at most 253."""
    problems = [] if len(value) <= 253 else [too_long(253, "characters")]
    if not _subdomain.fullmatch(value):
        problems.append(_SUBDOMAIN_TEXT)
    return tuple(problems)


@lru_cache(maxsize=4096)
def dns_1035_label(value: str) -> tuple[str, ...]:
    """RFC 1035 label: at most 63, begins with a letter."""
    problems = [] if len(value) <= 63 else [too_long(63, "characters")]
    if not _label_1035.fullmatch(value):
        problems.append(_LABEL_1035_TEXT)
    return tuple(problems)


@lru_cache(maxsize=16384)
def qualified_name(value: str) -> tuple[str, ...]:
    """`[prefix/]name`: label keys, annotation keys, finalizers, resource names."""
    parts = value.split("/")
    if len(parts) > 2:
        return (
            "a qualified name "
            + _regex(
                "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
                "character",
                _QUALIFIED,
                "MyName",
                "my.name",
                "123-abc",
            )
            + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
        )
    problems: list[str] = []
    name = parts[-1]
    if len(parts) == 2:
        if not parts[0]:
            problems.append("prefix part must be non-empty")
        else:
            problems += [f"prefix part {problem}" for problem in dns_subdomain(parts[0])]
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append(f"name part {too_long(63)}")
    if not _qualified.fullmatch(name):
        problems.append(f"name part {_QUALIFIED_TEXT}")
    return tuple(problems)


label_key = qualified_name


@lru_cache(maxsize=16384)
def label_value(value: str) -> tuple[str, ...]:
    """A label's value: empty, or at most 63 of the label alphabet."""
    problems = [] if len(value) <= 63 else [too_long(63)]
    if not _label_value.fullmatch(value):
        problems.append(_LABEL_VALUE_TEXT)
    return tuple(problems)


@lru_cache(maxsize=4096)
def env_name(value: str) -> tuple[str, ...]:
    """An environment variable's name: any printable ASCII except "=" (relaxed rule, KEP-4369)."""
    if not value:
        return ("environment variable name must be non-empty",)
    if not _relaxed_env.fullmatch(value):
        return ("a valid environment variable name must consist only of printable ASCII characters other than '='",)
    return ()


@lru_cache(maxsize=4096)
def config_key(value: str) -> tuple[str, ...]:
    """A key of a ConfigMap's or Secret's data."""
    problems = [] if len(value) <= 253 else [too_long(253)]
    if not _config_key.fullmatch(value):
        problems.append(_CONFIG_KEY_TEXT)
    elif value == ".":
        problems.append("must not be '.'")
    elif value == "..":
        problems.append("must not be '..'")
    elif value.startswith(".."):
        problems.append("must not start with '..'")
    return tuple(problems)


@lru_cache(maxsize=1024)
def port_name(value: str) -> tuple[str, ...]:
    """A container port's name (IANA service name): at most 15, has a letter, no doubled or outer hyphens."""
    problems: list[str] = []
    if len(value) > 15:
        problems.append(too_long(15))
    if not _PORT_NAME.fullmatch(value):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        problems.append("must contain at least one letter (a-z)")
    if "--" in value:
        problems.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        problems.append("must not begin or end with a hyphen")
    return tuple(problems)
