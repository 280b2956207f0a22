"""No work twice: pods of a Job never exceed its parallelism, an index runs once at a time and is counted once, counts
only grow."""

from __future__ import annotations

from typing import ClassVar

from roadstead.kinds.names import JOB_INDEX_ANNOTATION, JOB_TRACKING_FINALIZER
from roadstead.kinds.object import Json
from roadstead.sim.judges.base import Change, Judge, annotation, controller_of, has_ended, is_leaving, uid_of


def indexes_of(text: str) -> set[int]:
    """`0-2,5` -> {0, 1, 2, 5}."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


class JobsJudge(Judge):
    """See the module. What ended is counted here by itself, from pods, and held against what the Job says."""

    name: ClassVar[str] = "jobs"

    def begin(self) -> None:
        self._parallelism: dict[str, list[tuple[float, int]]] = {}
        self.succeeded: dict[str, dict[str, str]] = {}
        """Job uid -> pod uid -> index, of pods that have succeeded and were not let go of before: those the Job itself
        had stopped are not counted, whatever becomes of them."""

    def changed(self, change: Change) -> None:
        if change.kind == "jobs" and change.new is not None:
            self._job_changed(change, change.new)
        elif change.kind == "pods" and change.new is not None:
            self._pod_changed(change, change.new)

    def _job_changed(self, change: Change, job: Json) -> None:
        known = self._parallelism.setdefault(uid_of(job), [])
        parallelism = int(job["spec"]["parallelism"])
        if not known or known[-1][1] != parallelism:
            known.append((change.seconds, parallelism))
        if change.old is None or uid_of(change.old) != uid_of(job):
            return
        before, after = change.old.get("status") or {}, job.get("status") or {}
        for name in ("succeeded", "failed"):
            if (after.get(name) or 0) < (before.get(name) or 0):
                self.complain(f"Job {change.path}: {name} fell from {before.get(name)} to {after.get(name)}")
        for name in ("completedIndexes", "failedIndexes"):
            lost = indexes_of(before.get(name) or "") - indexes_of(after.get(name) or "")
            if lost:
                self.complain(f"Job {change.path}: {name} lost {sorted(lost)}")
        for type in ("Complete", "Failed"):
            if _is(before, type) and not _is(after, type):
                self.complain(f"Job {change.path} was {type} and is not any more")
        if _is(after, "Complete") and _is(after, "Failed"):
            self.complain(f"Job {change.path} is Complete and Failed")
        completions = job["spec"].get("completions")
        if completions is not None and (after.get("succeeded") or 0) > completions:
            self.complain(f"Job {change.path} counts {after['succeeded']} successes of {completions}")

    def _pod_changed(self, change: Change, pod: Json) -> None:
        owner = controller_of(pod)
        if owner is None or owner["kind"] != "Job":
            return
        if (pod.get("status") or {}).get("phase") == "Succeeded" and _is_tracked(pod):
            self.succeeded.setdefault(owner["uid"], {})[uid_of(pod)] = annotation(pod, JOB_INDEX_ANNOTATION)
        if change.old is not None and uid_of(change.old) == uid_of(pod):
            return
        mine = [
            one
            for one in self.past.all("pods").values()
            if (by := controller_of(one)) and by["uid"] == owner["uid"] and not has_ended(one) and not is_leaving(one)
        ]
        allowed = self._allowed(owner["uid"], change.seconds)
        if len(mine) > allowed:
            self.complain(f"pod {change.path} is the {len(mine)}th live one of a Job with parallelism {allowed}")
        index = annotation(pod, JOB_INDEX_ANNOTATION)
        if index and sum(annotation(one, JOB_INDEX_ANNOTATION) == index for one in mine) > 1:
            self.complain(f"pod {change.path} is the second live one of index {index}")

    def _allowed(self, job: str, now: float) -> int:
        """Pods may still be created by what the parallelism was before (as for quota)."""
        known = self._parallelism.get(job, [])
        most = 0
        for number, (_, parallelism) in enumerate(known):
            until = known[number + 1][0] if number + 1 < len(known) else now
            if self.could_be_unknown(until, now):
                most = max(most, parallelism)
        return most


def _is_tracked(pod: Json) -> bool:
    return JOB_TRACKING_FINALIZER in (pod["metadata"].get("finalizers") or ())


def _is(status: Json, type: str) -> bool:
    return any(one["type"] == type and one["status"] == "True" for one in status.get("conditions") or ())
