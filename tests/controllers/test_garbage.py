"""Owners go; what becomes of their dependents (kubernetes-api.md section 21)."""

from __future__ import annotations

import pytest

from roadstead.controllers.garbage import GarbageCollector
from roadstead.kinds.names import CONFIG_MAPS, NODES, SECRETS
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.served import default_registry
from roadstead.testing.controllers import Fault, Lab

NAMESPACES = ("default", "other")


def laboratory(lag: int = 0, faults: dict[int, Fault] | None = None, seed: int = 0) -> Lab:
    return Lab(lambda: [GarbageCollector(default_registry())], lag=lag, faults=faults, seed=seed, namespaces=NAMESPACES)


def reference(owner: Object, *, block: bool = False) -> Json:
    found = {
        "apiVersion": owner.resource.api_version,
        "kind": owner.kind,
        "name": owner.meta.name,
        "uid": owner.meta.uid,
    }
    return {**found, "blockOwnerDeletion": True} if block else found


def make(
    lab: Lab,
    name: str,
    *owners: Json,
    namespace: str = "default",
    resource: Resource = CONFIG_MAPS,
    finalizers: tuple[str, ...] = (),
) -> Object:
    kind = {"configmaps": "ConfigMap", "secrets": "Secret", "nodes": "Node"}[resource.plural]
    metadata: Json = {"name": name}
    if owners:
        metadata["ownerReferences"] = list(owners)
    if finalizers:
        metadata["finalizers"] = list(finalizers)
    return lab.create(resource, {"apiVersion": "v1", "kind": kind, "metadata": metadata}, namespace)


def names(lab: Lab, resource: Resource = CONFIG_MAPS) -> set[str]:
    return {obj["metadata"]["name"] for obj in lab.all(resource)}


def owners_of(lab: Lab, name: str) -> list[str]:
    return [owner["name"] for owner in lab.the(CONFIG_MAPS, name)["metadata"].get("ownerReferences", [])]


def test_background_deletion_takes_the_whole_tree() -> None:
    with laboratory() as lab:
        owner = make(lab, "owner")
        child = make(lab, "child", reference(owner))
        make(lab, "grandchild", reference(child), resource=SECRETS)
        make(lab, "stranger")
        lab.settle()
        assert lab.ledger == []
        lab.delete(CONFIG_MAPS, "owner")
        lab.settle()
        assert names(lab) == {"stranger"}
        assert names(lab, SECRETS) == set()


def test_a_dependent_with_an_owner_left_only_loses_the_reference() -> None:
    with laboratory() as lab:
        first, second = make(lab, "first"), make(lab, "second")
        make(lab, "child", reference(first), reference(second))
        lab.delete(CONFIG_MAPS, "first")
        lab.settle()
        assert owners_of(lab, "child") == ["second"]
        lab.delete(CONFIG_MAPS, "second")
        lab.settle()
        assert names(lab) == set()


def test_foreground_deletion_takes_dependents_first_and_waits_for_those_that_block() -> None:
    with laboratory() as lab:
        owner = make(lab, "owner")
        child = make(lab, "child", reference(owner, block=True), finalizers=("example.com/hold",))
        make(lab, "grandchild", reference(child, block=True))
        make(lab, "loose", reference(owner), finalizers=("example.com/hold",))
        lab.delete(CONFIG_MAPS, "owner", propagation="Foreground")
        lab.settle()
        assert names(lab) == {"owner", "child", "loose"}
        assert lab.the(CONFIG_MAPS, "child")["metadata"]["deletionTimestamp"]
        lab.edit(CONFIG_MAPS, "child", lambda value: value["metadata"].pop("finalizers"))
        lab.settle()
        assert names(lab) == {"loose"}, "what does not block is deleted, but not waited for"


def test_orphans_lose_the_reference_and_live() -> None:
    with laboratory() as lab:
        owner = make(lab, "owner")
        child = make(lab, "child", reference(owner, block=True))
        make(lab, "grandchild", reference(child))
        lab.delete(CONFIG_MAPS, "owner", propagation="Orphan")
        lab.settle()
        assert names(lab) == {"child", "grandchild"}
        assert owners_of(lab, "child") == []
        assert owners_of(lab, "grandchild") == ["child"]


def test_an_object_made_for_an_owner_that_is_gone_is_collected() -> None:
    with laboratory() as lab:
        owner = make(lab, "owner")
        lab.delete(CONFIG_MAPS, "owner")
        make(lab, "late", reference(owner))
        lab.settle()
        assert names(lab) == set()


def test_an_owner_made_anew_under_the_same_name_is_another_owner() -> None:
    with laboratory() as lab:
        owner = make(lab, "owner")
        make(lab, "child", reference(owner))
        lab.delete(CONFIG_MAPS, "owner")
        make(lab, "owner")
        lab.settle()
        assert names(lab) == {"owner"}


def test_an_owner_in_another_namespace_counts_as_absent_and_is_reported() -> None:
    with laboratory() as lab:
        owner = make(lab, "owner", namespace="other")
        make(lab, "child", reference(owner))
        lab.settle()
        assert names(lab) == {"owner"}
        [note] = lab.notes
        assert note.reason == "OwnerRefInvalidNamespace"


def test_cluster_scoped_owners_own_across_namespaces() -> None:
    with laboratory() as lab:
        node = make(lab, "n1", resource=NODES)
        make(lab, "child", reference(node))
        lab.settle()
        assert names(lab) == {"child"}
        lab.delete(NODES, "n1", "")
        lab.settle()
        assert names(lab) == set()


@pytest.mark.parametrize(
    "owner",
    [
        {"apiVersion": "example.com/v1", "kind": "Widget", "name": "w", "uid": "1"},
        {"apiVersion": "v2", "kind": "ConfigMap", "name": "w", "uid": "1"},
    ],
    ids=["unknown kind", "unknown version"],
)
def test_an_owner_that_cannot_be_looked_up_blocks_deletion(owner: Json) -> None:
    with laboratory() as lab:
        gone = make(lab, "gone")
        make(lab, "child", owner, reference(gone))
        lab.delete(CONFIG_MAPS, "gone")
        lab.settle()
        assert owners_of(lab, "child") == ["w"]


def test_a_namespaced_owner_of_a_cluster_scoped_object_blocks_deletion() -> None:
    with laboratory() as lab:
        make(lab, "n1", {"apiVersion": "v1", "kind": "ConfigMap", "name": "w", "uid": "1"}, resource=NODES)
        lab.settle()
        assert names(lab, NODES) == {"n1"}


def test_a_circle_of_foreground_deletions_resolves() -> None:
    with laboratory() as lab:
        first = make(lab, "first")
        second = make(lab, "second", reference(first, block=True))
        lab.edit(
            CONFIG_MAPS,
            "first",
            lambda value: value["metadata"].update(ownerReferences=[reference(second, block=True)]),
        )
        lab.settle()
        lab.delete(CONFIG_MAPS, "first", propagation="Foreground")
        lab.settle()
        assert names(lab) == set()


def test_a_view_that_has_not_seen_the_owner_yet_deletes_nothing() -> None:
    """The owner's resource lags behind the dependent's: the server is asked, and says that the owner is there."""
    for seed in range(30):
        with laboratory(lag=5, seed=seed) as lab:
            owner = make(lab, "owner")
            make(lab, "child", reference(owner), resource=SECRETS)
            lab.settle()
            assert names(lab, SECRETS) == {"child"}
            assert lab.ledger == []


@pytest.mark.parametrize("lag", [0, 4])
@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
@pytest.mark.parametrize("propagation", ["Background", "Foreground", "Orphan"])
def test_every_policy_ends_well_whatever_befalls_any_single_write(propagation: str, fault: Fault, lag: int) -> None:
    number = 0
    while True:
        with laboratory(lag=lag, faults={number: fault}, seed=number) as lab:
            owner, other = make(lab, "owner"), make(lab, "other")
            child = make(lab, "child", reference(owner, block=True))
            make(lab, "shared", reference(owner, block=True), reference(other))
            make(lab, "grandchild", reference(child, block=True))
            lab.settle()
            lab.delete(CONFIG_MAPS, "owner", propagation=propagation)
            lab.advance(5)
            kept = {"other", "shared"} | ({"child", "grandchild"} if propagation == "Orphan" else set())
            assert names(lab) == kept
            assert owners_of(lab, "shared") == ["other"]
            if lab.writes <= number:
                return
        number += 1
