"""What every adapter of the Cluster port promises. One suite for all worlds."""

from __future__ import annotations

import asyncio
import copy
import uuid

import pytest

from roadstead.kinds.names import CONFIG_MAPS, NODES, PODS
from roadstead.kinds.object import Json
from roadstead.runtime.cluster import (
    Create,
    Delete,
    EventType,
    Expired,
    Result,
    Selector,
    Update,
)
from roadstead.runtime.informer import Informer
from roadstead.runtime.view import Cache
from roadstead.runtime.writing import write_once
from roadstead.testing.faults import Fault, FaultyCluster
from tests.contracts.adapters import World
from tests.contracts.place import Place, a_pod, contract, stored

# --- create


@contract
async def test_create_answers_with_what_is_stored(place: Place) -> None:
    created = await place.create(place.config_map(labels={"a": "b"}))
    assert created.meta.uid
    assert created.meta.resource_version
    assert created.meta.creation_timestamp
    assert created.kind == "ConfigMap"
    value = created.decode()
    assert (value["apiVersion"], value["data"]) == ("v1", {"key": "value"})
    found = await place.get()
    assert found.version == created.version
    assert found.decode() == value


@contract
async def test_create_of_a_taken_name_is_exists_and_changes_nothing(place: Place) -> None:
    first = await place.create(place.config_map())
    outcome = await place.cluster.write(Create(CONFIG_MAPS, place.config_map() | {"data": {"other": "x"}}))
    assert outcome.result is Result.EXISTS
    assert (await place.get()).version == first.version


@contract
async def test_create_in_a_missing_namespace_is_missing(place: Place) -> None:
    value = place.config_map()
    value["metadata"]["namespace"] = f"none-{uuid.uuid4().hex[:8]}"
    assert (await place.cluster.write(Create(CONFIG_MAPS, value))).result is Result.MISSING


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param({"metadata": {"name": "Not_A_Name"}}, id="name"),
        pytest.param({"metadata": {"labels": {"-bad-": "x"}}}, id="label"),
        pytest.param({"data": {"no/slash": "x"}}, id="a rule of the kind"),
        pytest.param({"data": {"number": 5}}, id="type"),
    ],
)
def test_what_the_server_refuses_is_invalid_with_its_words_and_nothing_is_stored(edit: Json, world: World) -> None:
    @contract
    async def run(place: Place) -> None:
        value = place.config_map()
        value["metadata"] |= edit.get("metadata", {})
        value |= {key: part for key, part in edit.items() if key != "metadata"}
        outcome = await place.cluster.write(Create(CONFIG_MAPS, value))
        assert outcome.result is Result.INVALID
        assert outcome.message
        assert (await place.cluster.list(CONFIG_MAPS, place.namespace, Selector(fields="metadata.name=a"))).items == ()

    run(world)


@contract
async def test_the_callers_dict_stays_as_it_was(place: Place) -> None:
    value = place.config_map()
    before = copy.deepcopy(value)
    created = await place.create(value)
    assert value == before
    sent = created.decode() | {"data": {"key": "2"}}
    before = copy.deepcopy(sent)
    await place.update(sent)
    assert sent == before


# --- update


@contract
async def test_update_at_the_version_read_replaces_the_object(place: Place) -> None:
    created = await place.create(place.config_map(annotations={"kept": "1"}))
    value = created.decode()
    value["data"] = {"new": "x"}
    updated = await place.update(value)
    assert updated.decode()["data"] == {"new": "x"}
    assert updated.meta.annotations == {"kept": "1"}
    assert updated.meta.uid == created.meta.uid
    assert updated.meta.resource_version != created.meta.resource_version


@contract
async def test_update_at_an_old_version_is_conflict_and_changes_nothing(place: Place) -> None:
    created = await place.create(place.config_map())
    newer = await place.update(created.decode() | {"data": {"n": "2"}})
    outcome = await place.cluster.write(Update(CONFIG_MAPS, created.decode() | {"data": {"n": "3"}}))
    assert outcome.result is Result.CONFLICT
    assert (await place.get()).version == newer.version


@contract
async def test_update_of_another_incarnation_is_conflict(place: Place) -> None:
    first = await place.create(place.config_map())
    assert (await place.delete(first)).is_done
    second = await place.create(place.config_map())
    value = first.decode()
    value["metadata"]["resourceVersion"] = second.meta.resource_version
    assert (await place.cluster.write(Update(CONFIG_MAPS, value))).result is Result.CONFLICT


@contract
async def test_update_of_what_is_not_there_is_missing_or_conflict(place: Place) -> None:
    created = await place.create(place.config_map())
    await place.delete(created)
    outcome = await place.cluster.write(Update(CONFIG_MAPS, created.decode()))
    assert outcome.result in (Result.MISSING, Result.CONFLICT)


@contract
async def test_update_that_changes_nothing_keeps_the_version(place: Place) -> None:
    created = await place.create(place.config_map())
    assert (await place.update(created.decode())).version == created.version


@contract
async def test_of_many_updates_at_one_version_exactly_one_is_done(place: Place) -> None:
    created = await place.create(place.config_map())
    writes = [Update(CONFIG_MAPS, created.decode() | {"data": {"winner": str(index)}}) for index in range(8)]
    outcomes = await asyncio.gather(*(place.cluster.write(write) for write in writes))
    assert sorted(outcome.result for outcome in outcomes) == [Result.CONFLICT] * 7 + [Result.DONE]
    winner = next(index for index, outcome in enumerate(outcomes) if outcome.is_done)
    assert (await place.get()).decode()["data"] == {"winner": str(winner)}


@contract
async def test_the_status_endpoint_writes_status_and_the_main_one_does_not(place: Place) -> None:
    name = f"node-{uuid.uuid4().hex[:8]}"
    node = stored(await place.cluster.write(Create(NODES, {"metadata": {"name": name}})))
    value = node.decode()
    value.setdefault("status", {})["capacity"] = {"example.com/thing": "3"}
    value.setdefault("spec", {})["unschedulable"] = True
    after_status = await place.update(value, NODES, "status")
    assert after_status.decode()["status"]["capacity"]["example.com/thing"] == "3"
    assert "unschedulable" not in after_status.decode().get("spec", {})
    value = after_status.decode()
    value["status"]["capacity"]["example.com/thing"] = "9"
    value.setdefault("spec", {})["unschedulable"] = True
    after_main = await place.update(value, NODES)
    assert after_main.decode()["spec"]["unschedulable"] is True
    assert after_main.decode()["status"]["capacity"]["example.com/thing"] == "3"
    assert (await place.delete(after_main)).is_done


# --- delete


@contract
async def test_delete_of_the_object_meant_removes_it(place: Place) -> None:
    created = await place.create(place.config_map())
    outcome = await place.delete(created)
    assert outcome.is_done
    assert outcome.object is None
    assert await place.cluster.get(place.ref()) is None
    assert (await place.delete(created)).result is Result.MISSING


@contract
async def test_delete_of_another_incarnation_or_version_is_conflict(place: Place) -> None:
    first = await place.create(place.config_map())
    await place.delete(first)
    second = await place.create(place.config_map())
    assert (await place.delete(first)).result is Result.CONFLICT
    third = await place.update(second.decode() | {"data": {}})
    outcome = await place.delete(second, resource_version=second.meta.resource_version)
    assert outcome.result is Result.CONFLICT
    assert (await place.get()).version == third.version
    assert (await place.delete(third, resource_version=third.meta.resource_version)).is_done


@contract
async def test_finalizers_hold_an_object_until_the_last_is_removed(place: Place) -> None:
    created = await place.create(place.config_map(finalizers=["example.com/hold"]))
    outcome = await place.delete(created)
    marked = stored(outcome)
    assert marked.meta.deletion_timestamp
    again = await place.get()
    assert again.meta.deletion_timestamp == marked.meta.deletion_timestamp
    value = again.decode()
    value["metadata"]["finalizers"] = ["example.com/hold", "example.com/new"]
    assert (await place.cluster.write(Update(CONFIG_MAPS, value))).result is Result.INVALID
    del value["metadata"]["finalizers"]
    assert (await place.cluster.write(Update(CONFIG_MAPS, value))).is_done
    assert await place.cluster.get(place.ref()) is None


# --- reads


@contract
async def test_reads_see_every_acknowledged_write(place: Place) -> None:
    for index in range(5):
        created = await place.create(place.config_map(f"n{index}"))
        assert (await place.get(f"n{index}")).version == created.version
        listing = await place.cluster.list(CONFIG_MAPS, place.namespace)
        assert f"n{index}" in [found.meta.name for found in listing.items]
    assert await place.cluster.get(place.ref("none")) is None


@contract
async def test_list_gives_whole_objects_in_order_of_their_names(place: Place) -> None:
    for name in ("b", "a.b", "a-b", "a"):
        await place.create(place.config_map(name))
    listing = await place.cluster.list(CONFIG_MAPS, place.namespace)
    ours = [found for found in listing.items if found.meta.name != "kube-root-ca.crt"]
    assert [found.meta.name for found in ours] == ["a", "a-b", "a.b", "b"]
    assert {(found.decode()["apiVersion"], found.kind) for found in ours} == {("v1", "ConfigMap")}
    everywhere = await place.cluster.list(CONFIG_MAPS)
    assert {found.ref for found in ours} <= {found.ref for found in everywhere.items}


@contract
async def test_selectors_narrow_lists_and_watches(place: Place) -> None:
    start = (await place.cluster.list(CONFIG_MAPS, place.namespace)).resource_version
    for name in ("a", "b", "c"):
        await place.create(place.config_map(name, labels={"name": name}))
    for selector in (Selector(labels="name in (a,b),name!=a"), Selector(fields="metadata.name=b")):
        listing = await place.cluster.list(CONFIG_MAPS, place.namespace, selector)
        assert [found.meta.name for found in listing.items] == ["b"]
        (event,) = await place.follow(start, 1, selector=selector)
        assert event.object is not None
        assert event.object.meta.name == "b"


# --- watch


@contract
async def test_a_watch_resumed_at_any_version_gives_exactly_what_is_missing(place: Place) -> None:
    start = (await place.cluster.list(CONFIG_MAPS, place.namespace)).resource_version
    a = await place.create(place.config_map("a"))
    a = await place.update(a.decode() | {"data": {"n": "2"}})
    b = await place.create(place.config_map("b"))
    await place.delete(a)
    await place.update(b.decode() | {"data": {"n": "2"}})
    everything = await place.follow(start, 5)
    shown = [(event.type, event.object.meta.name if event.object else "") for event in everything]
    assert shown == [
        (EventType.ADDED, "a"),
        (EventType.MODIFIED, "a"),
        (EventType.ADDED, "b"),
        (EventType.DELETED, "a"),
        (EventType.MODIFIED, "b"),
    ]
    for seen, event in enumerate(everything[:-1], start=1):
        rest = await place.follow(event.resource_version, 5 - seen)
        assert [found.resource_version for found in rest] == [found.resource_version for found in everything[seen:]]


@contract
async def test_a_watch_continues_a_list_without_a_gap_or_a_repetition(place: Place) -> None:
    await place.create(place.config_map("before"))
    listing = await place.cluster.list(CONFIG_MAPS, place.namespace)
    await place.create(place.config_map("after"))
    (event,) = await place.follow(listing.resource_version, 1)
    assert event.object is not None
    assert event.object.meta.name == "after"


@contract
async def test_a_watch_carries_live_changes(place: Place) -> None:
    start = (await place.cluster.list(CONFIG_MAPS, place.namespace)).resource_version
    following = asyncio.ensure_future(place.follow(start, 2))
    created = await place.create(place.config_map())
    await place.delete(created)
    events = await following
    assert [event.type for event in events] == [EventType.ADDED, EventType.DELETED]
    assert events[0].object is not None
    assert events[0].object.version == created.version
    assert events[0].resource_version == created.meta.resource_version


@contract
async def test_selector_transitions_look_like_appearing_and_vanishing(place: Place) -> None:
    start = (await place.cluster.list(CONFIG_MAPS, place.namespace)).resource_version
    found = await place.create(place.config_map())
    for on in ("yes", "yes", "no", "yes"):
        value = found.decode()
        value["metadata"]["labels"] = {"on": on}
        value["data"] = {"n": uuid.uuid4().hex}
        found = await place.update(value)
    await place.delete(found)
    events = await place.follow(start, 5, selector=Selector(labels="on=yes"))
    assert [event.type for event in events] == [
        EventType.ADDED,
        EventType.MODIFIED,
        EventType.DELETED,
        EventType.ADDED,
        EventType.DELETED,
    ]


@contract
async def test_a_version_older_than_the_history_is_expired(place: Place) -> None:
    with pytest.raises(Expired):
        await place.follow(place.expired_version, 1)


@contract
async def test_order_within_a_resource_whoever_writes(place: Place) -> None:
    start = (await place.cluster.list(CONFIG_MAPS, place.namespace)).resource_version
    writers, rounds = 6, 4

    async def work(writer: int) -> list[str]:
        found = await place.create(place.config_map(f"w{writer}"))
        versions = [found.meta.resource_version]
        for index in range(rounds):
            found = await place.update(found.decode() | {"data": {"n": str(index)}})
            versions.append(found.meta.resource_version)
        return versions

    written = await asyncio.gather(*(work(writer) for writer in range(writers)))
    events = await place.follow(start, writers * (rounds + 1))
    for writer, versions in enumerate(written):
        seen = [e.resource_version for e in events if e.object is not None and e.object.meta.name == f"w{writer}"]
        assert seen == versions


# --- binding


@contract
async def test_a_binding_gives_a_pod_its_node_once(place: Place) -> None:
    pod = await a_pod(place)

    def binding(node: str) -> Create:
        metadata = {"name": "p", "namespace": place.namespace, "annotations": {"example.com/member": "3"}}
        value = {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": {"kind": "Node", "name": node}}
        return Create(PODS, value, "binding")

    assert (await place.cluster.write(binding("n1"))).is_done
    bound = await place.get("p", PODS)
    assert bound.meta.uid == pod.meta.uid
    assert bound.decode()["spec"]["nodeName"] == "n1"
    assert bound.meta.annotations["example.com/member"] == "3"
    assert (await place.cluster.write(binding("n2"))).result is Result.CONFLICT
    assert (await place.get("p", PODS)).decode()["spec"]["nodeName"] == "n1"
    outcome = await place.cluster.write(Delete(bound.ref, bound.meta.uid, grace_seconds=0))
    assert outcome.is_done
    assert await place.cluster.get(place.ref("p", PODS)) is None


@contract
async def test_a_pod_on_a_node_is_marked_first_and_removed_by_the_second_delete(place: Place) -> None:
    await a_pod(place)
    value = {"metadata": {"name": "p", "namespace": place.namespace}, "target": {"kind": "Node", "name": "n1"}}
    assert (await place.cluster.write(Create(PODS, value, "binding"))).is_done
    pod = await place.get("p", PODS)
    marked = stored(await place.delete(pod, grace_seconds=20))
    assert marked.meta.deletion_grace_period_seconds == 20
    outcome = await place.delete(pod, grace_seconds=0)
    assert outcome.is_done
    assert outcome.object is None
    assert await place.cluster.get(place.ref("p", PODS)) is None


@contract
async def test_a_node_sees_its_pods_come_and_go(place: Place) -> None:
    """What a node agent rests on: a watch of the pods of one node alone."""
    of_node = Selector(fields="spec.nodeName=n1")
    await a_pod(place)
    listing = await place.cluster.list(PODS, place.namespace, of_node)
    assert listing.items == ()
    value = {"metadata": {"name": "p", "namespace": place.namespace}, "target": {"kind": "Node", "name": "n1"}}
    assert (await place.cluster.write(Create(PODS, value, "binding"))).is_done
    running = (await place.get("p", PODS)).decode()
    running["status"]["phase"] = "Running"
    pod = await place.update(running, PODS, "status")
    stored(await place.delete(pod, grace_seconds=20))
    ended = (await place.get("p", PODS)).decode()
    ended["status"]["phase"] = "Failed"
    pod = await place.update(ended, PODS, "status")
    assert (await place.delete(pod, grace_seconds=0)).object is None
    events = await place.follow(listing.resource_version, 4, PODS, selector=of_node)
    assert [(event.type, (event.object or pod).decode()["status"]["phase"]) for event in events] == [
        (EventType.ADDED, "Pending"),
        (EventType.MODIFIED, "Running"),
        (EventType.MODIFIED, "Running"),
        (EventType.MODIFIED, "Failed"),
    ]
    marked = events[3].object
    assert marked is not None
    assert marked.meta.deletion_timestamp is not None
    (last,) = await place.follow(events[3].resource_version, 1, PODS, selector=of_node)
    if last.type is EventType.MODIFIED:  # a removal may show as a change first: real servers set the grace to 0
        assert last.object is not None
        assert last.object.meta.deletion_grace_period_seconds == 0
        (last,) = await place.follow(last.resource_version, 1, PODS, selector=of_node)
    assert last.type is EventType.DELETED


# --- faults


@contract
async def test_a_write_whose_answer_was_lost_is_found_to_be_done(place: Place) -> None:
    faulty = FaultyCluster(place.cluster)
    faulty.faults.append(Fault.LOST_ANSWER)
    create = Create(CONFIG_MAPS, place.config_map())
    assert (await faulty.write(create)).result is Result.UNKNOWN
    created = await place.get()
    faulty.faults.append(Fault.LOST_ANSWER)
    update = Update(CONFIG_MAPS, created.decode() | {"data": {"n": "2"}})
    outcome = await write_once(faulty, update)
    assert outcome.is_done
    assert outcome.object is not None
    assert outcome.object.version == (await place.get()).version
    faulty.faults.append(Fault.LOST_ANSWER)
    assert (await write_once(faulty, Delete(created.ref, created.meta.uid))).is_done
    assert await place.cluster.get(place.ref()) is None


@contract
async def test_a_write_that_was_lost_is_found_not_to_be_done_and_may_be_repeated(place: Place) -> None:
    faulty = FaultyCluster(place.cluster)
    create = Create(CONFIG_MAPS, place.config_map())
    faulty.faults.append(Fault.LOST_REQUEST)
    assert (await write_once(faulty, create)).result is Result.CONFLICT
    assert (await write_once(faulty, create)).is_done
    # repeating what was done after all is harmless, too: the name is taken by what we sent
    faulty.faults.append(Fault.LOST_ANSWER)
    second = Create(CONFIG_MAPS, place.config_map("b"))
    assert (await write_once(faulty, second)).is_done
    assert (await place.cluster.write(second)).result is Result.EXISTS


@contract
async def test_an_informer_that_lags_loses_watches_and_hears_expired_ends_up_with_the_truth(place: Place) -> None:
    faulty = FaultyCluster(place.cluster)
    cache = Cache(CONFIG_MAPS)
    informer = Informer(faulty, CONFIG_MAPS, cache)
    running = asyncio.ensure_future(informer.run())
    try:
        await informer.synced.wait()
        faulty.hold_news()
        a = await place.create(place.config_map("a"))
        assert cache.get(a.key) is None
        faulty.break_watches(Expired("on purpose"))
        b = await place.create(place.config_map("b"))
        await place.delete(a)
        faulty.release_news()
        b = await place.update(b.decode() | {"data": {"n": "2"}})
        faulty.break_watches()
        c = await place.create(place.config_map("c"))

        def is_true() -> bool:
            known = {
                found.meta.name: found.version
                for key in cache.all_keys()
                if (found := cache.get(key)) and found.meta.namespace == place.namespace
            }
            known.pop("kube-root-ca.crt", None)
            return known == {"b": b.version, "c": c.version}

        deadline = asyncio.get_running_loop().time() + 10
        while not is_true():
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
