"""What admission does about service accounts, with the real server's texts."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.cluster.embedded.admission import AdmissionRequest
from roadstead.cluster.embedded.plugins import ServiceAccount
from roadstead.cluster.embedded.requests import SYSTEM
from roadstead.kinds.errors import StatusError
from roadstead.kinds.names import PODS, SERVICE_ACCOUNTS
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.served import default_registry

PLACE = "/var/run/secrets/kubernetes.io/serviceaccount"


def account(name: str = "default", **more: Any) -> Object:
    metadata = {"namespace": "team", "name": name}
    return Object.of(SERVICE_ACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, **more})


def request(spec: Json, *stored: Object, name: str = "p", annotations: Json | None = None) -> AdmissionRequest:
    kind = default_registry().get(PODS)
    assert kind is not None

    def lookup(resource: Resource, namespace: str, name: str) -> Object | None:
        return next((one for one in stored if (one.resource, *one.key) == (resource, namespace, name)), None)

    pod = {"metadata": {"name": name, "uid": "u1", "annotations": annotations or {}}, "spec": spec}
    return AdmissionRequest("CREATE", kind, "team", name, "", pod, None, SYSTEM, False, lookup)


def admitted(asked: AdmissionRequest, **options: bool) -> Json:
    ServiceAccount(**options).admit(asked)
    assert asked.object is not None
    spec: Json = asked.object["spec"]
    return spec


def pod(**spec: Any) -> Json:
    return {"containers": [{"name": "a"}], **spec}


def test_every_container_finds_the_token_of_the_default_account() -> None:
    spec = admitted(
        request(pod(initContainers=[{"name": "i", "volumeMounts": [{"name": "x", "mountPath": "/x"}]}]), account())
    )
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
    (volume,) = spec["volumes"]
    mount = {"name": volume["name"], "readOnly": True, "mountPath": PLACE}
    assert spec["containers"][0]["volumeMounts"] == [mount]
    assert spec["initContainers"][0]["volumeMounts"] == [{"name": "x", "mountPath": "/x"}, mount]
    token, authority, downward = volume["projected"]["sources"]
    assert token == {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
    assert authority["configMap"]["name"] == "kube-root-ca.crt"
    assert downward["downwardAPI"]["items"][0]["path"] == "namespace"


def test_the_volumes_name_is_the_same_whenever_the_pod_is_made() -> None:
    names = [admitted(request(pod(), account(), name=name))["volumes"][0]["name"] for name in ("p", "p", "q", "")]
    assert names[0] == names[1] != names[2]
    assert all(len(name) == len("kube-api-access-") + 5 for name in names)


@pytest.mark.parametrize(
    ("of_account", "of_pod", "is_mounted"),
    [(None, None, True), (False, None, False), (False, True, True), (None, False, False), (True, False, False)],
)
def test_the_pods_word_goes_before_the_accounts(of_account: bool | None, of_pod: bool | None, is_mounted: bool) -> None:
    held = account() if of_account is None else account(automountServiceAccountToken=of_account)
    spec = pod() if of_pod is None else pod(automountServiceAccountToken=of_pod)
    assert ("volumes" in admitted(request(spec, held))) == is_mounted


def test_what_a_container_has_at_that_place_stays() -> None:
    own = {"name": "mine", "mountPath": PLACE}
    spec = admitted(request({"containers": [{"name": "a", "volumeMounts": [own]}]}, account()))
    assert spec["containers"][0]["volumeMounts"] == [own]
    assert "volumes" not in spec


def test_a_volume_that_is_there_already_is_mounted() -> None:
    given = {"name": "kube-api-access-abcde", "projected": {"sources": []}}
    spec = admitted(request(pod(volumes=[given]), account()))
    assert spec["volumes"] == [given]
    assert spec["containers"][0]["volumeMounts"][0]["name"] == "kube-api-access-abcde"


def test_pull_secrets_come_from_the_account_unless_the_pod_has_its_own() -> None:
    held = account(imagePullSecrets=[{"name": "s"}])
    assert admitted(request(pod(), held))["imagePullSecrets"] == [{"name": "s"}]
    assert admitted(request(pod(imagePullSecrets=[{"name": "t"}]), held))["imagePullSecrets"] == [{"name": "t"}]


@pytest.mark.parametrize(
    ("name", "options", "refused"),
    [
        ("robot", {}, True),
        ("default", {}, False),
        ("default", {"default_is_given": False}, True),
    ],
)
def test_an_account_must_exist(name: str, options: dict[str, bool], refused: bool) -> None:
    asked = request(pod(serviceAccountName=name))
    if not refused:
        assert admitted(asked, **options)["serviceAccount"] == name
        return
    with pytest.raises(StatusError) as caught:
        admitted(asked, **options)
    assert (caught.value.code, caught.value.message) == (
        403,
        f'pods "p" is forbidden: error looking up service account team/{name}: serviceaccount "{name}" not found',
    )


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (pod(serviceAccountName="robot"), "a mirror pod may not reference service accounts"),
        (pod(volumes=[{"name": "s", "secret": {"secretName": "s"}}]), "a mirror pod may not reference secrets"),
        (pod(), ""),
    ],
)
def test_a_mirror_pod_has_no_credentials(spec: Json, why: str) -> None:
    asked = request(spec, account("robot"), annotations={"kubernetes.io/config.mirror": "x"})
    if not why:
        assert admitted(asked) == pod()
        return
    with pytest.raises(StatusError, match=why):
        admitted(asked)


def test_updates_and_subresources_pass_untouched() -> None:
    for operation, subresource in (("UPDATE", ""), ("CREATE", "binding")):
        asked = request(pod())
        asked.operation, asked.subresource = operation, subresource
        assert admitted(asked) == pod()
