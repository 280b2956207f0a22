"""Which path means what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.apiserver.paths import ResourcePath, parse_path


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/api/v1", ResourcePath("", "v1")),
        ("/api/v1/", ResourcePath("", "v1")),
        ("/api/v1/nodes", ResourcePath("", "v1", plural="nodes")),
        ("/api/v1/nodes/n1/status", ResourcePath("", "v1", plural="nodes", name="n1", subresource="status")),
        ("/api/v1/namespaces", ResourcePath("", "v1", plural="namespaces")),
        ("/api/v1/namespaces/a", ResourcePath("", "v1", plural="namespaces", name="a")),
        ("/api/v1/namespaces/a/status", ResourcePath("", "v1", plural="namespaces", name="a", subresource="status")),
        (
            "/api/v1/namespaces/a/finalize",
            ResourcePath("", "v1", plural="namespaces", name="a", subresource="finalize"),
        ),
        ("/api/v1/namespaces/a/pods", ResourcePath("", "v1", "a", "pods")),
        ("/api/v1/namespaces/a/pods/p/log", ResourcePath("", "v1", "a", "pods", "p", "log")),
        ("/apis/batch/v1/namespaces/a/jobs/j", ResourcePath("batch", "v1", "a", "jobs", "j")),
        ("/apis/batch/v1/watch/namespaces/a/jobs", ResourcePath("batch", "v1", "a", "jobs", watch=True)),
        ("/api/v1/namespaces/a/pods/p/x/y/z", ResourcePath("", "v1", "a", "pods", "p", "x", ("y", "z"))),
    ],
)
def test_resource_paths(path: str, meant: ResourcePath) -> None:
    assert parse_path(path) == meant


@pytest.mark.parametrize("path", ["/", "/api", "/apis", "/apis/batch", "/version", "/bogus", "/api//pods", "//", ""])
def test_other_paths(path: str) -> None:
    assert parse_path(path) is None


@given(st.text(alphabet="/abcnamespiw1", max_size=40))
def test_no_path_breaks_the_parser(path: str) -> None:
    found = parse_path("/" + path)
    assert found is None or found.version
