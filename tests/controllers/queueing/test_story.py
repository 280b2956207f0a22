"""A job's way through the queue, from held to finished, on the embedded store."""

from __future__ import annotations

from roadstead.kinds.names import JOBS, PLACEMENTS, PODS
from tests.controllers.queueing.lab import QueueLab, job


def test_a_job_is_held_admitted_placed_started_bound_and_finished() -> None:
    with QueueLab() as lab:
        lab.furnish(gpus=4)
        lab.create(JOBS, job("train", gpus=2))
        assert lab.job_state("train") == "suspended"
        lab.settle()
        workload = lab.workload_of("train")
        assert lab.condition(workload, "Admitted") == ("True", "Admitted")
        (placement,) = lab.all(PLACEMENTS)
        assert placement["metadata"]["name"] == workload["metadata"]["name"]
        (pod,) = lab.all(PODS)
        assert pod["spec"]["nodeName"] == "node-0"
        assert pod["metadata"]["annotations"]["roadstead.dev/devices"] == "gpu-0,gpu-1"
        lab.advance(10)
        assert lab.job_state("train") == "Complete"
        assert lab.condition(lab.workload_of("train"), "Finished") == ("True", "Succeeded")
        assert lab.all(PLACEMENTS) == []
        for entry in lab.ledger:
            print(
                entry.by,
                type(entry.write).__name__,
                entry.write.resource.plural,
                getattr(entry.write, "subresource", ""),
                entry.result,
            )
