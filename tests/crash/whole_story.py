"""The life of a few Jobs from creation to removal, on a cluster whose parts may die at any moment."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from roadstead.kinds.names import CLUSTER_QUEUES, JOB_NAME_LABEL, JOBS, PLACEMENTS, PODS, WORKLOADS
from roadstead.kinds.object import Json, Ref
from roadstead.node.keeper import runs
from tests.crash.whole_cluster import Whole
from tests.crash.whole_judge import Ask, Ledger, complaints_about_pods, complaints_about_the_ledger

_COUNTS = ("admittedWorkloads", "reservingWorkloads", "pendingWorkloads")


async def submit(whole: Whole, ask: Ask) -> str:
    """Create the Job; its uid. Acknowledged now: from here on it must not be lost."""
    return (await whole.create(JOBS, ask.manifest(whole.directory))).meta.uid


async def live(whole: Whole, asks: Sequence[Ask]) -> list[str]:
    """Submit the Jobs (one that waits for a gate first, and the next when it runs), see them through, remove them.
    Complaints."""
    uids = {}
    for ask in asks:
        uids[ask.name] = await submit(whole, ask)
        if ask.gate:
            await whole.until(f"{ask.name} runs", partial(_has_gate, whole, ask.name))
    return await see_through(whole, asks, uids)


async def _has_gate(whole: Whole, name: str) -> bool:
    return (whole.directory / "gates" / name).exists()


async def see_through(whole: Whole, asks: Sequence[Ask], uids: dict[str, str]) -> list[str]:
    """Wait until the Jobs have ended, judge them, remove them, and see that nothing stays."""
    ended: dict[str, Json] = {}
    for ask in asks:
        found = await whole.until(f"{ask.name} ends", partial(_ended, whole, ask.name))
        assert found is not None
        ended[ask.name] = found
    complaints = [
        f"{name} was acknowledged as {uids[name]} and is {job['metadata']['uid']}"
        for name, job in ended.items()
        if job["metadata"]["uid"] != uids[name]
    ]
    await whole.until_nothing("Placements are given back", lambda: _still_held(whole))
    cut_short = set()
    lines = whole.ledger.read_text().splitlines()
    for ask in asks:
        (pods,) = await whole.until("the pods can be listed", partial(_pods, whole, ask.name, uids[ask.name]))
        untrue, lost = complaints_about_pods(ask, ended[ask.name], pods, Ledger.read(lines))
        complaints += untrue
        if lost:
            cut_short.add(ask.name)
    complaints += complaints_about_the_ledger(Ledger.read(lines), asks, cut_short)
    for name, uid in uids.items():
        await whole.remove(Ref(JOBS, "default", name), uid)
    await whole.until_nothing("everything is gone", lambda: _still_there(whole, asks, uids))
    return complaints


async def _ended(whole: Whole, name: str) -> Json | None:
    found = await whole.get(Ref(JOBS, "default", name))
    assert found is not None, f"Job {name} was acknowledged and is not there"
    value = found.decode()
    true = {one["type"] for one in value["status"].get("conditions", []) if one["status"] == "True"}
    return value if true & {"Complete", "Failed"} else None


async def _pods(whole: Whole, name: str, uid: str) -> tuple[list[Json], ...]:
    of_job = [one for one in await whole.list(PODS) if one.meta.labels.get(JOB_NAME_LABEL) == name]
    return ([one.decode() for one in of_job if one.meta.owner_references[0].uid == uid],)


async def _still_held(whole: Whole) -> list[str]:
    """Processes, and Placements that no Workload accounts for; and Workloads that have not finished."""
    found = [f"process of {run}" for run in whole.live_runs()]
    finished = set()  # their Placements stay with them as a record, and hold nothing
    for workload in await whole.list(WORKLOADS):
        status = workload.decode().get("status", {})
        if any(one["type"] == "Finished" and one["status"] == "True" for one in status.get("conditions", [])):
            finished.add(workload.meta.uid)
        else:
            found.append(f"Workload {workload.meta.name} has not finished")
    for placement in await whole.list(PLACEMENTS):
        if placement.decode()["spec"]["workload"]["uid"] not in finished:
            found.append(f"Placement {placement.meta.name}")
    return found


async def still_counted(whole: Whole) -> list[str]:
    """What the queues say is in use. They are written at most once in a few seconds."""
    found = []
    for queue in await whole.list(CLUSTER_QUEUES, ""):
        status = queue.decode().get("status", {})
        found += [f"{name} of {queue.meta.name}: {status[name]}" for name in _COUNTS if status.get(name)]
        for flavor in status.get("flavorsUsage", []):
            found += [f"{one['name']}: {one['total']}" for one in flavor["resources"] if one["total"] not in (0, "0")]
    return found


async def _still_there(whole: Whole, asks: Sequence[Ask], uids: dict[str, str]) -> list[str]:
    """What was to go with the Jobs."""
    names = {ask.name for ask in asks}
    found = [f"run {run.run_id}" for run in runs.scan(str(whole.home.nodes))]
    workloads = {f"job-{name}-" for name in names}
    for resource in (JOBS, PODS, WORKLOADS, PLACEMENTS):
        for one in await whole.list(resource):
            owners = {owner.uid for owner in one.meta.owner_references}
            is_theirs = resource is PLACEMENTS and any(one.meta.name.startswith(stem) for stem in workloads)
            if is_theirs or one.meta.name in names or owners & set(uids.values()):
                found.append(f"{resource.plural} {one.meta.name}")
    return found
