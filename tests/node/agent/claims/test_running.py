"""Pods with claims on a real agent: the embedded API in this loop, real processes, claims allocated by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from roadstead.kinds.names import EVENTS, NODES, PODS, RESOURCE_CLAIMS, UNHEALTHY_ANNOTATION
from roadstead.kinds.object import Json, Ref
from roadstead.kinds.times import SECOND
from roadstead.node.agent.options import NodeOptions
from roadstead.runtime.cluster import Create, Update
from tests.cluster.loop import in_loop
from tests.node.agent.claims.build import NIC, allocation, result
from tests.node.agent.world import World, done, main_status, pod, until, world

H100 = NodeOptions("n1", "h100x8")
SHOW = "env | grep -E '^(CUDA|ROADSTEAD_CLAIM|NCCL)' | sort"


async def make_claim(it: World, name: str, *, owner: str = "") -> Json:
    """A claim that nobody was given anything for yet."""
    metadata: Json = {"name": name, "namespace": "default"}
    if owner:
        metadata["ownerReferences"] = [
            {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": owner, "controller": True}
        ]
    request = {"name": "gpu", "exactly": {"deviceClassName": "gpu.nvidia.com"}}
    requests = [{**request, "name": name} for name in ("gpu", "nic")]
    value = {
        "apiVersion": RESOURCE_CLAIMS.api_version,
        "kind": "ResourceClaim",
        "metadata": metadata,
        "spec": {"devices": {"requests": requests}},
    }
    return done(await it.cluster.write(Create(RESOURCE_CLAIMS, value))).decode()


async def give(it: World, claim: Json, pods: Sequence[Json], *results: Json, **more: Any) -> None:
    """Allocate the claim, and reserve it for these pods."""
    found = await it.cluster.get(Ref(RESOURCE_CLAIMS, "default", claim["metadata"]["name"]))
    assert found is not None
    value = found.decode()
    value["status"] = {
        "allocation": allocation(*results, **more),
        "reservedFor": [
            {"resource": "pods", "name": one["metadata"]["name"], "uid": one["metadata"]["uid"]} for one in pods
        ],
    }
    done(await it.cluster.write(Update(RESOURCE_CLAIMS, value, "status")))


def using(name: str, claim: str, command: str, *refs: Json, **more: Any) -> Json:
    container = {"resources": {"claims": list(refs) or [{"name": "mine"}]}}
    entry = {"name": "mine", "resourceClaimName": claim}
    return pod(name, command, container=container, resourceClaims=[entry], **more)


async def create(it: World, value: Json) -> Json:
    return (await it.create(value)).decode()


def lines(it: World, value: Json, container: str = "main") -> dict[str, str]:
    return dict(line.split("=", 1) for line in it.log(value, container).splitlines())


@in_loop
async def test_a_pod_starts_once_its_claim_is_its_own_and_sees_exactly_that(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.start_agent(H100)
        made = await create(it, using("p", "c", SHOW))
        waiting = await it.until_pod("p", lambda seen: main_status(seen)["state"].get("waiting", {}).get("message"))
        assert main_status(waiting)["state"]["waiting"] == {
            "reason": "ContainerCreating",
            "message": "waiting for its claims: ResourceClaim c does not exist",
        }
        claim = await make_claim(it, "c")
        await it.until_pod("p", lambda seen: "c is not allocated" in str(main_status(seen)["state"]))
        await give(it, claim, [], result("gpu-2"), result("gpu-3"))
        await it.until_pod("p", lambda seen: "is not allowed to use ResourceClaim c" in str(main_status(seen)["state"]))
        await give(it, claim, [made], result("gpu-2"), result("gpu-3"))
        ended = await it.until_phase("p", "Succeeded", seconds=15)
        directory = it.state / "pods" / made["metadata"]["uid"] / "claims" / "resourceclaims" / "c" / "gpu"
        assert lines(it, ended) == {
            "CUDA_VISIBLE_DEVICES": "2,3",
            "ROADSTEAD_CLAIM_MINE_DEVICES": "gpu-2,gpu-3",
            "ROADSTEAD_CLAIM_MINE_REQUEST_GPU_DEVICES": "gpu-2,gpu-3",
            "ROADSTEAD_CLAIM_MINE_REQUEST_GPU_DIR": str(directory),
        }
        events = [obj.decode() for obj in (await it.cluster.list(EVENTS)).items]
        told = [one["message"] for one in events if one["reason"] == "FailedPrepareDynamicResources"]
        assert "Failed to prepare dynamic resources: ResourceClaim c does not exist" in told
        assert not directory.exists()


@in_loop
async def test_containers_see_the_claims_that_they_name_and_files_of_them(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.start_agent(H100)
        claim = await make_claim(it, "c")
        command = f"{SHOW}; cat $ROADSTEAD_CLAIM_MINE_REQUEST_NIC_DIR/dra.net-config.json >&2"
        value = using("p", "c", command, {"name": "mine", "request": "nic"})
        blind = {"name": "blind", "image": "none", "command": ["/bin/sh", "-c", SHOW]}
        value["spec"]["containers"].append(blind)
        made = await create(it, value)
        config = [{"source": "FromClaim", "requests": ["nic"], "opaque": {"driver": NIC, "parameters": {"mtu": 9000}}}]
        await give(it, claim, [made], result("gpu-2"), result("rdma2", "nic", driver=NIC), config=config)
        ended = await it.until_phase("p", "Succeeded")
        text = it.log(ended)
        assert json.loads(text[text.index("[") :]) == [{"mtu": 9000}]
        seen = dict(line.split("=", 1) for line in text[: text.index("[")].splitlines())
        assert (seen["CUDA_VISIBLE_DEVICES"], seen["NCCL_IB_HCA"]) == ("", "=mlx5_2")
        assert seen["ROADSTEAD_CLAIM_MINE_DEVICES"] == "rdma2"
        assert lines(it, ended, "blind") == {"CUDA_VISIBLE_DEVICES": ""}
        stored = await it.cluster.get(Ref(RESOURCE_CLAIMS, "default", "c"))
        assert stored is not None
        (told,) = stored.decode()["status"]["devices"]
        assert (told["driver"], told["pool"], told["device"]) == (NIC, "n1", "rdma2")
        assert told["networkData"]["interfaceName"] == "rdma2"
        assert {one["type"]: one["status"] for one in told["conditions"]} == {"Ready": "True", "NetworkReady": "True"}
        statuses = {one["name"]: one.get("allocatedResourcesStatus") for one in ended["status"]["containerStatuses"]}
        assert statuses["blind"] is None
        assert statuses["main"] == [
            {"name": "claim:mine/nic", "resources": [{"resourceID": "dra.net/n1/rdma2", "health": "Healthy"}]}
        ]


@in_loop
async def test_a_claim_that_was_made_for_a_pod_is_found_by_its_status(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.start_agent(H100)
        value = using("p", "", SHOW)
        value["spec"]["resourceClaims"] = [{"name": "mine", "resourceClaimTemplateName": "t"}]
        made = await create(it, value)
        claim = await make_claim(it, "p-mine-x", owner=made["metadata"]["uid"])
        await give(it, claim, [made], result("gpu-5"))
        await it.until_pod("p", lambda seen: "has not been created yet" in str(main_status(seen)["state"]))
        stored = await it.pod("p")
        assert stored is not None
        value = stored.decode()
        value["status"]["resourceClaimStatuses"] = [{"name": "mine", "resourceClaimName": "p-mine-x"}]
        done(await it.cluster.write(Update(PODS, value, "status")))
        assert lines(it, await it.until_phase("p", "Succeeded"))["CUDA_VISIBLE_DEVICES"] == "5"


@in_loop
async def test_one_device_is_never_two_processes_and_one_claim_may_be(tmp_path: Path) -> None:
    """Whatever schedulers wrote: a claim, another claim and a binding that name the same device take turns; pods of one
    claim share."""
    gate = tmp_path / "go"
    async with world(tmp_path) as it:
        await it.start_agent(H100)
        claims = [await make_claim(it, name) for name in ("c1", "c2")]
        until_go = f"until [ -e {gate} ]; do sleep 0.01; done"
        first = await create(it, using("first", "c1", until_go))
        friend = await create(it, using("friend", "c1", until_go))
        await give(it, claims[0], [first, friend], result("gpu-2"))
        for name in ("first", "friend"):
            await it.until_phase(name, "Running")
        other = await create(it, using("other", "c2", SHOW))
        await give(it, claims[1], [other], result("gpu-2"))
        by_count = pod(
            "by-count", "true",
            container={"resources": {"limits": {"nvidia.com/gpu": "1"}}},
            metadata={"annotations": {"roadstead.dev/devices": "gpu-2"}},
        )  # fmt: skip
        await it.create(by_count)
        for name in ("other", "by-count"):
            seen = await it.until_pod(
                name, lambda seen: "to end: it still holds one" in str(main_status(seen)["state"])
            )
            assert seen["status"]["phase"] == "Pending"
        gate.touch()
        for name in ("other", "by-count"):
            await it.until_phase(name, "Succeeded")


@in_loop
async def test_parts_of_one_gpu_run_beside_each_other(tmp_path: Path) -> None:
    gate = tmp_path / "go"
    async with world(tmp_path) as it:
        await it.start_agent(NodeOptions("n1", "h100x1-mig"))
        seen = set()
        for start in (0, 1):
            claim = await make_claim(it, f"c{start}")
            command = f"echo $CUDA_VISIBLE_DEVICES; until [ -e {gate} ]; do sleep 0.01; done"
            made = await create(it, using(f"p{start}", f"c{start}", command))
            await give(it, claim, [made], result(f"gpu-0-mig-1g10gb-19-{start}"))
            running = await it.until_pod(
                f"p{start}", lambda now: now["status"].get("phase") == "Running" and it.log(now)
            )
            seen.add(it.log(running).strip())
        assert len(seen) == 2
        assert all(text.startswith("MIG-") for text in seen)


@in_loop
async def test_what_was_prepared_outlives_the_agent_and_the_claim(tmp_path: Path) -> None:
    """A container is started again with its devices although the server no longer says which, and nobody else gets them
    meanwhile."""
    async with world(tmp_path) as it:
        await it.start_agent(H100)
        claim = await make_claim(it, "c")
        command = f"echo $CUDA_VISIBLE_DEVICES; [ -e {tmp_path}/twice ] && sleep 100; touch {tmp_path}/twice; exit 1"
        value = using("p", "c", f"until [ -e {tmp_path}/go ]; do sleep 0.01; done; {command}", policy="Always")
        made = await create(it, value)
        await give(it, claim, [made], result("gpu-6"))
        await it.until_phase("p", "Running")
        await it.stop_agent()
        stored = await it.cluster.get(Ref(RESOURCE_CLAIMS, "default", "c"))
        assert stored is not None
        broken = stored.decode()
        broken["status"] = {}
        done(await it.cluster.write(Update(RESOURCE_CLAIMS, broken, "status")))
        agent = await it.start_agent(H100)
        assert agent.hosts["n1"].occupancy.busy() == {"gpu-6"}
        (tmp_path / "go").touch()
        again = await it.until_pod(
            "p", lambda seen: main_status(seen)["restartCount"] == 1 and main_status(seen)["ready"]
        )
        await until_log(it, again, 1)
        assert it.log(again, attempt=1).strip() == "6"


async def until_log(it: World, value: Json, attempt: int) -> None:
    async def wrote() -> bool:
        return bool(it.log(value, attempt=attempt))

    await until(wrote)


@in_loop
async def test_the_health_of_a_device_is_told_by_the_pod_that_has_it(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.start_agent(H100, lease_interval=SECOND // 20)
        claim = await make_claim(it, "c")
        made = await create(it, using("p", "c", "sleep 100"))
        await give(it, claim, [made], result("gpu-6"))

        def health(value: Json) -> str:
            told = main_status(value).get("allocatedResourcesStatus") or [{"resources": [{"health": ""}]}]
            return str(told[0]["resources"][0]["health"])

        await it.until_pod("p", lambda seen: health(seen) == "Healthy")
        stored = await it.cluster.get(Ref(NODES, "", "n1"))
        assert stored is not None
        node = stored.decode()
        node["metadata"]["annotations"][UNHEALTHY_ANNOTATION] = "gpu-6"
        done(await it.cluster.write(Update(NODES, node)))
        await it.until_pod("p", lambda seen: health(seen) == "Unhealthy")


@in_loop
async def test_what_another_driver_prepared_reaches_the_process(tmp_path: Path) -> None:
    specs = tmp_path / "cdi"
    specs.mkdir()
    async with world(tmp_path) as it:
        await it.start_agent(NodeOptions("n1"), cdi_directories=(specs,), isolation="bare")
        claim = await make_claim(it, "c")
        made = await create(it, using("p", "c", "echo $FPGA"))
        await give(it, claim, [made], result("f0", driver="fpga.example.com", pool="rack"))
        await it.until_pod("p", lambda seen: "no CDI device for it is to be found" in str(main_status(seen)["state"]))
        edits = {
            "env": ["FPGA=f0"],
            "deviceNodes": [{"path": "/dev/null"}],
            "mounts": [{"hostPath": "/opt/fpga", "containerPath": "/usr/lib/fpga"}],
        }
        device = {"name": f"{claim['metadata']['uid']}-f0", "containerEdits": edits}
        value = {"cdiVersion": "0.6.0", "kind": "k8s.fpga.example.com/claim", "devices": [device]}
        (specs / "fpga.json").write_text(json.dumps(value))
        assert it.log(await it.until_phase("p", "Succeeded")).strip() == "f0"
        events = [obj.decode() for obj in (await it.cluster.list(EVENTS)).items]
        (told,) = (one["message"] for one in events if one["reason"] == "DevicesNotWhole")
        assert told == "Container main: not mounted: /opt/fpga at /usr/lib/fpga"


@in_loop
async def test_simulated_pods_wait_for_their_claims_too(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.start_agent(NodeOptions("n1", "h100x8", simulate=True))
        claim = await make_claim(it, "c")
        made = await create(it, using("p", "c", "", metadata={"annotations": {"roadstead.dev/run-for": "0.1"}}))
        await it.until_pod("p", lambda seen: "c is not allocated" in str(main_status(seen)["state"]))
        await give(it, claim, [made], result("gpu-0"))
        await it.until_phase("p", "Succeeded")
