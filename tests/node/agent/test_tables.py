"""Devices, addresses, peers, profiles, options, echoes: small rules as tables."""

from __future__ import annotations

import doctest
import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from roadstead.kinds.names import PODS
from roadstead.kinds.object import Json, Object
from roadstead.node.agent import addresses, devices, options, peers
from roadstead.node.agent.echo import Echo
from roadstead.node.agent.options import AgentOptions, NodeOptions
from roadstead.node.agent.profiles import all_profiles, profile
from roadstead.node.agent.views import Pod
from tests.node.agent.build import pod

H100, CPU = profile("h100x8"), profile("cpu")


def asking(count: int, given_devices: str | None) -> Pod:
    one: Json = {"name": "a", "resources": {"limits": {"nvidia.com/gpu": str(count)}} if count else {}}
    notes = {} if given_devices is None else {"roadstead.dev/devices": given_devices}
    return pod(one, metadata={"annotations": notes})


@pytest.mark.parametrize(
    ("count", "names", "visible"),
    [(2, "gpu-0,gpu-3", "0,3"), (1, "gpu-7", "7"), (2, "gpu-5, gpu-1", "5,1"), (0, None, "")],
)
def test_a_pod_sees_exactly_its_devices_by_index(count: int, names: str | None, visible: str) -> None:
    of = asking(count, names)
    assert devices.rejection(of, H100) is None
    assert devices.variables(of, H100) == {"CUDA_VISIBLE_DEVICES": visible, "NVIDIA_VISIBLE_DEVICES": visible or "void"}


def test_nodes_without_devices_say_nothing_about_them() -> None:
    assert devices.variables(asking(0, None), CPU) == {}


@pytest.mark.parametrize(
    ("count", "names", "text"),
    [
        (1, None, "asks for 1 nvidia.com/gpu and was given 0 devices"),
        (2, "gpu-1", "asks for 2 nvidia.com/gpu and was given 1 devices"),
        (1, "gpu-8", "was given gpu-8; this node has 8 devices"),
    ],
)
def test_no_pod_runs_with_devices_that_it_was_not_given(count: int, names: str | None, text: str) -> None:
    problem = devices.rejection(asking(count, names), H100)
    assert problem is not None
    assert problem.reason == "UnexpectedAdmissionError"
    assert text in problem.message


@given(some.text(min_size=1), some.sets(some.integers(0, 3)))
def test_addresses_are_in_the_block_distinct_and_the_same_every_time(uid: str, steps: set[int]) -> None:
    taken: set[str] = set()
    for _ in range(5):
        address = addresses.choose_address(uid, taken)
        assert address not in taken
        assert ipaddress.ip_address(address) in ipaddress.ip_network("127.64.0.0/10")
        assert not address.endswith((".0", ".255"))
        taken.add(address)
    assert addresses.likely_address(uid) in taken
    assert addresses.choose_address(uid, ()) == addresses.likely_address(uid)


JOB = {"ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "job-1", "controller": True}]}


def member(index: int, status: Json | None = None) -> Pod:
    meta: Json = {"name": f"j-{index}-abc", "uid": f"uid-{index}", **JOB}
    return pod("a", metadata=meta, status=status, hostname=f"j-{index}", subdomain="j")


def test_peers_are_the_living_pods_of_the_same_job_or_service() -> None:
    me = member(0)
    strangers = [
        pod("a", metadata={"uid": "x", "namespace": "other", **JOB}, hostname="x", subdomain="j"),
        pod("a", metadata={"uid": "y"}, hostname="y"),
        member(3, status={"phase": "Failed"}),
    ]
    service = pod("a", metadata={"uid": "s"}, hostname="s", subdomain="j")
    found = peers.peers_of(me, [me, member(2), member(1), service, *strangers])
    assert [one.hostname for one in found] == ["j-1", "j-2", "s"]


def test_of_two_with_one_name_the_younger_is_the_peer() -> None:
    old = pod("a", metadata={"uid": "old", "creationTimestamp": "2026-01-01T00:00:00Z", **JOB}, hostname="j-1")
    new = pod("a", metadata={"uid": "new", "creationTimestamp": "2026-01-01T00:00:01Z", **JOB}, hostname="j-1")
    assert [one.uid for one in peers.peers_of(member(0), [new, old])] == ["new"]


def test_the_hosts_file_names_everybody() -> None:
    known = member(1, status={"podIP": "127.64.0.9"})
    text = peers.hosts_file(member(0), "127.64.0.8", [known, member(2)], "127.0.0.1 localhost\n")
    lines = text.splitlines()
    assert lines[0] == "127.0.0.1 localhost"
    assert "127.64.0.8\tj-0.j.ns.svc.cluster.local j-0.j.ns.svc j-0.j.ns j-0.j j-0" in lines
    assert "127.64.0.9\tj-1.j.ns.svc.cluster.local j-1.j.ns.svc j-1.j.ns j-1.j j-1" in lines
    assert f"{addresses.likely_address('uid-2')}\tj-2.j.ns.svc.cluster.local j-2.j.ns.svc j-2.j.ns j-2.j j-2" in lines
    assert sum(line.endswith("\tj.ns.svc.cluster.local j.ns.svc j") for line in lines) == 3
    assert peers.peers_variable(member(0), "127.64.0.8", [known]) == "j-0=127.64.0.8,j-1=127.64.0.9"


def test_host_aliases_are_in_the_hosts_file() -> None:
    of = pod("a", hostAliases=[{"ip": "10.0.0.1", "hostnames": ["db", "db.local"]}])
    assert peers.wants_hosts(of)
    assert not peers.wants_peers(of)
    assert "10.0.0.1\tdb db.local" in peers.hosts_file(of, "127.64.0.8", [], "").splitlines()


@pytest.mark.parametrize("name", sorted(all_profiles()))
def test_every_profile_is_whole(name: str) -> None:
    one = profile(name)
    assert len(one.inventory) == one.devices
    assert bool(one.devices) == bool(one.resource) == ("nvidia.com/gpu.product" in one.labels)


def test_an_unknown_profile_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"There is no node profile 'h200x9'; there are a100x4, .*, rtx4090x2\."):
        profile("h200x9")


def test_nodes_on_the_command_line() -> None:
    assert NodeOptions.parse("n1=h100x8,cpu=4,memory=8Gi,pods=7") == NodeOptions("n1", "h100x8", "4", "8Gi", 7)
    assert NodeOptions.parse("n1=h100x8,devices=claims") == NodeOptions("n1", "h100x8", by_claims=True)
    assert NodeOptions.parse("n1", simulate=True) == NodeOptions("n1", "cpu", simulate=True)
    assert doctest.testmod(options).failed == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("=cpu", "does not name a node"),
        ("N1=cpu", "does not name a node"),
        ("n1=what", "There is no node profile 'what'"),
        ("n1=cpu,gpus=4", "there is no setting 'gpus'; there are cpu, memory, pods, devices"),
        ("n1=h100x8,devices=both", "devices=both is neither count nor claims"),
        ("n1=", "'n1=' names no profile after n1=: write n1=PROFILE, one of "),
        ("n1=,cpu=4", "names no profile after n1="),
        ("n1=cpu,pods=x", "pods=x is not a whole number"),
    ],
)
def test_nodes_that_are_none(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NodeOptions.parse(text)


@pytest.mark.parametrize(
    ("nodes", "isolation", "message"),
    [
        ((), "auto", "at least one node"),
        ((NodeOptions("a"), NodeOptions("a")), "auto", "the same name"),
        ((NodeOptions("a"),), "jail", "There is no isolation 'jail'; there are auto, bare, userns, root"),
    ],
)
def test_options_that_make_no_agent(nodes: tuple[NodeOptions, ...], isolation: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AgentOptions(Path("/nowhere"), nodes, isolation=isolation)
    with pytest.raises(ValueError, match="not an absolute path"):
        AgentOptions(Path("nowhere"), (NodeOptions("a"),))


def version(number: int) -> Object:
    return Object.of(PODS, {"kind": "Pod", "metadata": {"name": "p", "uid": "u", "resourceVersion": str(number)}})


def test_versions_from_before_our_own_write_are_old_news() -> None:
    echo = Echo()
    assert echo.is_news(version(1))
    assert echo.wrote(version(5), 0.0).meta.resource_version == "5"
    assert [echo.is_news(version(n)) for n in (3, 4)] == [False, False]
    assert [echo.is_news(version(n)) for n in (5, 6)] == [True, True]
    assert not echo.is_overdue(100.0)


def test_a_watch_that_was_quicker_than_the_answer_hides_nothing() -> None:
    echo = Echo()
    for number in (5, 6):
        assert echo.is_news(version(number))
    assert echo.wrote(version(5), 0.0).meta.resource_version == "6"
    assert echo.is_news(version(7))


def test_an_echo_that_never_comes_is_overdue_and_a_deletion_is_always_news() -> None:
    echo = Echo()
    echo.wrote(version(5), 10.0)
    assert not echo.is_overdue(11.0)
    assert echo.is_overdue(12.0)
    assert echo.is_news(None)
    assert not echo.is_overdue(100.0)
