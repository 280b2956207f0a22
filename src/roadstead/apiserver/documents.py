"""What is not about objects: version, health, OpenAPI, metrics, keys of tokens, the list of paths (kubernetes-api
sections 1.4 and 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import orjson

from roadstead.apiserver.errors import method_not_allowed
from roadstead.apiserver.health import ENDPOINTS, Check, Health
from roadstead.apiserver.metrics import CONTENT_TYPE, Exposition
from roadstead.apiserver.negotiate import JSON
from roadstead.apiserver.openapi import OpenApi
from roadstead.apiserver.query import parse_query
from roadstead.apiserver.responses import Exchange
from roadstead.apiserver.version import version_info
from roadstead.auth.service_accounts import CONFIGURATION_PATH, JWKS_PATH, Issuer

METRICS: Final = "/metrics"
OPENAPI_V2_TYPE: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
OPENAPI_V2: Final = bytes([0x0A, 0x03, 0x32, 0x2E, 0x30])
"""An OpenAPI v2 document in protobuf that says only `swagger: "2.0"`. kubectl asks for one before `create -f` of a List
or of a kind it does not know; the rest it reads from v3."""


class Documents:
    """Serves everything under a path of its own. `checks` are named health checks: each says None, or what is wrong."""

    def __init__(
        self,
        openapi: OpenApi,
        checks: Mapping[str, Check],
        paths: Callable[[], list[str]],
        issuer: Issuer | None = None,
        address: str = "",
        metrics: Exposition | None = None,
    ) -> None:
        """`issuer`: whose public key to show (None: none), of a server at `address` (https://...). `metrics`: None: no
        /metrics."""
        self._openapi = openapi
        self.health = Health(checks)
        self._metrics = metrics
        self._issuer = issuer
        self._address = address
        self._version = orjson.dumps(version_info())
        keys = () if issuer is None else (CONFIGURATION_PATH, JWKS_PATH)
        self._paths = paths
        self._own_paths = (*keys, *self.health.paths(), *([METRICS] if metrics else []))

    async def serve(self, exchange: Exchange) -> bool:
        """Answer if the path is one of ours; False if it is not."""
        path = exchange.path.rstrip("/") or "/"
        if self._issuer is not None and path in (CONFIGURATION_PATH, JWKS_PATH):
            await self._serve_keys(exchange, path, self._issuer)
            return True
        head = path.split("/", 2)[1]
        if head in ENDPOINTS:
            if not self.health.knows(path):
                return False
        elif head == "openapi":
            if not (path == "/openapi/v2" or self._openapi.knows(path)):
                return False
        elif path not in ("/", "/version") and not (path == METRICS and self._metrics is not None):
            return False
        if exchange.method != "GET":
            raise method_not_allowed()
        if path == "/":
            listed = sorted({*self._paths(), *self._own_paths})
            every = [*listed, *self._openapi.paths(), "/openapi/v2", "/version"]
            await exchange.reply_json(200, orjson.dumps({"paths": every}))
        elif path == "/version":
            await exchange.reply_json(200, self._version)
        elif path == "/openapi/v2":
            await exchange.reply(200, OPENAPI_V2_TYPE, OPENAPI_V2, ((b"etag", b'"2"'), (b"vary", b"Accept")))
        elif head == "openapi":
            await self._serve_openapi(exchange, path)
        elif path == METRICS and self._metrics is not None:
            await exchange.reply(200, CONTENT_TYPE, self._metrics.text())
        else:
            await self.health.serve(exchange, path)
        return True

    async def _serve_keys(self, exchange: Exchange, path: str, issuer: Issuer) -> None:
        """With what others check service-account tokens (k8s `pkg/routes/openidmetadata.go`)."""
        if exchange.method != "GET":
            raise method_not_allowed()
        if path == JWKS_PATH:
            media, value = "application/jwk-set+json", issuer.jwks
        else:
            media, value = JSON, issuer.configuration(self._address)
        await exchange.reply(200, media, orjson.dumps(value), cache=b"public, max-age=3600")

    async def _serve_openapi(self, exchange: Exchange, path: str) -> None:
        if path == "/openapi/v3":
            index, etag = self._openapi.index()
            # The real server labels this JSON as plain text; kubectl does not mind, and recorded answers say so.
            await _cached(exchange, "text/plain; charset=utf-8", index, etag, ())
            return
        body, etag = self._openapi.document(path)
        wanted = parse_query(exchange.query_string).get("hash")
        if wanted is not None and wanted != etag:
            location = f"{path}?hash={etag}".encode()
            await exchange.reply(301, JSON, b"", ((b"location", location),))
            return
        extra = ((b"expires", b"Fri, 31 Dec 2100 23:59:59 GMT"),) if wanted else ()
        await _cached(exchange, JSON, body, etag, extra, is_immutable=wanted is not None)


async def _cached(
    exchange: Exchange,
    content_type: str,
    body: bytes,
    etag: str,
    extra: tuple[tuple[bytes, bytes], ...],
    *,
    is_immutable: bool = False,
) -> None:
    quoted = f'"{etag}"'
    headers = [(b"etag", quoted.encode()), (b"vary", b"Accept"), *extra]
    cache = b"public, immutable" if is_immutable else b"no-cache, private"
    if exchange.header(b"if-none-match") == quoted:
        await exchange.reply(304, content_type, b"", headers, cache=cache)
    else:
        await exchange.reply(200, content_type, body, headers, cache=cache)
