"""What must be true in the end, once nothing goes wrong any more: every job has ended and was counted right, everybody
who waits has a reason, and when the users have cleared up nothing is left over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from roadstead.expr.quantity import canonical
from roadstead.kinds.names import JOB_INDEX_ANNOTATION, QUEUE_LABEL
from roadstead.kinds.object import Json
from roadstead.sim.judges.base import (
    Past,
    annotation,
    condition,
    controller_of,
    has_ended,
    holds_quota,
    is_leaving,
    is_true,
    node_of,
    path_of,
    uid_of,
    workload_path,
)
from roadstead.sim.judges.jobs import JobsJudge, indexes_of
from roadstead.sim.judges.places import requests_of
from roadstead.sim.judges.quota import limits_of
from roadstead.sim.machines import Ledger


def unfinished(past: Past) -> list[Json]:
    """Jobs that have not come to an end."""
    return [job for job in past.all("jobs").values() if not is_true(job, "Complete") and not is_true(job, "Failed")]


def is_held_by_user(job: Json) -> bool:
    """Suspended, and no queue that would let it go on."""
    return bool(job["spec"].get("suspend")) and QUEUE_LABEL not in (job["metadata"].get("labels") or {})


# ---------------------------------------------------------------------- could it ever run?


def is_possible(past: Past, job: Json) -> bool:
    """Would the job fit if it were alone? Otherwise it waits for ever, rightly."""
    spec = job["spec"]["template"]["spec"]
    requests = dict(requests_of(spec))
    selector: Mapping[str, str] = spec.get("nodeSelector") or {}
    count = min(int(job["spec"]["parallelism"]), int(job["spec"].get("completions") or 1))
    queue = (job["metadata"].get("labels") or {}).get(QUEUE_LABEL)
    if queue is None:
        return _room(past, requests, selector) >= 1
    local = past.get("localqueues", f"{job['metadata']['namespace']}/{queue}")
    if local is None:
        return False
    name = local["spec"]["clusterQueue"]
    for flavor in _flavors(past, name):
        labels = (past.get("resourceflavors", flavor) or {}).get("spec", {}).get("nodeLabels") or {}
        if any(selector.get(key, value) != value for key, value in labels.items()):
            continue
        fits = all(_potential(past, name, flavor, resource) >= amount * count for resource, amount in requests.items())
        if fits and _room(past, requests, {**selector, **labels}) >= count:
            return True
    return False


def _flavors(past: Past, queue: str) -> list[str]:
    value = past.get("clusterqueues", queue)
    groups = value["spec"].get("resourceGroups") or () if value is not None else ()
    return [flavor["name"] for group in groups for flavor in group["flavors"]]


def _potential(past: Past, queue: str, flavor: str, resource: str) -> int:
    """The most that a queue may ever use of a cell: its own, and what its cohort lends it."""
    value = past.all("clusterqueues")[queue]
    limits = limits_of(value).get((flavor, resource))
    if limits is None:
        return -1
    cohort = value["spec"].get("cohortName")
    if not cohort:
        return limits.nominal
    most = limits.local
    for other in past.all("clusterqueues").values():
        found = limits_of(other).get((flavor, resource)) if other["spec"].get("cohortName") == cohort else None
        most += found.nominal - found.local if found is not None else 0
    return most if limits.borrow is None else min(most, limits.nominal + limits.borrow)


def _room(past: Past, requests: Mapping[str, int], selector: Mapping[str, str]) -> int:
    """How many such pods the empty nodes hold."""
    total = 0
    for node in past.all("nodes").values():
        labels = node["metadata"].get("labels") or {}
        if any(labels.get(key) != value for key, value in selector.items()):
            continue
        offered = {name: canonical(name, text) for name, text in node["status"]["allocatable"].items()}
        total += min(offered.get(name, 0) // amount for name, amount in requests.items() if amount)
    return total


# ---------------------------------------------------------------------- complaints


def waiting_without_a_word(past: Past) -> Iterator[str]:
    """Paths of waiting Workloads and bare pods whose object does not say why. Right only for those that no cycle has
    looked at (behind the head of a StrictFIFO queue, in a class that was parked as a whole): they have an answer when
    somebody asks."""
    for path, workload in past.all("workloads").items():
        if holds_quota(workload) or is_true(workload, "Finished") or is_leaving(workload):
            continue
        told = condition(workload, "QuotaReserved")
        if told is None or told["status"] != "False" or not told.get("reason") or not told.get("message"):
            yield path
    for path, pod in past.all("pods").items():
        if workload_path(pod) or node_of(pod) or has_ended(pod) or is_leaving(pod):
            continue
        told = condition(pod, "PodScheduled")
        if told is None or told["status"] != "False" or not told.get("message"):
            yield path


def complaints_about_reservations(past: Past) -> Iterator[str]:
    """Reserved implies that every pod binds with no further decision; in the end nobody is evicted half, or stopped
    half."""
    for path, workload in past.all("workloads").items():
        if holds_quota(workload) and is_true(workload, "Evicted"):
            yield f"Workload {path} was evicted and still holds its reservation"
        placement = past.get("placements", path)
        if placement is not None and not holds_quota(workload) and not is_true(workload, "Finished"):
            yield f"Workload {path} holds no reservation and has a Placement"
    for path in past.all("placements"):
        if past.get("workloads", path) is None:
            yield f"Placement {path} has no Workload"
    for path, pod in past.all("pods").items():
        if holds_quota(past.get("workloads", workload_path(pod))) and not node_of(pod) and not has_ended(pod):
            yield f"pod {path} belongs to {workload_path(pod)}, which is admitted, and is not bound"


def complaints_about_jobs(past: Past, jobs: JobsJudge, ledger: Ledger) -> Iterator[str]:
    """Who says that it is Complete has done its work, once, and counts it right."""
    good: dict[str, list[str]] = {}
    for run, (job_uid, index) in ledger.started.items():
        if ledger.ended.get(run) == 0:
            good.setdefault(job_uid, []).append(index)
    for path, job in past.all("jobs").items():
        if is_true(job, "Complete") or is_true(job, "Failed"):
            for pod in past.owned_by("pods", uid_of(job)):
                if not has_ended(pod):
                    yield f"Job {path} has ended and its pod {path_of(pod)} has not"
        if not is_true(job, "Complete"):
            continue
        status, spec = job["status"], job["spec"]
        completions = int(spec.get("completions") or 1)
        indexes = good.get(uid_of(job), [])
        pods = jobs.succeeded.get(uid_of(job), {})
        if status.get("succeeded") != completions:
            yield f"Job {path} is Complete with {status.get('succeeded')} of {completions}"
        if spec.get("completionMode") == "Indexed":
            counted = indexes_of(status.get("completedIndexes") or "")
            if counted != set(range(completions)):
                yield f"Job {path} is Complete and has completed the indexes {sorted(counted)} of {completions}"
            missing = {str(index) for index in counted} - set(indexes)
            if missing:
                yield f"Job {path} counts index {', '.join(sorted(missing))}, whose work was never done"
        else:
            if len(indexes) < completions:
                yield f"Job {path} counts {completions} and {len(indexes)} processes succeeded"
            if len(pods) != completions:
                yield f"Job {path} counts {completions} and {len(pods)} of its pods succeeded"
        left = status.get("uncountedTerminatedPods") or {}
        if left.get("succeeded") or left.get("failed"):
            yield f"Job {path} is Complete and has yet to count {left}"


def complaints_about_leftovers(past: Past) -> Iterator[str]:
    """After every job and pod was deleted."""
    for kind in ("jobs", "pods", "workloads", "placements"):
        for path, value in past.all(kind).items():
            yield f"{kind} {path} is left over{' and terminating' if is_leaving(value) else ''}: {_why_held(value)}"
    for path, queue in past.all("clusterqueues").items():
        status = queue.get("status") or {}
        for name in ("pendingWorkloads", "reservingWorkloads", "admittedWorkloads"):
            if status.get(name):
                yield f"ClusterQueue {path} counts {status[name]} {name} and there are none"
        for flavor in status.get("flavorsReservation") or ():
            for one in flavor["resources"]:
                if canonical(one["name"], one["total"]):
                    yield f"ClusterQueue {path} reports {one['total']} {one['name']} in use and nothing is"


def _why_held(value: Json) -> str:
    owner = controller_of(value)
    finalizers = value["metadata"].get("finalizers") or []
    return f"finalizers {finalizers}, owner {owner['kind']} {owner['name']}" if owner else f"finalizers {finalizers}"


def what_stands(past: Past) -> Iterator[str]:
    """A line about each job, for people who look at a failed run."""
    for path, job in past.all("jobs").items():
        status = job.get("status") or {}
        counts = {name: status[name] for name in ("active", "terminating", "succeeded", "failed") if status.get(name)}
        types = [one["type"] for one in status.get("conditions") or () if one["status"] == "True"]
        held = " suspended" if job["spec"].get("suspend") else ""
        yield f"Job {path}{held} {counts} {types}{' leaving' if is_leaving(job) else ''}"
        for workload in past.owned_by("workloads", uid_of(job)):
            told = [
                f"{one['type']}={one['status']} {one['reason']}"
                for one in workload.get("status", {}).get("conditions") or ()
            ]
            yield f"  Workload {path_of(workload)} {told}"
            pending = condition(workload, "QuotaReserved")
            if pending is not None and pending["status"] == "False":
                yield f"    {pending['message']}"
        for pod in past.owned_by("pods", uid_of(job)):
            index = annotation(pod, JOB_INDEX_ANNOTATION)
            phase = (pod.get("status") or {}).get("phase")
            leaving = f" leaving at {pod['metadata']['deletionTimestamp']}" if is_leaving(pod) else ""
            yield f"  pod {path_of(pod)} [{index}] {phase} on {node_of(pod) or 'no node'}{leaving} {_why_held(pod)}"
    for path, node in past.all("nodes").items():
        ready = condition(node, "Ready") or {}
        yield f"Node {path} Ready={ready.get('status')} {[taint['key'] for taint in node['spec'].get('taints') or ()]}"
