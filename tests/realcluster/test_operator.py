"""`roadstead operator` on a real cluster: kubectl, the real Job controller, scheduler and garbage collector around our
admission."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.realcluster.operators import DEADLINE, FAST, Place, manifests, place, until
from tests.realcluster.server import RealServer

pytestmark = [pytest.mark.realcluster, pytest.mark.timeout(180)]


@pytest.fixture
def here(whole_cluster: RealServer, tmp_path: Path) -> Iterator[Place]:
    with place(whole_cluster, tmp_path) as found:
        yield found


# ---------------------------------------------------------------------- the story of a queue


def test_jobs_wait_run_and_finish(here: Place) -> None:
    cluster_queue = here.queue("lab", cpu=2)
    here.queue("other", cpu=2)
    operator = here.start_operator()
    witness = here.witness(cluster_queue)
    for name in ("one", "two", "three"):
        here.submit(name, "lab")
    here.submit("four", "other", run_for=0)
    here.submit("plain", "")
    until(lambda: here.is_true("four", "Finished"), "the other queue's job is done")
    waiting = until(lambda: [name for name in ("one", "two", "three") if here.condition(name, "QuotaReserved")
                             and not here.is_true(name, "QuotaReserved")], "one waits")  # fmt: skip
    assert len(waiting) == 1
    running = [name for name in ("one", "two", "three") if name not in waiting]
    until(lambda: all(here.get(f"job/{name}")["status"].get("active") for name in running), "two run")

    reason = here.condition(waiting[0], "QuotaReserved")
    assert reason is not None
    assert reason["reason"] == "WaitingForQuota"
    assert "0 free of at most 2" in reason["message"]
    held = here.get(f"job/{waiting[0]}")
    assert held["spec"]["suspend"] is True
    pods = {pod["metadata"]["labels"]["job-name"] for pod in here.get("pods")["items"]}
    assert pods == {*running, "four", "plain"}, "nothing of the waiting job ever started"

    pod = next(pod for pod in here.get("pods")["items"] if pod["metadata"]["labels"]["job-name"] == running[0])
    assert pod["spec"]["nodeName"] == here.node
    assert pod["spec"]["nodeSelector"] == {"test/pool": here.id}
    assert pod["metadata"]["labels"]["kueue.x-k8s.io/podset"] == "main"

    here.kubectl(
        "patch", "pod", pod["metadata"]["name"], "--subresource=status", "-p", '{"status":{"phase":"Succeeded"}}'
    )
    until(lambda: here.is_true(running[0], "Finished"), "its workload is finished")
    finished = here.condition(running[0], "Finished")
    assert finished is not None
    assert finished["reason"] == "Succeeded"
    until(lambda: here.get(f"job/{waiting[0]}")["status"].get("active"), "the third runs")
    assert witness.most <= 2
    assert set(witness.admissions.values()) == {1}
    assert operator.stop() == 0
    assert here.holder() == ""


def test_who_outranks_others_takes_their_place_and_gives_it_back(here: Place) -> None:
    cluster_queue = here.queue("lab", cpu=1, preemption={"withinClusterQueue": "LowerPriority"})
    witness = here.witness(cluster_queue)
    here.start_operator()
    high = f"high-{here.id}"
    here.apply(
        {
            "apiVersion": "kueue.x-k8s.io/v1beta2",
            "kind": "WorkloadPriorityClass",
            "metadata": {"name": high},
            "value": 9,
        }
    )
    here.submit("low", "lab")
    until(lambda: here.get("job/low")["status"].get("active"), "the first runs")
    here.submit("urgent", "lab", 1, **{"kueue.x-k8s.io/priority-class": high})
    until(lambda: here.is_true("low", "Preempted"), "it is preempted")
    until(lambda: here.is_true("urgent", "Finished"), "the urgent one runs to its end")
    until(lambda: here.get("job/low")["status"].get("active"), "the first runs again")
    requeued = here.condition("low", "Requeued")
    assert requeued is not None
    assert (requeued["status"], requeued["reason"]) == ("True", "Preempted")
    assert witness.most == 1, "the victim held its quota until its pod was gone"
    low = here.workload("low")
    assert low is not None
    assert witness.admissions[low["metadata"]["uid"]] == 2


def test_a_preempted_job_is_given_back_as_its_user_wrote_it(here: Place) -> None:
    here.queue("lab", cpu=1)
    here.start_operator()
    here.submit("job", "lab")
    until(lambda: here.get("job/job")["status"].get("active"), "it runs")
    assert here.get("job/job")["spec"]["template"]["spec"]["nodeSelector"] == {"test/pool": here.id}
    workload = here.workload("job")
    assert workload is not None
    name = workload["metadata"]["name"]
    here.kubectl("patch", "workload", name, "--type=merge", "-p", '{"spec":{"active":false}}')
    until(lambda: (here.condition("job", "QuotaReserved") or {}).get("status") == "False", "it gave its quota back")
    template = here.get("job/job")["spec"]["template"]
    assert "nodeSelector" not in template["spec"]
    assert "kueue.x-k8s.io/podset" not in template["metadata"]["labels"]
    assert here.get("pods")["items"] == []


def test_what_is_deleted_leaves_nothing_behind(here: Place) -> None:
    here.queue("lab", cpu=1)
    here.start_operator()
    here.submit("running", "lab")
    until(lambda: here.get("job/running")["status"].get("active"), "one runs")
    here.submit("waiting", "lab")
    until(lambda: here.condition("waiting", "QuotaReserved"), "one waits")
    here.kubectl("delete", "job", "waiting", "--timeout=30s")
    until(lambda: here.workload("waiting") is None, "its workload is gone")
    here.kubectl("delete", "job", "running", "--cascade=foreground", "--timeout=30s")
    until(lambda: here.get("workloads")["items"] == [], "the other one, too")
    until(lambda: here.get("pods")["items"] == [], "and its pod")


def test_without_the_policy_a_job_is_held_at_first_sight(here: Place) -> None:
    here.kubectl("delete", "mutatingadmissionpolicybinding", "roadstead-hold-queued-jobs")
    try:
        until(lambda: not here.is_held_at_creation(), "the policy is gone")
        here.queue("lab", cpu=0)
        here.start_operator()
        here.submit("job", "lab")
        until(lambda: here.condition("job", "QuotaReserved"), "it waits")
        assert here.get("job/job")["spec"]["suspend"] is True
        until(lambda: here.get("pods")["items"] == [], "what had started is gone")
    finally:
        here.apply_text(manifests("--without-kueue-crds", "--without-deployment"))
        until(lambda: here.is_held_at_creation(), "the policy is back")


# ---------------------------------------------------------------------- two operators


def test_a_leader_that_is_stopped_is_replaced_and_does_nothing_when_it_goes_on(here: Place) -> None:
    cluster_queue = here.queue("lab", cpu=3)
    witness = here.witness(cluster_queue)
    first = here.start_operator(*FAST)
    until(lambda: first.identity, "the first leads")
    second = here.start_operator(*FAST)
    until(lambda: "leads; waiting" in second.said(), "the second waits")

    jobs = [f"job-{number}" for number in range(16)]

    def submit() -> None:
        for name in jobs:
            here.submit(name, "lab", run_for=0)

    submitting = threading.Thread(target=submit)
    submitting.start()
    until(lambda: witness.admissions, "work goes on")
    first.signal(signal.SIGSTOP)
    try:
        until(lambda: second.identity and here.holder() == second.identity, "the second took over")
        before = len(witness.admissions)
        until(lambda: len(witness.admissions) > before, "and admits")
    finally:
        first.signal(signal.SIGCONT)
    until(lambda: "stopped leading" in first.said(), "the first stands down")
    submitting.join(DEADLINE)
    until(lambda: _finished(here) == len(jobs), "every job ran to its end")
    assert here.holder() == second.identity
    assert witness.most <= 3
    assert set(witness.admissions.values()) == {1}
    assert len(witness.admissions) == len(jobs)
    assert second.stop() == 0
    until(lambda: here.holder() == first.identity != "", "the first leads again when the second has left")


def test_a_leader_that_is_killed_is_replaced(here: Place) -> None:
    cluster_queue = here.queue("lab", cpu=2)
    witness = here.witness(cluster_queue)
    first = here.start_operator(*FAST)
    until(lambda: first.identity, "the first leads")
    second = here.start_operator(*FAST)
    here.kubectl("create", "-f", "-", stdin="---\n".join(here.job(f"job-{n}", "lab", run_for=0) for n in range(8)))
    until(lambda: len(witness.admissions) >= 2, "work goes on")
    first.kill()
    until(lambda: _finished(here) == 8, "every job ran to its end")
    assert here.holder() == second.identity
    assert witness.most <= 2
    assert set(witness.admissions.values()) == {1}


def test_a_server_that_falls_silent_is_waited_for(here: Place) -> None:
    cluster_queue = here.queue("lab", cpu=1)
    witness = here.witness(cluster_queue)
    operator = here.start_operator(*FAST)
    here.submit("before", "lab")
    until(lambda: here.get("job/before")["status"].get("active"), "it leads")
    here.submit("after", "lab")
    here.server.signal_apiserver(signal.SIGSTOP)
    try:
        until(lambda: "stopped leading: not renewed" in operator.said(), "it stops when it cannot renew its lease")
    finally:
        here.server.signal_apiserver(signal.SIGCONT)
    until(lambda: operator.said().count("leading as") == 2, "it leads again")
    here.kubectl("delete", "job", "before", "--wait=false")
    until(lambda: here.is_true("after", "Admitted"), "and admits the next")
    assert operator.process.poll() is None
    assert witness.most == 1


def _finished(here: Place) -> int:
    return sum(bool(job["status"].get("succeeded")) for job in here.get("jobs")["items"])
