"""The Kubernetes API's semantics in process: what the HTTP surface and the Cluster port both call.

A write runs in one go from the head object to the new one (no await in between, so nothing can race it) and is then
handed to the store; it returns when the store has it on the disk. So preconditions compare with the head, `patch` never retries, and a refusal
that may rest on a write still on its way waits for that write first.

The order within a write is the observable contract of the real server (kubernetes-api sections 8, 9, 12):
types and defaults, server-owned metadata, namespace, ownership of fields, admission chain, the kind's own preparation and
validation, generation, storage.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence

import msgspec
import orjson

from roadstead.auth.service_accounts import Issuer
from roadstead.cluster.embedded import binding as bindings
from roadstead.cluster.embedded import metadata as owned
from roadstead.cluster.embedded.admission import AdmissionPlugin, AdmissionRequest
from roadstead.cluster.embedded.budgets import check_eviction
from roadstead.cluster.embedded.checks import check_and_default, validate_change, validate_new, warnings_of
from roadstead.cluster.embedded.conditions import set_condition
from roadstead.cluster.embedded.deletion import Effect, apply_delete, check_delete, delete_warnings, is_finished
from roadstead.cluster.embedded.failures import CommitFailed, DiskFull, StoreError
from roadstead.cluster.embedded.listing import list_page
from roadstead.cluster.embedded.ownership import Ownership, is_unchanged, set_entries
from roadstead.cluster.embedded.requests import (
    DeleteOptions,
    ListOptions,
    Page,
    User,
    WatchOptions,
    WriteOptions,
    Written,
)
from roadstead.cluster.embedded.rights import check_may_create
from roadstead.cluster.embedded.store import Pending, Store
from roadstead.cluster.embedded.token_requests import token_of
from roadstead.cluster.embedded.watching import Event, open_watch
from roadstead.kinds.errors import (
    StatusError,
    already_exists,
    bad_request,
    internal_error,
    not_found,
)
from roadstead.kinds.names import DISRUPTION_BUDGETS, NAMESPACES, PODS
from roadstead.kinds.object import Json, Object
from roadstead.kinds.registry import Kind, Registry

_Plan = tuple[Written, Pending | None]
_Entries = list[Json] | None


def new_uid() -> str:
    """A random UUID, lower case."""
    return str(uuid.uuid4())


class Resources:
    """Create, read, change, delete and watch objects. All errors are `StatusError` with the real server's texts."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        admission: Sequence[AdmissionPlugin] = (),
        clock: Callable[[], int] = time.time_ns,
        new_uid: Callable[[], str] = new_uid,
        name_suffix: Callable[[], str] = owned.random_suffix,
        issuer: Issuer | None = None,
    ) -> None:
        """`clock` gives nanoseconds since the epoch; uid and name suffix makers are for reproducible runs. `issuer` signs
        service-account tokens (None: with a key that is forgotten at the end)."""
        self._store = store
        self._registry = registry
        self._ownership = Ownership(registry)
        self._admission = tuple(admission)
        self._clock = clock
        self._new_uid = new_uid
        self._name_suffix = name_suffix
        self._has_namespaces = registry.get(NAMESPACES) is not None
        self.issuer = Issuer() if issuer is None else issuer

    @property
    def registry(self) -> Registry:
        return self._registry

    @property
    def store(self) -> Store:
        return self._store

    # --- reading

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """The newest committed version. Raises StatusError 404."""
        found = self._store.get(kind.stored, namespace, name)
        if found is None:
            raise not_found(kind.resource, name)
        return kind.read(found)

    async def list(self, kind: Kind, namespace: str, options: ListOptions = ListOptions()) -> Page:
        """A consistent page, in byte order of namespace/name. Raises StatusError 400, 410, 422, 504."""
        return await list_page(self._store, kind, namespace, options)

    def watch(self, kind: Kind, namespace: str, options: WatchOptions, name: str = "") -> AsyncGenerator[Event, None]:
        """Events (type, object, resourceVersion). A bad request raises StatusError here, expired history (410) while iterating.
        Ends at the timeout, when the consumer is too slow, and when the store closes."""
        return open_watch(self._store, kind, namespace, options, name)

    def current_rv(self) -> str:
        """The newest committed resourceVersion."""
        return str(self._store.revision)

    # --- writing

    async def create(self, kind: Kind, namespace: str, obj: Json, options: WriteOptions = WriteOptions()) -> Written:
        """Store a new object. `obj` is taken over and edited."""
        return await self._carry_out(lambda: self._create(kind, namespace, obj, options))

    async def update(
        self, kind: Kind, namespace: str, name: str, obj: Json, options: WriteOptions, subresource: str = ""
    ) -> Written:
        """Replace an object (or its status). `obj` is taken over and edited; its uid and resourceVersion are preconditions."""
        return await self._carry_out(lambda: self._put(kind, namespace, name, obj, options, subresource))

    async def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        apply: Callable[[Json], Json],
        options: WriteOptions,
        subresource: str = "",
    ) -> Written:
        """Replace an object by what `apply` makes of a fresh decoded copy. A resourceVersion or uid that it changes is a
        precondition."""
        return await self._carry_out(lambda: self._patch(kind, namespace, name, apply, options, subresource))

    async def apply(
        self, kind: Kind, namespace: str, name: str, config: Json, options: WriteOptions, subresource: str = ""
    ) -> Written:
        """Server-side apply: create the object, or change what `config` says and take away what it no longer says. `config` is not
        edited. Raises StatusError 409 where others own what it changes, unless `options.force`."""
        return await self._carry_out(lambda: self._apply(kind, namespace, name, config, options, subresource))

    async def delete(self, kind: Kind, namespace: str, name: str, options: DeleteOptions) -> Written:
        """Delete, or mark as terminating: `Written.removed` says which; its object is what is left, or the last state."""
        return await self._carry_out(lambda: self._delete(kind, namespace, name, options))

    async def delete_collection(
        self, kind: Kind, namespace: str, list_options: ListOptions, delete_options: DeleteOptions
    ) -> Page:
        """Delete what a list selects, one by one; gives the list as it was. Not atomic: stops at the first error but 404."""
        page = await self.list(kind, namespace, list_options)
        plans: list[Pending] = []
        for found in page.items:
            try:
                _, pending = self._delete(kind, found.meta.namespace, found.meta.name, delete_options)
            except StatusError as error:
                if error.code != 404:
                    await self._settled()
                    raise
            else:
                if pending is not None:
                    plans.append(pending)
        await self._settled()
        for pending in plans:
            await self._committed(pending)
        return page

    async def bind(self, namespace: str, pod_name: str, binding: Json, options: WriteOptions) -> Written:
        """pods/binding: give a pod its node; the bound pod. Raises StatusError 404, 409 (already bound, terminating), 422."""
        kind = self._registry.get(PODS)
        if kind is None:
            raise not_found(PODS, pod_name)
        return await self._carry_out(lambda: self._bind(kind, namespace, pod_name, binding, options))

    async def evict(self, namespace: str, pod_name: str, eviction: Json, options: DeleteOptions) -> Written:
        """pods/eviction: delete a pod as `options` say, with a condition that tells why it went. Raises StatusError 404, 409."""
        kind = self._registry.get(PODS)
        if kind is None:
            raise not_found(PODS, pod_name)
        return await self._carry_out(lambda: self._evict(kind, namespace, pod_name, eviction, options))

    async def token(
        self, namespace: str, account: str, request: Json, options: WriteOptions = WriteOptions()
    ) -> tuple[Json, Sequence[str]]:
        """serviceaccounts/token: `request` with its token, and warnings. Nothing is stored. Raises StatusError 400, 404, 409, 422."""
        return token_of(
            namespace, account, request, self.issuer, self._store.get, self._clock(), options.field_validation
        )

    # --- from plan to disk

    async def _carry_out(self, plan: Callable[[], _Plan]) -> Written:
        try:
            written, pending = plan()
        except StatusError:
            await self._settled()
            raise
        except (orjson.JSONEncodeError, msgspec.MsgspecError) as error:
            raise bad_request(f"the object cannot be stored as JSON: {error}") from error
        except StoreError as error:
            raise StatusError(503, "ServiceUnavailable", str(error), retry_after=1) from error
        if pending is None:
            await self._settled()
        else:
            await self._committed(pending)
        return written

    async def _committed(self, pending: Pending) -> None:
        try:
            await pending.committed
        except CommitFailed as error:
            raise _refusal(error) from error

    async def _settled(self) -> None:
        """What was concluded from the head may rest on writes on their way: they decide first."""
        try:
            await self._store.settled()
        except CommitFailed as error:
            raise _refusal(error) from error

    def _create(
        self,
        kind: Kind,
        namespace: str,
        obj: Json,
        options: WriteOptions,
        applied: tuple[_Entries] | None = None,
    ) -> _Plan:
        """`applied`: the managedFields of what was made by an apply, whose fields have their owners."""
        owned.check_type(kind, obj)
        warnings = check_and_default(kind, obj, options)
        metadata = owned.metadata_of(kind, obj)
        sent = metadata.get("managedFields")
        owned.stamp_new(kind, metadata, self._clock(), self._new_uid())
        owned.settle_namespace(kind, metadata, namespace)
        if kind.namespaced and self._has_namespaces:
            owned.check_namespace(self._store, kind, namespace, metadata.get("name") or "")
        name = metadata.get("name") or ""
        entries = applied[0] if applied else self._ownership.created(kind, obj, sent, options, self._clock())
        set_entries(metadata, entries)
        self._admit("CREATE", kind, namespace, name, "", obj, None, options.user, options.dry_run)
        owned.choose_name(self._store, kind, metadata, namespace, self._name_suffix)
        if kind.strategy.has_status and not kind.strategy.creates_status:
            obj.pop("status", None)
        kind.strategy.prepare_create(obj)
        if kind.strategy.has_generation:
            metadata["generation"] = 1
        validate_new(kind, obj, warnings)
        name = metadata["name"]
        taken = self._store.head(kind.stored, namespace, name)
        if taken is not None:
            error = already_exists(kind.resource, name)
            if taken.meta.deletion_timestamp:
                error.message = f"object is being deleted: {error.message}"
            raise error
        warnings += warnings_of(kind, obj)
        if options.dry_run:
            return Written(Object.of(kind.resource, obj), warnings, created=True), None
        pending = self._store.put(kind.stored, kind.to_store(obj), None)
        return Written(kind.read(pending.object), warnings, created=True), pending

    def _put(self, kind: Kind, namespace: str, name: str, obj: Json, options: WriteOptions, subresource: str) -> _Plan:
        owned.check_type(kind, obj)
        metadata = owned.metadata_of(kind, obj)
        owned.check_name(metadata, name)
        old = self._store.head(kind.stored, namespace, name)
        if old is None:
            if kind.strategy.create_on_update and not subresource:
                check_may_create(kind, namespace, name, options.user)
                metadata.pop("resourceVersion", None)
                return self._create(kind, namespace, obj, options)
            raise not_found(kind.resource, name)
        return self._replace(kind, namespace, obj, old, kind.read(old).decode(), options, subresource)

    def _patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        apply: Callable[[Json], Json],
        options: WriteOptions,
        subresource: str,
    ) -> _Plan:
        old = self._store.head(kind.stored, namespace, name)
        if old is None:
            raise not_found(kind.resource, name)
        obj = apply(kind.read(old).decode())
        owned.check_type(kind, obj)
        metadata = owned.metadata_of(kind, obj)
        owned.check_name(metadata, name)
        if not metadata.get("resourceVersion"):
            metadata["resourceVersion"] = old.meta.resource_version
        return self._replace(kind, namespace, obj, old, kind.read(old).decode(), options, subresource, is_patch=True)

    def _apply(
        self, kind: Kind, namespace: str, name: str, config: Json, options: WriteOptions, subresource: str
    ) -> _Plan:
        old = self._store.head(kind.stored, namespace, name)
        if old is None and subresource:
            raise not_found(kind.resource, name)
        live = None if old is None else kind.read(old).decode()
        obj, entries = self._ownership.applied(kind, live, config, options, subresource, self._clock())
        metadata = owned.metadata_of(kind, obj)
        owned.check_name(metadata, name)
        if old is None or live is None:
            check_may_create(kind, namespace, name, options.user)
            owned.settle_made_by_apply(kind, metadata, name)
            return self._create(kind, namespace, obj, options, (entries,))
        if not metadata.get("resourceVersion"):
            metadata["resourceVersion"] = old.meta.resource_version
        return self._replace(kind, namespace, obj, old, live, options, subresource, (entries,), is_patch=True)

    def _replace(
        self,
        kind: Kind,
        namespace: str,
        obj: Json,
        old: Object,
        before: Json,
        options: WriteOptions,
        subresource: str,
        applied: tuple[_Entries] | None = None,
        *,
        is_patch: bool = False,
    ) -> _Plan:
        metadata = obj["metadata"]
        name = old.meta.name
        sent = metadata.get("managedFields")
        owned.settle_namespace(kind, metadata, namespace)
        owned.check_preconditions(kind, name, metadata, old, is_patch=is_patch)
        warnings = check_and_default(kind, obj, options)
        problems = owned.keep_owned(obj["metadata"], before["metadata"])
        entries = (
            applied[0]
            if applied
            else self._ownership.updated(kind, before, obj, sent, options, subresource, self._clock())
        )
        _keep_other_half(kind, obj, before, subresource)
        kind.strategy.prepare_update(obj, before, subresource)
        metadata = obj["metadata"]
        set_entries(metadata, entries)
        self._admit("UPDATE", kind, namespace, name, subresource, obj, before, options.user, options.dry_run)
        validate_change(kind, obj, before, subresource, problems, warnings)
        warnings += warnings_of(kind, obj, before)
        if is_unchanged(obj, before) and not kind.is_stale(old):
            return Written(kind.read(old), warnings), None
        if (
            kind.strategy.has_generation
            and subresource != "status"
            and owned.differs_outside_metadata_and_status(obj, before)
        ):
            metadata["generation"] = (before["metadata"].get("generation") or 0) + 1
        if is_finished(kind, obj):
            # The answer is what was asked for, at the version before; watchers get the last state that was stored.
            written = Written(Object.of(kind.resource, obj), warnings, removed=True)
            return written, None if options.dry_run else self._store.remove(kind.stored, kind.to_store(before), old)
        if options.dry_run:
            return Written(Object.of(kind.resource, obj), warnings), None
        pending = self._store.put(kind.stored, kind.to_store(obj), old)
        return Written(kind.read(pending.object), warnings), pending

    def _delete(self, kind: Kind, namespace: str, name: str, options: DeleteOptions) -> _Plan:
        old = self._store.head(kind.stored, namespace, name)
        if old is None:
            raise not_found(kind.resource, name)
        check_delete(kind, old, options)
        obj = kind.read(old).decode()
        if self._admission:
            self._admit(
                "DELETE", kind, namespace, name, "", None, kind.read(old).decode(), options.user, options.dry_run
            )
        return self._remove(kind, obj, old, options)

    def _remove(self, kind: Kind, obj: Json, old: Object, options: DeleteOptions, is_edited: bool = False) -> _Plan:
        """Carry out a DELETE on `obj`: `old` decoded, and stored even where a DELETE changes nothing if it was edited."""
        effect = apply_delete(kind, obj, options, self._clock())
        warnings = delete_warnings(kind, options)
        if effect is Effect.UNCHANGED and not is_edited:
            return Written(kind.read(old), warnings), None
        removed = effect is Effect.REMOVED
        if options.dry_run:
            return Written(Object.of(kind.resource, obj), warnings, removed=removed), None
        if removed:
            pending = self._store.remove(kind.stored, kind.to_store(obj), old)
        else:
            pending = self._store.put(kind.stored, kind.to_store(obj), old)
        return Written(kind.read(pending.object), warnings, removed=removed), pending

    def _bind(self, kind: Kind, namespace: str, name: str, binding: Json, options: WriteOptions) -> _Plan:
        old = self._store.head(PODS, namespace, name)
        if old is None:
            raise not_found(PODS, name)
        pod = old.decode()
        owned.binding_metadata(binding, name)
        bindings.apply_binding(pod, binding, self._clock())
        self._admit("CREATE", kind, namespace, name, "binding", binding, None, options.user, options.dry_run)
        if options.dry_run:
            return Written(old), None
        pending = self._store.put(PODS, pod, old)
        return Written(pending.object), pending

    def _evict(self, kind: Kind, namespace: str, name: str, eviction: Json, options: DeleteOptions) -> _Plan:
        old = self._store.head(PODS, namespace, name)
        if old is None:
            raise not_found(PODS, name)
        self._admit("CREATE", kind, namespace, name, "eviction", eviction, None, options.user, options.dry_run)
        check_delete(kind, old, options)
        budgets = [self._store.head(*found.ref) or found for found in self._store.list(DISRUPTION_BUDGETS, namespace)]
        charged = check_eviction(old, budgets, self._clock())
        if charged is not None and not options.dry_run:
            self._store.put(DISRUPTION_BUDGETS, charged[1], charged[0])  # is on the disk before the pod is
        pod = old.decode()
        is_edited = set_condition(
            pod, "DisruptionTarget", self._clock(), "EvictionByEvictionAPI", "Eviction API: evicting"
        )
        return self._remove(kind, pod, old, options, is_edited)

    def _admit(
        self,
        operation: str,
        kind: Kind,
        namespace: str,
        name: str,
        subresource: str,
        obj: Json | None,
        old: Json | None,
        user: User,
        dry_run: bool,
    ) -> None:
        if not self._admission:
            return
        request = AdmissionRequest(
            operation,
            kind,
            namespace,
            name,
            subresource,
            obj,
            old,
            user,
            dry_run,
            self._store.head,
            self._store.list,
            self._clock(),
        )
        for plugin in self._admission:
            plugin.admit(request)


def _keep_other_half(kind: Kind, obj: Json, before: Json, subresource: str) -> None:
    """The main endpoint ignores status; /status ignores all but status (built-in kinds: and metadata); namespaces/finalize
    all but spec.finalizers."""
    if subresource == "status":
        kept = {"status": obj.get("status")} if "status" in obj else {}
        metadata = before["metadata"] if kind.is_custom else obj["metadata"]
        rest = {key: value for key, value in before.items() if key not in ("status", "metadata")}
        obj.clear()
        obj.update({**rest, "metadata": dict(metadata), **kept})
    elif subresource == "finalize":
        spec = dict(before.get("spec") or {})
        asked = (obj.get("spec") or {}).get("finalizers")
        if asked:
            spec["finalizers"] = asked
        else:
            spec.pop("finalizers", None)
        obj.clear()
        obj.update({**before, "metadata": dict(before["metadata"]), "spec": spec})
    elif kind.strategy.has_status:
        if "status" in before:
            obj["status"] = before["status"]
        else:
            obj.pop("status", None)


def _refusal(error: CommitFailed) -> StatusError:
    """A batch that was not stored, as its writers hear it. A full disk is the one case known to have stored nothing."""
    if isinstance(error, DiskFull):
        return StatusError(507, "InternalError", f"Internal error occurred: {error}", retry_after=5)
    return internal_error(str(error))
