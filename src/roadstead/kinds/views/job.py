"""Jobs as `batch/v1` writes them."""

from __future__ import annotations

from typing import Any

import msgspec

from roadstead.kinds.object import Json, ObjectMeta
from roadstead.kinds.views.common import Condition


class JobSpecView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    parallelism: int | None = None
    completions: int | None = None
    completion_mode: str = "NonIndexed"
    backoff_limit: int | None = None
    backoff_limit_per_index: int | None = None
    max_failed_indexes: int | None = None
    active_deadline_seconds: int | None = None
    pod_failure_policy: dict[str, Any] | None = None
    success_policy: dict[str, Any] | None = None
    pod_replacement_policy: str | None = None
    suspend: bool | None = None
    ttl_seconds_after_finished: int | None = None
    managed_by: str | None = None
    manual_selector: bool | None = None
    selector: dict[str, Any] | None = None
    template: Json = {}


class UncountedView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    succeeded: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


class JobStatusView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    active: int = 0
    ready: int | None = None
    succeeded: int = 0
    failed: int = 0
    terminating: int | None = None
    start_time: str | None = None
    completion_time: str | None = None
    completed_indexes: str = ""
    failed_indexes: str | None = None
    conditions: tuple[Condition, ...] = ()
    uncounted_terminated_pods: UncountedView | None = None


class JobView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: JobSpecView = JobSpecView()
    status: JobStatusView = JobStatusView()
