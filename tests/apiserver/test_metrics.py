"""/metrics: what is counted, what its text says, and what a client cannot make it do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from roadstead.apiserver.metrics import Exposition
from roadstead.apiserver.serve import ApiServer
from roadstead.runtime.counters import Family, Histogram
from tests.apiserver.test_serve import NAMESPACES, bearer, client, running

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parse(text: str) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted((name, value) for name, value in sample.labels.items() if value)))
            assert key not in found, f"{key} twice"
            found[key] = sample.value
    return found


def value(samples: Samples, name: str, /, **labels: str) -> float:
    found = [
        number for (each, given), number in samples.items() if each == name and labels.items() <= dict(given).items()
    ]
    assert len(found) == 1, (name, labels, found)
    return found[0]


async def scrape(server: ApiServer, http: httpx2.AsyncClient) -> Samples:
    answer = await http.get("/metrics", headers=bearer(server))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parse(answer.text)


def served(tmp_path: Path, check: Any, **options: Any) -> None:
    async def go() -> None:
        async with running(tmp_path, **options) as server, client(server) as http:
            await check(server, http)

    asyncio.run(asyncio.wait_for(go(), 30))


def test_requests_are_counted_by_verb_resource_and_answer(tmp_path: Path) -> None:
    async def check(server: ApiServer, http: httpx2.AsyncClient) -> None:
        headers = bearer(server)
        await http.post(NAMESPACES, headers=headers, json={"metadata": {"name": "a"}})
        for path in (NAMESPACES, f"{NAMESPACES}/a", f"{NAMESPACES}/none", f"{NAMESPACES}/a/configmaps", "/api/v1/pods"):
            await http.get(path, headers=headers)
        samples = await scrape(server, http)
        for verb, resource, scope, code in (
            ("POST", "namespaces", "resource", "201"),
            ("LIST", "namespaces", "cluster", "200"),
            ("GET", "namespaces", "resource", "200"),
            ("GET", "namespaces", "resource", "404"),
            ("LIST", "configmaps", "namespace", "200"),
            ("LIST", "pods", "cluster", "200"),
        ):
            labels = {"verb": verb, "resource": resource, "scope": scope, "code": code, "version": "v1"}
            assert value(samples, "apiserver_request_total", **labels) == 1
        assert value(samples, "apiserver_request_duration_seconds_count", verb="GET", resource="namespaces") == 2
        assert value(samples, "apiserver_request_duration_seconds_bucket", verb="POST", le="+Inf") == 1
        assert value(samples, "apiserver_storage_objects", resource="namespaces") == 1
        assert value(samples, "roadstead_store_writes_total") == 1
        assert value(samples, "process_resident_memory_bytes") > 1e6

    served(tmp_path, check)


def test_it_is_for_those_who_are_known(tmp_path: Path) -> None:
    async def check(server: ApiServer, http: httpx2.AsyncClient) -> None:
        assert (await http.get("/metrics")).status_code == 403
        assert (await http.post("/metrics", headers=bearer(server))).status_code == 405
        assert (await http.get("/metrics/x", headers=bearer(server))).status_code == 404

    served(tmp_path, check)


def test_a_client_cannot_make_series(tmp_path: Path) -> None:
    async def check(server: ApiServer, http: httpx2.AsyncClient) -> None:
        await scrape(server, http)
        before = len(await scrape(server, http))
        for number in range(20):
            for path in (
                f"/api/v1/things{number}",
                f"/nothing/{number}",
                f"{NAMESPACES}/n{number}",
                f"/apis/g{number}/v1/x",
            ):
                await http.request("GET", path, headers=bearer(server))
            await http.request("PROPFIND", NAMESPACES, headers=bearer(server))
        samples = await scrape(server, http)
        assert len(samples) - before <= 4 * 30
        assert not [key for key in samples if "things" in str(key)]

    served(tmp_path, check)


def test_watch_events_and_open_watches(tmp_path: Path) -> None:
    async def check(server: ApiServer, http: httpx2.AsyncClient) -> None:
        headers = bearer(server)
        async with http.stream("GET", f"{NAMESPACES}?watch=true", headers=headers) as stream:
            lines = stream.aiter_lines()
            for name in ("a", "b"):
                await http.post(NAMESPACES, headers=headers, json={"metadata": {"name": name}})
                await anext(lines)
            samples = await scrape(server, http)
            assert value(samples, "apiserver_longrunning_requests", resource="namespaces", verb="WATCH") == 1
            assert value(samples, "apiserver_watch_events_total", resource="namespaces") == 2
        deadline = asyncio.get_running_loop().time() + 10
        while any(name == "apiserver_longrunning_requests" for name, _ in await scrape(server, http)):
            assert asyncio.get_running_loop().time() < deadline
        samples = await scrape(server, http)
        assert value(samples, "apiserver_request_total", verb="WATCH", resource="namespaces", code="200") == 1
        assert value(samples, "apiserver_watch_events_total", resource="namespaces") == 2  # kept when nobody watches

    served(tmp_path, check)


def test_sources_are_asked_anew_by_every_scrape(tmp_path: Path) -> None:
    numbers = iter((1, 2))

    def source() -> list[Family]:
        return [Family("depth", "gauge", "How deep", [({"name": 'a "b"\n'}, next(numbers))])]

    async def check(server: ApiServer, http: httpx2.AsyncClient) -> None:
        assert [value(await scrape(server, http), "depth", name='a "b"\n') for _ in range(2)] == [1, 2]

    served(tmp_path, check, metrics=(source,))


def test_a_source_that_fails_leaves_the_others(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> list[Family]:
        raise ValueError("no numbers today")

    text = Exposition((broken, lambda: [Family("fine", "counter", "Fine", [({}, 3)])])).text().decode()
    assert value(parse(text), "fine_total") == 3
    assert "no numbers today" in caplog.text


def test_histograms_are_cumulative() -> None:
    histogram = Histogram((1.0, 2.5))
    for number in (0.5, 1.0, 2.0, 99.0):
        histogram.observe(number)
    samples = parse(Exposition((lambda: [Family("h", "histogram", "H", [({}, histogram)])],)).text().decode())
    assert [value(samples, "h_bucket", le=le) for le in ("1", "2.5", "+Inf")] == [2, 3, 4]
    assert (value(samples, "h_sum"), value(samples, "h_count")) == (102.5, 4)


def test_checks_of_others_are_asked(tmp_path: Path) -> None:
    async def check(server: ApiServer, http: httpx2.AsyncClient) -> None:
        answer = await http.get("/readyz", headers=bearer(server))
        assert (answer.status_code, answer.text) == (
            500,
            "[+]ping ok\n[+]storage ok\n[-]informer-sync failed: not listed yet: pods\n[+]shutdown ok\nreadyz check failed\n",
        )
        assert (await http.get("/livez", headers=bearer(server))).text == "ok"
        assert (await http.get("/readyz/informer-sync", headers=bearer(server))).status_code == 500

    served(tmp_path, check, checks={"informer-sync": lambda: "not listed yet: pods"})
