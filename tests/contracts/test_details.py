"""Finer points of the Cluster port, as a real kube-apiserver has them. One suite for all worlds."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

import pytest

from roadstead.kinds.names import CONFIG_MAPS, JOBS, NAMESPACES, NODES, PODS, SERVICE_ACCOUNTS
from roadstead.kinds.object import Json, Ref, Resource
from roadstead.runtime.cluster import Create, Delete, EventType, Result, Unavailable, Update
from tests.contracts.adapters import World
from tests.contracts.place import Place, a_pod, contract, service_account, stored

WRONG = (Result.INVALID, Result.UNKNOWN)
"""For requests to which a real server answers 500, as if it might have carried them out."""


def binding(place: Place, node: str = "n1", **metadata: Any) -> Create:
    value = {"metadata": {"name": "p", "namespace": place.namespace, **metadata}, "target": {"name": node}}
    return Create(PODS, value, "binding")


def a_job(place: Place) -> Json:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "example.com/none"}]}}
    metadata = {"name": "j", "namespace": place.namespace}
    return {"metadata": metadata, "spec": {"suspend": True, "template": template}}


# --- where an object lives


@contract
async def test_a_namespaced_object_needs_a_namespace_and_another_may_not_have_one(place: Place) -> None:
    value = place.config_map()
    del value["metadata"]["namespace"]
    assert (await place.cluster.write(Create(CONFIG_MAPS, value))).result is Result.INVALID
    name = f"n-{uuid.uuid4().hex[:8]}"
    node = Create(NODES, {"metadata": {"name": name, "namespace": place.namespace}})
    assert (await place.cluster.write(node)).result is Result.MISSING
    assert await place.cluster.get(Ref(NODES, place.namespace, name)) is None
    with pytest.raises(Unavailable):
        await place.cluster.list(NODES, place.namespace)


@pytest.mark.parametrize("name", ["..", ".", "a/b", "a%2Fb", "a?b", "Not_A_Name", "ä"])
def test_a_name_that_no_object_can_have_is_of_nothing(name: str, world: World) -> None:
    @contract
    async def run(place: Place) -> None:
        await place.create(place.config_map())
        assert await place.cluster.get(place.ref(name)) is None
        outcome = await place.cluster.write(Delete(place.ref(name), "none"))
        assert outcome.result in (Result.MISSING, Result.INVALID)
        assert await place.cluster.get(Ref(NAMESPACES, "", place.namespace)) is not None

    run(world)


@pytest.mark.parametrize(
    ("resource", "result"),
    [(Resource("", "v1", "nothings"), Result.MISSING), (Resource("example.com", "v1", "nothings"), Result.MISSING)],
)
def test_what_is_not_served_is_missing_and_cannot_be_listed(resource: Resource, result: Result, world: World) -> None:
    @contract
    async def run(place: Place) -> None:
        assert (await place.cluster.write(Create(resource, place.config_map()))).result is result
        assert await place.cluster.get(place.ref("a", resource)) is None
        with pytest.raises(Unavailable):
            await place.cluster.list(resource, place.namespace)

    run(world)


@contract
async def test_a_namespace_that_is_going_takes_nothing_new_and_goes_when_finalized(place: Place) -> None:
    ref = Ref(NAMESPACES, "", place.namespace)
    found = await place.cluster.get(ref)
    assert found is not None
    marked = stored(await place.delete(found))
    assert marked.meta.deletion_timestamp
    assert (await place.cluster.write(Create(CONFIG_MAPS, place.config_map()))).result is Result.INVALID
    found = await place.cluster.get(ref)
    assert found is not None
    value = found.decode()
    value["spec"]["finalizers"] = []
    assert (await place.cluster.write(Update(NAMESPACES, value, "finalize"))).is_done
    assert await place.cluster.get(ref) is None


# --- preconditions and refusals


@contract
async def test_wrong_versions_are_never_carried_out(place: Place) -> None:
    outcome = await place.cluster.write(Create(CONFIG_MAPS, place.config_map(resourceVersion="5")))
    assert outcome.result in WRONG
    assert await place.cluster.get(place.ref()) is None
    created = await place.create(place.config_map())
    for version, results in (("abc", WRONG), ("999999999", (Result.CONFLICT,))):
        value = created.decode() | {"data": {"n": "2"}}
        value["metadata"]["resourceVersion"] = version
        assert (await place.cluster.write(Update(CONFIG_MAPS, value))).result in results
    assert (await place.get()).version == created.version


@contract
async def test_what_a_client_says_about_the_servers_own_fields_is_ignored(place: Place) -> None:
    told = {"uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z", "deletionTimestamp": "2001-01-01T00:00:00Z"}
    created = await place.create(place.config_map(**told))
    assert created.meta.uid != "mine"
    assert not str(created.meta.creation_timestamp).startswith("2001")
    assert created.meta.deletion_timestamp is None
    value = created.decode()
    value["metadata"]["creationTimestamp"] = "2001-01-01T00:00:00Z"
    assert (await place.update(value)).meta.creation_timestamp == created.meta.creation_timestamp


@contract
async def test_the_name_may_be_the_servers_choice(place: Place) -> None:
    value = place.config_map(generateName="g-")
    del value["metadata"]["name"]
    first, second = await place.create(value), await place.create(value)
    assert first.meta.name.startswith("g-")
    assert first.meta.name != second.meta.name


@contract
async def test_only_a_changed_spec_is_a_new_generation(place: Place) -> None:
    job = await place.create(a_job(place), JOBS)
    value = job.decode()
    value["metadata"]["labels"] = {"a": "b"}
    job = await place.update(value, JOBS)
    assert job.meta.generation == 1
    value = job.decode()
    value["spec"]["parallelism"] = 2
    job = await place.update(value, JOBS)
    assert job.meta.generation == 2
    value = job.decode()
    value["status"] = {"active": 1, "startTime": "2026-01-01T00:00:00Z"}
    job = await place.update(value, JOBS, "status")
    assert job.meta.generation == 2
    assert (await place.update(job.decode(), JOBS, "status")).version == job.version


# --- ends


@pytest.mark.parametrize(("propagation", "mark"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
def test_a_propagation_that_others_carry_out_is_a_finalizer(propagation: str, mark: str, world: World) -> None:
    @contract
    async def run(place: Place) -> None:
        created = await place.create(place.config_map())
        marked = stored(await place.delete(created, propagation=propagation))
        assert marked.meta.finalizers == (mark,)
        outcome = await place.delete(created)  # changed one's mind: Background
        assert outcome.is_done
        assert outcome.object is None
        assert await place.cluster.get(place.ref()) is None

    run(world)


@contract
async def test_an_unknown_propagation_is_invalid(place: Place) -> None:
    created = await place.create(place.config_map())
    assert (await place.delete(created, propagation="Sideways")).result is Result.INVALID
    assert (await place.get()).version == created.version


@contract
async def test_deleting_a_job_without_a_policy_leaves_its_pods_to_others(place: Place) -> None:
    job = await place.create(a_job(place), JOBS)
    marked = stored(await place.delete(job, propagation=""))
    assert marked.meta.finalizers == ("orphan",)


@contract
async def test_deleting_what_is_going_changes_nothing(place: Place) -> None:
    created = await place.create(place.config_map(finalizers=["example.com/hold"]))
    marked = stored(await place.delete(created))
    assert stored(await place.delete(created)).version == marked.version


@contract
async def test_the_update_that_removes_answers_with_nothing_and_watches_show_the_state_before(place: Place) -> None:
    created = await place.create(place.config_map(finalizers=["example.com/hold"]))
    marked = stored(await place.delete(created))
    value = marked.decode() | {"data": {"too": "late"}}
    value["metadata"]["finalizers"] = []
    outcome = await place.cluster.write(Update(CONFIG_MAPS, value))
    assert outcome.is_done
    assert outcome.object is None
    (event,) = await place.follow(marked.meta.resource_version, 1)
    assert event.type is EventType.DELETED
    assert event.object is not None
    assert event.object.decode()["data"] == {"key": "value"}
    assert event.object.meta.finalizers == ("example.com/hold",)
    assert event.resource_version != marked.meta.resource_version


# --- pods


@contract
async def test_a_pod_without_a_node_or_that_has_ended_goes_at_once(place: Place) -> None:
    outcome = await place.delete(await a_pod(place))
    assert outcome.is_done
    assert outcome.object is None
    await a_pod(place)
    assert (await place.cluster.write(binding(place))).is_done
    value = (await place.get("p", PODS)).decode()
    value["status"] = {"phase": "Succeeded"}
    ended = await place.update(value, PODS, "status")
    assert ended.decode()["status"] == {"phase": "Succeeded", "qosClass": "BestEffort"}  # the class is the server's
    outcome = await place.delete(ended)
    assert outcome.is_done
    assert outcome.object is None


@contract
async def test_a_grace_period_becomes_shorter_never_longer(place: Place) -> None:
    await a_pod(place)
    assert (await place.cluster.write(binding(place))).is_done
    pod = await place.get("p", PODS)
    for asked, left in ((None, 30), (50, 30), (5, 5), (20, 5)):
        marked = stored(await place.delete(pod, grace_seconds=asked))
        assert marked.meta.deletion_grace_period_seconds == left
    outcome = await place.delete(pod, grace_seconds=0, resource_version=pod.meta.resource_version)
    assert outcome.result is Result.CONFLICT
    assert (await place.delete(pod, grace_seconds=0)).object is None


@contract
async def test_a_finalizer_holds_a_pod_beyond_its_grace_and_grace_beyond_its_finalizer(place: Place) -> None:
    for grace_first in (True, False):
        await a_pod(place, finalizers=["example.com/hold"])
        assert (await place.cluster.write(binding(place))).is_done
        pod = await place.get("p", PODS)
        stored(await place.delete(pod, grace_seconds=20))
        if grace_first:
            assert stored(await place.delete(pod, grace_seconds=0)).meta.deletion_grace_period_seconds == 0
        value = (await place.get("p", PODS)).decode()
        del value["metadata"]["finalizers"]
        outcome = await place.cluster.write(Update(PODS, value))
        assert outcome.is_done
        if not grace_first:
            assert stored(outcome).meta.deletion_grace_period_seconds == 20
            outcome = await place.delete(pod, grace_seconds=0)
        assert outcome.object is None
        assert await place.cluster.get(place.ref("p", PODS)) is None


@contract
async def test_a_binding_carries_preconditions_and_adds_labels_and_annotations(place: Place) -> None:
    pod = await a_pod(place, labels={"kept": "1", "both": "old"})
    for wrong in ({"uid": "other"}, {"resourceVersion": "1"}):
        assert (await place.cluster.write(binding(place, **wrong))).result is Result.CONFLICT
    assert (await place.cluster.write(binding(place, node=""))).result in WRONG
    assert "nodeName" not in (await place.get("p", PODS)).decode()["spec"]
    meant = {"uid": pod.meta.uid, "resourceVersion": pod.meta.resource_version}
    assert (await place.cluster.write(binding(place, labels={"both": "new"}, annotations={"a": "1"}, **meant))).is_done
    bound = await place.get("p", PODS)
    assert bound.meta.labels == {"kept": "1", "both": "new"}
    assert bound.meta.annotations == {"a": "1"}


@contract
async def test_a_binding_answers_a_nomination_and_keeps_the_order_of_conditions(place: Place) -> None:
    value = (await a_pod(place)).decode()
    at = "2026-01-01T00:00:00Z"
    waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastTransitionTime": at}
    other = {"type": "example.com/other", "status": "True", "lastTransitionTime": at}
    value["status"] |= {"nominatedNodeName": "n1", "conditions": [waits, other]}
    await place.update(value, PODS, "status")
    assert (await place.cluster.write(binding(place))).is_done
    status = (await place.get("p", PODS)).decode()["status"]
    assert "nominatedNodeName" not in status
    scheduled, kept = status["conditions"]
    assert (scheduled["type"], scheduled["status"], kept["type"]) == ("PodScheduled", "True", "example.com/other")
    assert "reason" not in scheduled
    assert scheduled["lastTransitionTime"] != at


@contract
async def test_a_pod_that_is_gated_or_going_is_not_bound(place: Place) -> None:
    await a_pod(place, finalizers=["example.com/hold"])
    await place.delete(await place.get("p", PODS))
    assert (await place.cluster.write(binding(place))).result is Result.CONFLICT
    value = (await place.get("p", PODS)).decode()
    del value["metadata"]["finalizers"]
    assert (await place.cluster.write(Update(PODS, value))).object is None
    gated = place.pod()
    gated["spec"]["schedulingGates"] = [{"name": "example.com/gate"}]
    await place.create(gated, PODS)
    assert (await place.cluster.write(binding(place))).result is Result.CONFLICT
    assert (await place.cluster.write(Delete(place.ref("p", PODS), "other"))).result is Result.CONFLICT


# --- tokens of service accounts


def token_request(place: Place, account: str = "default", **spec: Any) -> Create:
    value = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": {"name": account, "namespace": place.namespace},
        "spec": spec,
    }
    return Create(SERVICE_ACCOUNTS, value, "token")


def claims(token: str) -> Json:
    payload = token.split(".")[1]
    found: Json = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


@contract
async def test_a_token_for_a_pod_names_account_pod_and_audience(place: Place) -> None:
    pod = await a_pod(place)
    bound = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": pod.meta.uid}
    request = token_request(place, audiences=["vault"], expirationSeconds=1200, boundObjectRef=bound)
    answer = stored(await place.cluster.write(request)).decode()
    account = await place.get("default", SERVICE_ACCOUNTS)
    assert (answer["kind"], answer["metadata"]["uid"]) == ("TokenRequest", account.meta.uid)
    found = claims(answer["status"]["token"])
    assert found["sub"] == f"system:serviceaccount:{place.namespace}:default"
    assert (found["aud"], found["exp"] - found["iat"], found["nbf"]) == (["vault"], 1200, found["iat"])
    ours = found["kubernetes.io"]
    assert ours["namespace"] == place.namespace
    assert ours["serviceaccount"] == {"name": "default", "uid": account.meta.uid}
    assert ours["pod"] == {"name": "p", "uid": pod.meta.uid}


@contract
async def test_a_token_that_programs_do_not_renew_lasts_longer_than_it_says(place: Place) -> None:
    await a_pod(place)
    bound = {"apiVersion": "v1", "kind": "Pod", "name": "p"}
    answer = stored(await place.cluster.write(token_request(place, expirationSeconds=3607, boundObjectRef=bound)))
    found = claims(answer.decode()["status"]["token"])
    assert found["exp"] - found["iat"] == 365 * 24 * 3600
    assert found["kubernetes.io"]["warnafter"] - found["iat"] == 3607


@contract
async def test_a_token_needs_its_account_and_what_it_is_bound_to(place: Place) -> None:
    await service_account(place)
    pod = {"apiVersion": "v1", "kind": "Pod", "name": "p"}
    write = place.cluster.write
    assert (await write(token_request(place, "nobody"))).result is Result.MISSING
    assert (await write(token_request(place, boundObjectRef=pod))).result is Result.MISSING
    await a_pod(place)
    stale = {**pod, "uid": str(uuid.uuid4())}
    assert (await write(token_request(place, boundObjectRef=stale))).result is Result.CONFLICT
    assert (await write(token_request(place, expirationSeconds=5))).result is Result.INVALID
    await place.create({"metadata": {"name": "other", "namespace": place.namespace}}, SERVICE_ACCOUNTS)
    refused = await write(token_request(place, "other", boundObjectRef=pod))
    assert refused.result is Result.INVALID
    assert "cannot bind token for serviceaccount" in refused.message
