"""The answer to `plan`: what would become of work that nobody has submitted yet, as values and in sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from roadstead.core.explain.foresight import Foreseen, Outlook
from roadstead.core.plan import Admit, BindPod
from roadstead.expr.quantity import from_canonical
from roadstead.kinds.object import Json
from roadstead.model.facts import Fact
from roadstead.model.refusals import Verdict
from roadstead.model.workload import Pod, Workload
from roadstead.runtime.step import Key, Read
from roadstead.views.viewer import EVERYBODY, Viewer, unnamed
from roadstead.views.why import name_of, names_of, reason_json, suggestion_json

PLACES_SHOWN = 100

Foresee = Callable[[Sequence[Fact]], Sequence[Foreseen]]
"""What would become of the workloads and pods among these facts, in their order; other facts are taken as given."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """One document of a plan as its user wrote it, and what it would be for the core: a Workload, the pods of a job
    that is in no queue, or something to be taken as given (a queue, a node). `note`: what its user has to know beside
    the outlook; of work without facts it is all there is to say, and `outlook` what becomes of it."""

    namespace: str
    name: str
    kind: str
    queue: str = ""
    facts: tuple[Fact, ...] = ()
    note: str = ""
    outlook: Outlook = Outlook.WAITS


def plan_answer(prospects: Sequence[Prospect], foresee: Foresee, read: Read, viewer: Viewer = EVERYBODY) -> Json:
    """What would become of all of them, put into the world together. `outlook` is the least good one of them: Starts
    only if every one would start now."""
    foreseen = {each.uid: each for each in foresee([fact for prospect in prospects for fact in prospect.facts])}
    names = {
        fact.key: prospect.name for prospect in prospects for fact in prospect.facts if isinstance(fact, Workload | Pod)
    }
    work: list[Json] = []
    notes: list[str] = []
    for prospect in prospects:
        found = [foreseen[fact.uid] for fact in prospect.facts if isinstance(fact, Workload | Pod)]
        if found:
            work.append(_work(prospect, found, read, names, viewer))
        elif prospect.note and not prospect.facts:
            work.append(_told(prospect))
        else:
            notes.append(prospect.note or f"{prospect.kind} {prospect.name}: taken as given.")
    outlooks = [Outlook(line["outlook"]) for line in work]
    return {"outlook": _worst(outlooks).value if outlooks else "", "work": work, "notes": notes}


def _worst(outlooks: Sequence[Outlook]) -> Outlook:
    return max(outlooks, key=list(Outlook).index)


def _told(prospect: Prospect) -> Json:
    """Work that the core need not be asked about."""
    return {
        "namespace": prospect.namespace,
        "name": prospect.name,
        "kind": prospect.kind,
        "queue": prospect.queue,
        "outlook": prospect.outlook.value,
        "headline": prospect.note,
        "verdict": Verdict.CHANGE.value if prospect.outlook is Outlook.WAITS else "",
        "note": "",
        **_nothing(),
    }


def _nothing() -> Json:
    return {"clusterQueue": "", "podSets": [], "places": [], "victims": [], "reasons": [], "next": [], "changes": []}


def _work(prospect: Prospect, found: Sequence[Foreseen], read: Read, names: Mapping[Key, str], viewer: Viewer) -> Json:
    """One document. The pods of a job in no queue are told of together: by the first that would not start.
    `names`: what the plan's documents call what the core knows by another name."""
    outlook = _worst([each.outlook for each in found])
    told = next(each for each in found if each.outlook is outlook)
    explanation = told.explanation
    holders = {**names_of(read, *explanation.refusals, *explanation.behind), **names}
    victims = [
        {"namespace": key[0], "name": key[1], "job": names.get(key) or name_of(read, key), "reason": reason}
        for key, reason in told.victims
        if viewer.sees(key[0])
    ]
    unseen = len(told.victims) - len(victims)
    value: Json = {
        "namespace": prospect.namespace,
        "name": prospect.name,
        "kind": prospect.kind,
        "queue": prospect.queue,
        "outlook": outlook.value,
        "verdict": explanation.verdict.value if explanation.verdict is not None else "",
        "note": prospect.note,
        **_nothing(),
        "places": _places(found),
        "victims": victims,
        "reasons": [reason_json(refusal, holders, viewer) for refusal in explanation.refusals],
        "next": [reason_json(refusal, holders, viewer) for refusal in explanation.behind],
        "changes": [suggestion_json(suggestion) for suggestion in explanation.suggestions],
    }
    if isinstance(told.command, Admit):
        value["clusterQueue"] = told.command.admission.cluster_queue
        value["podSets"] = [
            {
                "name": pod_set.name,
                "count": pod_set.count,
                "flavors": dict(pod_set.flavors),
                "resourceUsage": {name: from_canonical(name, amount) for name, amount in pod_set.usage},
            }
            for pod_set in told.command.admission.pod_sets
        ]
    value["headline"] = _headline(told, value, unseen)
    return value


def _headline(told: Foreseen, value: Json, unseen: int) -> str:
    match told.outlook:
        case Outlook.STARTS if isinstance(told.command, Admit):
            flavors = sorted({flavor for pod_set in value["podSets"] for flavor in pod_set["flavors"].values()})
            count = sum(pod_set["count"] for pod_set in value["podSets"])
            return (
                f"It would start now: ClusterQueue {value['clusterQueue']} has room for {_pods(count)}"
                f"{' on flavor ' + ', '.join(flavors) if flavors else ''}{_on(_nodes(told))}."
            )
        case Outlook.STARTS:
            return f"It would start now, in no queue{_on(_nodes(told))}."
        case Outlook.PREEMPTS:
            victims = [f"{victim['namespace']}/{victim['job']}" for victim in value["victims"]]
            names = ", ".join([*victims, unnamed(unseen)] if unseen else victims)
            they = "it has" if len(victims) + unseen == 1 else "they have"
            then = (
                f"It would start{_on(_nodes(told))} when {they} left."
                if told.command is not None
                else ("Even then others would go before it.")
            )
            return f"It would not start now: {names} would be asked to make room. {then}"
        case Outlook.WAITS if value["reasons"]:
            return f"It would wait. {value['reasons'][0]['sentence']}"
        case Outlook.WAITS:
            return "It would wait: more had to be decided before it than one question may take. Submit it and ask why."


def _pods(count: int) -> str:
    return "1 pod" if count == 1 else f"{count} pods"


def _nodes(told: Foreseen) -> list[str]:
    match told.command:
        case Admit(placement=placement) if placement is not None:
            return sorted({member.node for pod_set in placement.pod_sets for member in pod_set.members})
        case BindPod(member=member):
            return [member.node]
        case _:
            return []


def _on(nodes: Sequence[str]) -> str:
    return f" on {', '.join(nodes[:4])}{' ...' if len(nodes) > 4 else ''}" if nodes else ""


def _places(found: Sequence[Foreseen]) -> list[Json]:
    """Where each pod would go; the first hundred."""
    places: list[Json] = []
    for each in found:
        match each.command:
            case Admit(placement=placement) if placement is not None:
                places += [
                    {"podSet": pod_set.name, "index": index, "node": member.node, "devices": list(member.devices)}
                    for pod_set in placement.pod_sets
                    for index, member in enumerate(pod_set.members)
                ]
            case BindPod(member=member):
                places.append(
                    {"podSet": "", "index": len(places), "node": member.node, "devices": list(member.devices)}
                )
    return places[:PLACES_SHOWN]
