"""Joining a cluster of others: what the agent asks for, from where, and by whose word it lets somebody read logs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest
import yaml

from roadstead.apiserver.version import version_info
from roadstead.auth.certificates import Authority
from roadstead.cluster.remote import RemoteCluster
from roadstead.compose import join
from roadstead.compose.join import CLIENT_CA, PUBLISHED, JoinSetup, Papers, own_address, rights
from roadstead.compose.running import Refused
from roadstead.kinds.object import Json, Object, Ref
from roadstead.node.agent.options import NodeOptions
from roadstead.runtime.cluster import Unavailable


def test_the_rights_are_those_of_a_kubelet_for_its_own_node() -> None:
    found = {(str(right), right.name, right.selector) for right in rights([NodeOptions("a"), NodeOptions("b")])}
    leases = "leases.coordination.k8s.io in namespace kube-node-lease"
    common = {
        ("create events", "", None),
        ("create nodes", "", None),
        (f"create {leases}", "", None),
        ("update pods/status", "", None),
        ("delete pods", "", None),
    }
    of_nodes = {
        entry
        for name in ("a", "b")
        for entry in (
            ("get nodes", name, None),
            ("update nodes", name, None),
            ("update nodes/status", name, None),
            (f"get {leases}", name, None),
            (f"update {leases}", name, None),
            ("list pods", "", ("spec.nodeName", name)),
            ("watch pods", "", ("spec.nodeName", name)),
        )
    }
    assert found == common | of_nodes


@pytest.mark.parametrize("url", ["https://127.0.0.1:6443", "https://127.0.0.1"])
def test_the_address_is_the_one_that_reaches_the_server(url: str) -> None:
    assert own_address(url) == "127.0.0.1"


class Publishing(RemoteCluster):
    """A cluster that publishes an authority, or may not be read (None)."""

    def __init__(self, published: bytes | None) -> None:
        super().__init__("http://localhost")
        self.published = published

    async def get(self, ref: Ref) -> Object | None:
        assert ref == PUBLISHED
        if self.published is None:
            raise Unavailable("forbidden")
        value = {"metadata": {"name": "x"}, "data": {CLIENT_CA: self.published.decode()} if self.published else {}}
        return Object(ref.resource, orjson.dumps(value))


@pytest.fixture
def own_ca(tmp_path: Path) -> bytes:
    return Authority.load_or_create(tmp_path / "cluster").certificate


def setup(directory: Path, ca: bytes | None, client_ca: Path | None = None) -> JoinSetup:
    cluster: dict[str, str] = {"server": "https://127.0.0.1:1"}
    if ca:
        (directory / "ca.crt").write_bytes(ca)
        cluster["certificate-authority"] = "ca.crt"
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
    }
    path = directory / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return JoinSetup(path, "", directory / "pki", directory / "state", [NodeOptions("n1")], client_ca=client_ca)


@pytest.mark.parametrize(
    ("published", "has_own", "named", "counts"),
    [
        pytest.param(b"published", True, False, b"published", id="what the cluster publishes"),
        pytest.param(None, True, False, b"own", id="else the kubeconfig's authority"),
        pytest.param(b"", True, False, b"own", id="nothing published"),
        pytest.param(None, False, False, b"", id="else nobody's"),
        pytest.param(b"published", True, True, b"named", id="a file before all"),
    ],
)
def test_whose_client_certificates_count(
    tmp_path: Path, own_ca: bytes, published: bytes | None, has_own: bool, named: bool, counts: bytes
) -> None:
    file = tmp_path / "clients"
    file.write_bytes(b"named")
    request = setup(tmp_path, own_ca if has_own else None, file if named else None)
    tls = asyncio.run(Papers(Publishing(published), request, "127.0.0.1").make())
    if not counts:
        assert tls is None
        return
    assert tls is not None
    assert tls.client_authority.read_bytes() == (own_ca if counts == b"own" else counts)
    assert tls.certificate.exists()
    assert tls.key.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_named_and_missing_is_an_error(tmp_path: Path, own_ca: bytes) -> None:
    request = setup(tmp_path, own_ca, tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        asyncio.run(Papers(Publishing(b"published"), request, "127.0.0.1").make())


def test_papers_follow_what_is_published_and_are_renewed_in_time(
    tmp_path: Path, own_ca: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(join, "_LOOK_SECONDS", 0.001)

    async def story() -> None:
        cluster = Publishing(b"first")
        papers = Papers(cluster, setup(tmp_path, own_ca), "127.0.0.1")
        tls = await papers.make()
        assert tls is not None
        before = tls.certificate.read_bytes()
        keeping = asyncio.ensure_future(papers.keep())
        try:
            async with asyncio.timeout(10):
                cluster.published = None  # a server that is away changes nothing
                await asyncio.sleep(0.01)
                assert tls.client_authority.read_bytes() == b"first"
                cluster.published = b"second"
                while tls.client_authority.read_bytes() != b"second":
                    await asyncio.sleep(0.001)
                assert tls.certificate.read_bytes() == before
                monkeypatch.setattr(join, "_RENEW_SECONDS", 0.0)
                while tls.certificate.read_bytes() == before:
                    await asyncio.sleep(0.001)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    asyncio.run(story())


def test_a_node_of_claims_alone_publishes_its_slices_and_sees_no_others() -> None:
    more = set(rights([NodeOptions("n1", "h100x8", by_claims=True)])) - set(rights([NodeOptions("n1", "h100x8")]))
    assert {(right.resource, right.verb, right.selector) for right in more} == {
        ("resourceslices", "create", None),
        ("resourceslices", "list", ("spec.nodeName", "n1")),
        ("resourceslices", "watch", ("spec.nodeName", "n1")),
    }


@pytest.mark.parametrize("is_embedded", [True, False])
def test_an_embedded_server_takes_no_agents_of_other_machines(is_embedded: bool) -> None:
    class Server(Publishing):
        async def ask(self, path: str, question: Json | None = None) -> tuple[int, Json]:
            assert (path, question) == ("/version", None)
            return 200, version_info() if is_embedded else {**version_info(), "compiler": "gc"}

    async def look() -> None:
        await join._must_be_a_cluster_of_others(Server(b""))

    if is_embedded:
        with pytest.raises(Refused, match="takes node agents of its own machine only"):
            asyncio.run(look())
    else:
        asyncio.run(look())
