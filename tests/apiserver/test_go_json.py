"""The sentences of Go's JSON scanner."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.apiserver.go_json import syntax_error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "unexpected end of JSON input"),
        (b"{", "unexpected end of JSON input"),
        (b"[1,", "unexpected end of JSON input"),
        (b"not json", "invalid character 'o' in literal null (expecting 'u')"),
        (b"data: {y: z}", "invalid character 'd' looking for beginning of value"),
        (b"{a:1}", "invalid character 'a' looking for beginning of object key string"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        (b"[1 2]", "invalid character '2' after array element"),
        (b"{} x", "invalid character 'x' after top-level value"),
        (b'"\n"', "invalid character '\\n' in string literal"),
        (b'"\\x"', "invalid character 'x' in string escape code"),
        (b'"\\u00g0"', "invalid character 'g' in \\u hexadecimal character escape"),
        (b"-x", "invalid character 'x' in numeric literal"),
        (b"1.x", "invalid character 'x' after decimal point in numeric literal"),
        (b"1ex", "invalid character 'x' in exponent of numeric literal"),
        (b"\x81", "invalid character '\\u0081' looking for beginning of value"),
        (b"'", "invalid character '\\'' looking for beginning of value"),
        (b"[" * 20000, "exceeded max depth"),
    ],
)
def test_messages(text: bytes, message: str) -> None:
    assert syntax_error(text) == message


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=15,
)


@given(values)
def test_json_has_no_error(value: object) -> None:
    assert syntax_error(json.dumps(value).encode()) is None


@given(st.binary(max_size=30) | st.text(alphabet='{}[]",:0123456789-.eEtruefalsn \\u', max_size=30).map(str.encode))
def test_an_error_is_found_exactly_where_python_finds_one(text: bytes) -> None:
    try:
        json.loads(text.decode("latin-1"), parse_constant=lambda name: (_ for _ in ()).throw(ValueError(name)))
        is_json = True
    except ValueError:
        is_json = False
    assert (syntax_error(text) is None) == is_json
