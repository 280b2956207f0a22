"""Silent nodes, their taints, their pods (workloads.md section 5.11)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from roadstead.controllers.node_lifecycle import NodeLifecycleController
from roadstead.controllers.pod_garbage import PodGarbageController
from roadstead.kinds.names import LEASES, NODES, PODS
from roadstead.kinds.object import Json
from roadstead.kinds.times import format_micro_time, format_time
from roadstead.testing.controllers import Fault, Lab
from tests.controllers.kit import conditions, end, seconds, start

READY = {"type": "Ready", "status": "True", "reason": "KubeletReady"}


def laboratory(faults: dict[int, Fault] | None = None, lag: int = 0, toleration: int = 30, seed: int = 0) -> Lab:
    return Lab(
        lambda: [NodeLifecycleController(toleration_seconds=toleration), PodGarbageController()],
        faults=faults,
        lag=lag,
        seed=seed,
        namespaces=("default", "kube-node-lease"),
    )


@pytest.fixture
def lab() -> Iterator[Lab]:
    with laboratory() as lab:
        yield lab


def make_node(lab: Lab, name: str = "n1") -> None:
    lab.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    report(lab, name)
    renew(lab, name)


def report(lab: Lab, name: str = "n1", status: str = "True", **others: str) -> None:
    """The agent posts its conditions."""
    found = [{**READY, "status": status}, *({"type": type, "status": value} for type, value in others.items())]
    heartbeat = {"lastHeartbeatTime": format_time(lab.now), "lastTransitionTime": format_time(lab.now)}
    lab.edit_status(NODES, name, "", conditions=[{**condition, **heartbeat} for condition in found])


def renew(lab: Lab, name: str = "n1") -> None:
    spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": format_micro_time(lab.now)}
    if lab.get(LEASES, name, "kube-node-lease") is None:
        lease = {"apiVersion": LEASES.api_version, "kind": "Lease", "metadata": {"name": name}, "spec": spec}
        lab.create(LEASES, lease, "kube-node-lease")
    else:
        lab.edit(LEASES, name, lambda value: value.update(spec=spec), "kube-node-lease")


def make_pod(lab: Lab, name: str, *tolerations: Json, node: str = "n1", **spec: Any) -> Json:
    value = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "none"}], "tolerations": list(tolerations), **spec},
    }
    pod = lab.create(PODS, value).decode()
    start(lab, pod, node)
    return pod


def taints(lab: Lab, name: str = "n1") -> set[tuple[str, str]]:
    return {
        (taint["key"].removeprefix("node.kubernetes.io/"), taint["effect"])
        for taint in lab.the(NODES, name, "")["spec"].get("taints", ())
    }


def ready(lab: Lab, name: str = "n1") -> tuple[str, str]:
    return conditions(lab.the(NODES, name, ""))["Ready"]


def is_marked(lab: Lab, name: str) -> bool:
    return "deletionTimestamp" in lab.the(PODS, name)["metadata"]


UNREACHABLE = {("unreachable", "NoSchedule"), ("unreachable", "NoExecute")}


def test_a_node_that_renews_its_lease_stays_ready(lab: Lab) -> None:
    make_node(lab)
    for _ in range(12):
        lab.advance(10)
        renew(lab)
    assert ready(lab) == ("True", "KubeletReady")
    assert taints(lab) == set()
    assert lab.ledger == []


def test_a_silent_node_becomes_unknown_after_forty_seconds_and_is_tainted(lab: Lab) -> None:
    make_node(lab)
    lab.advance(39)
    assert ready(lab)[0] == "True"
    lab.advance(2)
    assert ready(lab) == ("Unknown", "NodeStatusUnknown")
    assert conditions(lab.the(NODES, "n1", ""))["MemoryPressure"][0] == "Unknown"
    assert taints(lab) == UNREACHABLE
    assert [note.reason for note in lab.notes] == ["NodeNotReady"]


def test_status_reports_are_signs_of_life_too(lab: Lab) -> None:
    make_node(lab)
    for _ in range(4):
        lab.advance(30)
        report(lab)
    assert ready(lab)[0] == "True"


def test_a_node_that_never_spoke_is_unknown_too(lab: Lab) -> None:
    lab.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}})
    lab.advance(41)
    assert ready(lab) == ("Unknown", "NodeStatusNeverUpdated")


def test_a_node_that_comes_back_loses_the_taints(lab: Lab) -> None:
    make_node(lab)
    lab.advance(60)
    assert taints(lab) == UNREACHABLE
    renew(lab)
    report(lab)
    lab.settle()
    assert taints(lab) == set()


def test_taints_follow_the_conditions_and_the_cordon_and_leave_others_alone(lab: Lab) -> None:
    make_node(lab)
    own = {"key": "example.com/mine", "effect": "NoSchedule"}
    lab.edit(NODES, "n1", lambda value: value.setdefault("spec", {}).update(unschedulable=True, taints=[own]))
    report(lab, status="False", DiskPressure="True")
    lab.settle()
    assert taints(lab) == {
        ("example.com/mine", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
        ("not-ready", "NoSchedule"),
        ("not-ready", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
    }
    lab.edit(NODES, "n1", lambda value: value["spec"].update(unschedulable=False))
    report(lab)
    lab.settle()
    assert taints(lab) == {("example.com/mine", "NoSchedule")}


def test_a_stalled_loop_is_not_silence_of_the_nodes(lab: Lab) -> None:
    make_node(lab)
    pod = make_pod(lab, "p")
    lab.advance(20)
    lab.clock += seconds(3600)  # suspended: nobody looked, nobody renewed
    lab.advance(10)
    assert ready(lab)[0] == "True"
    renew(lab)
    lab.advance(30)
    assert ready(lab)[0] == "True"
    lab.advance(15)
    assert ready(lab)[0] == "Unknown"
    assert not is_marked(lab, pod["metadata"]["name"])


def test_a_pause_gives_nodes_time_to_speak_before_anybody_is_evicted(lab: Lab) -> None:
    make_node(lab)
    make_pod(lab, "p")
    lab.advance(50)
    assert taints(lab) == UNREACHABLE
    lab.clock += seconds(3600)
    lab.advance(10)
    assert not is_marked(lab, "p")
    renew(lab)
    report(lab)
    for _ in range(10):
        lab.advance(30)
        renew(lab)
    assert not is_marked(lab, "p")


FOR_EVER = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}
ADMITTED = {**FOR_EVER, "tolerationSeconds": 300}
SHORT = {**FOR_EVER, "tolerationSeconds": 5}


@pytest.mark.parametrize(
    ("tolerations", "evicted_after"),
    [
        ([], 30),
        ([ADMITTED], 30),
        ([SHORT], 5),
        ([FOR_EVER], None),
        ([{"operator": "Exists"}], None),
        ([{"key": "other", "operator": "Exists"}], 30),
    ],
    ids=["none", "admission's", "shorter", "for ever", "everything", "another"],
)
def test_pods_leave_an_unreachable_node_when_their_patience_is_over(
    lab: Lab, tolerations: list[Json], evicted_after: int | None
) -> None:
    make_node(lab)
    make_pod(lab, "p", *tolerations)
    lab.advance(40)
    assert taints(lab) == UNREACHABLE
    assert conditions(lab.the(PODS, "p"))["Ready"][0] == "False"
    lab.advance((evicted_after or 600) - 1)
    assert not is_marked(lab, "p")
    lab.advance(1)
    assert is_marked(lab, "p") == (evicted_after is not None)
    if evicted_after is not None:
        assert conditions(lab.the(PODS, "p"))["DisruptionTarget"] == ("True", "DeletionByTaintManager")


def test_a_users_no_execute_taint_evicts_those_who_do_not_tolerate_it(lab: Lab) -> None:
    make_node(lab)
    make_pod(lab, "stays", {"key": "maintenance", "operator": "Equal", "value": "soon", "effect": "NoExecute"})
    make_pod(lab, "waits", {"key": "maintenance", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 20})
    make_pod(lab, "goes", {"key": "maintenance", "operator": "Equal", "value": "now"})
    taint = {"key": "maintenance", "value": "soon", "effect": "NoExecute"}
    lab.edit(NODES, "n1", lambda value: value.setdefault("spec", {}).update(taints=[taint]))
    lab.settle()
    assert [is_marked(lab, name) for name in ("stays", "waits", "goes")] == [False, False, True]
    for _ in range(2):
        lab.advance(10)
        renew(lab)
    assert [is_marked(lab, name) for name in ("stays", "waits")] == [False, True]


def test_finished_pods_keep_their_result_on_a_lost_node(lab: Lab) -> None:
    make_node(lab)
    end(lab, make_pod(lab, "done"))
    lab.advance(400)
    assert not is_marked(lab, "done")
    lab.delete(NODES, "n1", "")
    lab.advance(400)
    assert lab.the(PODS, "done")["status"]["phase"] == "Succeeded"


def test_pods_of_a_node_that_is_gone_fail_after_a_quarantine(lab: Lab) -> None:
    make_node(lab)
    make_pod(lab, "p")
    lab.edit(PODS, "p", lambda value: value["metadata"].update(finalizers=["example.com/hold"]))
    lab.delete(NODES, "n1", "")
    lab.advance(39)
    assert lab.the(PODS, "p")["status"]["phase"] == "Running"
    lab.advance(1)
    found = lab.the(PODS, "p")
    assert found["status"]["phase"] == "Failed"
    assert conditions(found)["DisruptionTarget"] == ("True", "DeletionByPodGC")
    lab.edit(PODS, "p", lambda value: value["metadata"].pop("finalizers"))
    assert lab.get(PODS, "p") is None


def test_a_node_that_returns_starts_the_quarantine_anew(lab: Lab) -> None:
    make_node(lab)
    make_pod(lab, "p")
    lab.delete(NODES, "n1")
    lab.advance(30)
    make_node(lab)
    lab.advance(5)
    lab.delete(NODES, "n1")
    lab.advance(39)
    assert lab.the(PODS, "p")["status"]["phase"] == "Running"
    lab.advance(1)
    assert lab.get(PODS, "p") is None


def test_a_pod_that_terminates_on_a_node_that_is_gone_is_removed(lab: Lab) -> None:
    make_node(lab)
    make_pod(lab, "p")
    lab.delete(PODS, "p")
    lab.delete(NODES, "n1", "")
    lab.advance(41)
    assert lab.get(PODS, "p") is None


def test_a_terminating_pod_that_was_never_bound_fails_at_once(lab: Lab) -> None:
    value = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "finalizers": ["example.com/hold"]},
        "spec": {"containers": [{"name": "c", "image": "none"}]},
    }
    lab.create(PODS, value)
    lab.delete(PODS, "p")
    lab.settle()
    assert lab.the(PODS, "p")["status"]["phase"] == "Failed"


@pytest.mark.parametrize("lag", [0, 4])
@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
def test_eviction_and_return_end_well_whatever_befalls_any_single_write(fault: Fault, lag: int) -> None:
    for number in range(8):
        with laboratory({number: fault}, lag, seed=number) as lab:
            make_node(lab)
            make_pod(lab, "goes")
            make_pod(lab, "stays", FOR_EVER)
            lab.advance(300)
            assert taints(lab) == UNREACHABLE
            assert is_marked(lab, "goes")
            assert not is_marked(lab, "stays")
            renew(lab)
            report(lab)
            lab.advance(1)
            assert taints(lab) == set()
