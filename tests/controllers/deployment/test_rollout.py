"""Rollouts: how many pods there are at most and available at least, history, rollback, pause, scaling, deadlines,
recreation."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from roadstead.kinds.names import DEPLOYMENTS, PODS, REPLICA_SETS
from roadstead.kinds.object import Json
from roadstead.testing.controllers import Fault
from tests.controllers.deployment.conftest import Rollouts

Make = Callable[..., Rollouts]
REVISION = "deployment.kubernetes.io/revision"


def rolling(surge: int | str, unavailable: int | str) -> Json:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def test_a_deployment_makes_a_replica_set_that_makes_pods(make: Make) -> None:
    world = make()
    world.deploy(replicas=3)
    owner = world.lab.all(REPLICA_SETS)[0]
    digest = owner["metadata"]["labels"]["pod-template-hash"]
    assert owner["metadata"]["name"] == f"web-{digest}"
    assert owner["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": digest}
    assert world.images() == ["i:1"] * 3
    assert all(pod["metadata"]["labels"]["pod-template-hash"] == digest for pod in world.pods())
    assert world.lab.the(DEPLOYMENTS, "web")["metadata"]["annotations"] == {REVISION: "1"}
    assert world.reason("Available") == "MinimumReplicasUnavailable"
    world.finish()
    status = {name: value for name, value in world.status().items() if name != "conditions"}
    assert status == {
        "observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3,
        "terminatingReplicas": 0,
    }  # fmt: skip
    assert (world.reason("Available"), world.reason()) == ("MinimumReplicasAvailable", "NewReplicaSetAvailable")


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "most", "least"),
    [
        (4, "25%", "25%", 5, 3),
        (4, 0, 1, 4, 3),
        (4, 1, 0, 5, 4),
        (3, "25%", "25%", 4, 3),
        (10, "100%", "50%", 20, 5),
        (1, 0, "25%", 1, 0),
    ],
)
def test_a_rollout_stays_within_its_bounds(
    make: Make, replicas: int, surge: int | str, unavailable: int | str, most: int, least: int
) -> None:
    world = make()
    world.deploy(replicas=replicas, strategy=rolling(surge, unavailable))
    world.finish()
    world.most, world.least_available = 0, replicas
    world.set_image("i:2")
    world.look()
    world.finish()
    assert world.images() == ["i:2"] * replicas
    assert world.most <= most
    assert world.least_available >= least


def test_pods_that_never_run_stop_a_rollout_and_the_deadline_tells(make: Make) -> None:
    world = make()
    world.deploy(replicas=4, progressDeadlineSeconds=60)
    world.finish()
    world.set_image("bad")
    world.lab.advance(59)
    assert world.reason() == "ReplicaSetUpdated"
    world.lab.advance(3)
    assert world.reason() == "ProgressDeadlineExceeded"
    available = [pod for pod in world.pods() if pod["status"].get("conditions")]
    assert len(available) == 3, "the old ones still serve"
    world.set_image("i:1")
    world.finish()
    assert world.images() == ["i:1"] * 4
    assert world.reason() == "NewReplicaSetAvailable"


def test_going_back_takes_the_old_replica_set_with_a_new_revision(make: Make) -> None:
    world = make()
    world.deploy(replicas=2)
    world.finish()
    first = world.lab.all(REPLICA_SETS)[0]["metadata"]["name"]
    world.set_image("i:2")
    world.finish()
    world.set_image("i:1")
    world.finish()
    assert len(world.lab.all(REPLICA_SETS)) == 2
    annotations = world.lab.the(REPLICA_SETS, first)["metadata"]["annotations"]
    assert annotations[REVISION] == "3"
    assert annotations["deployment.kubernetes.io/revision-history"] == "1"
    assert world.lab.the(DEPLOYMENTS, "web")["metadata"]["annotations"][REVISION] == "3"


def test_history_is_kept_so_far_and_no_further(make: Make) -> None:
    world = make()
    world.deploy(replicas=1, revisionHistoryLimit=2)
    world.finish()
    for number in range(2, 7):
        world.set_image(f"i:{number}")
        world.finish()
    assert world.sets() == {"i:4": 0, "i:5": 0, "i:6": 1}


def test_a_paused_deployment_scales_but_does_not_roll(make: Make) -> None:
    world = make()
    world.deploy(replicas=2)
    world.finish()
    world.set_spec(paused=True)
    assert world.reason() == "DeploymentPaused"
    world.set_image("i:2")
    world.set_spec(replicas=3)
    world.finish()
    assert world.images() == ["i:1"] * 3
    world.set_spec(paused=False)
    assert world.reason() in ("DeploymentResumed", "NewReplicaSetCreated", "ReplicaSetUpdated")
    world.finish()
    assert world.images() == ["i:2"] * 3


def test_a_size_given_during_a_rollout_is_shared_in_proportion(make: Make) -> None:
    world = make()
    world.deploy(replicas=10, strategy=rolling(3, 2))
    world.finish()
    world.set_image("i:2")
    assert world.sets() == {"i:1": 8, "i:2": 5}
    world.set_spec(replicas=15)
    assert world.sets() == {"i:1": 11, "i:2": 7}, "18 pods at most, as the upstream documentation's example"
    world.finish()
    assert world.images() == ["i:2"] * 15


def test_recreation_waits_until_no_old_pod_runs(make: Make) -> None:
    world = make()
    world.deploy(replicas=2, strategy={"type": "Recreate"})
    world.finish()
    bound = [pod["metadata"]["name"] for pod in world.pods()]

    def hold(value: Json) -> None:
        value["metadata"]["finalizers"] = ["example.com/slow"]

    world.lab.edit(PODS, bound[0], hold)
    world.set_image("i:2")
    world.lab.settle()
    assert "i:2" not in {pod["spec"]["containers"][0]["image"] for pod in world.lab.all(PODS)}
    world.lab.edit(PODS, bound[0], lambda value: value["metadata"].pop("finalizers"))
    world.finish()
    assert world.images() == ["i:2"] * 2


def test_min_ready_seconds_hold_a_rollout_back(make: Make) -> None:
    world = make()
    world.deploy(replicas=1, minReadySeconds=30, strategy=rolling(1, 0))
    world.finish()
    assert world.reason("Available") == "MinimumReplicasUnavailable"
    world.lab.advance(31)
    assert world.reason("Available") == "MinimumReplicasAvailable"


def test_annotations_are_handed_down(make: Make) -> None:
    world = make()
    world.deploy(replicas=1)
    generation = world.lab.the(DEPLOYMENTS, "web")["metadata"]["generation"]

    def annotate(value: Json) -> None:
        value["metadata"]["annotations"]["kubernetes.io/change-cause"] = "because"

    world.lab.edit(DEPLOYMENTS, "web", annotate)
    world.lab.settle()
    assert world.lab.all(REPLICA_SETS)[0]["metadata"]["annotations"]["kubernetes.io/change-cause"] == "because"
    assert world.lab.the(DEPLOYMENTS, "web")["metadata"]["generation"] == generation + 1


def test_a_name_that_is_taken_is_avoided(make: Make) -> None:
    world = make()
    world.deploy(replicas=1)
    taken = world.lab.all(REPLICA_SETS)[0]
    world.lab.delete(DEPLOYMENTS, "web")
    world.lab.delete(REPLICA_SETS, taken["metadata"]["name"])
    stranger = {
        "metadata": {"name": taken["metadata"]["name"]},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "other"}},
            "template": {
                "metadata": {"labels": {"app": "other"}},
                "spec": {"containers": [{"name": "c", "image": "x"}]},
            },
        },
    }
    world.lab.create(REPLICA_SETS, stranger)
    world.deploy(replicas=1)
    assert world.status()["collisionCount"] == 1
    assert world.sets() == {"x": 0, "i:1": 1}


def test_a_replica_set_that_was_left_alone_is_adopted(make: Make) -> None:
    world = make()
    world.deploy(replicas=2)
    world.finish()
    before = {pod["metadata"]["uid"] for pod in world.pods()}
    world.lab.delete(DEPLOYMENTS, "web", propagation="Orphan")
    owner = world.lab.all(REPLICA_SETS)[0]["metadata"]["name"]
    world.lab.edit(REPLICA_SETS, owner, lambda value: value["metadata"].pop("ownerReferences"))
    world.lab.edit(DEPLOYMENTS, "web", lambda value: value["metadata"].pop("finalizers"))
    world.deploy(replicas=2)
    assert {pod["metadata"]["uid"] for pod in world.pods()} == before
    assert len(world.lab.all(REPLICA_SETS)) == 1


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("write", range(12))
def test_any_write_may_go_wrong(make: Make, fault: Fault, write: int) -> None:
    world = make(faults={write: fault}, lag=2, seed=write)
    world.deploy(replicas=2)
    world.finish()
    world.set_image("i:2")
    world.finish()
    assert world.images() == ["i:2"] * 2
    assert world.reason() == "NewReplicaSetAvailable"
    assert world.sets() == {"i:1": 0, "i:2": 2}
