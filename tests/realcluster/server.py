"""A real Kubernetes control plane on loopback: what a client of ours must get along with.

`shared()` is the bare one of this test session, etcd and kube-apiserver: started by the first test that needs it (about
4 s), ended with the process. `whole()` is another one, with kube-controller-manager and kube-scheduler.
"""

from __future__ import annotations

import atexit
import base64
import ctypes
import functools
import json
import random
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from roadstead.auth.certificates import Authority

HERE = Path(__file__).parent
BUILD = HERE / "build.sh"
START_SECONDS = 90.0
OLD_VERSIONS = 5
"""So many versions passed before the server started: a watch from one of them has expired."""
ADMINS = "system:masters"


class RealServer:
    """etcd and kube-apiserver as processes of ours, after `start_controllers` the other two as well. State lives in
    `directory`, which the caller removes after `stop`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        etcd_port, peer_port, port = free_ports(3)
        self.url = f"https://127.0.0.1:{port}"
        self.etcd_url = f"http://127.0.0.1:{etcd_port}"
        self._peer_url = f"http://127.0.0.1:{peer_port}"
        self._port = port
        self.token = secrets.token_hex(16)
        """Bearer token of an administrator."""
        authority = Authority.load_or_create(directory)
        self.ca_file = authority.path
        self._authority = authority

    def kubeconfig(self, user: str = "certified", groups: tuple[str, ...] = (ADMINS,)) -> Path:
        """A file with a client certificate for this user."""
        pair = self._authority.issue_client(user, groups)
        login = {"client-certificate-data": _base64(pair.certificate), "client-key-data": _base64(pair.key)}
        cluster = {"server": self.url, "certificate-authority-data": _base64(self._authority.certificate)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "real",
            "contexts": [{"name": "real", "context": {"cluster": "real", "user": user}}],
            "clusters": [{"name": "real", "cluster": cluster}],
            "users": [{"name": user, "user": login}],
        }
        path = self.directory / f"{user}.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return path

    def start(self) -> None:
        """Start both and wait until the server is ready. Raises RuntimeError with the end of the log if one does not
        come up."""
        binary = find_binary()
        here = self.directory
        self._authority.issue_server("kube-apiserver").save(here / "server.crt", here / "server.key")
        self._authority.issue_client("kube-apiserver-kubelet-client", (ADMINS,)).save(
            here / "to-nodes.crt", here / "to-nodes.key"
        )
        (here / "accounts.key").write_bytes(_rsa_key())
        (here / "tokens.csv").write_text(f'{self.token},admin,1,"{ADMINS}"\n')
        try:
            self._start_etcd(binary)
            self._start_server(binary)
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def start_controllers(self, node_grace: str = "24h", node_look: str = "5s") -> None:
        """Start kube-controller-manager and kube-scheduler, and wait until pods can be made. A node whose heartbeats
        stay away for `node_grace` is not ready (looked for every `node_look`): the long one keeps nodes ready that a
        test has written by hand. Raises RuntimeError with the end of the log if one does not come up."""
        binary, here = find_binary(), self.directory
        manager_port, scheduler_port = free_ports(2)
        common = ["--bind-address=127.0.0.1", "--leader-elect=false", "--kube-api-qps=500", "--kube-api-burst=1000"]
        self._spawn(
            [
                str(binary),
                "kube-controller-manager",
                *common,
                f"--secure-port={manager_port}",
                f"--kubeconfig={self.kubeconfig('system:kube-controller-manager', ())}",
                "--use-service-account-credentials=true",
                f"--service-account-private-key-file={here}/accounts.key",
                f"--root-ca-file={self.ca_file}",
                f"--cluster-signing-cert-file={self.ca_file}",
                f"--cluster-signing-key-file={here}/ca.key",
                f"--node-monitor-grace-period={node_grace}",
                f"--node-monitor-period={node_look}",
            ]
        )
        self._spawn(
            [
                str(binary),
                "kube-scheduler",
                *common,
                f"--secure-port={scheduler_port}",
                f"--kubeconfig={self.kubeconfig('system:kube-scheduler', ())}",
            ]
        )
        self._wait("kube-controller-manager", f"https://127.0.0.1:{manager_port}/healthz", own_certificate=True)
        self._wait("kube-scheduler", f"https://127.0.0.1:{scheduler_port}/readyz", own_certificate=True)
        # No pod is taken before the service-account controller has been round.
        account = f"{self.url}/api/v1/namespaces/default/serviceaccounts/default"
        self._wait("kube-controller-manager", account)

    def stop(self) -> None:
        """Kill all (the state is of no further use) and wait until they are gone."""
        for process in reversed(self._processes.values()):
            process.kill()
        for process in self._processes.values():
            process.wait()
        self._processes.clear()

    def forget_history(self, version: str) -> None:
        """Compact etcd: what is older than this resourceVersion is gone."""
        self._ask_etcd("compaction", {"revision": version, "physical": True})

    def restart_apiserver(self) -> None:
        """Kill the API server and start another on what etcd holds; `wait_until_ready` says when it serves. Call this
        in a thread that lives as long as the server shall (see end_with_parent)."""
        process = self._processes.pop("kube-apiserver")
        process.kill()
        process.wait()
        self._start_server(find_binary())

    def signal_apiserver(self, number: int) -> None:
        """Send the API server a signal: SIGSTOP makes it silent without a word, SIGCONT lets it go on."""
        self._processes["kube-apiserver"].send_signal(number)

    def wait_until_ready(self) -> None:
        """Wait for the API server. Raises RuntimeError with the end of its log if it does not come up."""
        self._wait("kube-apiserver", f"{self.url}/readyz")

    def _start_etcd(self, binary: Path) -> None:
        (self.directory / "etcd").mkdir(mode=0o700)
        self._spawn(
            [
                str(binary),
                "etcd",
                "--name=real",
                f"--data-dir={self.directory}/etcd",
                "--log-level=warn",
                "--unsafe-no-fsync",  # nobody reads this state after a crash
                f"--listen-client-urls={self.etcd_url}",
                f"--advertise-client-urls={self.etcd_url}",
                f"--listen-peer-urls={self._peer_url}",
                f"--initial-advertise-peer-urls={self._peer_url}",
                f"--initial-cluster=real={self._peer_url}",
            ]
        )
        self._wait("etcd", f"{self.etcd_url}/health")
        for _ in range(OLD_VERSIONS):
            self._ask_etcd("put", {"key": _base64(b"/old"), "value": ""})
        self.forget_history(str(OLD_VERSIONS))

    def _ask_etcd(self, verb: str, request: dict[str, str | bool]) -> None:
        asked = urllib.request.Request(
            f"{self.etcd_url}/v3/kv/{verb}", json.dumps(request).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(asked, timeout=10) as answer:
            answer.read()

    def _start_server(self, binary: Path) -> None:
        here = self.directory
        self._spawn(
            [
                str(binary),
                "kube-apiserver",
                f"--etcd-servers={self.etcd_url}",
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                f"--secure-port={self._port}",
                "--endpoint-reconciler-type=none",  # a loopback address may not be an endpoint
                f"--tls-cert-file={here}/server.crt",
                f"--tls-private-key-file={here}/server.key",
                f"--client-ca-file={self.ca_file}",
                f"--kubelet-client-certificate={here}/to-nodes.crt",
                f"--kubelet-client-key={here}/to-nodes.key",
                "--kubelet-preferred-address-types=InternalIP,Hostname",  # as kubeadm: names of nodes are in no DNS
                f"--token-auth-file={here}/tokens.csv",
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                "--service-cluster-ip-range=10.96.0.0/16",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={here}/accounts.key",
                f"--service-account-signing-key-file={here}/accounts.key",
            ]
        )

    def _spawn(self, command: list[str]) -> None:
        with self._log(command[1]).open("ab") as file:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                cwd=self.directory,
                preexec_fn=end_with_parent,
            )
        self._processes[command[1]] = process

    def _wait(self, name: str, url: str, *, own_certificate: bool = False) -> None:
        """Until the process answers; with a certificate that it signed itself, perhaps."""
        process = self._processes[name]
        deadline = time.monotonic() + START_SECONDS
        while not self._answers(url, own_certificate):
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended with {process.returncode}:\n{_tail(self._log(name))}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} was not ready after {START_SECONDS:.0f} s:\n{_tail(self._log(name))}")
            time.sleep(0.05)

    def _log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def _answers(self, url: str, own_certificate: bool) -> bool:
        context = ssl.create_default_context(cafile=str(self.ca_file))
        if own_certificate:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        asked = urllib.request.Request(
            url, headers={} if own_certificate else {"authorization": f"Bearer {self.token}"}
        )
        try:
            with urllib.request.urlopen(asked, timeout=2, context=context) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@functools.cache
def shared() -> RealServer:
    """The bare server of this test session: nobody writes but the tests."""
    return _of_this_session("bare")


@functools.cache
def whole() -> RealServer:
    """The whole control plane of this test session: Jobs get pods, pods get nodes if there are any."""
    server = _of_this_session("whole")
    server.start_controllers()
    return server


def _of_this_session(name: str) -> RealServer:
    directory = Path(tempfile.mkdtemp(prefix=f"roadstead-real-{name}-"))
    server = RealServer(directory)

    def end() -> None:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)

    atexit.register(end)
    server.start()
    return server


def find_binary() -> Path:
    """The binary that build.sh made; fails the test with what to do if there is none."""
    asked = subprocess.run([str(BUILD), "--path"], capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        pytest.fail(f"The real kube-apiserver is not built: {asked.stderr.strip()}", pytrace=False)
    binary = Path(asked.stdout.strip())
    if not binary.exists():
        pytest.fail(
            f"The real kube-apiserver is not built: {binary} is missing. Run tests/realcluster/build.sh", pytrace=False
        )
    return binary


def free_ports(count: int) -> list[int]:
    """Free ports of loopback, below those that the system gives to connections (a port it gives may be taken again at
    once)."""
    found: list[int] = []
    for port in random.sample(range(20_000, 32_000), 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"{count} free ports are needed between 20000 and 32000; {len(found)} were found")


_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def end_with_parent() -> None:
    """A killed test session leaves no server behind. The parent is the thread that started it (prctl(2))."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _rsa_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
