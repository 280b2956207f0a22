"""Our node agent under the real control plane: Jobs become pods by its Job controller, get nodes from its scheduler,
and run here."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import yaml

from roadstead.kinds.object import Json
from tests.realcluster.machine import Kubectl, Machine, command_line, is_alive, job, until
from tests.realcluster.server import RealServer

pytestmark = pytest.mark.realcluster

GPU = "nvidia.com/gpu"


@contextmanager
def joined(machine: Machine) -> Iterator[Machine]:
    try:
        machine.start()
        yield machine
    finally:
        machine.end()


@pytest.fixture(scope="module")
def machine(whole_cluster: RealServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with eight devices, as its own node."""
    with joined(Machine(whole_cluster, tmp_path_factory.mktemp("m1"), "m1=h100x8", "m1")) as found:
        yield found


@pytest.fixture
def kubectl(whole_cluster: RealServer) -> Kubectl:
    return Kubectl(whole_cluster)


def gated(gate: Path, before: str = "", after: str = "") -> str:
    """A shell command that waits for a file in the middle."""
    return f"{before or ':'}; until [ -e {gate} ]; do sleep 0.02; done; {after or ':'}"


# --- jobs


def test_a_job_runs_to_its_end_and_its_pods_say_what_a_kubelet_says(machine: Machine, kubectl: Kubectl) -> None:
    kubectl.apply(job("train", "echo from $HOSTNAME", "m1", count=2))
    assert kubectl.until_condition("train", "Complete")["status"]["succeeded"] == 2
    pods = kubectl.pods("train")
    assert len(pods) == 2
    for pod in pods:
        status, name = pod["status"], pod["metadata"]["name"]
        assert kubectl("logs", name) == f"from {name}\n"
        assert pod["spec"]["nodeName"] == "m1"
        assert (status["phase"], status["qosClass"]) == ("Succeeded", "BestEffort")
        assert status["hostIP"] == "127.0.0.1"
        assert status["hostIPs"] == [{"ip": "127.0.0.1"}]
        assert status["podIP"].startswith("127.")
        assert status["podIPs"] == [{"ip": status["podIP"]}]
        assert status["startTime"]
        (main,) = status["containerStatuses"]
        ended = main["state"]["terminated"]
        assert (ended["exitCode"], ended["reason"], main["restartCount"]) == (0, "Completed", 0)
        assert ended["startedAt"]
        assert ended["finishedAt"]
        assert {one["type"]: (one["status"], one.get("reason")) for one in status["conditions"]} == {
            "PodScheduled": ("True", None),
            "PodReadyToStartContainers": ("False", None),
            "Initialized": ("True", "PodCompleted"),
            "ContainersReady": ("False", "PodCompleted"),
            "Ready": ("False", "PodCompleted"),
        }


def test_a_job_fails_when_its_patience_is_over(machine: Machine, kubectl: Kubectl) -> None:
    kubectl.apply(job("wrong", "exit 3", "m1", count=2, backoffLimit=1))
    failed = kubectl.until_condition("wrong", "Failed")
    assert failed["status"]["failed"] == 2
    reasons = {one["reason"] for one in failed["status"]["conditions"] if one["type"] == "Failed"}
    assert reasons == {"BackoffLimitExceeded"}
    codes = [pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] for pod in kubectl.pods("wrong")]
    assert codes == [3, 3]


def test_deleting_a_job_ends_its_processes(machine: Machine, kubectl: Kubectl, tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    kubectl.apply(job("long", f"echo $$$$ > {noted}.new; mv {noted}.new {noted}; exec sleep 600", "m1"))
    until(noted.exists, "the process has begun")
    pid = int(noted.read_text())
    assert is_alive(pid)
    kubectl("delete", "job", "long", "--cascade=foreground", "--timeout=30s")
    assert kubectl.pods("long") == []
    assert not is_alive(pid)


def test_logs_are_followed_while_they_grow(machine: Machine, kubectl: Kubectl, tmp_path: Path) -> None:
    gate = tmp_path / "go"
    kubectl.apply(job("talk", gated(gate, "echo begin", "echo end"), "m1"))
    (pod,) = kubectl.until_running("talk", 1)
    follower = kubectl.start("logs", "-f", pod["metadata"]["name"])
    assert follower.stdout is not None
    assert follower.stdout.readline() == "begin\n"
    gate.touch()
    rest, errors = follower.communicate(timeout=30)
    assert (rest, errors, follower.returncode) == ("end\n", "", 0)
    kubectl.until_condition("talk", "Complete")
    assert kubectl("logs", "job/talk", "--tail=1") == "end\n"


WHO_AM_I = """
import json, os, ssl, urllib.request
account = "/var/run/secrets/kubernetes.io/serviceaccount/"
read = lambda name: open(account + name).read()
url = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
headers = {"authorization": "Bearer " + read("token"), "content-type": "application/json"}
asked = urllib.request.Request(url + "/apis/authentication.k8s.io/v1/selfsubjectreviews", json.dumps(review).encode(), headers)
answer = urllib.request.urlopen(asked, context=ssl.create_default_context(cafile=account + "ca.crt"))
print(read("namespace"), json.load(answer)["status"]["userInfo"]["username"])
"""


def test_a_pod_reaches_the_api_server_as_its_account(machine: Machine, kubectl: Kubectl) -> None:
    if kubectl.get("node", "m1")["metadata"]["labels"]["roadstead.dev/isolation"] == "bare":
        pytest.skip("nothing can be mounted on this machine: there is no token at the path that programs look at")
    kubectl.apply(job("who", "", "m1", backoffLimit=0, container={"command": [sys.executable, "-c", WHO_AM_I]}))
    kubectl.until_condition("who", "Complete")
    account = f"system:serviceaccount:{kubectl.namespace}:default"
    assert kubectl("logs", "job/who").split() == [kubectl.namespace, account]


# --- an agent that is killed


def test_a_killed_agent_loses_no_exit_code_and_starts_nothing_twice(
    machine: Machine, kubectl: Kubectl, tmp_path: Path
) -> None:
    gates = {name: tmp_path / f"go-{name}" for name in ("ends", "stays")}
    for name, gate in gates.items():
        begun = f"echo begun >> {tmp_path}/{name}"
        kubectl.apply(job(name, gated(gate, begun, f"touch {tmp_path}/{name}-over; exit 7"), "m1", backoffLimit=0))
    for name in gates:
        kubectl.until_running(name, 1)
    machine.kill()
    gates["ends"].touch()
    until((tmp_path / "ends-over").exists, "the process has ended without an agent")
    machine.start()
    kubectl.until_condition("ends", "Failed")
    kubectl.until_running("stays", 1)
    gates["stays"].touch()
    kubectl.until_condition("stays", "Failed")
    for name in gates:
        (pod,) = kubectl.pods(name)
        assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 7
        assert (tmp_path / name).read_text() == "begun\n"


# --- several machines


def test_two_machines_share_a_job(whole_cluster: RealServer, kubectl: Kubectl, tmp_path: Path) -> None:
    """Four members that wait for each other, on nodes that take two each."""
    homes = [tmp_path / name for name in ("a", "b")]
    for home in homes:
        home.mkdir()
    meeting = f"touch {tmp_path}/$JOB_COMPLETION_INDEX.here; until [ $(ls {tmp_path}/*.here | wc -l) = 4 ]; do sleep 0.05; done"
    with (
        joined(Machine(whole_cluster, homes[0], "pair-a=cpu,pods=2", "pair")),
        joined(Machine(whole_cluster, homes[1], "pair-b=cpu,pods=2", "pair")),
    ):
        kubectl.apply(job("gang", meeting, "pair", count=4, completionMode="Indexed"))
        done = kubectl.until_condition("gang", "Complete")
        assert done["status"]["completedIndexes"] == "0-3"
        assert sorted(pod["spec"]["nodeName"] for pod in kubectl.pods("gang")) == ["pair-a"] * 2 + ["pair-b"] * 2


# --- devices


def test_pods_get_devices_of_their_own_although_nobody_names_them(
    machine: Machine, kubectl: Kubectl, tmp_path: Path
) -> None:
    assert kubectl.get("node", "m1")["status"]["capacity"][GPU] == "8"
    two = {"resources": {"limits": {GPU: "2"}}}
    gate = tmp_path / "go"
    show = gated(gate, f"echo $CUDA_VISIBLE_DEVICES > {tmp_path}/$HOSTNAME")

    def shown(pod: str) -> list[int]:
        file = tmp_path / pod
        text = file.read_text().strip() if file.exists() else ""
        return [int(index) for index in text.split(",")] if text else []

    def held(*jobs: str) -> list[int]:
        names = [pod["metadata"]["name"] for name in jobs for pod in kubectl.pods(name)]
        return sorted(index for name in names for index in until(partial(shown, name), f"what {name} was given"))

    kubectl.apply(job("first", show, "m1", count=2, container=two))
    kubectl.until_running("first", 2)
    before = held("first")
    assert len(set(before)) == 4
    machine.kill()
    machine.start()
    kubectl.apply(job("second", show, "m1", count=2, container=two))
    kubectl.until_running("second", 2)
    assert held("first", "second") == list(range(8))
    assert held("first") == before
    gate.touch()
    for name in ("first", "second"):
        kubectl.until_condition(name, "Complete")


# --- who may read logs


def test_callers_are_checked_by_the_cluster(machine: Machine, whole_cluster: RealServer, kubectl: Kubectl) -> None:
    """Besides the API server: who has the right `nodes/proxy`."""
    port = kubectl.get("node", "m1")["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    reader = f"reader-{uuid.uuid4().hex[:8]}"
    kubectl("create", "clusterrole", reader, "--verb=get", "--resource=nodes/proxy")
    kubectl("create", "clusterrolebinding", reader, f"--clusterrole={reader}", f"--user={reader}")
    kubectl.apply(job("said", "echo hello", "m1"))
    kubectl.until_condition("said", "Complete")
    (pod,) = kubectl.pods("said")
    url = f"https://127.0.0.1:{port}/containerLogs/{kubectl.namespace}/{pod['metadata']['name']}/main"

    def ask(user: str) -> str:
        login = yaml.safe_load(whole_cluster.kubeconfig(user, ()).read_text())["users"][0]["user"]
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        _load(context, login)
        try:
            with urllib.request.urlopen(url, context=context, timeout=20) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return f"{error.code} {error.read().decode()}"

    assert ask(reader) == "hello\n"
    asked = "(user=stranger, verb=get, resource=nodes, subresource(s)=[proxy])"
    assert ask("stranger") == f"403 Forbidden {asked}\n"


def _load(context: ssl.SSLContext, login: Json) -> None:
    with tempfile.NamedTemporaryFile() as file:
        for name in ("client-certificate-data", "client-key-data"):
            file.write(base64.b64decode(login[name]) + b"\n")
        file.flush()
        context.load_cert_chain(file.name)


# --- what cannot be joined


def _missing(server: RealServer, path: Path) -> str:
    return ""


def _malformed(server: RealServer, path: Path) -> str:
    return "contexts: {"


def _unreachable(server: RealServer, path: Path) -> str:
    return server.kubeconfig("nobody", ()).read_text().replace(server.url, "https://127.0.0.1:1")


def _unknown(server: RealServer, path: Path) -> str:
    config = yaml.safe_load(server.kubeconfig("nobody", ()).read_text())
    config["users"][0]["user"] = {"token": "wrong"}
    return json.dumps(config)


def _without_rights(server: RealServer, path: Path) -> str:
    return server.kubeconfig("nobody", ()).read_text()


def _another_node(server: RealServer, path: Path) -> str:
    return server.kubeconfig("system:node:other", ("system:nodes",)).read_text()


@pytest.mark.parametrize(
    ("content", "says", "hint"),
    [
        pytest.param(_missing, "cannot be read: No such file or directory", "Check the path", id="no file"),
        pytest.param(_malformed, "is not YAML", "", id="no YAML"),
        pytest.param(_unreachable, "The API server https://127.0.0.1:1 cannot be reached", "Check the server", id="no server"),
        pytest.param(_unknown, "does not know this identity (401", "Renew the token", id="wrong token"),
        pytest.param(_without_rights, "This identity lacks 12 of 12 rights: create events", "system:node:x1", id="no rights"),
        pytest.param(_another_node, "get leases.coordination.k8s.io in namespace kube-node-lease", "system:node:x1", id="other node"),
    ],
)  # fmt: skip
def test_what_keeps_a_machine_out_is_said(
    whole_cluster: RealServer,
    tmp_path: Path,
    content: Callable[[RealServer, Path], str],
    says: str,
    hint: str,
) -> None:
    path = tmp_path / "kubeconfig"
    if text := content(whole_cluster, path):
        path.write_text(text)
    done: subprocess.CompletedProcess[str] = command_line(
        "node", "--home", str(tmp_path / "home"), "--kubeconfig", str(path), "--node", "x1=cpu"
    )
    errors = done.stderr[done.stderr.index("error: ") :]
    assert done.returncode == 1
    assert says in errors
    assert hint in errors
    assert "Traceback" not in done.stderr
