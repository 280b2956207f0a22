"""What only a real kube-apiserver shows: who may log in, lists in pages whose history goes, a server killed in the
middle of writes."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from roadstead.cluster.remote import RemoteCluster, from_kubeconfig
from roadstead.cluster.remote import client as remote_client
from roadstead.kinds.names import CONFIG_MAPS, NAMESPACES
from roadstead.kinds.object import Json
from roadstead.runtime.cluster import Cluster, Create, Outcome, Result, Unavailable
from roadstead.runtime.informer import Informer
from roadstead.runtime.view import Cache
from roadstead.runtime.writing import write_once
from tests.realcluster.server import RealServer, shared

pytestmark = pytest.mark.realcluster

DEADLINE_SECONDS = 60.0


def config_map(namespace: str, name: str) -> Json:
    return {"metadata": {"name": name, "namespace": namespace}, "data": {"name": name}}


@asynccontextmanager
async def as_admin(server: RealServer) -> AsyncIterator[RemoteCluster]:
    cluster = RemoteCluster(server.url, token=server.token, ca_file=server.ca_file)
    try:
        yield cluster
    finally:
        await cluster.close()


async def new_namespace(cluster: Cluster) -> str:
    name = f"server-{uuid.uuid4().hex[:12]}"
    assert (await cluster.write(Create(NAMESPACES, {"metadata": {"name": name}}))).is_done
    return name


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, DEADLINE_SECONDS))


# --- who may


def _wrong_token(server: RealServer, directory: Path) -> RemoteCluster:
    return RemoteCluster(server.url, token="wrong", ca_file=server.ca_file)


def _stranger(server: RealServer, directory: Path) -> RemoteCluster:
    return from_kubeconfig(server.kubeconfig("stranger", groups=()))


def _another_authority(server: RealServer, directory: Path) -> RemoteCluster:
    return RemoteCluster(server.url, token=server.token)


@pytest.mark.parametrize(
    ("login", "result", "message"),
    [
        pytest.param(_wrong_token, Result.THROTTLED, "Unauthorized", id="token"),
        pytest.param(_stranger, Result.INVALID, 'User "stranger" cannot create', id="certificate without rights"),
        pytest.param(_another_authority, Result.THROTTLED, "CERTIFICATE_VERIFY_FAILED", id="authority"),
    ],
)
def test_who_may_not_reads_nothing_and_writes_nothing(
    login: Callable[[RealServer, Path], RemoteCluster], result: Result, message: str, tmp_path: Path
) -> None:
    async def story() -> None:
        cluster = login(shared(), tmp_path)
        try:
            with pytest.raises(Unavailable):
                await cluster.list(CONFIG_MAPS)
            with pytest.raises(Unavailable):
                await anext(aiter(cluster.watch(CONFIG_MAPS, "1")))
            outcome = await cluster.write(Create(CONFIG_MAPS, config_map("default", f"n-{uuid.uuid4().hex[:8]}")))
            assert outcome.result is result
            assert message in outcome.message
        finally:
            await cluster.close()

    run(story())


def test_a_token_that_is_renewed_in_its_file_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_client, "_TOKEN_AGE_SECONDS", 0.0)

    async def story() -> None:
        server = shared()
        file = tmp_path / "token"
        file.write_text("wrong\n")
        cluster = RemoteCluster(server.url, token_file=file, ca_file=server.ca_file)
        try:
            with pytest.raises(Unavailable):
                await cluster.list(NAMESPACES)
            file.write_text(f"{server.token}\n")
            assert (await cluster.list(NAMESPACES)).items
        finally:
            await cluster.close()

    run(story())


# --- pages


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """One that may be killed."""
    server = RealServer(tmp_path_factory.mktemp("own"))
    server.start()
    yield server
    server.stop()


def test_a_list_in_pages_is_whole_when_history_is_forgotten_between_them(
    own_server: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_client, "PAGE_SIZE", 2)
    names = [f"c{number}" for number in range(7)]
    answers: list[int] = []

    async def story() -> None:
        async with as_admin(own_server) as cluster:
            namespace = await new_namespace(cluster)
            for name in names[:-1]:
                assert (await cluster.write(Create(CONFIG_MAPS, config_map(namespace, name)))).is_done
            read = cluster._read

            async def between(path: str, params: dict[str, str]) -> Any:
                answer = await read(path, params)
                answers.append(answer.status_code)
                if len(answers) == 1:
                    last = await cluster.write(Create(CONFIG_MAPS, config_map(namespace, names[-1])))
                    assert last.object is not None
                    # A new server has no snapshots of its own, and etcd has not got the version of the first page any
                    # more.
                    own_server.restart_apiserver()
                    await asyncio.to_thread(own_server.wait_until_ready)
                    own_server.forget_history(last.object.meta.resource_version)
                return answer

            monkeypatch.setattr(cluster, "_read", between)
            listing = await cluster.list(CONFIG_MAPS, namespace)
            assert [item.meta.name for item in listing.items] == names
            assert {item.kind for item in listing.items} == {"ConfigMap"}

    run(story())
    assert answers == [200, 410, 200, 200, 200, 200]


# --- a server that is killed


def test_writes_tell_the_truth_and_views_catch_up_when_the_server_is_killed(own_server: RealServer) -> None:
    async def story() -> None:
        async with as_admin(own_server) as cluster:
            namespace = await new_namespace(cluster)
            cache = Cache(CONFIG_MAPS)
            informer = asyncio.ensure_future(Informer(cluster, CONFIG_MAPS, cache).run())
            outcomes: dict[str, Outcome] = {}

            async def work(writer: int) -> None:
                for number in range(40):
                    name = f"w{writer}-{number}"
                    write = Create(CONFIG_MAPS, config_map(namespace, name))
                    while name not in outcomes or outcomes[name].result in (Result.THROTTLED, Result.CONFLICT):
                        outcomes[name] = await write_once(cluster, write)
                        if outcomes[name].result is Result.THROTTLED:
                            await asyncio.sleep(0.05)

            async def kill() -> None:
                while len(outcomes) < 60:
                    await asyncio.sleep(0.002)
                own_server.restart_apiserver()

            try:
                await asyncio.gather(kill(), *(work(writer) for writer in range(6)))
                listing = await cluster.list(CONFIG_MAPS, namespace)
                stored = {item.meta.name: item.version for item in listing.items}
                # Nothing but DONE: an EXISTS would be a write that was done and said not to be.
                assert {outcome.result for outcome in outcomes.values()} == {Result.DONE}
                assert stored == {name: outcome.object.version for name, outcome in outcomes.items() if outcome.object}

                def seen() -> dict[str, tuple[str, str]]:
                    found = (cache.get(key) for key in cache.all_keys() if key[0] == namespace)
                    return {item.meta.name: item.version for item in found if item is not None}

                while seen() != stored:
                    await asyncio.sleep(0.01)
            finally:
                informer.cancel()
                await asyncio.gather(informer, return_exceptions=True)

    run(story())
