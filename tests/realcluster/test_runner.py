"""The runner against a real kube-apiserver: a controller that would work twice on a stale view works once there as
well."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

import pytest

from roadstead.cluster.remote import RemoteCluster
from roadstead.kinds.names import CONFIG_MAPS, NAMESPACES
from roadstead.runtime.cluster import Create, Write
from roadstead.runtime.runner import Runner
from roadstead.runtime.step import NOTHING, Key, Read, Step
from tests.realcluster.server import shared
from tests.runtime.test_runner import Children, Wrapped, parent, running, until

pytestmark = pytest.mark.realcluster

CHILDREN = 12


class ChildrenOf(Children):
    """Those of one namespace: the server is not ours alone."""

    def __init__(self, namespace: str) -> None:
        super().__init__()
        self._namespace = namespace

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        return super().reconcile(key, read, now) if key[0] == self._namespace else NOTHING


def loses(what: str) -> Callable[[Write, int], str]:
    return lambda write, number: what if number in (2, 3, 5) else ""


@pytest.mark.parametrize(
    ("lag", "lost"),
    [
        pytest.param(0, "", id="at once"),
        pytest.param(3, "", id="late news"),
        pytest.param(3, "before", id="lost requests"),
        pytest.param(3, "after", id="lost answers"),
    ],
)
def test_a_controller_works_once_whatever_its_view_lags_and_whatever_is_lost(lag: int, lost: str) -> None:
    async def story() -> tuple[int, int]:
        server = shared()
        inner = RemoteCluster(server.url, token=server.token, ca_file=server.ca_file)
        try:
            namespace = f"runner-{uuid.uuid4().hex[:12]}"
            assert (await inner.write(Create(NAMESPACES, {"metadata": {"name": namespace}}))).is_done
            cluster = Wrapped(inner, lag_events=lag, lose=loses(lost))
            async with running(runner := Runner(cluster, [ChildrenOf(namespace)])):
                value = parent(CHILDREN)
                value["metadata"]["namespace"] = namespace
                assert (await inner.write(Create(CONFIG_MAPS, value))).is_done
                cache = runner.caches[CONFIG_MAPS]
                await until(lambda: sum(key[0] == namespace for key in cache.all_keys()) > CHILDREN)
            return len((await inner.list(CONFIG_MAPS, namespace)).items), len(cluster.writes)
        finally:
            await inner.close()

    repeated = 3 if lost == "before" else 0
    assert asyncio.run(story()) == (1 + CHILDREN, CHILDREN + repeated)
