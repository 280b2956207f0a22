"""/metrics: what the API server counts, and the text that Prometheus reads (names as in kube-apiserver).

On the way of a request two dictionaries are looked up and two integers grow; names, labels and text come into being
when somebody scrapes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from roadstead.apiserver.paths import ResourcePath
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.object import Resource
from roadstead.runtime.counters import Family, Histogram

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from roadstead.apiserver.fanout import Fanout

log = logging.getLogger(__name__)

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
REQUEST_BOUNDS: Final = (
    0.005,
    0.025,
    0.05,
    0.1,
    0.2,
    0.4,
    0.6,
    0.8,
    1.0,
    1.25,
    1.5,
    2,
    3,
    4,
    5,
    6,
    8,
    10,
    15,
    20,
    30,
    45,
    60,
)
"""Seconds; kube-apiserver's (staging/src/k8s.io/apiserver/pkg/endpoints/metrics)."""

Source: TypeAlias = Callable[[], Iterable[Family]]
"""Gives metrics when it is asked. Must not block for long: it runs on the serving loop."""


class Request(NamedTuple):
    """What requests are told apart by. All but `verb` are "" for what is no resource."""

    verb: str
    group: str
    version: str
    resource: str
    subresource: str
    scope: str

    @property
    def labels(self) -> dict[str, str]:
        return {**self._asdict(), "component": "apiserver"}


METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
"""Others are one series together."""


class RequestCounts:
    """Requests by what they ask for and how they are answered. One per server."""

    def __init__(self) -> None:
        self._codes: dict[tuple[Request, int], int] = {}
        self._seconds: dict[Request, Histogram] = {}
        self._known: dict[tuple[str, str, str, str, str, bool, bool, bool], Request] = {}

    def answered(self, method: str, target: ResourcePath | None, is_watch: bool, code: int, seconds: float) -> None:
        """Count one. `target` None: not a resource that is served; so a client cannot make series at will. A watch has
        no length."""
        if target is None:
            key = (method, "", "", "", "", False, False, False)
        else:
            group, version, namespace, plural, name, subresource, _, _ = target
            key = (method, group, version, plural, subresource, bool(name), bool(namespace), is_watch)
        request = self._known.get(key)
        if request is None:
            request = self._known[key] = _request(*key)
        counted = (request, code)
        self._codes[counted] = self._codes.get(counted, 0) + 1
        if not is_watch:
            histogram = self._seconds.get(request)
            if histogram is None:
                histogram = self._seconds[request] = Histogram(REQUEST_BOUNDS)
            histogram.observe(seconds)

    def families(self) -> Iterator[Family]:
        total = Family("apiserver_request", "counter", "Requests by verb, resource, scope and code of the answer")
        for (request, code), number in self._codes.items():
            total.add(number, code=str(code), dry_run="", **request.labels)
        yield total
        seconds = Family(
            "apiserver_request_duration_seconds", "histogram", "From a request to the end of its answer; no watches"
        )
        for request, histogram in self._seconds.items():
            seconds.add(histogram, dry_run="", **request.labels)
        yield seconds


def _request(
    method: str,
    group: str,
    version: str,
    resource: str,
    subresource: str,
    has_name: bool,
    has_namespace: bool,
    is_watch: bool,
) -> Request:
    verb = method if method in METHODS else "other"
    if not resource:
        return Request(verb, "", "", "", "", "")
    if is_watch:
        verb = "WATCH"
    elif not has_name:
        verb = {"GET": "LIST", "DELETE": "DELETECOLLECTION"}.get(verb, verb)
    scope = "resource" if has_name or verb == "POST" else "namespace" if has_namespace else "cluster"
    return Request(verb, group, version, resource, subresource, scope)


def server_families(store: Store, fanout: Fanout) -> Iterator[Family]:
    """Store and watches. O(resources)."""
    objects = Family("apiserver_storage_objects", "gauge", "Objects stored, by resource")
    for resource, number in store.counts().items():
        objects.add(number, resource=str(resource))
    yield objects
    events = Family("apiserver_watch_events", "counter", "Events sent, once for each watcher")
    for resource, number in fanout.sent().items():
        events.add(number, **_named(resource))
    yield events
    running = Family("apiserver_longrunning_requests", "gauge", "Watches open now")
    for resource, number in fanout.watchers().items():
        running.add(number, verb="WATCH", subresource="", scope="", component="apiserver", **_named(resource))
    yield running
    commits = Family("roadstead_store_commit_duration_seconds", "histogram", "Length of a batch's way to the disk")
    commits.add(store.commit_seconds)
    yield commits
    writes = Family("roadstead_store_writes", "counter", "Writes stored")
    writes.add(store.writes)
    yield writes
    revision = Family("roadstead_store_resource_version", "gauge", "The newest resourceVersion")
    revision.add(store.revision)
    yield revision


def _named(resource: Resource) -> dict[str, str]:
    return {"group": resource.group, "version": resource.version, "resource": resource.plural}


# ---------------------------------------------------------------------- text


class Exposition:
    """All sources as Prometheus' text, with the process's own numbers (process_*, python_*)."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._seconds = 0.0

    def text(self) -> bytes:
        """O(series). A source that fails is left out of this scrape: the others are still worth having."""
        # Loaded by the first scrape: most servers are never scraped, and commands that only ask a question must start
        # fast.
        from prometheus_client import (
            CollectorRegistry,
            GCCollector,
            PlatformCollector,
            ProcessCollector,
            generate_latest,
        )

        began = time.perf_counter()
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        PlatformCollector(registry=registry)
        registry.register(_Families(self._collected()))
        text = generate_latest(registry)
        self._seconds = time.perf_counter() - began
        return text

    def _collected(self) -> list[Family]:
        found: list[Family] = []
        for source in self._sources:
            try:
                found += source()
            except Exception:
                log.exception("a source of metrics failed")
        took = Family("roadstead_scrape_seconds", "gauge", "Time on the serving loop of the scrape before this one")
        took.add(self._seconds)
        return [*found, took]


class _Families:
    """A prometheus_client collector of families."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        return map(_metric, self._families)


def _metric(family: Family) -> Metric:
    from prometheus_client.metrics_core import Metric

    metric = Metric(family.name, family.help, family.kind)
    for labels, value in family.samples:
        if not isinstance(value, Histogram):
            metric.add_sample(f"{family.name}_total" if family.kind == "counter" else family.name, dict(labels), value)
            continue
        below = 0
        for bound, count in zip((*value.bounds, float("inf")), value.counts, strict=True):
            below += count
            le = "+Inf" if bound == float("inf") else f"{float(bound):g}"
            metric.add_sample(f"{family.name}_bucket", {**labels, "le": le}, below)
        metric.add_sample(f"{family.name}_count", dict(labels), below)
        metric.add_sample(f"{family.name}_sum", dict(labels), value.sum)
    return metric
