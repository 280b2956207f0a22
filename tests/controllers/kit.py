"""What controller tests share: manifests, and a stand-in for the node agent that ends pods when told."""

from __future__ import annotations

from typing import Any

from roadstead.kinds.names import JOBS, PODS
from roadstead.kinds.object import Json, Ref
from roadstead.kinds.times import SECOND, format_time
from roadstead.runtime.cluster import Create, Delete
from roadstead.testing.controllers import Lab


def job(name: str = "train", *, restart: str = "Never", containers: int = 1, **spec: Any) -> Json:
    """A Job manifest; `spec` in the API's own spelling."""
    template = {
        "spec": {
            "restartPolicy": restart,
            "containers": [
                {"name": f"c{number}", "image": "none", "command": ["true"]} for number in range(containers)
            ],
        }
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": template, **spec},
    }


def conditions(obj: Json) -> dict[str, tuple[str, str]]:
    """type -> (status, reason)."""
    found = (obj.get("status") or {}).get("conditions") or []
    return {condition["type"]: (condition["status"], condition.get("reason", "")) for condition in found}


def pods(lab: Lab) -> list[Json]:
    return lab.all(PODS)


def live(lab: Lab) -> list[Json]:
    """Pods that have not ended and that nobody is deleting."""
    return [
        pod
        for pod in pods(lab)
        if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
        and "deletionTimestamp" not in pod["metadata"]
    ]


def index_of(pod: Json) -> int:
    return int(pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"])


def by_index(lab: Lab) -> dict[int, Json]:
    return {index_of(pod): pod for pod in live(lab)}


def reasons(lab: Lab) -> list[str]:
    return [note.reason for note in lab.notes]


def suspend(lab: Lab, value: bool, name: str = "train") -> None:
    lab.edit(JOBS, name, lambda job: job["spec"].update(suspend=value))


def bind(lab: Lab, pod: Json, node: str = "n1") -> None:
    """What the binder does."""
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    }
    outcome = lab.write(Create(PODS, binding, "binding"))
    assert outcome.is_done, outcome


def start(lab: Lab, pod: Json, node: str = "n1") -> None:
    """Bind a pod and let its containers run."""
    if not pod["spec"].get("nodeName"):
        bind(lab, pod, node)
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": format_time(lab.now)}
    where = pod["metadata"]["namespace"]
    lab.edit_status(PODS, pod["metadata"]["name"], where, phase="Running", conditions=[ready])


def end(lab: Lab, pod: Json, code: int = 0, **status: Any) -> None:
    """The pod's containers exit with `code`; what is being deleted then goes as soon as nothing holds it."""
    name, where = pod["metadata"]["name"], pod["metadata"]["namespace"]
    terminated = {"exitCode": code, "finishedAt": format_time(lab.now), "reason": "Error" if code else "Completed"}
    statuses = [
        {
            "name": container["name"],
            "state": {"terminated": terminated},
            "ready": False,
            "restartCount": 0,
            "image": "none",
            "imageID": "",
        }
        for container in pod["spec"]["containers"]
    ]
    lab.edit_status(
        PODS,
        name,
        namespace=where,
        **{"phase": "Failed" if code else "Succeeded", "containerStatuses": statuses, **status},
    )
    if "deletionTimestamp" in lab.the(PODS, name, where)["metadata"]:
        reap(lab, pod)


def reap(lab: Lab, pod: Json) -> None:
    """The agent's last word about a pod that was to be deleted."""
    metadata = pod["metadata"]
    outcome = lab.write(
        Delete(Ref(PODS, metadata["namespace"], metadata["name"]), metadata["uid"], "", "Background", 0)
    )
    assert outcome.is_done, outcome


def stop_marked(lab: Lab, code: int = 143) -> int:
    """The agent stops every bound pod that is being deleted; how many there were."""
    marked = [
        pod
        for pod in pods(lab)
        if "deletionTimestamp" in pod["metadata"]
        and pod["spec"].get("nodeName")
        and pod["status"].get("phase") not in ("Succeeded", "Failed")
    ]
    for pod in marked:
        end(lab, pod, code)
    return len(marked)


def tracked(lab: Lab) -> list[str]:
    return [
        pod["metadata"]["name"]
        for pod in pods(lab)
        if "batch.kubernetes.io/job-tracking" in pod["metadata"].get("finalizers", ())
    ]


def the_job(lab: Lab, name: str = "train") -> Json:
    return lab.the(JOBS, name)


def status(lab: Lab, name: str = "train") -> Json:
    found: Json = the_job(lab, name)["status"]
    return found


def set_spec(value: Json, **fields: Any) -> None:
    """For `Lab.edit`."""
    value["spec"].update(fields)


def seconds(count: float) -> int:
    return int(count * SECOND)
