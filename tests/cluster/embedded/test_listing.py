"""LIST: selectors, versions, pages."""

from __future__ import annotations

import asyncio

import pytest

from roadstead.cluster.embedded import listing
from roadstead.cluster.embedded.history import Limits
from roadstead.cluster.embedded.requests import DeleteOptions, ListOptions, Page
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from tests.cluster.embedded.objects import CONFIG_MAP, JOB, NAMESPACE, OPTIONS, POD, config_map, pod, resources
from tests.cluster.embedded.test_resources import refused
from tests.cluster.loop import in_loop


def names(page: Page) -> list[str]:
    return [found.meta.name for found in page.items]


async def with_five(store: Store | None = None) -> Resources:
    api = await resources(store)
    for name in "abcde":
        await api.create(CONFIG_MAP, "default", config_map(name, labels={"name": name}), OPTIONS)
    return api


@in_loop
async def test_everything_a_namespace_or_an_unknown_one() -> None:
    api = await with_five()
    await api.create(NAMESPACE, "", {"metadata": {"name": "other"}}, OPTIONS)
    await api.create(CONFIG_MAP, "other", config_map("z", "other"), OPTIONS)
    assert names(await api.list(CONFIG_MAP, "", ListOptions())) == ["a", "b", "c", "d", "e", "z"]
    page = await api.list(CONFIG_MAP, "other", ListOptions())
    assert (names(page), page.resource_version) == (["z"], "8")
    assert names(await api.list(CONFIG_MAP, "none", ListOptions())) == []
    assert names(await api.list(JOB, "", ListOptions())) == []


@pytest.mark.parametrize(
    ("labels", "fields", "expected"),
    [
        ("name in (a,c)", "", ["a", "c"]),
        ("name!=a", "metadata.name!=b", ["c", "d", "e"]),
        ("", "metadata.name=b,metadata.name=b", ["b"]),
        ("", "metadata.namespace=other", []),
        ("!name", "", []),
    ],
)
@in_loop
async def test_selectors(labels: str, fields: str, expected: list[str]) -> None:
    api = await with_five()
    options = ListOptions(label_selector=labels, field_selector=fields)
    assert names(await api.list(CONFIG_MAP, "default", options)) == expected


@in_loop
async def test_field_selectors_of_a_kind() -> None:
    api = await resources()
    for name, node in (("p1", "n1"), ("p2", "n2"), ("p3", "")):
        await api.create(POD, "default", pod(name, node), OPTIONS)
    assert names(await api.list(POD, "", ListOptions(field_selector="spec.nodeName=n1"))) == ["p1"]
    assert names(await api.list(POD, "", ListOptions(field_selector="spec.nodeName="))) == ["p3"]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (ListOptions(label_selector="a=="), 0, ""),
        (ListOptions(label_selector="a=(("), 400, "unable to parse requirement"),
        (ListOptions(field_selector="nonsense"), 400, "can't understand"),
        (ListOptions(field_selector="spec.x=1"), 400, '"spec.x" is not a known field selector: only "metadata.'),
        (
            ListOptions(resource_version="x"),
            400,
            'invalid resource version: resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax',
        ),
        (
            ListOptions(continue_token="garbage"),
            400,
            r"invalid continue token: continue key is not valid: invalid character '\u0081' looking for beginning of value",
        ),
        (
            ListOptions(continue_token="eyJ2IjoibWV0YS5rOHMuaW8vdjIiLCJydiI6MX0"),
            400,
            "server does not recognize this encoded version meta.k8s.io/v2",
        ),
        (ListOptions(resource_version_match="Exact"), 422, "forbidden unless resourceVersion is provided"),
        (
            ListOptions(resource_version_match="Exact", resource_version="0"),
            422,
            'is forbidden for resourceVersion "0"',
        ),
        (
            ListOptions(resource_version_match="Odd", resource_version="1"),
            422,
            'supported values: "Exact", "NotOlderThan"',
        ),
        (ListOptions(continue_token="!"), 400, "invalid continue token: continue key is not valid"),
        (ListOptions(continue_token="e30"), 400, "continue key is not valid"),
        (
            ListOptions(continue_token="x", resource_version="3"),
            400,
            "specifying resource version is not allowed when using continue",
        ),
    ],
)
@in_loop
async def test_bad_requests(options: ListOptions, code: int, message: str) -> None:
    api = await with_five()
    if not code:
        await api.list(CONFIG_MAP, "default", options)
        return
    error = await refused(api.list(CONFIG_MAP, "default", options))
    assert error.code == code
    assert message in error.message


@in_loop
async def test_jobs_name_an_unsupported_field_in_words_of_their_own() -> None:
    api = await resources()
    error = await refused(api.list(JOB, "", ListOptions(field_selector="spec.x=1")))
    assert error.message == 'field label "spec.x" not supported for "Job"'
    error = await refused(api.list(POD, "", ListOptions(field_selector="spec.x=1")))
    assert error.message == "field label not supported: spec.x"


@in_loop
async def test_pages_show_one_version_although_the_world_goes_on() -> None:
    api = await with_five()
    first = await api.list(CONFIG_MAP, "", ListOptions(limit=2))
    assert (names(first), first.resource_version, first.remaining) == (["a", "b"], "6", 3)
    await api.delete(CONFIG_MAP, "default", "c", DeleteOptions())
    await api.create(CONFIG_MAP, "default", config_map("bb"), OPTIONS)
    await api.patch(CONFIG_MAP, "default", "d", lambda obj: obj | {"data": {"key": "new"}}, OPTIONS)
    second = await api.list(CONFIG_MAP, "", ListOptions(limit=2, continue_token=first.continue_token))
    assert (names(second), second.resource_version, second.remaining) == (["c", "d"], "6", 1)
    assert second.items[1].decode()["data"] == {"key": "value"}
    third = await api.list(CONFIG_MAP, "", ListOptions(limit=2, continue_token=second.continue_token))
    assert (names(third), third.continue_token, third.remaining) == (["e"], "", None)
    selected = await api.list(CONFIG_MAP, "", ListOptions(limit=1, label_selector="name"))
    assert selected.remaining is None
    assert selected.continue_token


@in_loop
async def test_a_token_older_than_the_history_is_410_with_a_way_on() -> None:
    api = await with_five(Store.in_memory(Limits(changes=3)))
    first = await api.list(CONFIG_MAP, "", ListOptions(limit=2))
    for index in range(5):
        await api.create(CONFIG_MAP, "default", config_map(f"x{index}"), OPTIONS)
    error = await refused(api.list(CONFIG_MAP, "", ListOptions(limit=2, continue_token=first.continue_token)))
    assert (error.code, error.reason) == (410, "Expired")
    assert "The provided continue parameter is too old" in error.message
    fresh = await api.list(CONFIG_MAP, "", ListOptions(limit=2, continue_token=error.metadata["continue"]))
    assert names(fresh) == ["c", "d"]
    exact = await refused(api.list(CONFIG_MAP, "", ListOptions(resource_version="2", resource_version_match="Exact")))
    assert (exact.code, exact.message) == (410, "The resourceVersion for the provided list is too old.")


@pytest.mark.parametrize(
    ("options", "version", "count"),
    [
        (ListOptions(resource_version="0"), "6", 5),
        (ListOptions(resource_version="0", limit=2), "6", 5),  # version 0 knows no pages
        (ListOptions(resource_version="3"), "6", 5),
        (ListOptions(resource_version="3", resource_version_match="NotOlderThan"), "6", 5),
        (ListOptions(resource_version="3", resource_version_match="Exact"), "3", 2),
        (ListOptions(resource_version="3", limit=10), "3", 2),  # the legacy rule
        (ListOptions(resource_version="3", limit=10, resource_version_match="NotOlderThan"), "6", 5),
    ],
)
@in_loop
async def test_versions(options: ListOptions, version: str, count: int) -> None:
    api = await with_five()
    page = await api.list(CONFIG_MAP, "", options)
    assert (page.resource_version, len(page.items)) == (version, count)


@in_loop
async def test_a_version_from_the_future_is_waited_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    api = await with_five()
    waiting = asyncio.ensure_future(api.list(CONFIG_MAP, "", ListOptions(resource_version="7")))
    await asyncio.sleep(0)
    await api.create(CONFIG_MAP, "default", config_map("f"), OPTIONS)
    assert len((await waiting).items) == 6
    monkeypatch.setattr(listing, "WAIT_FOR_FUTURE_SECONDS", 0.0)
    error = await refused(api.list(CONFIG_MAP, "", ListOptions(resource_version="99")))
    assert (error.code, error.reason) == (504, "Timeout")
    assert error.message == "Timeout: Too large resource version: 99, current: 7"
    assert error.details["causes"][0]["reason"] == "ResourceVersionTooLarge"
