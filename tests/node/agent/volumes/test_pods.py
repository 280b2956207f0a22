"""Volumes as the processes of real pods see them."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from roadstead.kinds.names import CONFIG_MAPS, EVENTS, PODS, SERVICE_ACCOUNTS
from roadstead.kinds.object import Ref
from roadstead.node.agent import isolation
from roadstead.runtime.cluster import Create, Delete, Update
from tests.cluster.loop import in_loop
from tests.node.agent.world import World, done, main_status, pod, until, world

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


async def account(it: World) -> None:
    """An account whose pods get a token, and the authority that every namespace has."""
    metadata = {"name": "robot", "namespace": "default"}
    done(await it.cluster.write(Create(SERVICE_ACCOUNTS, {"metadata": metadata})))
    root = {"metadata": {"name": "kube-root-ca.crt", "namespace": "default"}, "data": {"ca.crt": "PEM"}}
    done(await it.cluster.write(Create(CONFIG_MAPS, root)))


async def events(it: World) -> list[tuple[str, str]]:
    listed = await it.cluster.list(EVENTS, "default")
    found = [event.decode() for event in listed.items]
    return [(event["reason"], event["message"]) for event in found]


@pytest.mark.parametrize("tier", ["best", "bare"])
def test_a_pod_has_the_token_of_its_account(tmp_path: Path, tier: str) -> None:
    best = isolation.find_tier(tmp_path)
    if tier == "best" and best == isolation.BARE:
        pytest.skip("this machine does not allow mounts")
    place = ACCOUNT if tier == "best" else "$ROADSTEAD_SERVICE_ACCOUNT"

    @in_loop
    async def story() -> None:
        async with world(tmp_path) as it:
            await it.start_agent(
                isolation=best if tier == "best" else isolation.BARE, api_server=lambda: "https://127.0.0.1:6443"
            )
            await account(it)
            script = f"cd {place}; cat namespace ca.crt; echo; cut -d. -f2 token; echo $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT"
            await it.create(pod("p", script, serviceAccountName="robot"))
            ended = await it.until_phase("p", "Succeeded", "Failed")
            said, token, address = it.log(ended).splitlines()
            assert (said, address) == ("defaultPEM", "127.0.0.1 6443")
            claims = json.loads(_decoded(token))
            assert claims["kubernetes.io"]["pod"] == {"name": "p", "uid": ended["metadata"]["uid"]}
            assert claims["sub"] == "system:serviceaccount:default:robot"
            if tier == "bare":

                async def is_told() -> bool:
                    return any(
                        reason == "VolumesNotMounted" and f"is not at {ACCOUNT} but at $ROADSTEAD_VOLUME_" in message
                        for reason, message in await events(it)
                    )

                await until(is_told)

    story()


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@in_loop
async def test_a_pod_that_runs_sees_its_labels_change(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with world(tmp_path_factory.mktemp("world")) as it:
        await it.start_agent()
        volume = {
            "name": "v",
            "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]},
        }
        script = "until grep -q green $ROADSTEAD_VOLUME_V/labels; do sleep 0.01; done"
        container = {"volumeMounts": [{"name": "v", "mountPath": "/labels-of-a-test"}]}
        await it.create(pod("p", script, volumes=[volume], container=container, metadata={"labels": {"colour": "red"}}))
        await it.until_phase("p", "Running")
        found = await it.pod("p")
        assert found is not None
        value = found.decode()
        value["metadata"]["labels"] = {"colour": "green"}
        done(await it.cluster.write(Update(PODS, value)))
        await it.until_phase("p", "Succeeded")


@in_loop
async def test_a_file_of_the_machine_is_where_it_is_mounted(tmp_path_factory: pytest.TempPathFactory) -> None:
    top = tmp_path_factory.mktemp("world")
    if isolation.find_tier(top) == isolation.BARE:
        pytest.skip("this machine does not allow mounts")
    async with world(top) as it:
        await it.start_agent()
        (top / "input").write_text("from the machine")
        volumes = [
            {"name": "in", "hostPath": {"path": f"{top}/input", "type": "File"}},
            {"name": "out", "hostPath": {"path": f"{top}/out/deep", "type": "DirectoryOrCreate"}},
        ]
        mounts = [
            {"name": "in", "mountPath": "/data-of-a-test/input", "readOnly": True},
            {"name": "out", "mountPath": "/data-of-a-test/out"},
        ]
        script = "cp /data-of-a-test/input /data-of-a-test/out/copy; echo x > /data-of-a-test/input"
        await it.create(pod("p", script, volumes=volumes, container={"volumeMounts": mounts}))
        ended = await it.until_phase("p", "Succeeded", "Failed")
        assert (top / "out" / "deep" / "copy").read_text() == "from the machine"
        assert "Read-only file system" in it.log(ended)


@in_loop
async def test_an_account_that_is_not_there_is_waited_for(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with world(tmp_path_factory.mktemp("world")) as it:
        await it.start_agent()
        default = await it.cluster.get(Ref(SERVICE_ACCOUNTS, "default", "default"))
        assert default is not None
        await it.cluster.write(Delete(default.ref, default.meta.uid))
        token = {"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
        await it.create(pod("p", "true", volumes=[token], automountServiceAccountToken=False))
        waiting = await it.until_pod("p", lambda seen: "failed to fetch token" in str(main_status(seen)["state"]))
        assert waiting["status"]["phase"] == "Pending"
        metadata = {"name": "default", "namespace": "default"}
        done(await it.cluster.write(Create(SERVICE_ACCOUNTS, {"metadata": metadata})))
        await it.until_phase("p", "Succeeded")
