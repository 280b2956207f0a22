"""Jobs that use a Workload made before them: `kueue.x-k8s.io/prebuilt-workload-name` (kueue 5.2).

Whoever makes Workloads himself (another cluster's queue, a script that reserves first and submits later) names one on
the job. The job waits for it, takes it over, and never gets one of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from roadstead.expr.syntax import dns_subdomain
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.names import PREBUILT_NAME
from roadstead.kinds.object import Json

PATH: Final = f"metadata.annotations[{PREBUILT_NAME}]"


def prebuilt_of(labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    """The Workload that the job names by annotation, else by label; "" if it gets one of its own."""
    return annotations.get(PREBUILT_NAME) or labels.get(PREBUILT_NAME) or ""


def prebuilt_errors(job: Json, old: Json | None, *, was_suspended: bool = True) -> list[FieldError]:
    """What is wrong with the name on a job, new (`old` None) or changed: it is fixed while the job runs."""
    name = _named(job)
    if old is not None and name != _named(old) and not was_suspended:
        return [invalid(PATH, name, "field is immutable")]
    return [invalid(PATH, name, detail) for detail in dns_subdomain(name)] if name else []


def _named(job: Json) -> str:
    metadata = job["metadata"]
    return prebuilt_of(metadata.get("labels") or {}, metadata.get("annotations") or {})
