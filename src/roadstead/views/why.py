"""The answer to `why NAME`: where it stands, and if it waits, the binding reason with numbers, who is in the way, what
to do.

Reasons and suggestions come from the core (made anew for this question); everything else is read off objects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from roadstead.core.explain.advice import advice
from roadstead.core.explain.changes import Suggestion
from roadstead.core.explain.explanation import Explanation
from roadstead.core.explain.sentences import blockers_line, sentence
from roadstead.integrations import ALL
from roadstead.integrations.base import JobKind, queue_of
from roadstead.kinds.names import PLACEMENTS, PODS, WORKLOAD_ANNOTATION, WORKLOADS
from roadstead.kinds.object import Json, Object
from roadstead.kinds.views.common import find_condition
from roadstead.kinds.views.kueue import WorkloadView
from roadstead.kinds.views.placement import PlacementView
from roadstead.model.refusals import Refusal
from roadstead.runtime.step import Key, Read
from roadstead.views.queue import cluster_queue_of
from roadstead.views.starting import as_it_stands, starting
from roadstead.views.unqueued import what_keeps_it_out
from roadstead.views.viewer import EVERYBODY, Viewer, unnamed
from roadstead.views.workload import State, WorkloadLine, line_of

Ask = Callable[[Key], Explanation]
"""Evaluate one workload (or bare pod) anew. KeyError if the core knows none of this name."""


@dataclass(frozen=True, slots=True)
class Why:
    """`headline` answers by itself, short: what binds, with its numbers, and what to do. `refusals` are everything that
    stands in the way, the binding one first; `behind` what would bind once that is gone, and then; `suggestions`
    changes of the request that were tried and start it now, the smallest first; `holders` how their users call the
    workloads that refusals name."""

    namespace: str
    name: str
    state: str
    headline: str
    line: WorkloadLine | None = None
    refusals: tuple[Refusal, ...] = ()
    details: tuple[str, ...] = ()
    holders: Mapping[Key, str] = field(default_factory=dict)
    behind: tuple[Refusal, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()

    def as_json(self, viewer: Viewer = EVERYBODY) -> Json:
        value: Json = {
            "namespace": self.namespace,
            "name": self.name,
            "state": self.state,
            "headline": self.headline,
            "details": list(self.details),
            "verdict": self.refusals[0].verdict.value if self.refusals else "",
            "reasons": [reason_json(refusal, self.holders, viewer) for refusal in self.refusals],
            "next": [reason_json(refusal, self.holders, viewer) for refusal in self.behind],
            "changes": [suggestion_json(suggestion) for suggestion in self.suggestions],
        }
        if self.line is not None:
            value["workload"] = self.line.as_json()
        return value


def reason_json(refusal: Refusal, holders: Mapping[Key, str], viewer: Viewer = EVERYBODY) -> Json:
    """A refusal with all its numbers and the sentence about it; `holders`: how users call the workloads that it names. Those
    that the viewer may not see are counted."""
    seen = [key for key in refusal.blockers if viewer.sees(key[0])]
    names = [holders.get(key, key[1]) for key in seen]
    shown = [f"{key[0]}/{name}" for key, name in zip(seen, names, strict=True)]
    if len(seen) < len(refusal.blockers):
        shown.append(unnamed(len(refusal.blockers) - len(seen)))
    return {
        "code": refusal.code.value,
        "verdict": refusal.verdict.value,
        "level": refusal.level.value,
        "podSet": refusal.pod_set,
        "flavor": refusal.flavor,
        "resource": refusal.resource,
        "needed": refusal.needed,
        "available": refusal.available,
        "limit": refusal.limit,
        "subject": refusal.subject,
        "blockers": [{"namespace": key[0], "name": key[1], "job": name} for key, name in zip(seen, names, strict=True)],
        "counts": {str(what): count for what, count in refusal.counts},
        "sentence": _short(refusal),
        "holders": blockers_line(refusal, shown),
    }


def suggestion_json(suggestion: Suggestion) -> Json:
    """A suggestion with its numbers (canonical amounts of one pod, or numbers of pods) and the sentence about it."""
    return {
        "sentence": advice(suggestion),
        "givenUp": round(suggestion.given_up, 4),
        "changes": [
            {
                "what": change.what.value,
                "podSet": change.pod_set,
                "subject": change.subject,
                "before": change.before,
                "after": change.after,
            }
            for change in suggestion.changes
        ],
    }


def _short(refusal: Refusal) -> str:
    """The sentence without those who are in the way: they have a line of their own."""
    return sentence(replace(refusal, blockers=()))


KINDS: Final = ("job", "workload", "pod")
"""What may be asked about; who says only a name gets the first of these that has it."""


class NothingOfThatName(LookupError):
    """Neither a job, nor a workload, nor a pod."""


def why_answer(namespace: str, name: str, read: Read, ask: Ask, now: int, kind: str = "") -> Why:
    """Why the job, workload or pod `name` waits, or where it stands; only one of `kind`, if that says "job", "workload"
    or "pod". NothingOfThatName if there is none."""
    wanted = (kind,) if kind else KINDS
    if "job" in wanted:
        for each in ALL:
            job = read.get(each.resource, namespace, name)
            if job is not None:
                return _about_job(each, job, read, ask, now)
    if "workload" in wanted:
        workload = read.get(WORKLOADS, namespace, name)
        if workload is not None:
            return _about_workload(name, workload, read, ask, now)
    if "pod" in wanted:
        pod = read.get(PODS, namespace, name)
        if pod is not None:
            return _about_pod(pod, read, ask)
    if "job" in wanted:
        for workload in read.list(WORKLOADS, namespace):
            owner = workload.meta.controller
            if owner is not None and owner.name == name:  # a job of a kind that is not ours to read
                return _about_workload(name, workload, read, ask, now)
    what = kind or "job, workload or pod"
    raise NothingOfThatName(f"There is no {what} {name} in namespace {namespace}. List them with `roadstead queue -A`.")


def _about_job(kind: JobKind, job: Object, read: Read, ask: Ask, now: int) -> Why:
    workload = next(iter(read.owned_by(WORKLOADS, job.meta.uid)), None)
    if workload is not None:
        return _about_workload(job.meta.name, workload, read, ask, now)
    value = job.decode()
    end = kind.finished(job)
    if end is not None:
        state = State.SUCCEEDED if end.succeeded else State.FAILED
        return Why(*job.key, state.value, f"It does not wait: it has ended. {end.message}".rstrip())
    if not queue_of(value):
        if kind.is_suspended(value):
            return Why(
                *job.key,
                "Suspended",
                "It is suspended and in no queue. Set spec.suspend to false, or give it a queue label.",
            )
        late = starting(read.owned_by(PODS, job.meta.uid), read)
        if late is not None:
            headline = f"It is in no queue and runs at once, but nothing of it has started: {late.message}."
            return Why(*job.key, State.STARTING.value, headline)
        return Why(*job.key, State.RUNNING.value, "It does not wait: it is in no queue and runs at once.")
    return Why(*job.key, State.WAITING.value, what_keeps_it_out(job, read)[1])


def _about_workload(name: str, workload: Object, read: Read, ask: Ask, now: int) -> Why:
    placement = read.get(PLACEMENTS, *workload.key)
    line = as_it_stands(line_of(workload, placement, cluster_queue_of(workload, read), now), workload, read)
    namespace = workload.meta.namespace
    match line.state:
        case State.STARTING:
            return Why(namespace, name, line.state.value, _starting(line), line, details=_places(placement))
        case State.RUNNING:
            return Why(namespace, name, line.state.value, _running(line), line, details=_places(placement))
        case State.RESERVED:
            return Why(
                namespace, name, line.state.value, _reserved(line, workload), line,
                details=(*_checks(workload), *_places(placement)),
            )  # fmt: skip
        case State.STOPPING:
            headline = f"It is being stopped and will be queued again: {line.message}"
            return Why(namespace, name, line.state.value, headline, line, details=_places(placement))
        case State.SUCCEEDED | State.FAILED:
            finished = find_condition(workload.view(WorkloadView).status.conditions, "Finished")
            message = finished.message if finished is not None else ""
            return Why(namespace, name, line.state.value, f"It does not wait: it has ended. {message}".rstrip(), line)
        case _:
            return _waiting(namespace, name, workload, line, read, ask)


def _waiting(namespace: str, name: str, workload: Object, line: WorkloadLine, read: Read, ask: Ask) -> Why:
    try:
        found = ask(workload.key)
    except KeyError:
        found = Explanation()
    refusals = found.refusals
    if not refusals:
        headline = "Nothing stands in its way: it is about to be admitted. Ask again in a moment."
        return Why(namespace, name, line.state.value, headline, line)
    holders = names_of(read, *refusals, *found.behind)
    return Why(
        namespace, name, line.state.value, _short(refusals[0]), line, refusals, (), holders, found.behind,
        found.suggestions,
    )  # fmt: skip


def names_of(read: Read, *refusals: Refusal) -> dict[Key, str]:
    """What their users call the workloads that these refusals name."""
    return {key: name_of(read, key) for refusal in refusals for key in refusal.blockers}


def name_of(read: Read, key: Key) -> str:
    """What its user calls a workload: the job's name where there is one."""
    workload = read.get(WORKLOADS, *key)
    owner = workload.meta.controller if workload is not None else None
    return owner.name if owner is not None else key[1]


def _reserved(line: WorkloadLine, workload: Object) -> str:
    """In two beats: what it has, and whom it waits for."""
    waits_for = [check.name for check in workload.view(WorkloadView).status.admission_checks if check.state != "Ready"]
    checks = f"admission check{'' if len(waits_for) == 1 else 's'} {', '.join(waits_for)}" if waits_for else "admission"
    return f"It holds quota in ClusterQueue {line.cluster_queue} and waits for {checks}."


def _checks(workload: Object) -> tuple[str, ...]:
    """What each admission check says."""
    return tuple(
        f"check {check.name}: {check.state}{f', {check.message}' if check.message else ''}"
        for check in workload.view(WorkloadView).status.admission_checks
    )


def _starting(line: WorkloadLine) -> str:
    return f"ClusterQueue {line.cluster_queue} admitted it, and nothing of it has started: {line.message}."


def _running(line: WorkloadLine) -> str:
    where = f" on {', '.join(line.nodes[:4])}{' ...' if len(line.nodes) > 4 else ''}" if line.nodes else ""
    pods = "1 pod" if line.pods == 1 else f"{line.pods} pods"
    return f"It does not wait: ClusterQueue {line.cluster_queue} admitted it, {pods}{where}."


def _places(placement: Object | None) -> tuple[str, ...]:
    """Member by member, as the Placement says; the first hundred."""
    if placement is None:
        return ()
    found = []
    for pod_set in placement.view(PlacementView).spec.pod_sets:
        for index, member in enumerate(pod_set.members):
            devices = f": {', '.join(member.devices)}" if member.devices else ""
            found.append(f"{pod_set.name}[{index}] on {member.node}{devices}")
    return tuple(found[:100])


def _about_pod(pod: Object, read: Read, ask: Ask) -> Why:
    owner = pod.meta.annotations.get(WORKLOAD_ANNOTATION, "")
    node = pod.decode()["spec"].get("nodeName", "")
    late = starting((pod,), read) if node else None
    if late is not None:
        return Why(*pod.key, State.STARTING.value, f"It has its place, and has not started: {late.message}.")
    if node:
        return Why(*pod.key, State.RUNNING.value, f"It does not wait for a place: it is on node {node}.")
    if owner:
        return Why(
            *pod.key, State.WAITING.value, f"Its place comes from workload {owner}. Ask `roadstead why {owner}`."
        )
    try:
        refusals = ask(pod.key).refusals
    except KeyError:
        refusals = ()
    if not refusals:
        return Why(*pod.key, State.WAITING.value, "Nothing stands in its way: it is about to get a node.")
    return Why(*pod.key, State.WAITING.value, _short(refusals[0]), None, refusals, holders=names_of(read, *refusals))
