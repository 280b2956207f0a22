"""What the client wants to read (kubernetes-api section 4.1): media type and form of the answer, from its Accept
header."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from roadstead.apiserver.errors import RouteError
from roadstead.kinds.errors import StatusError

JSON: Final = "application/json"
YAML: Final = "application/yaml"
PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
MEDIA_TYPES: Final = (JSON, YAML, PROTOBUF)
"""Of bodies. Answers are never protobuf, but refusals name it as the real server's do."""


class Form(StrEnum):
    OBJECT = ""
    TABLE = "Table"
    PARTIAL = "PartialObjectMetadata"
    PARTIAL_LIST = "PartialObjectMetadataList"


@dataclass(frozen=True, slots=True)
class Format:
    """How to answer: media type, form of objects, and the form's version (meta.k8s.io/v1 or v1beta1)."""

    media: str = JSON
    form: Form = Form.OBJECT
    version: str = "v1"


PLAIN: Final = Format()


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause of an Accept header."""

    media: str
    parameters: dict[str, str]
    quality: float


@lru_cache(maxsize=512)
def clauses(accept: str) -> tuple[Clause, ...]:
    """The clauses of an Accept header, the wanted ones first: by q, then as written."""
    found = []
    for text in accept.split(","):
        media, *parameters = text.split(";")
        pairs = (parameter.partition("=") for parameter in parameters)
        values = {key.strip(): value.strip() for key, _, value in pairs}
        try:
            quality = float(values.pop("q", "1"))
        except ValueError:
            quality = 0.0
        if media.strip():
            found.append(Clause(media.strip().lower(), values, quality))
    return tuple(sorted(found, key=lambda clause: -clause.quality))


@lru_cache(maxsize=512)
def negotiate(accept: str, *, for_watch: bool = False) -> Format:
    """The first clause that can be met. Raises StatusError 406 in the two texts of the real server: no media type known
    at all, or none whose `as` form can be made."""
    if not accept:
        return PLAIN
    known_media = False
    for clause in clauses(accept):
        if clause.media in ("*/*", JSON):
            media = JSON
        elif clause.media == YAML and not for_watch:
            media = YAML
        else:
            continue
        known_media = True
        form = _form(clause.parameters)
        if form is not None:
            return Format(media, form, clause.parameters.get("v", "v1") if form else "v1")
    if known_media:
        message = "only the following media types are accepted: " + ", ".join(MEDIA_TYPES)
        raise StatusError(406, "NotAcceptable", message)
    message = "406: Not Acceptable\n\nAvailable representations: " + ", ".join(MEDIA_TYPES)
    raise RouteError(406, "NotAcceptable", message)


def _form(parameters: dict[str, str]) -> Form | None:
    wanted = parameters.get("as", "")
    if not wanted:
        return Form.OBJECT
    if parameters.get("g") != "meta.k8s.io" or parameters.get("v") not in ("v1", "v1beta1"):
        return None
    try:
        return Form(wanted)
    except ValueError:
        return None
