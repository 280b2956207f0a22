"""Every recorded POST of a served kind: the same object, or the same refusal word for word, as the real server gave."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roadstead.kinds.errors import StatusError, invalid_object
from roadstead.kinds.object import Json, Resource
from roadstead.kinds.registry import Kind
from roadstead.kinds.served import default_registry
from tests.kinds.way import CREATED, check_new

DATA = Path(__file__).parents[1] / "data/api"
FILES = ("crud", "fieldvalidation", "dryrun", "patch-json", "patch-merge", "subresources", "tables", "list-watch")
ELSEWHERE = {"crud/meta-p0", "crud/namespace-missing", "crud/pod-sa-volume", "list-watch/partial-metadata"}
"""Sessions about what the store, admission or the URL does."""
LONG = re.compile(r"<any>")


def target(path: str) -> tuple[Kind, str] | None:
    """The kind and namespace of a collection's URL."""
    parts = path.partition("?")[0].strip("/").split("/")
    group, rest = ("", parts[1:]) if parts[0] == "api" else (parts[1], parts[2:])
    version, rest = rest[0], rest[1:]
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    if len(rest) != 1:
        return None
    kind = default_registry().get(Resource(group, version, rest[0]))
    return (kind, namespace) if kind else None


def cases() -> Iterator[Any]:
    for name in FILES:
        with gzip.open(DATA / f"{name}.jsonl.gz", "rt") as lines:
            for line in lines:
                session = json.loads(line.replace("${u}", "tok12345").replace("<time>", CREATED))
                for number, step in enumerate(session["steps"]):
                    request, response = step.get("request", {}), step.get("response", {})
                    if request.get("method") != "POST" or not isinstance(request.get("json"), dict):
                        continue
                    if session["id"] in ELSEWHERE or response.get("status") not in (201, 400, 422):
                        continue
                    found = target(request["path"])
                    if found and found[0].kind == "Service":
                        continue  # what is given to them comes from admission
                    if found and "Options" not in str(response.get("json", {}).get("message")):
                        case_id = f"{session['id']}/{number}"
                        yield pytest.param(*found, request, response["status"], response["json"], id=case_id)


def comparable(value: Json) -> Any:
    """Without what the store and admission add."""
    obj = json.loads(re.sub(r"<uid#?\d*>", "u-1", json.dumps(value)))
    for name in ("resourceVersion", "uid", "creationTimestamp", "generation", "managedFields"):
        obj["metadata"].pop(name, None)
    spec = obj.get("spec", {})
    if obj["kind"] == "Pod":
        for name in ("priority", "preemptionPolicy", "serviceAccountName", "serviceAccount"):
            spec.pop(name, None)
    for name in ("tolerations", "taints"):
        if name in spec:
            spec[name] = [one for one in spec[name] if not one.get("key", "").startswith("node.kubernetes.io/")]
            if not spec[name]:
                del spec[name]
    return obj


@pytest.mark.parametrize(("kind", "namespace", "request_", "status", "answer"), list(cases()))
def test_as_recorded(kind: Kind, namespace: str, request_: Json, status: int, answer: Json) -> None:
    mode = "Strict" if "fieldValidation=Strict" in request_["path"] else "Warn"

    def create() -> Json:
        obj, found = check_new(kind, request_["json"], namespace=namespace, mode=mode)
        if found:
            metadata = obj["metadata"]
            name = metadata.get("name") or metadata.get("generateName", "")
            raise invalid_object(kind.resource.group, kind.kind, name, found)
        return obj

    if status == 201:
        assert comparable(create()) == comparable(answer)
        return
    with pytest.raises(StatusError) as refused:
        create()
    mine = refused.value.status
    if LONG.search(answer["message"]):  # a whole object is printed there: the recorder does not compare it
        assert mine["message"].startswith(answer["message"].partition("<any>")[0])
        return
    assert mine == answer
