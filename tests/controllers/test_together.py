"""The Kubernetes-side controllers in one process: Jobs, garbage, namespaces, nodes, each minding its own business."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from roadstead.controllers.garbage import GarbageCollector
from roadstead.controllers.job import JobController
from roadstead.controllers.namespace import NamespaceController
from roadstead.controllers.node_lifecycle import NodeLifecycleController
from roadstead.controllers.pod_garbage import PodGarbageController
from roadstead.controllers.service_account import ServiceAccountController
from roadstead.kinds.names import JOBS, NAMESPACES, NODES, PODS
from roadstead.kinds.served import default_registry
from roadstead.runtime.step import Controller
from roadstead.testing.controllers import Fault, Lab
from tests.controllers.kit import conditions, end, job, live, pods, start, stop_marked, tracked


def everyone() -> Sequence[Controller]:
    registry = default_registry()
    return [
        JobController(),
        GarbageCollector(registry),
        NamespaceController(kind.resource for kind in registry if kind.namespaced),
        ServiceAccountController("ca"),
        NodeLifecycleController(),
        PodGarbageController(),
    ]


def laboratory(fault: dict[int, Fault] | None = None, lag: int = 0, seed: int = 0) -> Lab:
    return Lab(everyone, faults=fault, lag=lag, seed=seed, namespaces=("default", "lab"), may_be_refused=True)


FAULTS = pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
LAGS = pytest.mark.parametrize("lag", [0, 4])


def run_some(lab: Lab) -> None:
    """Two pods: one has finished, one runs on a node."""
    manifest = job(completions=2, parallelism=2, manualSelector=True, selector={"matchLabels": {"app": "x"}})
    manifest["spec"]["template"]["metadata"] = {"labels": {"app": "x"}}
    lab.create(JOBS, manifest)
    lab.advance(1)
    first, second = live(lab)
    start(lab, first)
    end(lab, second)
    lab.advance(3)


@LAGS
@FAULTS
@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_a_deleted_job_takes_its_pods_along(propagation: str, fault: Fault, lag: int) -> None:
    number = 4
    while True:
        with laboratory({number: fault}, lag, seed=number) as lab:
            run_some(lab)
            lab.delete(JOBS, "train", propagation=propagation)
            lab.advance(5)
            stop_marked(lab)
            lab.advance(5)
            assert pods(lab) == []
            assert lab.get(JOBS, "train") is None
            if lab.writes <= number:
                return
        number += 1


@pytest.mark.parametrize("seed", range(60))
def test_orphaned_pods_live_on_and_are_tracked_no_more(seed: int) -> None:
    """However far the views lag, nobody adopts them again for a Job that is on its way out."""
    with laboratory(lag=seed % 12, seed=seed) as lab:
        run_some(lab)
        lab.delete(JOBS, "train", propagation="Orphan")
        lab.advance(5)
        assert lab.get(JOBS, "train") is None
        assert len(pods(lab)) == 2
        assert [pod["metadata"].get("ownerReferences") for pod in pods(lab)] == [None, None]
        assert tracked(lab) == []


def test_time_to_live_removes_job_and_pods() -> None:
    with laboratory() as lab:
        lab.create(JOBS, job(completions=1, parallelism=1, ttlSecondsAfterFinished=3))
        lab.settle()
        end(lab, live(lab)[0])
        lab.advance(2)
        assert len(pods(lab)) == 1
        lab.advance(2)
        assert pods(lab) == []
        assert lab.get(JOBS, "train") is None


@LAGS
@FAULTS
def test_a_namespace_with_a_running_job_goes(fault: Fault, lag: int) -> None:
    for number in range(6, 24, 3):
        with laboratory({number: fault}, lag, seed=number) as lab:
            lab.create(JOBS, job(completions=2, parallelism=2), "lab")
            lab.advance(1)
            start(lab, live(lab)[0])
            lab.delete(NAMESPACES, "lab")
            lab.advance(5)
            stop_marked(lab)
            lab.advance(5)
            assert lab.get(NAMESPACES, "lab") is None
            assert lab.all(PODS, "lab") == []


def test_a_job_survives_the_loss_of_its_node() -> None:
    """The pod of a lost node is evicted, replaced at once, and over when the node object goes."""
    with laboratory() as lab:
        lab.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}})
        ready = {"type": "Ready", "status": "True"}
        lab.edit_status(NODES, "n1", conditions=[ready])
        lab.create(JOBS, job(completions=1, parallelism=1, podReplacementPolicy="TerminatingOrFailed", backoffLimit=1))
        lab.settle()
        [lost] = live(lab)
        start(lab, lost)
        lab.advance(400)
        [replacement] = live(lab)
        assert replacement["metadata"]["uid"] != lost["metadata"]["uid"]
        end(lab, replacement)
        lab.advance(3)
        assert conditions(lab.the(JOBS, "train")) == {"SuccessCriteriaMet": ("True", "CompletionsReached")}
        lab.delete(NODES, "n1")
        lab.advance(60)
        assert conditions(lab.the(JOBS, "train"))["Complete"] == ("True", "CompletionsReached")
        assert lab.the(JOBS, "train")["status"]["failed"] == 1
