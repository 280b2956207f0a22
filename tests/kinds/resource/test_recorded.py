"""What a real API server (1.36.3) made of each of these objects and status writes, or answered: the same here, word for
word."""

from __future__ import annotations

import asyncio
import copy
import gzip
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from roadstead.cluster.embedded.plugins import default_plugins
from roadstead.cluster.embedded.requests import WriteOptions, Written
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.errors import StatusError
from roadstead.kinds.names import CLAIM_FINALIZER, RESOURCE_CLAIMS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.served import default_registry

RECORDED = json.loads(gzip.decompress((Path(__file__).parents[2] / "data/resource/answers.json.gz").read_bytes()))
NAMESPACE = "dk"
OURS = ("uid", "resourceVersion", "creationTimestamp")
UNLIKE = {
    "sel-syntax": "ANTLR lists the tokens that could begin an expression",
    "sel-empty": "the same",
    "change": "a whole object of more than 100 characters is printed as Go has it",
}
"""Answers of which only the part before the first quoted value is the same, and why."""


def run(story: Callable[[Resources], Awaitable[None]]) -> None:
    async def inside() -> None:
        resources = Resources(Store.in_memory(), default_registry(), default_plugins())
        await resources.create(
            kind_of("v1", "Namespace"), "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        )
        await story(resources)

    asyncio.run(inside())


def kind_of(api_version: str, kind: str) -> Kind:
    found = default_registry().by_kind(api_version, kind)
    assert found is not None
    return found


async def answer_of(write: Awaitable[Written]) -> Json:
    try:
        written = await write
    except StatusError as error:
        return {"code": error.code, "message": error.message}
    return {"object": written.object.decode()}


def comparable(answer: Json, name: str) -> Any:
    """Without what differs between any two servers. Our claims carry their finalizer with their allocation."""
    if "message" in answer:
        message = answer["message"]
        return answer["code"], message.partition(": Invalid value")[0] if name in UNLIKE else message
    obj = copy.deepcopy(answer["object"])
    for field in OURS:
        obj["metadata"].pop(field, None)
    if obj["metadata"].get("finalizers") == [CLAIM_FINALIZER]:
        del obj["metadata"]["finalizers"]
    return json.loads(re.sub(r'"(timeAdded|lastTransitionTime)": "[^"]*"', r'"\1": "T"', json.dumps(obj)))


@pytest.mark.parametrize("case", RECORDED["creates"], ids=lambda case: case["name"])
def test_an_object_is_stored_or_refused_as_by_the_real_server(case: Json) -> None:
    async def story(resources: Resources) -> None:
        kind = kind_of("resource.k8s.io/v1", case["object"]["kind"])
        created = resources.create(
            kind, NAMESPACE if kind.namespaced else "", copy.deepcopy(case["object"]), WriteOptions()
        )
        assert comparable(await answer_of(created), case["name"]) == comparable(case["answer"], case["name"])

    run(story)


@pytest.mark.parametrize("case", RECORDED["statuses"], ids=lambda case: case["name"])
def test_a_claims_status_changes_as_on_the_real_server(case: Json) -> None:
    async def story(resources: Resources) -> None:
        kind, name = kind_of(RESOURCE_CLAIMS.api_version, "ResourceClaim"), f"s-{case['name']}"
        request = {"name": "r", "exactly": {"deviceClassName": "c"}}
        value: Json = {
            "apiVersion": RESOURCE_CLAIMS.api_version,
            "kind": "ResourceClaim",
            "metadata": {"name": name},
            "spec": {"devices": {"requests": [request]}},
        }
        current = (await resources.create(kind, NAMESPACE, value)).object.decode()
        for step in case["steps"]:
            asked = {**copy.deepcopy(current), "status": copy.deepcopy(step["status"])}
            answer = await answer_of(resources.update(kind, NAMESPACE, name, asked, WriteOptions(), "status"))
            assert comparable(answer, case["name"]) == comparable(step["answer"], case["name"])
            current = answer.get("object", current)

    run(story)


def test_namespaces_are_where_admin_access_is_allowed() -> None:
    async def story(resources: Resources) -> None:
        namespace = kind_of("v1", "Namespace")
        found = (await resources.get(namespace, "", NAMESPACE)).decode()
        found["metadata"]["labels"] = {"resource.kubernetes.io/admin-access": "true"}
        await resources.update(namespace, "", NAMESPACE, found, WriteOptions())
        case = next(case for case in RECORDED["creates"] if case["name"] == "admin")
        kind = kind_of(RESOURCE_CLAIMS.api_version, "ResourceClaim")
        answer = await answer_of(resources.create(kind, NAMESPACE, copy.deepcopy(case["object"]), WriteOptions()))
        assert "object" in answer

    run(story)
