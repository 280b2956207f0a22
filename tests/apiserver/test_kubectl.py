"""An unmodified kubectl against the real server: the commands people type first."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from roadstead.apiserver.serve import ApiServer
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.names import NAMESPACES
from roadstead.kinds.served import default_registry
from roadstead.testing.conformance.api import find_kubectl

pytestmark = pytest.mark.kubectl

MANIFEST = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {app: demo}}
data: {level: "1"}
---
apiVersion: batch/v1
kind: Job
metadata: {name: train, labels: {app: demo}}
spec:
  suspend: true
  template:
    spec:
      restartPolicy: Never
      containers:
      - {name: main, image: none, command: [sleep, "1"]}
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: ResourceFlavor
metadata: {name: gpu, labels: {app: demo}}
"""


class Kubectl:
    """kubectl with a home and a cache of its own."""

    def __init__(self, program: str, home: Path) -> None:
        self.program = program
        self.home = home

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "KUBECONFIG": str(self.home / "config"), "HOME": str(self.home), "NO_COLOR": "1"}
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [self.program, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment
        )

    def run(self, *arguments: str, stdin: str = "", code: int = 0) -> str:
        process = self.start(*arguments)
        out, err = process.communicate(stdin, timeout=30)
        assert process.returncode == code, f"kubectl {' '.join(arguments)}: {out}{err}"
        return out if code == 0 else err


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A running server; the directory holds its kubeconfig."""
    directory = tmp_path_factory.mktemp("cluster")
    started, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        store, registry = Store.in_memory(), default_registry()
        resources = Resources(store, registry)
        namespaces = registry.get(NAMESPACES)
        assert namespaces is not None
        await resources.create(
            namespaces, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
        )
        server = ApiServer(resources, registry, state_dir=directory / "state")
        await server.start()
        (directory / "config").write_text(json.dumps(server.kubeconfig()))
        started.set()
        while not stop.is_set():
            await asyncio.sleep(0.02)
        await server.stop()
        await store.close()

    thread = threading.Thread(target=lambda: uvloop.run(serve()), daemon=True)
    thread.start()
    assert started.wait(20)
    yield directory
    stop.set()
    thread.join(20)


@pytest.fixture
def kubectl(cluster: Path) -> Iterator[Kubectl]:
    program = find_kubectl()
    if program is None:
        pytest.skip("kubectl is not on this machine")
    found = Kubectl(program, cluster)
    yield found
    for kinds in ("configmaps,jobs,pods", "resourceflavors"):
        found.run("delete", kinds, "--all", "--timeout=10s", "--cascade=background", "--force", "--grace-period=0")


def test_create_and_apply(kubectl: Kubectl) -> None:
    created = kubectl.run("create", "-f", "-", stdin=MANIFEST)
    assert created.splitlines() == [
        "configmap/settings created",
        "job.batch/train created",
        "resourceflavor.kueue.x-k8s.io/gpu created",
    ]
    assert "already exists" in kubectl.run("create", "-f", "-", stdin=MANIFEST, code=1)
    kubectl.run("apply", "-f", "-", stdin=MANIFEST)
    changed = MANIFEST.replace('level: "1"', 'level: "2"')
    assert kubectl.run("apply", "-f", "-", stdin=changed).splitlines() == [
        "configmap/settings configured",
        "job.batch/train unchanged",
        "resourceflavor.kueue.x-k8s.io/gpu unchanged",
    ]
    assert kubectl.run("get", "cm", "settings", "-o", "jsonpath={.data.level}") == "2"


def test_a_list_is_created_as_its_items(kubectl: Kubectl) -> None:
    items = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}} for name in ("a", "b")]
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    assert kubectl.run("create", "-f", "-", stdin=body) == "configmap/a created\nconfigmap/b created\n"


def test_typing_errors_are_found(kubectl: Kubectl) -> None:
    wrong = MANIFEST.replace("suspend:", "suspnd:")
    message = kubectl.run("apply", "-f", "-", stdin=wrong, code=1)
    assert 'strict decoding error: unknown field "spec.suspnd"' in message


def test_get_in_all_forms(kubectl: Kubectl) -> None:
    kubectl.run("apply", "-f", "-", stdin=MANIFEST)
    assert kubectl.run("get", "cm", "-l", "app=demo").splitlines()[0].split() == ["NAME", "DATA", "AGE"]
    assert "settings" not in kubectl.run("get", "cm", "-l", "app=other", "--ignore-not-found")
    wide = kubectl.run("get", "job", "train", "-o", "wide").splitlines()
    assert wide[0].split() == ["NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
    assert wide[1].split()[:3] == ["train", "Running", "0/1"]
    assert json.loads(kubectl.run("get", "job", "train", "-o", "json"))["spec"]["suspend"] is True
    assert "suspend: true" in kubectl.run("get", "job", "train", "-o", "yaml")
    assert kubectl.run("get", "cm,jobs", "-o", "name").splitlines() == ["configmap/settings", "job.batch/train"]
    assert kubectl.run("get", "cm", "-A", "--no-headers").split()[:2] == ["default", "settings"]
    assert 'configmaps "nope" not found' in kubectl.run("get", "cm", "nope", code=1)


def test_watching(kubectl: Kubectl) -> None:
    kubectl.run("apply", "-f", "-", stdin=MANIFEST)
    watch = kubectl.start("get", "cm", "settings", "-w", "--no-headers")
    assert watch.stdout is not None
    try:
        assert watch.stdout.readline().split()[:2] == ["settings", "1"]
        kubectl.run("patch", "cm", "settings", "-p", '{"data":{"more":"x"}}')
        assert watch.stdout.readline().split()[:2] == ["settings", "2"]
    finally:
        watch.terminate()
        watch.communicate(timeout=10)


def test_describe(kubectl: Kubectl) -> None:
    kubectl.run("apply", "-f", "-", stdin=MANIFEST)
    assert "Labels:" in kubectl.run("describe", "job", "train")
    assert "level:" in kubectl.run("describe", "cm", "settings")


def test_changes(kubectl: Kubectl) -> None:
    kubectl.run("apply", "-f", "-", stdin=MANIFEST)
    kubectl.run("label", "job", "train", "tier=gold")
    kubectl.run("annotate", "cm", "settings", "note=x")
    kubectl.run("patch", "job", "train", "-p", '{"spec":{"parallelism":3}}')
    kubectl.run("patch", "cm", "settings", "--type=json", "-p", '[{"op":"replace","path":"/data/level","value":"9"}]')
    kubectl.run("patch", "resourceflavor", "gpu", "--type=merge", "-p", '{"spec":{"nodeLabels":{"a":"b"}}}')
    job = json.loads(kubectl.run("get", "job", "train", "-o", "json"))
    assert (job["metadata"]["labels"]["tier"], job["spec"]["parallelism"]) == ("gold", 3)
    assert kubectl.run("get", "cm", "settings", "-o", "jsonpath={.data.level}") == "9"
    stored = kubectl.run("get", "cm", "settings", "-o", "yaml")
    assert kubectl.run("replace", "-f", "-", stdin=stored) == "configmap/settings replaced\n"


def test_wait_and_delete(kubectl: Kubectl) -> None:
    kubectl.run("apply", "-f", "-", stdin=MANIFEST)
    assert "condition met" in kubectl.run("wait", "--for=jsonpath={.data.level}=1", "cm/settings", "--timeout=10s")
    waiting = kubectl.start("wait", "--for=delete", "cm/settings", "--timeout=20s")
    time.sleep(0.3)  # whether it comes before or after the deletion, it must end
    assert 'configmap "settings" deleted' in kubectl.run("delete", "cm", "settings", "--timeout=10s")
    waiting.communicate(timeout=20)
    assert waiting.returncode == 0
    kubectl.run("delete", "job", "train", "--timeout=10s")
    assert kubectl.run("get", "jobs", "-o", "name") == ""


def test_what_is_served(kubectl: Kubectl) -> None:
    listed = kubectl.run("api-resources", "--no-headers", "-o", "name").split()
    assert {"pods", "jobs.batch", "workloads.kueue.x-k8s.io", "placements.roadstead.dev"} <= set(listed)
    assert "batch/v1" in kubectl.run("api-versions").split()
    assert "containers" in kubectl.run("explain", "pod.spec")
    assert kubectl.run("get", "--raw", "/readyz") == "ok"
    assert json.loads(kubectl.run("version", "-o", "json"))["serverVersion"]["gitVersion"] == "v1.36.3"


def test_generators_send_protobuf(kubectl: Kubectl) -> None:
    assert kubectl.run("create", "namespace", "made") == "namespace/made created\n"
    assert kubectl.run("create", "configmap", "made", "--from-literal=a=b") == "configmap/made created\n"
    assert kubectl.run("create", "secret", "generic", "made", "--from-literal=k=v") == "secret/made created\n"
    assert kubectl.run("create", "job", "made", "--image=none", "--", "sleep", "1") == "job.batch/made created\n"
    assert kubectl.run("create", "serviceaccount", "made") == "serviceaccount/made created\n"
    assert kubectl.run("get", "cm", "made", "-o", "jsonpath={.data.a}") == "b"
    assert kubectl.run("get", "secret", "made", "-o", "jsonpath={.data.k}") == "dg=="
    assert "sleep" in kubectl.run("get", "job", "made", "-o", "jsonpath={.spec.template.spec.containers[0].command}")
    assert "already exists" in kubectl.run("create", "configmap", "made", "--from-literal=a=b", code=1)
    assert "Bad_Name" in kubectl.run("create", "configmap", "Bad_Name", code=1)
    kubectl.run("delete", "secret/made", "serviceaccount/made")


SERVER_SIDE = ("apply", "--server-side", "-f", "-")


def test_apply_server_side(kubectl: Kubectl) -> None:
    created = kubectl.run(*SERVER_SIDE, stdin=MANIFEST)
    assert created.splitlines() == [
        "configmap/settings serverside-applied",
        "job.batch/train serverside-applied",
        "resourceflavor.kueue.x-k8s.io/gpu serverside-applied",
    ]
    assert "managedFields" not in kubectl.run("get", "cm", "settings", "-o", "yaml")
    shown = json.loads(kubectl.run("get", "cm", "settings", "-o", "json", "--show-managed-fields"))
    assert [entry["manager"] for entry in shown["metadata"]["managedFields"]] == ["kubectl"]
    kubectl.run("patch", "cm", "settings", "-p", '{"data":{"level":"5"}}')
    refused = kubectl.run(*SERVER_SIDE, stdin=MANIFEST, code=1)
    assert 'Apply failed with 1 conflict: conflict with "kubectl-patch" using v1: .data.level' in refused
    assert "--force-conflicts" in refused
    kubectl.run(*SERVER_SIDE, "--force-conflicts", stdin=MANIFEST)
    assert kubectl.run("get", "cm", "settings", "-o", "jsonpath={.data.level}") == "1"


def test_from_the_clients_side_to_the_servers(kubectl: Kubectl) -> None:
    kubectl.run("apply", "-f", "-", stdin=MANIFEST)
    assert '"level": "1"' in kubectl.run("apply", "view-last-applied", "cm", "settings", "-o", "json")
    changed = MANIFEST.replace('level: "1"', 'other: "2"')
    kubectl.run(*SERVER_SIDE, stdin=changed)
    assert json.loads(kubectl.run("get", "cm", "settings", "-o", "jsonpath={.data}")) == {"other": "2"}
    assert '"other": "2"' in kubectl.run("apply", "view-last-applied", "cm", "settings", "-o", "json")


def test_diff_server_side(kubectl: Kubectl) -> None:
    kubectl.run(*SERVER_SIDE, stdin=MANIFEST)
    assert kubectl.run("diff", "--server-side", "-f", "-", stdin=MANIFEST) == ""
    process = kubectl.start("diff", "--server-side", "-f", "-")
    out, _ = process.communicate(MANIFEST.replace('level: "1"', 'level: "7"'), timeout=30)
    assert process.returncode == 1
    assert '+  level: "7"' in out
