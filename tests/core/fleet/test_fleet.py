"""The ledger: who may use which node, what is free, devices, and refusals with their numbers."""

from __future__ import annotations

import pytest

from roadstead.core.fleet.ask import Ask, Found, PodSetAsk
from roadstead.core.fleet.fleet import Fleet
from roadstead.core.undo import UndoLog
from roadstead.model.nodes import Device, Node
from roadstead.model.refusals import Code, Level, Verdict
from roadstead.model.selection import NodeTerm, Requirement, Taint, Toleration
from roadstead.model.workload import Member, Placement, PodClass, PodSetPlacement, TopologyRequest

from .build import GPU, HOST, LEVELS, ask, by_node, fleet, found, node, one, pods, racks, refused

MAINT = Taint("maint", "true")
TOLERATES = Toleration("maint", "Exists")
PREFERS = Taint("maint", "true", "PreferNoSchedule")


def placed(count: int, name: str, *devices: str, cpu: int = 1, gpus: int = 0) -> Placement:
    """`count` members on one node, the devices dealt out in turn."""
    members = tuple(Member(name, tuple(devices[i * gpus : (i + 1) * gpus])) for i in range(count))
    return Placement((PodSetPlacement("main", members, pods(cpu, gpus).requests),))


# --- which nodes


@pytest.mark.parametrize(
    ("subject", "pod", "cause"),
    [
        pytest.param(node("n", 4), PodClass(), None, id="nothing in the way"),
        pytest.param(node("n", 4, ready=False), PodClass(), "notReady", id="not ready"),
        pytest.param(node("n", 4, unschedulable=True), PodClass(), "unschedulable", id="cordoned"),
        pytest.param(node("n", 4, taints=[MAINT]), PodClass(), "taint", id="tainted"),
        pytest.param(node("n", 4, taints=[PREFERS]), PodClass(), None, id="a taint that only prefers"),
        pytest.param(node("n", 4, taints=[MAINT]), PodClass(tolerations=(TOLERATES,)), None, id="tolerated by the pod"),
        pytest.param(node("n", 4), PodClass(node_selector=(("disk", "ssd"),)), "nodeSelector", id="lacks a label"),
        pytest.param(
            node("n", 4, labels={"disk": "ssd"}), PodClass(node_selector=(("disk", "ssd"),)), None, id="has the label"
        ),
        pytest.param(
            node("n", 4),
            PodClass(node_affinity=(NodeTerm((Requirement("disk", "Exists"),)),)),
            "affinity",
            id="required affinity",
        ),
        pytest.param(
            node("n", 4),
            PodClass(node_affinity=(NodeTerm((Requirement("disk", "Exists"),)), NodeTerm((Requirement("disk", "DoesNotExist"),)))),
            None,
            id="one of two terms is enough",
        ),
        pytest.param(
            node("n", 4),
            PodClass(node_affinity=(NodeTerm(fields=(Requirement("metadata.name", "In", ("m",)),)),)),
            "affinity",
            id="by name: another",
        ),
        pytest.param(
            node("n", 4),
            PodClass(node_affinity=(NodeTerm(fields=(Requirement("metadata.name", "In", ("n",)),)),)),
            None,
            id="by name: this one",
        ),
        pytest.param(node("n", 4), PodClass(node_affinity=(NodeTerm(),)), "affinity", id="an empty term matches nothing"),
    ],
)  # fmt: skip
def test_which_nodes_a_pod_may_use(subject: Node, pod: PodClass, cause: str | None) -> None:
    answer = fleet(subject).place(one(pod=pod))
    if cause is None:
        assert by_node(answer) == {"n": 1}
    else:
        refusal = refused(answer)
        verdict = Verdict.ASK if cause in ("notReady", "unschedulable") else Verdict.CHANGE
        assert (refusal.code, refusal.verdict, refusal.counts) == (Code.NO_NODE_MATCHES, verdict, ((cause, 1),))


def test_the_flavor_chooses_nodes_and_tolerates_their_taints() -> None:
    subject = fleet(
        node("a", 4, labels={"pool": "cpu"}), node("b", 4, labels={"pool": "gpu"}, taints=[MAINT]), node("c", 4)
    )
    gpu = PodSetAsk("main", 1, pods(), node_labels=(("pool", "gpu"),), tolerations=(TOLERATES,))
    assert by_node(subject.place(Ask((gpu,)))) == {"b": 1}
    none = PodSetAsk("main", 1, pods(), node_labels=(("pool", "tpu"),))
    assert refused(subject.place(Ask((none,)))).counts == (("flavor", 3),)


def test_a_fleet_without_nodes_says_that_someone_must_act() -> None:
    refusal = refused(fleet().place(one()))
    assert (refusal.code, refusal.verdict, refusal.counts) == (Code.NO_NODE_MATCHES, Verdict.ASK, ())


def test_a_node_that_lacks_a_level_of_the_topology_is_not_part_of_it() -> None:
    subject = fleet(node("n1", 4, labels={"block": "b1"}), node("n2", 4, labels={"block": "b1", "rack": "r1"}))
    assert by_node(subject.place(ask(4, request=TopologyRequest(unconstrained=True)))) == {"n2": 4}
    assert refused(subject.place(ask(5, request=TopologyRequest(unconstrained=True)))).counts == (("flavor", 1),)


def test_a_node_without_hostname_label_is_a_domain_by_its_name() -> None:
    subject = fleet(Node("bare", allocatable=(("cpu", 1000), ("pods", 10))))
    assert by_node(subject.place(one())) == {"bare": 1}


def test_a_level_that_the_topology_does_not_have_is_refused() -> None:
    refusal = refused(fleet(node("n", 4)).place(ask(1, request=TopologyRequest(required="row"))))
    assert (refusal.code, refusal.verdict, refusal.level, refusal.subject) == (
        Code.TOPOLOGY_TOO_SMALL,
        Verdict.CHANGE,
        Level.FLAVOR,
        "row",
    )


# --- devices


def test_devices_go_out_lowest_index_first_and_never_twice() -> None:
    subject = fleet(node("n", 8, gpus=4, unhealthy=[1]))
    first = found(subject.place(one(2, pods(1, 1)))).placement
    assert [member.devices for member in first.pod_sets[0].members] == [("gpu-0",), ("gpu-2",)]
    subject.hold("workload:ns/a", first)
    second = found(subject.place(one(1, pods(1, 1)))).placement
    assert second.pod_sets[0].members == (Member("n", ("gpu-3",)),)
    subject.hold("workload:ns/b", second)
    refusal = refused(subject.place(one(1, pods(1, 1))))
    assert (refusal.code, refusal.verdict, refusal.resource) == (Code.DEVICES_EXHAUSTED, Verdict.WAIT, GPU)
    assert (refusal.needed, refusal.available, refusal.counts) == (1, 0, ((GPU, 1),))
    subject.release("workload:ns/a")
    assert found(subject.place(one(1, pods(1, 2)))).placement.pod_sets[0].members == (Member("n", ("gpu-0", "gpu-2")),)


def test_indices_count_not_names() -> None:
    devices = tuple(Device(f"GPU-{name}", GPU, index) for index, name in enumerate(["c", "a", "b"]))
    subject = fleet(Node("n", allocatable=((GPU, 3), ("pods", 10)), devices=devices))
    members = found(subject.place(one(1, PodClass(requests=((GPU, 2),))))).placement.pod_sets[0].members
    assert members == (Member("n", ("GPU-c", "GPU-a")),)


def test_allocatable_bounds_listed_devices_too() -> None:
    listed = node("n", 8, gpus=4)
    subject = fleet(Node("n", allocatable=(("cpu", 8000), (GPU, 1), ("pods", 10)), devices=listed.devices))
    assert isinstance(subject.place(one(1, pods(1, 1))), Found)
    assert refused(subject.place(one(1, pods(1, 2)))).resource == GPU


def test_a_resource_without_listed_devices_is_counted() -> None:
    subject = fleet(Node("n", allocatable=((GPU, 2), ("pods", 10))))
    answer = found(subject.place(one(1, PodClass(requests=((GPU, 2),)))))
    assert answer.placement.pod_sets[0].members == (Member("n"),)
    subject.hold("workload:ns/a", answer.placement)
    assert refused(subject.place(one(1, PodClass(requests=((GPU, 1),))))).code is Code.NODES_EXHAUSTED


def test_what_pods_outside_workloads_hold_is_waited_for_and_what_nobody_has_is_not() -> None:
    subject = fleet(node("n", 8, gpus=8))
    subject.hold("pod:ns/a", placed(1, "n", *(f"gpu-{i}" for i in range(6)), cpu=1, gpus=6))
    fits_later = refused(subject.place(one(1, pods(1, 8))))
    assert (fits_later.code, fits_later.verdict, fits_later.available) == (Code.DEVICES_EXHAUSTED, Verdict.WAIT, 2)
    never = refused(subject.place(one(1, pods(1, 9))))
    assert (never.code, never.verdict) == (Code.TOPOLOGY_TOO_SMALL, Verdict.CHANGE)


def test_devices_of_two_resources() -> None:
    devices = (Device("gpu-0", GPU, 0), Device("nic-0", "rdma/nic", 0), Device("nic-1", "rdma/nic", 1))
    subject = fleet(Node("n", allocatable=((GPU, 1), ("rdma/nic", 2), ("pods", 10)), devices=devices))
    answer = found(subject.place(one(1, PodClass(requests=((GPU, 1), ("rdma/nic", 2))))))
    assert answer.placement.pod_sets[0].members == (Member("n", ("gpu-0", "nic-0", "nic-1")),)


def test_what_is_bound_already_is_recorded_even_where_it_overcommits() -> None:
    subject = fleet(node("n", 2, gpus=2))
    subject.hold("pod:ns/a", placed(1, "n", "gpu-1", cpu=4, gpus=1))
    subject.hold("pod:ns/b", placed(1, "n", "gpu-1", cpu=4, gpus=1))
    refusal = refused(subject.place(one()))
    assert (refusal.code, refusal.verdict, refusal.available) == (Code.NODES_EXHAUSTED, Verdict.WAIT, 0)
    subject.release("pod:ns/a")
    subject.release("pod:ns/b")
    assert by_node(subject.place(one(2, pods(1, 1)))) == {"n": 2}


# --- holds


def test_holds_survive_the_change_and_the_absence_of_their_node() -> None:
    subject = fleet(node("n", 4, gpus=2))
    subject.hold("workload:ns/a", placed(1, "n", "gpu-0", cpu=2, gpus=1))
    subject.remove_node("n")
    assert refused(subject.place(one())).code is Code.NO_NODE_MATCHES
    subject.set_node(node("n", 6, gpus=2))
    assert found(subject.place(one(4, pods(1)))).placement
    assert refused(subject.place(one(5, pods(1)))).needed == 5000
    assert found(subject.place(one(1, pods(1, 1)))).placement.pod_sets[0].members == (Member("n", ("gpu-1",)),)


def test_a_hold_on_a_node_that_is_not_known_yet_counts_once_it_is() -> None:
    subject = fleet()
    subject.hold("workload:ns/a", placed(3, "n"))
    subject.set_node(node("n", 4))
    assert by_node(subject.place(one(1))) == {"n": 1}
    assert refused(subject.place(one(2))).available == 1000


def test_holding_again_replaces() -> None:
    subject = fleet(node("a", 2), node("b", 2))
    subject.hold("workload:ns/a", placed(2, "a"))
    subject.hold("workload:ns/a", placed(2, "a"))
    subject.hold("workload:ns/a", placed(2, "b"))
    assert by_node(subject.place(one(2))) == {"a": 2}
    assert subject.holders_on("a") == ()
    assert subject.holders_on("b") == ("workload:ns/a",)
    assert subject.held("workload:ns/a") == placed(2, "b")


def test_who_holds_what() -> None:
    subject = fleet(node("a", 4, 2, labels={"pool": "x"}), node("b", 4, 2))
    subject.hold("workload:ns/z", placed(1, "a", "gpu-0", gpus=1))
    subject.hold("pod:ns/y", placed(1, "a"))
    subject.hold("workload:ns/x", placed(1, "b", "gpu-0", gpus=1))
    assert subject.holders_of(GPU) == ("workload:ns/x", "workload:ns/z")
    assert subject.holders_of("cpu", (("pool", "x"),)) == ("pod:ns/y", "workload:ns/z")
    assert subject.holders_on("nowhere") == ()


def test_totals() -> None:
    subject = fleet(node("a", 4, 2, labels={"pool": "x"}), node("b", 2), node("c", 8, unschedulable=True))
    subject.hold("workload:ns/a", placed(1, "a", "gpu-1", cpu=3, gpus=1))
    subject.hold("workload:ns/b", placed(1, "b", cpu=9))
    assert subject.capacity() == {"cpu": 6000, GPU: 2, "pods": 220}
    assert subject.free() == {"cpu": 1000, GPU: 1, "pods": 218}
    assert subject.free((("pool", "x"),)) == {"cpu": 1000, GPU: 1, "pods": 109}


def test_a_trial_leaves_no_trace() -> None:
    undo = UndoLog()
    subject = fleet(node("a", 2), undo=undo)
    subject.hold("workload:ns/a", placed(2, "a"))
    before = list(subject.digest_parts())
    mark = undo.begin()
    subject.release("workload:ns/a")
    inner = undo.begin()
    subject.set_node(node("b", 2))
    subject.hold("workload:ns/b", placed(2, "b"))
    assert by_node(subject.place(one(2))) == {"a": 2}
    undo.rollback(inner)
    assert refused(subject.place(one(3))).needed == 3000
    undo.rollback(mark)
    assert list(subject.digest_parts()) == before
    assert not isinstance(subject.place(one()), Found)


# --- gangs and groups


def test_a_gang_is_placed_whole_or_not_at_all() -> None:
    subject = fleet(node("a", 2), node("b", 2))
    wanted = Ask((PodSetAsk("head", 1, pods(2)), PodSetAsk("workers", 2, pods(1)), PodSetAsk("none", 0, pods(64))))
    answer = found(subject.place(wanted))
    assert [by_node(answer, i) for i in range(3)] == [{"a": 1}, {"b": 2}, {}]
    more = Ask((*wanted.pod_sets, PodSetAsk("tail", 1, pods(1))))
    assert refused(subject.place(more)).pod_set == "tail"


def test_pod_sets_of_one_workload_do_not_share_devices() -> None:
    subject = fleet(node("a", 8, gpus=2))
    answer = found(subject.place(Ask((PodSetAsk("x", 1, pods(1, 1)), PodSetAsk("y", 1, pods(1, 1))))))
    assert [each.members[0].devices for each in answer.placement.pod_sets] == [("gpu-0",), ("gpu-1",)]


def test_a_leader_is_placed_with_its_workers() -> None:
    subject = racks({"b1/r1/n1": 2, "b1/r1/n2": 2, "b1/r2/n3": 5})
    request = TopologyRequest(required="rack", group="g")
    leader = PodSetAsk("leader", 1, pods(1), levels=LEVELS, request=request)
    workers = PodSetAsk("workers", 4, pods(1), levels=LEVELS, request=request)
    answer = found(subject.place(Ask((leader, workers))))
    assert (by_node(answer, 0), by_node(answer, 1)) == ({"n3": 1}, {"n3": 4})
    assert answer.placement.pod_sets[0].name == "leader"
    more = PodSetAsk("workers", 5, pods(1), levels=LEVELS, request=request)
    refusal = refused(subject.place(Ask((leader, more))))
    assert (refusal.code, refusal.pod_set) == (Code.TOPOLOGY_TOO_SMALL, "workers")


def test_a_leader_goes_only_where_it_may_itself() -> None:
    subject = fleet(node("a", 4), node("b", 4, labels={"disk": "ssd"}))
    request = TopologyRequest(preferred=HOST, group="g")
    pod = PodClass(requests=(("cpu", 1000),), node_selector=(("disk", "ssd"),))
    sets = (PodSetAsk("leader", 1, pod, request=request), PodSetAsk("workers", 6, pods(1), request=request))
    answer = found(subject.place(Ask(sets)))
    assert by_node(answer, 0) == {"b": 1}
    assert by_node(answer, 1) == {"a": 4, "b": 2} or by_node(answer, 1) == {"a": 3, "b": 3}


def test_an_incomplete_last_slice_stays_together() -> None:
    subject = racks({"b1/r1/n1": 4, "b1/r2/n2": 4})
    request = TopologyRequest(required="block", slice_level="rack", slice_size=4)
    assert by_node(subject.place(ask(6, request=request))) == {"n1": 4, "n2": 2}


def test_topologies_that_end_above_the_node_still_name_nodes() -> None:
    subject = racks({"b1/r1/n1": 3, "b1/r1/n2": 3})
    wanted = Ask((PodSetAsk("main", 2, pods(2), levels=("block", "rack"), request=TopologyRequest(required="rack")),))
    answer = found(subject.place(wanted))
    assert answer.topologies[0].domains == ((("b1", "b1-r1"), 2),)
    assert [member.node for member in answer.placement.pod_sets[0].members] == ["n1", "n2"]
    three = Ask((PodSetAsk("main", 3, pods(2), levels=("block", "rack"), request=TopologyRequest(required="rack")),))
    assert not isinstance(subject.place(three), Found)  # six CPUs, but no node has two for the third pod
    assert isinstance(subject.place(Ask(three.pod_sets, exact=False)), Found)  # Kueue counts the rack's sum


# --- refusals


def test_a_refusal_counts_what_stands_in_the_way() -> None:
    subject = fleet(
        node("a", 8, gpus=2),
        node("b", 1, gpus=2),
        node("c", 8),
        node("d", 8, gpus=2, taints=[MAINT]),
        node("e", 8, gpus=2, ready=False),
        node("f", 8, gpus=2, pods=0),
    )
    subject.hold("workload:ns/a", placed(1, "a", "gpu-0", gpus=1))
    refusal = refused(subject.place(one(1, pods(2, 2))))
    assert refusal.counts == (("cpu", 1), ("notReady", 1), (GPU, 2), ("pods", 1), ("taint", 1))
    assert (refusal.code, refusal.verdict, refusal.level) == (Code.DEVICES_EXHAUSTED, Verdict.WAIT, Level.FLEET)
    assert (refusal.resource, refusal.needed, refusal.available, refusal.limit) == (GPU, 2, 1, 2)


@pytest.mark.parametrize(
    ("wanted", "code", "verdict", "numbers"),
    [
        pytest.param(ask(3, request=TopologyRequest(required="rack")), Code.TOPOLOGY_FULL, Verdict.WAIT, (3000, 2000, 3000), id="room, but not close together"),
        pytest.param(ask(5, request=TopologyRequest(required="rack")), Code.TOPOLOGY_TOO_SMALL, Verdict.CHANGE, (5000, 2000, 4000), id="no rack is that large"),
        pytest.param(ask(6), Code.NODES_EXHAUSTED, Verdict.WAIT, (6000, 4000, 6000), id="not enough left anywhere"),
        pytest.param(ask(9), Code.TOPOLOGY_TOO_SMALL, Verdict.CHANGE, (9000, 4000, 8000), id="not enough even when empty"),
        pytest.param(ask(1, pods(5)), Code.TOPOLOGY_TOO_SMALL, Verdict.CHANGE, (5000, 4000, 4000), id="larger than any node"),
    ],
)  # fmt: skip
def test_wait_or_change(wanted: Ask, code: Code, verdict: Verdict, numbers: tuple[int, int, int]) -> None:
    subject = racks({"b1/r1/n1": 4, "b1/r2/n2": 4})
    subject.hold("workload:ns/a", Placement((*placed(2, "n1").pod_sets, *placed(2, "n2").pod_sets)))
    refusal = refused(subject.place(wanted))
    assert (refusal.code, refusal.verdict) == (code, verdict)
    if wanted.pod_sets[0].count == 1:
        numbers = (5000, 2000, 4000)
    assert (refusal.needed, refusal.available, refusal.limit) == numbers


def test_pods_outside_workloads_stay_in_an_empty_fleet() -> None:
    subject = fleet(node("n", 4))
    subject.hold("pod:ns/daemon", placed(1, "n"))
    subject.hold("workload:ns/a", placed(3, "n"))
    assert isinstance(subject.could_ever_place(one(3)), Found)
    refusal = refused(subject.could_ever_place(one(4)))
    assert (refusal.code, refusal.verdict) == (Code.TOPOLOGY_TOO_SMALL, Verdict.CHANGE)


# --- an answer that is kept


def test_an_answer_fits_until_its_place_is_taken() -> None:
    subject = fleet(node("a", 2, gpus=2), node("b", 2, gpus=2))
    wanted = one(1, pods(1, 1))
    answer = found(subject.place(wanted))
    assert subject.still_fits(wanted, answer)
    subject.hold("workload:ns/elsewhere", placed(2, "b"))
    assert subject.still_fits(wanted, answer)
    subject.hold("workload:ns/same-device", placed(1, "a", "gpu-0", gpus=1))
    assert not subject.still_fits(wanted, answer)
    subject.hold("workload:ns/same-device", placed(1, "a", "gpu-1", gpus=1))
    assert subject.still_fits(wanted, answer)
    subject.remove_node("a")
    assert not subject.still_fits(wanted, answer)


# --- Kueue's own arithmetic, where kube-scheduler has the last word


def test_a_leaf_that_is_used_up_exactly_counts_as_empty_where_kueue_would_say_so() -> None:
    subject = fleet(node("a", 4, pods=4))
    subject.hold("workload:ns/a", placed(4, "a"))
    assert not isinstance(subject.place(one(2)), Found)
    assert isinstance(subject.place(Ask(one(2).pod_sets, exact=False)), Found)
    subject.hold("workload:ns/b", placed(1, "a"))
    assert not isinstance(subject.place(Ask(one(2).pod_sets, exact=False)), Found)


def test_counts_are_dropped_when_too_many_kinds_of_questions_are_asked() -> None:
    subject = fleet(node("a", 64))
    for cpu in range(1, 130):
        assert isinstance(subject.place(one(1, PodClass(requests=(("cpu", cpu),)))), Found)
    assert isinstance(subject, Fleet)
    assert by_node(subject.place(one(64))) == {"a": 64}


def test_the_numbers_of_a_refusal_are_those_of_now_not_of_the_second_look_at_an_empty_fleet() -> None:
    subject = fleet(node("n", 4))
    subject.hold("workload:ns/a", placed(3, "n"))
    wanted = Ask((PodSetAsk("x", 1, pods(2)), PodSetAsk("y", 1, pods(1))))
    for _ in range(8):  # counted flat at first, kept counted later
        refusal = refused(subject.place(wanted))
        assert (refusal.verdict, refusal.pod_set, refusal.needed, refusal.available) == (Verdict.WAIT, "x", 2000, 1000)


def test_a_gang_of_which_a_later_part_can_never_be_placed_must_change() -> None:
    subject = fleet(node("n", 4))
    subject.hold("workload:ns/a", placed(3, "n"))
    refusal = refused(subject.place(Ask((PodSetAsk("x", 1, pods(2)), PodSetAsk("y", 1, pods(3))))))
    assert (refusal.verdict, refusal.pod_set, refusal.needed, refusal.limit) == (Verdict.CHANGE, "y", 3000, 2000)
