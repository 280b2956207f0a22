"""Volumes that follow their sources, by a clock of our own."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from roadstead.auth.service_accounts import Issuer
from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.names import CONFIG_MAPS, NAMESPACES, PODS, SERVICE_ACCOUNTS
from roadstead.kinds.object import Json, Object, Ref, Resource
from roadstead.kinds.served import default_registry
from roadstead.kinds.times import SECOND
from roadstead.node.agent.agent import Narrowed
from roadstead.node.agent.environment import Reference, Sources
from roadstead.node.agent.problems import CannotStart
from roadstead.node.agent.views import Pod
from roadstead.node.agent.volumes import materialize
from roadstead.node.agent.volumes.tokens import renew_at
from roadstead.node.agent.volumes.upkeep import ReadObjects, Upkeep
from roadstead.runtime.cluster import EVERYTHING, Create, Delete, Outcome, Result, Unavailable, Update, Write
from tests.cluster.loop import in_loop

ISSUER = Issuer()
TOKEN = {"serviceAccountToken": {"path": "token", "expirationSeconds": 3000}}
SETTINGS = {"name": "c", "configMap": {"name": "settings"}}
LABELS = {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}}


class Counted(Narrowed):
    """Counts what is asked; may be down."""

    def __init__(self, cluster: EmbeddedCluster) -> None:
        super().__init__(cluster, "", EVERYTHING)
        self.reads = self.writes = self.tokens = 0
        self.is_down = False

    async def get(self, ref: Ref) -> Object | None:
        self.reads += 1
        if self.is_down:
            raise Unavailable("down")
        return await super().get(ref)

    async def write(self, write: Write) -> Outcome:
        self.writes += 1
        if isinstance(write, Create) and write.subresource == "token":
            self.tokens += 1
        if self.is_down:
            return Outcome(Result.UNKNOWN, message="down")
        return await super().write(write)


class Bench:
    """One pod's upkeep and its surroundings."""

    def __init__(self, cluster: Counted, clock: Callable[[], int], top: Path) -> None:
        self.cluster = cluster
        self.objects = ReadObjects(cluster, clock)
        self.clock = clock
        self.top = top
        self.upkeep = self.fresh()
        self.seconds = 0.0

    def fresh(self) -> Upkeep:
        """As of an agent that has just started."""
        return Upkeep(self.cluster, self.objects, self.clock, self.top)

    async def create(self, resource: Resource, value: Json) -> Object:
        outcome = await self.cluster.write(Create(resource, value))
        assert outcome.object is not None, outcome
        return outcome.object

    async def pod(self, *volumes: Json, **labels: str) -> Pod:
        spec = {"nodeName": "n1", "containers": [{"name": "a", "image": "x"}], "volumes": list(volumes)}
        metadata = {"name": "p", "namespace": "ns", "labels": labels}
        return (await self.create(PODS, {"metadata": metadata, "spec": {**spec, "serviceAccountName": "robot"}})).view(
            Pod
        )

    async def start(self, pod: Pod) -> None:
        """What starting a container does."""
        wanted: list[Reference] = [("configmap", "settings")]
        found = {one: await self.objects.get("ns", one) for one in wanted}
        materialize(pod, self.top, self.sources(found), await self.upkeep.tokens(pod))

    @staticmethod
    def sources(objects: Any) -> Sources:
        return Sources(objects, "127.64.0.1", "127.0.0.1")

    async def look(self, pod: Pod) -> float:
        """Look; seconds until the next look."""
        due = await self.upkeep.look(pod, self.sources)
        assert due is not None
        return (due - self.clock()) / SECOND

    def text(self, path: str) -> str:
        return (self.top / path).read_text()

    async def change_settings(self, text: str) -> None:
        found = await self.cluster.get(Ref(CONFIG_MAPS, "ns", "settings"))
        assert found is not None
        value = found.decode()
        value["data"] = {"key": text}
        assert (await self.cluster.write(Update(CONFIG_MAPS, value))).is_done


@contextlib.asynccontextmanager
async def bench(top: Path) -> AsyncIterator[Bench]:
    store = Store.in_memory()

    def clock() -> int:
        return int((1_800_000_000 + made.seconds) * SECOND)

    resources = Resources(store, default_registry(), clock=lambda: clock(), issuer=ISSUER)
    made = Bench(Counted(EmbeddedCluster(resources)), clock, top)
    await made.create(NAMESPACES, {"metadata": {"name": "ns"}})
    await made.create(SERVICE_ACCOUNTS, {"metadata": {"name": "robot", "namespace": "ns"}})
    await made.create(CONFIG_MAPS, {"metadata": {"name": "settings", "namespace": "ns"}, "data": {"key": "one"}})
    try:
        yield made
    finally:
        await store.close()


def issued(token: str) -> int:
    payload = token.split(".")[1]
    return int(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["iat"])


@in_loop
async def test_a_config_map_that_changes_is_seen_within_a_minute(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with bench(tmp_path_factory.mktemp("v")) as it:
        pod = await it.pod(SETTINGS)
        await it.start(pod)
        assert await it.look(pod) == 60
        await it.change_settings("two")
        reads = it.cluster.reads
        it.seconds = 59
        assert await it.look(pod) == 1
        assert (it.text("c/key"), it.cluster.reads) == ("one", reads), "nothing is read between two looks"
        it.seconds = 61
        assert await it.look(pod) == 60
        assert it.text("c/key") == "two"


@in_loop
async def test_pods_of_a_node_share_what_was_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with bench(tmp_path_factory.mktemp("v")) as it:
        pod = await it.pod(SETTINGS)
        await it.start(pod)
        reads = it.cluster.reads
        it.seconds = 30
        for _ in range(3):
            it.upkeep = it.fresh()
            await it.look(pod)
        assert it.cluster.reads == reads
        await it.change_settings("two")
        await it.start(pod)
        assert it.text("c/key") == "two", "a container that starts sees the newest"


@in_loop
async def test_what_cannot_be_read_stays_as_it_was(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with bench(tmp_path_factory.mktemp("v")) as it:
        pod = await it.pod(SETTINGS)
        await it.start(pod)
        await it.look(pod)
        it.seconds, it.cluster.is_down = 61, True
        assert await it.look(pod) == 10
        it.seconds, it.cluster.is_down = 72, False
        found = await it.cluster.get(Ref(CONFIG_MAPS, "ns", "settings"))
        assert found is not None
        await it.cluster.write(Delete(found.ref, found.meta.uid))
        assert await it.look(pod) == 10
        assert it.text("c/key") == "one"


@in_loop
async def test_labels_follow_at_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with bench(tmp_path_factory.mktemp("v")) as it:
        pod = await it.pod({"name": "d", **LABELS}, colour="red")
        await it.start(pod)
        await it.look(pod)
        assert it.text("d/labels") == 'colour="red"'
        found = await it.cluster.get(Ref(PODS, "ns", "p"))
        assert found is not None
        value = found.decode()
        value["metadata"]["labels"] = {"colour": "blue"}
        changed = (await it.cluster.write(Update(PODS, value))).object
        assert changed is not None
        await it.look(changed.view(Pod))
        assert it.text("d/labels") == 'colour="blue"'


@in_loop
async def test_a_token_is_renewed_at_four_fifths_of_its_life_and_kept_over_a_restart_of_the_agent(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with bench(tmp_path_factory.mktemp("v")) as it:
        pod = await it.pod({"name": "t", "projected": {"sources": [TOKEN]}})
        await it.start(pod)
        first = it.text("t/token")
        assert await it.look(pod) == 60
        it.seconds = 2300
        it.upkeep = it.fresh()
        writes = it.cluster.writes
        assert await it.look(pod) == 60
        assert (it.text("t/token"), it.cluster.writes) == (first, writes)
        it.seconds = 2380
        assert 9 <= await it.look(pod) <= 20, "just before it is due"
        it.seconds = 2401
        await it.look(pod)
        assert issued(it.text("t/token")) - issued(first) == 2401


@in_loop
async def test_a_long_lived_token_is_renewed_every_day(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with bench(tmp_path_factory.mktemp("v")) as it:
        lasting = {"serviceAccountToken": {"path": "token", "expirationSeconds": 30 * 24 * 3600}}
        pod = await it.pod({"name": "t", "projected": {"sources": [lasting]}})
        await it.start(pod)
        first = it.text("t/token")
        for hours, is_new in ((23, False), (24.01, True)):
            it.seconds = hours * 3600
            await it.look(pod)
            assert (it.text("t/token") != first) == is_new


@in_loop
async def test_a_token_that_cannot_be_renewed_is_kept_and_one_that_was_never_had_is_missed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with bench(tmp_path_factory.mktemp("v")) as it:
        pod = await it.pod({"name": "t", "projected": {"sources": [TOKEN]}})
        await it.start(pod)
        first = it.text("t/token")
        robot = await it.cluster.get(Ref(SERVICE_ACCOUNTS, "ns", "robot"))
        assert robot is not None
        await it.cluster.write(Delete(robot.ref, robot.meta.uid))
        it.seconds = 2500
        await it.look(pod)
        assert it.text("t/token") == first
        other = Upkeep(it.cluster, it.objects, it.clock, it.top / "other")
        with pytest.raises(CannotStart) as caught:
            await other.tokens(pod)
        assert caught.value.problem.message.startswith(
            'MountVolume.SetUp failed for volume "t" : failed to fetch token:'
        )
        assert 'serviceaccounts "robot" not found' in caught.value.problem.message


@in_loop
async def test_a_renewal_that_is_refused_is_asked_for_again_every_ten_seconds_and_no_sooner(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with bench(tmp_path_factory.mktemp("v")) as it:
        pod = await it.pod({"name": "t", "projected": {"sources": [TOKEN, LABELS]}}, colour="red")
        await it.start(pod)
        robot = await it.cluster.get(Ref(SERVICE_ACCOUNTS, "ns", "robot"))
        assert robot is not None
        await it.cluster.write(Delete(robot.ref, robot.meta.uid))
        it.seconds = 2500
        asked = it.cluster.tokens
        for _ in range(5):
            wait = await it.look(pod)
            await it.upkeep.tokens(pod)  # a container of the pod is started anew
            it.seconds += wait
        assert (it.seconds, it.cluster.tokens - asked) == (2550, 5)
        await it.create(SERVICE_ACCOUNTS, {"metadata": {"name": "robot", "namespace": "ns"}})
        await it.look(pod)
        assert issued(it.text("t/token")) == 1_800_000_000 + 2550


@in_loop
async def test_what_failed_is_not_tried_at_every_look_because_the_pod_has_new_labels(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with bench(tmp_path_factory.mktemp("v")) as it:
        pod = await it.pod({"name": "d", "projected": {"sources": [LABELS, SETTINGS]}}, colour="red")
        await it.start(pod)
        await it.look(pod)
        found = await it.cluster.get(Ref(PODS, "ns", "p"))
        assert found is not None
        value = found.decode()
        value["metadata"]["labels"] = {"colour": "blue"}
        changed = (await it.cluster.write(Update(PODS, value))).object
        assert changed is not None
        it.seconds, it.cluster.is_down = 61, True
        reads = it.cluster.reads
        assert [await it.look(changed.view(Pod)) for _ in range(5)] == [10] * 5
        assert it.cluster.reads - reads == 1
        it.seconds, it.cluster.is_down = 71, False
        await it.look(changed.view(Pod))
        assert it.text("d/labels") == 'colour="blue"'


@pytest.mark.parametrize(
    ("claims", "asked", "seconds"),
    [
        ({"iat": 1000, "exp": 4600}, 3600, 2880),
        ({"iat": 1000, "exp": 4600}, 24 * 3600, 2880),  # the server allows an hour at most
        ({"iat": 1000, "exp": 1000 + 365 * 24 * 3600}, 3607, 2885.6),  # and here it gives a year
        ({"iat": 1000}, 3600, 2880),
        ({"iat": 1000, "exp": 1000 + 30 * 24 * 3600}, 30 * 24 * 3600, 24 * 3600),
        ({"exp": 4600}, 3600, None),
    ],
)
def test_when_a_token_is_renewed(claims: Json, asked: int, seconds: float | None) -> None:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    at = renew_at(b"h." + payload + b".s", asked)
    if seconds is None:
        assert at == 0
    else:
        assert 0 <= 1000 + seconds - at / SECOND <= 10


@in_loop
async def test_a_server_that_is_down_is_waited_for_without_a_word(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with bench(tmp_path_factory.mktemp("v")) as it:
        pod = await it.pod({"name": "t", "projected": {"sources": [TOKEN]}})
        it.cluster.is_down = True
        with pytest.raises(Unavailable):
            await it.upkeep.tokens(pod)
        it.cluster.is_down = False
        await it.start(pod)
        first = it.text("t/token")
        it.seconds, it.cluster.is_down = 2500, True
        assert set((await it.upkeep.tokens(pod)).values()) == {first}


@in_loop
async def test_pods_without_such_volumes_cost_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with bench(tmp_path_factory.mktemp("v")) as it:
        pod = await it.pod({"name": "e", "emptyDir": {}}, {"name": "h", "hostPath": {"path": "/tmp"}})
        reads, writes = it.cluster.reads, it.cluster.writes
        assert await it.upkeep.look(pod, it.sources) is None
        assert (it.cluster.reads, it.cluster.writes) == (reads, writes)
