"""The scale subresource: how many replicas an object wants, read and written without knowing its kind (kubernetes-api
section 18.2).

A write is one of the whole object, in which only the number changes; what it says of status and the rest is not looked
at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import orjson

from roadstead.apiserver.bodies import decode_object, object_media, read_body
from roadstead.apiserver.negotiate import negotiate
from roadstead.apiserver.patches import APPLY_PATCH, decode_apply, decode_patch, patch_media
from roadstead.apiserver.paths import ResourcePath
from roadstead.apiserver.query import Query, write_options
from roadstead.apiserver.responses import Exchange, warning_headers
from roadstead.cluster.embedded.metadata import check_name, check_type
from roadstead.cluster.embedded.requests import User
from roadstead.cluster.embedded.resources import Resources
from roadstead.kinds import patch as languages
from roadstead.kinds.core import checks
from roadstead.kinds.errors import FieldError, conflict, invalid_object, not_found
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.registry import Kind, Registry
from roadstead.kinds.schema import DecodeError, recorded
from roadstead.kinds.strategy import ScaleView, Strategy

SCALES: Final = Resource("autoscaling", "v1", "scales")


def _put(given: Json, shown: Json) -> Json:
    return given


def _applied(config: Json, shown: Json) -> Json:
    return languages.merge_patch(shown, config)


def _whole(kind: Kind) -> Resource:
    """The subresource by name, for refusals."""
    return Resource(kind.resource.group, kind.resource.version, f"{kind.resource.plural}/scale")


class ScaleApi:
    """Serves `.../NAME/scale` of all kinds that have one."""

    def __init__(self, resources: Resources, registry: Registry) -> None:
        self._resources = resources
        self._registry = registry
        self._kind = Kind(SCALES, "Scale", "scale", True, recorded(SCALES, "Scale"), Strategy())

    async def serve(self, exchange: Exchange, kind: Kind, target: ResourcePath, user: User, query: Query) -> None:
        """Answer a request. Raises StatusError."""
        scale = kind.strategy.scale
        if scale is None:
            raise not_found(kind.resource, target.name)
        media = negotiate(exchange.header(b"accept")).media
        if exchange.method == "GET":
            found = await self._resources.get(kind, target.namespace, target.name)
            await exchange.reply_json(200, self._shown(kind, scale, found), (), media)
            return
        is_put = exchange.method == "PUT"
        content = exchange.header(b"content-type")
        sent = object_media(content, self._kind) if is_put else patch_media(content, self._kind)
        body = await read_body(exchange.receive, exchange.headers.get(b"content-length"))
        is_apply = sent == APPLY_PATCH
        options = write_options(
            query,
            "UpdateOptions" if is_put else "PatchOptions",
            user,
            exchange.header(b"user-agent"),
            is_patch=not is_put,
            is_apply=is_apply,
        )
        noticed: Sequence[str]
        change: Callable[[Json], Json]
        refused = None
        if is_put:
            decoded = decode_object(body, sent, self._kind, self._registry, options.field_validation)
            change, noticed = partial(_put, decoded.value), decoded.warnings(())
        elif is_apply:
            config, noticed = decode_apply(body, options.field_validation)
            change = partial(_applied, config)
        else:
            patch = decode_patch(body, sent, self._kind, self._registry, options.field_validation)
            change, refused, noticed = patch.apply, patch.refusal, patch.problems

        def apply(obj: Json) -> Json:
            return self._changed(kind, scale, target.name, obj, change, options.field_validation)

        try:
            written = await self._resources.patch(kind, target.namespace, target.name, apply, options, "scale")
        except DecodeError as error:
            if refused is None:
                raise
            raise refused(error) from error
        warnings = warning_headers((*noticed, *written.warnings))
        await exchange.reply_json(200, self._shown(kind, scale, written.object), warnings, media)

    def _shown(self, kind: Kind, scale: ScaleView, found: Object) -> bytes:
        obj = found.decode()
        if not scale.has_replicas(obj):
            raise not_found(_whole(kind), found.meta.name)
        return orjson.dumps(scale.view(obj))

    def _changed(
        self, kind: Kind, scale: ScaleView, name: str, obj: Json, change: Callable[[Json], Json], mode: str
    ) -> Json:
        """The object with the number of replicas that its changed Scale asks for."""
        shown = change(scale.view(obj))
        check_type(self._kind, shown)
        self._kind.schema.check(shown, mode)
        metadata = shown.setdefault("metadata", {})
        check_name(metadata, name)
        replicas = (shown.get("spec") or {}).get("replicas", 0)
        found: list[FieldError] = []
        checks.not_negative(replicas, "spec.replicas", found)
        if found:
            raise invalid_object(SCALES.group, "Scale", name, found)
        uid = metadata.get("uid")
        if uid and uid != obj["metadata"]["uid"]:
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {obj['metadata']['uid']}"
            raise conflict(_whole(kind), name, why)
        obj["metadata"]["resourceVersion"] = metadata.get("resourceVersion") or ""
        scale.set(obj, replicas)
        return obj
