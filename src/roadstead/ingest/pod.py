"""Pod -> `model.Pod`: pods outside every workload, which use a node or want one."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from roadstead.ingest.devices import of_pod
from roadstead.ingest.pod_class import UnreadableError, pod_class_of_bytes
from roadstead.ingest.reading import Notes, time_of, view
from roadstead.kinds.names import POD_DEVICES_ANNOTATION, WORKLOAD_ANNOTATION
from roadstead.kinds.object import Object
from roadstead.kinds.views.pod import ENDED_PHASES
from roadstead.model.workload import Pod, PodClass

OUR_SCHEDULERS: Final = frozenset({"", "default-scheduler"})
"""Values of spec.schedulerName that leave the choice to the cluster's own scheduler: us."""


class _Gate(msgspec.Struct, frozen=True):
    name: str = ""


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    node_name: str = ""
    scheduler_name: str = ""
    priority: int | None = None
    scheduling_gates: tuple[_Gate, ...] = ()


class _ClaimStatus(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    resource_claim_name: str | None = None


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    phase: str = ""
    resource_claim_statuses: tuple[_ClaimStatus, ...] | None = None


class _PodView(msgspec.Struct, frozen=True, rename="camel"):
    spec: _Spec = _Spec()
    status: _Status = _Status()


class _RawSpec(msgspec.Struct, frozen=True):
    spec: msgspec.Raw = msgspec.Raw(b"{}")


class _HalfRead(_RawSpec, frozen=True):
    status: _Status = _Status()


_half_read = msgspec.json.Decoder(_HalfRead).decode
_read_spec = lru_cache(maxsize=4096)(msgspec.json.Decoder(_Spec).decode)


def _read(obj: Object, notes: Notes) -> tuple[bytes, _Spec, _Status] | None:
    """The spec as JSON, and what matters of spec and status. Equal specs are read once: whoever runs a hundred pods
    says the same of each, but for its node. None with a note if the object has no shape of a pod."""
    try:
        found = _half_read(obj.raw)
        spec = bytes(found.spec)
        return spec, _read_spec(spec), found.status
    except (msgspec.ValidationError, msgspec.DecodeError):
        leniently = view(obj, _PodView, notes)
        return (bytes(obj.view(_RawSpec).spec), leniently.spec, leniently.status) if leniently is not None else None


def fact_of(obj: Object, notes: Notes, *, speaks_for_itself: bool = False) -> Pod | None:
    """The pod if it matters outside workloads, else None.

    Not listed: pods of workloads (their Placement speaks for them), ended ones, and those that are not ours to place
    yet: gated, being deleted, or asking for another scheduler. Once bound, whoever did it, a pod uses its node until it
    has ended. `speaks_for_itself`: it is a bound pod of a workload, and no Placement counts it (`members`).
    """
    if obj.brief is not None and obj.brief.phase in ENDED_PHASES:
        return None
    annotations = obj.meta.annotations
    if WORKLOAD_ANNOTATION in annotations and not speaks_for_itself:
        return None
    found = _read(obj, notes)
    if found is None:
        return None
    raw, spec, status = found
    if status.phase in ENDED_PHASES:
        return None
    if not spec.node_name and (
        spec.scheduling_gates or spec.scheduler_name not in OUR_SCHEDULERS or obj.meta.deletion_timestamp is not None
    ):
        return None
    made = {each.name: each.resource_claim_name for each in status.resource_claim_statuses or ()}
    try:
        pod = pod_class_of_bytes(raw, of_pod(obj.meta.namespace, made))
    except UnreadableError as error:
        notes.append(f"spec can't be read: {error}")
        if not spec.node_name:
            return None
        pod = PodClass()  # it runs there all the same
    devices = annotations.get(POD_DEVICES_ANNOTATION, "")
    return Pod(
        namespace=obj.meta.namespace,
        name=obj.meta.name,
        uid=obj.meta.uid,
        pod=pod,
        created_at=time_of(obj.meta.creation_timestamp, notes, "metadata.creationTimestamp"),
        priority=spec.priority or 0,
        node=spec.node_name,
        devices=tuple(name for name in devices.split(",") if name) if spec.node_name else (),
    )
