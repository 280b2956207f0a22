"""`plan`: manifests become what they would be once submitted, the core tries them, and the answer is told. Nothing is
stored.

A job goes the whole way of a create (defaults, the queue's hold, validation), then becomes a Workload exactly as its
controller would write it; only the last step of each, the storing, is left out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from msgspec.structs import replace

from roadstead.cluster.embedded.checks import check_and_default, validate_new
from roadstead.cluster.embedded.requests import WriteOptions
from roadstead.cluster.embedded.resources import Resources
from roadstead.controllers.workload.build import UnknownClass, build_workload, resolve_priority
from roadstead.core.explain.foresight import Foreseen, Outlook
from roadstead.ingest import RESOURCES, Lookup, Trouble, fact
from roadstead.ingest.devices import of_template
from roadstead.ingest.pod_class import claim_refs
from roadstead.integrations import for_resource
from roadstead.integrations.base import JobKind, queue_of
from roadstead.kinds.errors import StatusError, bad_request
from roadstead.kinds.names import LIMIT_RANGES, PLACEMENTS, PODS, RUNTIME_CLASSES, WORKLOADS
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.registry import Kind, Registry
from roadstead.kinds.views.kueue import WorkloadView
from roadstead.model.facts import Fact
from roadstead.model.workload import Pod, Workload
from roadstead.runtime.step import Read
from roadstead.views.plan import Prospect, plan_answer
from roadstead.views.viewer import EVERYBODY, Viewer

DOCUMENTS_LIMIT: Final = 1_000
PODS_LIMIT: Final = 1_000

UNQUEUED: Final = "It is in no queue and starts at once: the cluster's own scheduler looks for its places."

Create = Callable[[Kind, str, Json], Awaitable[Object]]
"""What would be stored for a new object of a kind in a namespace. Raises StatusError."""
ForeseeAt = Callable[[Sequence[Fact], int], Sequence[Foreseen]]
"""`views.plan.Foresee` at a time."""


def dry_run(resources: Resources) -> Create:
    """Creates that go all the way of these resources but the last step."""

    async def create(kind: Kind, namespace: str, obj: Json) -> Object:
        options = WriteOptions(field_manager="roadstead-plan", field_validation="Strict", dry_run=True)
        try:
            return (await resources.create(kind, namespace, obj, options)).object
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise
            said = f"{error.message}; ask why it waits, or plan it under another name"
            raise StatusError(error.code, error.reason, said, error.details) from error

    return create


class Planner:
    """Callable with the body of a question, {"objects": [...], "namespace": "..."}; gives a JSON value or raises
    StatusError."""

    def __init__(
        self,
        registry: Registry,
        create: Create,
        read: Read,
        foresee: ForeseeAt,
        clock: Callable[[], int],
        *,
        places_pods: bool = True,
    ) -> None:
        """`read` sees queues, priority classes and workloads; `foresee` is the decider's; `clock` gives nanoseconds.
        `places_pods`: pods of no queue are ours to place."""
        self._registry = registry
        self._create = create
        self._read = read
        self._foresee = foresee
        self._clock = clock
        self._places_pods = places_pods

    async def __call__(self, body: Any, viewer: Viewer = EVERYBODY) -> Json:
        objects, namespace = _question(body)
        now = self._clock()
        prospects = [await self._prospect(obj, namespace, now + at, viewer) for at, obj in enumerate(objects)]
        return plan_answer(prospects, lambda facts: self._foresee(facts, now), self._read, viewer)

    async def _prospect(self, obj: Json, namespace: str, queued_at: int, viewer: Viewer) -> Prospect:
        kind = self._registry.by_kind(str(obj.get("apiVersion")), str(obj.get("kind")))
        if kind is None:
            what = f"{obj.get('apiVersion')} {obj.get('kind')}"
            raise bad_request(f"{what} is not served here, so nothing can be planned for it; see kubectl api-resources")
        metadata = obj.setdefault("metadata", {})
        if not isinstance(metadata, dict):
            raise bad_request(f"metadata of a {kind.kind} is {type(metadata).__name__}; it must be a mapping")
        where = str(metadata.get("namespace") or namespace) if kind.namespaced else ""
        if not viewer.may("create", kind.resource, where):
            scope = f"in namespace {where}" if where else "at the cluster scope"
            raise StatusError(
                403, "Forbidden", f"you may not create {kind.resource.plural} {scope}, so none is planned for you there"
            )
        job_kind = for_resource(kind.resource)
        if job_kind is not None:
            return await self._job(job_kind, await self._create(kind, where, obj), queued_at)
        if kind.resource in (PODS, WORKLOADS):
            created = await self._create(kind, where, obj)
            if kind.resource == PODS and not self._places_pods:
                return Prospect(*created.key, kind.kind, note=UNQUEUED, outlook=Outlook.STARTS)
            queue = created.view(WorkloadView).spec.queue_name if kind.resource == WORKLOADS else ""
            facts, note = _facts(created, queued_at, self._read)
            if not facts and not note:
                note = "It would be stored, but is not for us to place: it is gated, or asks for another scheduler."
            return Prospect(*created.key, kind.kind, queue, facts, note)
        if kind.resource in RESOURCES and kind.resource != PLACEMENTS:
            return self._given(kind, where, obj, queued_at)
        name = str(metadata.get("name") or metadata.get("generateName") or "")
        return Prospect(where, name, kind.kind)

    async def _job(self, job_kind: JobKind, job: Object, queued_at: int) -> Prospect:
        value = job.decode()
        pod_sets = job_kind.pod_sets(job)
        queue = queue_of(value)
        if not queue:
            if job_kind.is_suspended(value):
                note = "It would not run: it is suspended and in no queue. Set spec.suspend to false, or give it a queue label."
                return Prospect(*job.key, job.kind, note=note)
            if not self._places_pods:
                return Prospect(*job.key, job.kind, note=UNQUEUED, outlook=Outlook.STARTS)
            return await self._unqueued(job, pod_sets, queued_at)
        priority = resolve_priority(job, pod_sets, self._read)
        if isinstance(priority, UnknownClass):
            note = f'It would not be queued: {priority.resource} "{priority.name}" does not exist. Create it, or name one that does.'
            return Prospect(*job.key, job.kind, queue, note=note)
        kind = self._registry.get(WORKLOADS)
        assert kind is not None
        workload = await self._create(kind, job.meta.namespace, build_workload(job, pod_sets, priority))
        facts, note = _facts(workload, queued_at, self._read)
        return Prospect(*job.key, job.kind, queue, facts, note)

    async def _unqueued(self, job: Object, pod_sets: list[Json], queued_at: int) -> Prospect:
        """A job that runs at once: its pods are placed one by one."""
        kind = self._registry.get(PODS)
        assert kind is not None
        facts: list[Fact] = []
        note = ""
        for pod_set in pod_sets:
            template, count = pod_set["template"], int(pod_set["count"])
            if not count:
                continue
            metadata = {**(template.get("metadata") or {}), "name": f"{job.meta.name[:50]}-0"}
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
            created, note = _facts(await self._create(kind, job.meta.namespace, pod), queued_at, self._read)
            resolve = of_template(job.meta.namespace, self._read.get)
            claims = tuple(each for ref in claim_refs(template["spec"]) if (each := resolve(ref)) is not None)
            for first in created:
                assert isinstance(first, Pod)
                first = replace(first, pod=replace(first.pod, claims=claims)) if claims else first
                facts += [
                    replace(first, name=f"{job.meta.name[:50]}-{at}", uid=f"{first.uid}-{at:04}")
                    for at in range(min(count, PODS_LIMIT))
                ]
        note = note or ("" if facts else "It would run no pods.")
        return Prospect(*job.key, job.kind, "", tuple(facts), note)

    def _given(self, kind: Kind, namespace: str, obj: Json, now: int) -> Prospect:
        """A queue, flavor, node ...: planned as if it were there, in place of the one that is."""
        check_and_default(kind, obj, WriteOptions(field_validation="Strict"))
        metadata = obj["metadata"]
        if kind.namespaced:
            metadata["namespace"] = namespace
        if not metadata.get("name"):
            raise bad_request(f"a {kind.kind} in a plan needs metadata.name")
        validate_new(kind, obj)
        facts, note = _facts(Object.of(kind.resource, obj), now, self._read)
        return Prospect(namespace, metadata["name"], kind.kind, facts=facts, note=note)


def _beside(read: Read) -> Lookup:
    """What a new workload is read together with; nothing of an older one by its name."""

    def lookup(resource: Resource, namespace: str, name: str) -> Object | None:
        return read.get(resource, namespace, name) if resource == RUNTIME_CLASSES else None

    return lookup


def _facts(obj: Object, queued_at: int, read: Read) -> tuple[tuple[Fact, ...], str]:
    """What the core would know of it, in the order of the documents; and what cannot be read."""
    troubles: list[Trouble] = []
    found = fact(
        obj.resource, obj.key, obj, _beside(read), troubles, lambda namespace: read.list(LIMIT_RANGES, namespace)
    )
    facts = tuple(
        replace(each, created_at=queued_at, queued_at=queued_at)
        if isinstance(each, Workload)
        else replace(each, created_at=queued_at)
        if isinstance(each, Pod)
        else each
        for each in found
        if hasattr(each, "name")
    )
    return facts, " ".join(trouble.message for trouble in troubles)


def _question(body: Any) -> tuple[list[Json], str]:
    objects = body.get("objects") if isinstance(body, dict) else None
    if not isinstance(objects, list) or not all(isinstance(obj, dict) for obj in objects):
        raise bad_request('a plan is {"objects": [...], "namespace": "..."}: a list of manifests, and where they go')
    if not objects:
        raise bad_request("there is nothing to plan: no object was given")
    if len(objects) > DOCUMENTS_LIMIT:
        raise StatusError(
            413, "RequestEntityTooLarge", f"{len(objects)} objects are more than the {DOCUMENTS_LIMIT} of one plan"
        )
    return objects, str(body.get("namespace") or "default")
