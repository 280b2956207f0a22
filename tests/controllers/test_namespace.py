from __future__ import annotations

import pytest

from roadstead.controllers.namespace import NamespaceController
from roadstead.controllers.service_account import ServiceAccountController
from roadstead.kinds.names import CONFIG_MAPS, LEASES, NAMESPACES, PODS, SECRETS, SERVICE_ACCOUNTS
from roadstead.kinds.object import Json, Resource
from roadstead.kinds.served import default_registry
from roadstead.testing.controllers import Fault, Lab
from tests.controllers.kit import conditions, start, stop_marked

CA = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
NAMESPACED = [kind.resource for kind in default_registry() if kind.namespaced]


def laboratory(lag: int = 0, faults: dict[int, Fault] | None = None, seed: int = 0) -> Lab:
    return Lab(
        lambda: [NamespaceController(NAMESPACED), ServiceAccountController(CA)],
        lag=lag,
        faults=faults,
        seed=seed,
        namespaces=("lab",),
    )


def make(lab: Lab, name: str, resource: Resource = CONFIG_MAPS, kind: str = "ConfigMap", **metadata: object) -> None:
    version = resource.api_version
    lab.create(resource, {"apiVersion": version, "kind": kind, "metadata": {"name": name, **metadata}}, "lab")


def make_pod(lab: Lab) -> Json:
    spec = {"containers": [{"name": "c", "image": "none"}]}
    return lab.create(
        PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}, "lab"
    ).decode()


def test_every_namespace_gets_an_account_and_the_clusters_ca() -> None:
    with laboratory() as lab:
        lab.settle()
        assert lab.the(SERVICE_ACCOUNTS, "default", "lab")
        published = lab.the(CONFIG_MAPS, "kube-root-ca.crt", "lab")
        assert published["data"] == {"ca.crt": CA}
        assert published["metadata"]["annotations"]["kubernetes.io/description"].startswith("Contains a CA bundle")
        assert len(lab.ledger) == 2


def test_both_come_back_when_deleted_or_changed() -> None:
    with laboratory() as lab:
        lab.settle()
        lab.delete(SERVICE_ACCOUNTS, "default", "lab")
        lab.edit(CONFIG_MAPS, "kube-root-ca.crt", lambda value: value["data"].update({"ca.crt": "no"}), "lab")
        lab.settle()
        assert lab.the(SERVICE_ACCOUNTS, "default", "lab")
        assert lab.the(CONFIG_MAPS, "kube-root-ca.crt", "lab")["data"] == {"ca.crt": CA}


def test_a_namespace_goes_with_all_that_is_in_it() -> None:
    with laboratory() as lab:
        make(lab, "a")
        make(lab, "s", SECRETS, "Secret")
        make(lab, "l", LEASES, "Lease")
        lab.settle()
        lab.delete(NAMESPACES, "lab", "")
        lab.settle()
        assert lab.get(NAMESPACES, "lab", "") is None
        assert [obj for resource in NAMESPACED for obj in lab.all(resource)] == []


def test_pods_get_their_grace_and_the_conditions_say_what_is_left() -> None:
    with laboratory() as lab:
        pod = make_pod(lab)
        start(lab, pod)
        make(lab, "held", finalizers=["example.com/hold"])
        lab.delete(NAMESPACES, "lab", "")
        lab.settle()
        assert lab.the(PODS, "p", "lab")["metadata"]["deletionGracePeriodSeconds"] == 30
        found = {c["type"]: c for c in lab.the(NAMESPACES, "lab", "")["status"]["conditions"]}
        assert found["NamespaceContentRemaining"]["message"].endswith(
            "configmaps. has 1 resource instances, pods. has 1 resource instances"
        )
        assert found["NamespaceFinalizersRemaining"]["message"].endswith("example.com/hold in 1 resource instances")
        assert conditions(lab.the(NAMESPACES, "lab", ""))["NamespaceDeletionContentFailure"] == (
            "False",
            "ContentDeleted",
        )
        stop_marked(lab)
        lab.edit(CONFIG_MAPS, "held", lambda value: value["metadata"].pop("finalizers"), "lab")
        lab.settle()
        assert lab.get(NAMESPACES, "lab", "") is None


@pytest.mark.parametrize("lag", [0, 5])
@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
def test_nothing_is_left_behind_whatever_befalls_any_single_write(fault: Fault, lag: int) -> None:
    number = 0
    while True:
        with laboratory(lag=lag, faults={number: fault}, seed=number) as lab:
            lab.settle()
            make(lab, "a")
            make(lab, "s", SECRETS, "Secret")
            lab.delete(NAMESPACES, "lab", "")
            lab.advance(1)
            assert lab.get(NAMESPACES, "lab", "") is None
            assert [obj for resource in NAMESPACED for obj in lab.all(resource)] == []
            if lab.writes <= number:
                return
        number += 1
