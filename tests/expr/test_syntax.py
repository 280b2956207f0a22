"""Names: what is allowed, and the sentence about what is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from roadstead.expr import syntax

Rule = Callable[[str], Sequence[str]]


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (syntax.dns_label, ["a", "a-1", "1a", "x" * 63], ["", "A", "-a", "a-", "a.b", "a_b", "x" * 64, "a\n"]),
        (syntax.dns_subdomain, ["a", "a.b-c", "1.2"], ["", "A.b", ".a", "a..b", "a.", "x" * 254]),
        (syntax.dns_1035_label, ["a", "a1"], ["1a", "a-", "A"]),
        (syntax.qualified_name, ["a", "A_b.c", "x.y/z", "x" * 63], ["", "/a", "a/", "a/b/c", "-a", "X/y", "x" * 64]),
        (syntax.label_value, ["", "a", "A_b.1"], ["-a", "a b", "x" * 64]),
        (syntax.env_name, ["A", "a.b", "1", "A B", "ä"][:4], ["", "a=b", "\x01"]),
        (syntax.config_key, ["a", "A_b.c-", ".a"], ["", "..", "..a", ".", "a/b"]),
        (syntax.port_name, ["http", "a1", "1-a"], ["", "HTTP", "a--b", "-a", "a-", "123", "x" * 16]),
    ],
)
def test_names(rule: Rule, good: list[str], bad: list[str]) -> None:
    assert [name for name in good if rule(name)] == []
    assert [name for name in bad if not rule(name)] == []


def test_sentences_end_in_the_expression() -> None:
    (sentence,) = syntax.dns_label("A_B")
    assert sentence == (
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an "
        "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
    )


def test_a_label_with_dots_gets_the_shorter_advice() -> None:
    assert syntax.dns_label("a.b") == ("must not contain dots",)


def test_too_long_names_say_the_limit() -> None:
    assert syntax.dns_label("n" * 64) == ("must be no more than 63 characters",)
    assert syntax.qualified_name("k" * 64) == ("name part must be no more than 63 bytes",)
