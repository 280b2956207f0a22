"""An unmodified kubectl with a definition and objects of it: what people who write operators type."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop
import yaml

from roadstead.apiserver.serve import ApiServer
from roadstead.cluster.embedded.definitions import Definitions
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.names import NAMESPACES
from roadstead.kinds.served import default_registry
from roadstead.testing.conformance.api import find_kubectl
from tests.apiserver.test_kubectl import Kubectl

pytestmark = pytest.mark.kubectl

DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: boats, kind: Boat, shortNames: [bt]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.crew, statusReplicasPath: .status.aboard}
    additionalPrinterColumns:
    - {name: Crew, type: integer, jsonPath: .spec.crew}
    schema:
      openAPIV3Schema:
        type: object
        description: A boat and who sails it.
        properties:
          spec:
            type: object
            properties:
              crew: {type: integer, minimum: 0, default: 1, description: How many sail it.}
              colour: {type: string}
            x-kubernetes-validations:
            - {rule: "self.crew < 10 || self.colour == 'red'", message: large boats are red}
          status:
            type: object
            properties:
              aboard: {type: integer}
"""
BOAT = """
apiVersion: example.com/v1
kind: Boat
metadata: {name: minnow}
spec: {colour: blue}
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A running server; the directory holds its kubeconfig."""
    directory = tmp_path_factory.mktemp("defining")
    started, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        store, registry = Store.in_memory(), default_registry().fork()
        resources = Resources(store, registry)
        namespaces = registry.get(NAMESPACES)
        assert namespaces is not None
        await resources.create(namespaces, "", {"metadata": {"name": "default"}})
        server = ApiServer(resources, registry, state_dir=directory / "state")
        await server.start()
        defining = asyncio.create_task(Definitions(resources).run())
        (directory / "config").write_text(json.dumps(server.kubeconfig()))
        started.set()
        while not stop.is_set():
            await asyncio.sleep(0.02)
        defining.cancel()
        await asyncio.gather(defining, return_exceptions=True)
        await server.stop()
        await store.close()

    thread = threading.Thread(target=lambda: uvloop.run(serve()), daemon=True)
    thread.start()
    assert started.wait(20)
    yield directory
    stop.set()
    thread.join(20)


@pytest.fixture
def kubectl(directory: Path) -> Kubectl:
    program = find_kubectl()
    if program is None:
        pytest.skip("kubectl is not on this machine")
    return Kubectl(program, directory)


def test_a_definition_and_its_objects(kubectl: Kubectl) -> None:
    assert (
        kubectl.run("apply", "-f", "-", stdin=DEFINITION)
        == "customresourcedefinition.apiextensions.k8s.io/boats.example.com created\n"
    )
    assert "condition met" in kubectl.run(
        "wait", "--for=condition=established", "crd/boats.example.com", "--timeout=10s"
    )
    assert kubectl.run("apply", "-f", "-", stdin=BOAT) == "boat.example.com/minnow created\n"
    assert kubectl.run("apply", "-f", "-", stdin=BOAT) == "boat.example.com/minnow unchanged\n"
    header, row = kubectl.run("get", "bt").splitlines()
    assert (header.split(), row.split()) == (["NAME", "CREW"], ["minnow", "1"])
    assert "boats" in kubectl.run("api-resources", "--api-group=example.com")
    assert "How many sail it." in kubectl.run("explain", "boat.spec.crew")
    assert "A boat and who sails it." in kubectl.run("explain", "boats")
    assert "colour:  blue" in kubectl.run("describe", "boat", "minnow").lower()
    assert kubectl.run("scale", "boat", "minnow", "--replicas=3") == "boat.example.com/minnow scaled\n"
    assert kubectl.run("get", "boat", "minnow", "-o", "jsonpath={.spec.crew}") == "3"
    kubectl.run("patch", "boat", "minnow", "--type=merge", "-p", '{"spec":{"colour":"green"}}')
    message = kubectl.run("patch", "boat", "minnow", "--type=merge", "-p", '{"spec":{"crew":20}}', code=1)
    assert "large boats are red" in message
    assert "unknown field" in kubectl.run("apply", "-f", "-", stdin=BOAT.replace("colour", "color"), code=1)
    kubectl.run("patch", "boat", "minnow", "--subresource=status", "--type=merge", "-p", '{"status":{"aboard":2}}')
    assert "met" in kubectl.run("wait", "--for=jsonpath={.status.aboard}=2", "boat/minnow", "--timeout=10s")
    assert "minnow" in kubectl.run("delete", "boat", "minnow", "--timeout=10s")


def test_a_deprecated_version_says_so(kubectl: Kubectl) -> None:
    value = yaml.safe_load(DEFINITION.replace("boats", "rafts").replace("Boat", "Raft").replace("[bt]", "[rf]"))
    value["spec"]["versions"][0] |= {"deprecated": True, "deprecationWarning": "rafts are out of fashion"}
    kubectl.run("create", "-f", "-", stdin=json.dumps(value))
    kubectl.run("wait", "--for=condition=established", "crd/rafts.example.com", "--timeout=10s")
    process = kubectl.start("get", "rafts")
    assert "Warning: rafts are out of fashion" in process.communicate(timeout=30)[1]
    kubectl.run("delete", "crd", "rafts.example.com", "--timeout=20s")


def test_when_a_definition_goes_so_do_its_objects(kubectl: Kubectl) -> None:
    value = yaml.safe_load(DEFINITION.replace("boats", "ships").replace("Boat", "Ship").replace("[bt]", "[sh]"))
    kubectl.run("create", "-f", "-", stdin=json.dumps(value))
    kubectl.run("wait", "--for=condition=established", "crd/ships.example.com", "--timeout=10s")
    kubectl.run("create", "-f", "-", stdin=BOAT.replace("Boat", "Ship"))
    assert "deleted" in kubectl.run("delete", "crd", "ships.example.com", "--timeout=20s")
    assert "NotFound" in kubectl.run("get", "crd", "ships.example.com", code=1)
    assert "NotFound" in kubectl.run("get", "--raw", "/apis/example.com/v1/namespaces/default/ships", code=1)
