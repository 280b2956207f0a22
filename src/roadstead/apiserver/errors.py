"""Refusals that come before any object is looked at: paths, methods, media types, sizes, callers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from roadstead.kinds.errors import FieldError, StatusError
from roadstead.kinds.object import Json

BODY_LIMIT: Final = 3 * 1024 * 1024


class RouteError(StatusError):
    """A refusal of the real server's generic error builder, which always writes `details`, even empty."""

    @property
    def status(self) -> Json:
        body = super().status
        if "details" not in body:
            body["details"] = {}
        return body


class PathUnknown(Exception):
    """No API lives here: 404 as plain text."""


def not_served() -> StatusError:
    """404: the group exists, the version, resource or subresource does not."""
    return RouteError(404, "NotFound", "the server could not find the requested resource")


def method_not_allowed() -> StatusError:
    return RouteError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def unauthorized() -> StatusError:
    return StatusError(401, "Unauthorized", "Unauthorized")


def body_too_large() -> StatusError:
    return StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {BODY_LIMIT}")


def media_type_unknown(accepted: Sequence[str]) -> StatusError:
    """415 for a body in a format that this endpoint does not read."""
    message = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return StatusError(415, "UnsupportedMediaType", message)


def options_invalid(kind: str, *errors: FieldError) -> StatusError:
    """422 for query parameters, which are checked as an object of kind CreateOptions, ListOptions ..."""
    details = {"group": "meta.k8s.io", "kind": kind, "causes": [error.cause for error in errors]}
    texts = [f"{error.field}: {error.body}" for error in errors]
    listed = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    return StatusError(422, "Invalid", f'{kind}.meta.k8s.io "" is invalid: {listed}', details)
