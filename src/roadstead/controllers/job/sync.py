"""One look at an unfinished Job and its pods, and what to do about it (workloads.md section 3.4).

Reads like job_controller.go's syncJob, with two differences that save writes and change no promise:

* Counters that nobody decides by (active, ready, terminating, startTime without a deadline, and outcomes that neither finish the
  Job nor suspend it) are written a moment later, together: real Kubernetes gathers pod events for a second for the same reason.
* The write that finishes a Job counts its last pods in the same breath (counting.py).

At most one status write per step; what it must precede (finalizer removal, deletion) stands in later stages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from roadstead.controllers.job import counting, policies
from roadstead.controllers.job.census import Census, JobPod, is_indexed
from roadstead.controllers.job.conditions import (
    BACKOFF_LIMIT_EXCEEDED,
    COMPLETIONS_REACHED,
    DEADLINE_EXCEEDED,
    SUSPENDED,
    Ending,
    failing,
    is_suspended,
    recorded_ending,
    says_suspended,
    set_condition,
    succeeding,
)
from roadstead.controllers.job.pods import MOST_AT_ONCE, Change, change, slow_start, without_tracking
from roadstead.controllers.job.template import free_name, new_pod
from roadstead.kinds.names import JOB_TRACKING_FINALIZER, JOBS, PODS
from roadstead.kinds.object import Json, Object
from roadstead.kinds.times import SECOND, format_time, parse_time
from roadstead.runtime.cluster import Create, Delete, Update, Write
from roadstead.runtime.step import Note, Read, Stage, Step

COALESCE: Final = 2 * SECOND
"""How old a change may get before it is written down. API times have whole seconds, so this means one to two
seconds."""
HELD: Final = SECOND + SECOND // 5
"""The same for a Job that was created suspended: a fifth of a second to just over one. Most are admitted sooner;
`kubectl get` shows those that wait as Running until it is written that they are suspended."""


class Sync:
    """One sync of one unfinished Job; used once."""

    def __init__(self, job: Object, census: Census, read: Read, now: int, coalesce: int) -> None:
        self.job = job
        self.read = read
        self.view = census.job
        self.census = census
        self.now = now
        self.coalesce = coalesce
        self.again: list[int] = []
        self.notes: list[Note] = []
        self.status_notes: list[Note] = []
        """Of what the status says: told when it is written, which may be put off."""
        self.value = job.decode()
        self.status: Json = self.value.get("status") or {}
        self.value["status"] = self.status
        self.stored: Json = job.decode().get("status") or {}
        self.failed_indexes = policies.failed_indexes(census)
        self.kept = (
            policies.kept_for_replacement(census, self.failed_indexes) if self.failed_indexes is not None else {}
        )

    # ------------------------------------------------------------------ deciding

    @property
    def succeeded(self) -> int:
        if is_indexed(self.view):
            return len(self.census.completed)
        return self.view.status.succeeded + len(self.census.uncounted_succeeded) + len(self.census.new_succeeded)

    @property
    def failed(self) -> int:
        new = sum(policies.judge(self.view, pod).is_counted for pod in self.census.new_failed)
        return self.view.status.failed + len(self.census.uncounted_failed) + new

    @property
    def start(self) -> int:
        """When the Job (re)started: as stored, else with its first pod, else now."""
        stored = self.view.status.start_time
        if stored and not says_suspended(self.view):
            return parse_time(stored)
        created = self.view.metadata.creation_timestamp
        first = min((pod.created for pod in self.census.tracked if pod.created), default=self.now)
        return max(first, parse_time(created)) if created else first  # an adopted pod may be older than the Job

    def ending(self) -> Ending | None:
        """Why the Job should finish, first match wins."""
        recorded = recorded_ending(self.view) or policies.fail_job(self.census)
        if recorded is not None:
            return recorded
        spec = self.view.spec
        limit = 6 if spec.backoff_limit is None else spec.backoff_limit
        if self.failed > limit or self._restarted_too_often(limit):
            return failing(BACKOFF_LIMIT_EXCEEDED, "Job has reached the specified backoff limit")
        if spec.active_deadline_seconds is not None and not is_suspended(self.view):
            deadline = self.start + spec.active_deadline_seconds * SECOND
            if self.now >= deadline:
                return failing(DEADLINE_EXCEEDED, "Job was active longer than specified deadline")
            self.again.append(deadline)
        if is_indexed(self.view):
            if self.failed_indexes is not None:
                limited = policies.index_limits(self.view, self.census.completed, self.failed_indexes)
                if limited is not None:
                    return limited
            return policies.success_policy(self.view, self.census.completed)
        return None

    def _restarted_too_often(self, limit: int) -> bool:
        """With restartPolicy OnFailure the failures are restarts of containers, not pods
        (pastBackoffLimitOnFailure)."""
        if (self.view.spec.template.get("spec") or {}).get("restartPolicy") != "OnFailure":
            return False
        restarts = sum(pod.restarts for pod in self.census.pods if pod.phase in ("Running", "Pending"))
        return restarts > 0 if limit == 0 else restarts >= limit

    @property
    def is_complete(self) -> bool:
        completions = self.view.spec.completions
        if self.census.active:
            return False
        return self.succeeded > 0 if completions is None else self.succeeded >= completions

    # ------------------------------------------------------------------ acting

    def step(self) -> Step:
        ending = self.ending()
        if ending is None and self.is_complete:
            ending = succeeding(COMPLETIONS_REACHED, "Reached expected number of succeeded pods")
        if ending is not None and not self.census.active and not self.census.terminating:
            return self._finish(ending)
        change = self._change(ending)
        if change.again_at is not None:
            self.again.append(change.again_at)
        let_go = self._count(ending)
        must_come_first = self.status != self.stored
        deletes = list(change.delete)
        if ending is None:
            # These deletions are our own will, not failures: without finalizer they will not be counted.
            let_go += [pod for pod in deletes if pod.is_tracked]
        acts = (*removals(let_go), *self._deletions(deletes), *self._creations(change.create))
        if must_come_first or self._starts_a_deadline():
            self._write_counters((), ())
            return self._done(((self._update(),), *acts))
        self._write_counters(deletes, change.create)
        if self.status == self.stored:
            return self._done(acts)
        due = self._counters_due(bool(deletes), bool(change.create))
        if due > self.now:
            self.again.append(due)
            return self._done(acts)
        return self._done((*acts, (self._update(),)))

    def _change(self, ending: Ending | None) -> Change:
        if ending is not None or is_suspended(self.view):
            return Change(delete=self.census.active[:MOST_AT_ONCE])
        if self.view.metadata.deletion_timestamp:
            return Change()
        failed = self.failed_indexes or frozenset()
        return change(self.census, self.succeeded, failed, self.kept, self.now)

    def _count(self, ending: Ending | None) -> list[JobPod]:
        """Bring outcomes into the status; gives the pods to let go of once it is stored."""
        counting.settle(self.census, self.status)
        if ending is not None:
            set_condition(self.status, ending.interim, "True", ending.reason, ending.message, self.now)
        elif not is_suspended(self.view) and not self.view.metadata.deletion_timestamp:
            ended = [*self.census.new_succeeded, *self.census.new_failed]
            due = min((self._due(pod.finished) for pod in ended), default=self.now)
            if due > self.now:
                self.again.append(due)
                return []
        let_go = counting.move(self.census, self.status, ending, self.kept)
        counting.write_failed_indexes(self.status, self.failed_indexes)
        return let_go

    def _finish(self, ending: Ending) -> Step:
        """Every pod has ended: count the last ones and write the terminal condition, then let go of them."""
        let_go = counting.finish(self.census, self.status, ending)
        counting.write_failed_indexes(self.status, self.failed_indexes)
        self.status.pop("active", None)
        self.status.update({"ready": 0, "terminating": 0})
        if not is_suspended(self.view):
            self._write_start()
        self.status.setdefault("startTime", format_time(self.start))
        set_condition(self.status, ending.interim, "True", ending.reason, ending.message, self.now)
        set_condition(self.status, ending.terminal, "True", ending.reason, ending.message, self.now)
        if ending.is_failure:
            self.status_notes.append(Note(self.job, "Warning", ending.reason, ending.message))
        else:
            self.status["completionTime"] = format_time(self.now)
            self.status_notes.append(Note(self.job, "Normal", "Completed", "Job completed"))
        ttl = self.view.spec.ttl_seconds_after_finished
        if ttl is not None:
            self.again.append(self.now + ttl * SECOND)
        return self._done(((self._update(),), *removals(let_go)))

    # ------------------------------------------------------------------ the status

    def _write_counters(self, deletes: Sequence[JobPod], creates: Sequence[int | None]) -> None:
        """What the status says once these deletions and creations are done."""
        census = self.census
        active = len(census.active) - len(deletes) + len(creates)
        staying = sum(not _vanishes(pod) for pod in deletes)
        _put(self.status, "active", active)
        self.status["ready"] = census.ready - sum(pod.is_ready for pod in deletes)
        self.status["terminating"] = len(census.terminating) + staying
        self.status.setdefault("uncountedTerminatedPods", {})
        if self.failed_indexes is not None:
            self.status.setdefault("failedIndexes", "")
        if is_suspended(self.view):
            if not active and set_condition(self.status, SUSPENDED, "True", "JobSuspended", "Job suspended", self.now):
                self.status_notes.append(Note(self.job, "Normal", "Suspended", "Job suspended"))
            if not active:
                self.status.pop("startTime", None)
        else:
            self._write_start()

    def _write_start(self) -> None:
        if set_condition(self.status, SUSPENDED, "False", "JobResumed", "Job resumed", self.now):
            self.status_notes.append(Note(self.job, "Normal", "Resumed", "Job resumed"))
            self.status["startTime"] = format_time(self.start)
        if not self.status.get("startTime"):
            self.status["startTime"] = format_time(self.start)

    def _starts_a_deadline(self) -> bool:
        """The start must be on record before pods are made: the deadline counts from it even if none can be made."""
        if self.view.spec.active_deadline_seconds is None or is_suspended(self.view):
            return False
        return not self.view.status.start_time or says_suspended(self.view)

    def _counters_due(self, deletes: bool, creates: bool) -> int:
        """When counters that changed must be written at the latest."""
        if deletes:
            return self.now
        if creates:
            return self._due(self.now)
        moments = [
            moment
            for pod in (*self.census.active, *self.census.terminating)
            for moment in (pod.created, pod.ready_changed, pod.marked_at)
            if moment is not None
        ]
        if not moments and not self.census.pods and not self.view.status.start_time:
            # A Job that was created suspended: often it is admitted before anyone could have read that it is.
            created = self.view.metadata.creation_timestamp
            return min(parse_time(created) + HELD, self._due(parse_time(created))) if created else self.now
        return self._due(max(moments)) if moments else self.now

    def _due(self, moment: int) -> int:
        """A moment after `moment`; now, if that moment lies ahead (another machine's clock)."""
        return moment + self.coalesce if moment <= self.now else self.now

    # ------------------------------------------------------------------ writes

    def _update(self) -> Update:
        self.notes += self.status_notes
        self.status_notes = []
        return Update(JOBS, self.value, "status")

    def _deletions(self, pods: Sequence[JobPod]) -> tuple[Stage, ...]:
        self.notes += [Note(self.job, "Normal", "SuccessfulDelete", f"Deleted pod: {pod.name}") for pod in pods]
        return (tuple(Delete(pod.obj.ref, pod.uid) for pod in pods),) if pods else ()

    def _creations(self, places: Sequence[int | None]) -> tuple[Stage, ...]:
        if not places:
            return ()
        taken = _Taken(self.read, self.view.metadata.namespace, {pod.name for pod in self.census.pods})
        # Whose creation got no answer may be among the last that were asked for, and be there yet: its name is asked
        # for again.
        window = min(self.view.spec.parallelism or 1, MOST_AT_ONCE)
        made = max(0, len(self.census.pods) - window)
        per_index: dict[int | None, int] = {}
        for pod in self.census.pods:
            per_index[pod.index] = per_index.get(pod.index, 0) + 1
        writes: list[Write] = []
        for place in places:
            attempt = made if place is None else per_index.get(place, 0)
            made += 1
            name = free_name(self.view, place, attempt, taken)
            taken.names.add(name)
            failures = None
            if place is not None and self.failed_indexes is not None:
                failures = policies.failure_counts(self.view, self.kept.get(place))
            template = self.job.decode()["spec"]["template"]
            writes.append(Create(PODS, new_pod(self.job, template, name, place, failures)))
            self.notes.append(Note(self.job, "Normal", "SuccessfulCreate", f"Created pod: {name}"))
        return tuple(slow_start(writes))

    def _done(self, stages: Iterable[Stage]) -> Step:
        return Step(tuple(stages), min(self.again, default=None), tuple(self.notes))


def removals(pods: Sequence[JobPod]) -> tuple[Stage, ...]:
    """Remove tracking finalizers."""
    tracked = [pod for pod in pods if pod.is_tracked][:MOST_AT_ONCE]
    return (tuple(Update(PODS, without_tracking(pod)) for pod in tracked),) if tracked else ()


@dataclass(frozen=True, slots=True)
class _Taken:
    """Pod names in use, by this Job's pods or by others."""

    read: Read
    namespace: str
    names: set[str]

    def __contains__(self, name: object) -> bool:
        return name in self.names or self.read.get(PODS, self.namespace, str(name)) is not None


def _vanishes(pod: JobPod) -> bool:
    """Deleting it removes it at once: no agent has to stop anything."""
    return not pod.view.spec.node_name and set(pod.view.metadata.finalizers) <= {JOB_TRACKING_FINALIZER}


def _put(status: Json, name: str, count: int) -> None:
    if count:
        status[name] = count
    else:
        status.pop(name, None)
