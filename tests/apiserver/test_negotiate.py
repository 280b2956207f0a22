"""What a client wants to read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.apiserver.negotiate import PLAIN, Form, Format, negotiate
from roadstead.kinds.errors import StatusError

TABLES = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)


@pytest.mark.parametrize(
    ("accept", "format"),
    [
        ("", PLAIN),
        ("*/*", PLAIN),
        ("application/json", PLAIN),
        ("application/json;stream=watch", PLAIN),
        ("application/vnd.kubernetes.protobuf,application/json", PLAIN),
        ("application/xml,application/json;q=0.5", PLAIN),
        ("application/yaml", Format("application/yaml")),
        (TABLES, Format(form=Form.TABLE)),
        ("application/json;as=Table;g=meta.k8s.io;v=v1beta1", Format(form=Form.TABLE, version="v1beta1")),
        ("application/json;as=Unknown;v=v1;g=meta.k8s.io,application/json", PLAIN),
        ("application/json;q=0.1,application/yaml", Format("application/yaml")),
        ("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", Format(form=Form.PARTIAL)),
    ],
)
def test_first_clause_that_can_be_met(accept: str, format: Format) -> None:
    assert negotiate(accept) == format


@pytest.mark.parametrize(
    ("accept", "message"),
    [
        ("text/html", "406: Not Acceptable"),
        ("application/*", "406: Not Acceptable"),
        ("application/cbor", "406: Not Acceptable"),
        ("application/json;as=Table;v=v9;g=meta.k8s.io", "only the following media types are accepted"),
        ("application/json;as=Foo;v=v1;g=meta.k8s.io", "only the following media types are accepted"),
    ],
)
def test_nothing_acceptable(accept: str, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        negotiate(accept)
    assert refused.value.code == 406
    assert refused.value.message.startswith(message)


@given(st.text(max_size=60))
def test_any_header_is_answered(accept: str) -> None:
    code = 406
    try:
        negotiate(accept)
    except StatusError as refused:
        code = refused.code
    assert code == 406
