"""`roadstead run` and the verbs around it on a whole cluster, as their users meet them. Needs nothing but Python and
loopback."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.acceptance.cluster import DEADLINE_SECONDS, Cluster

pytestmark = pytest.mark.timeout(180)
JOBS = "/apis/batch/v1/namespaces/default/jobs"


def begin(cluster: Cluster, *words: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    """`roadstead WORDS`, not waited for."""
    return subprocess.Popen(
        [sys.executable, "-m", "roadstead.cli", *words], env=cluster.environment, text=True,
        stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def said(process: subprocess.Popen[str], text: str) -> str:
    """Read remarks until one contains `text`; that line."""
    assert process.stderr is not None
    deadline = time.monotonic() + DEADLINE_SECONDS
    heard = ""
    while time.monotonic() < deadline:
        ready, _, _ = select.select([process.stderr], [], [], 1.0)
        if ready:
            line = process.stderr.readline()
            heard += line
            if text in line:
                return line
            assert line, f"ended ({process.wait(10)}) without saying {text!r}: {heard}"
    raise AssertionError(f"did not say {text!r} in time: {heard}")


def delete(cluster: Cluster, name: str) -> None:
    """As kubectl does: without a policy batch/v1 orphans the pods."""
    status, answer = cluster.ask("DELETE", f"{JOBS}/{name}?propagationPolicy=Background")
    assert status == 200, answer


def test_the_first_minute(cluster: Cluster) -> None:
    """What README shows, in its order (with small requests): run, queue, why, kubeconfig."""
    done = cluster.roadstead(
        "run", "--gpus", "2", "--", sys.executable, "-c", "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])"
    )
    assert len(set(done.stdout.strip().split(","))) == 2
    name = cluster.roadstead("run", "--gpus", "8", "--detach", "--", "sleep", "60").stdout.strip()
    assert name.startswith("job.batch/sleep-")
    waiting = cluster.roadstead("run", "--gpus", "1", "--name", "waits", "--detach", "--", "true").stdout.strip()
    assert waiting == "job.batch/waits"
    cluster.until(lambda: "Waiting" in cluster.roadstead("queue").stdout, "it is seen waiting")
    why = cluster.roadstead("why", waiting).stdout
    assert "needs 1 nvidia.com/gpu" in why
    assert "0 free of at most 8" in why
    assert f"Held by: default/{name.removeprefix('job.batch/')}." in why
    path = Path(cluster.roadstead("kubeconfig", "--path").stdout.strip())
    assert yaml.safe_load(path.read_text())["clusters"][0]["cluster"]["server"].startswith("https://127.0.0.1:")
    assert cluster.roadstead("kubeconfig").stdout == path.read_text()
    no_output = cluster.roadstead("logs", waiting, check=False)
    assert no_output.returncode == 1
    assert "needs 1 nvidia.com/gpu" in no_output.stderr
    delete(cluster, name.removeprefix("job.batch/"))
    assert cluster.roadstead("logs", "-f", "waits").stdout == ""


def test_a_short_command_always_prints_its_output(cluster: Cluster) -> None:
    for number in range(5):
        assert cluster.roadstead("run", "--", "echo", f"number {number}").stdout == f"number {number}\n"


def test_words_arrive_as_typed_and_bytes_come_back_as_written(cluster: Cluster) -> None:
    assert cluster.roadstead("run", "--", "echo", "$(HOME) $$ $HOME").stdout == "$(HOME) $$ $HOME\n"
    assert cluster.roadstead("run", "--env", "A=$(B) $$", "--", "sh", "-c", 'echo "$A"').stdout == "$(B) $$\n"
    words = ["run", "--", sys.executable, "-c", "import sys; sys.stdout.buffer.write(bytes(range(256)) * 1000)"]
    raw = subprocess.run(
        [sys.executable, "-m", "roadstead.cli", *words], env=cluster.environment, capture_output=True, timeout=60
    )
    assert raw.stdout == bytes(range(256)) * 1000


def test_a_job_starts_where_its_user_is_with_the_shells_paths(cluster: Cluster, tmp_path: Path) -> None:
    done = cluster.roadstead("run", "--", "sh", "-c", "pwd; echo $PATH", cwd=tmp_path)
    assert done.stdout.splitlines() == [str(tmp_path), os.environ["PATH"]]


def test_programs_are_told_where_the_api_server_is(cluster: Cluster) -> None:
    done = cluster.roadstead("run", "--", "sh", "-c", "echo https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT")
    config = yaml.safe_load(cluster.roadstead("kubeconfig").stdout)
    assert done.stdout.strip() == config["clusters"][0]["cluster"]["server"]


@pytest.mark.parametrize(
    ("script", "code", "says"),
    [
        ("exit 0", 0, ""),
        ("exit 3", 3, "exit code 3"),
        ("exit 255", 255, "exit code 255"),
        ("kill -9 $$", 137, "ended by SIGKILL"),
        ("kill -TERM $$", 143, "ended by SIGTERM"),
    ],
)
def test_exit_codes(cluster: Cluster, script: str, code: int, says: str) -> None:
    done = cluster.roadstead("run", "--", "sh", "-c", f"echo out; {script}", check=False)
    assert (done.returncode, done.stdout) == (code, "out\n")
    assert says in done.stderr


def test_a_command_that_does_not_exist(cluster: Cluster) -> None:
    done = cluster.roadstead("run", "--", "/no/such/program", check=False)
    assert (done.returncode, done.stdout) == (128, "")
    assert 'exec: "/no/such/program": executable file not found (StartError, exit code 128)' in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--queue", "nope"], 'there is no LocalQueue "nope" in namespace default; there is default.'),
        (["--priority", "nope"], 'there is no WorkloadPriorityClass "nope"; there are high, low, normal.'),
        (["--name", "Bad_Name"], "metadata.name: Invalid value"),
        (["-n", "nowhere"], 'namespaces "nowhere" not found'),
    ],
)
def test_a_refused_job_leaves_nothing(cluster: Cluster, words: list[str], says: str) -> None:
    before = cluster.ask("GET", "/apis/batch/v1/jobs")[1]["items"]
    done = cluster.roadstead("run", *words, "--", "true", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 2, "and what to do"
    assert cluster.ask("GET", "/apis/batch/v1/jobs")[1]["items"] == before


def test_a_name_that_is_taken(cluster: Cluster) -> None:
    assert cluster.roadstead("run", "--name", "taken", "--", "true").returncode == 0
    done = cluster.roadstead("run", "--name", "taken", "--", "true", check=False)
    assert done.returncode == 1
    assert "a job named taken exists already in namespace default" in done.stderr
    assert "kubectl delete job -n default taken" in done.stderr


def test_more_gpus_than_there_are_waits_with_the_numbers(cluster: Cluster) -> None:
    running = begin(cluster, "run", "--gpus", "16", "--name", "greedy", "--", "true")
    try:
        line = said(running, "waiting: ")
        assert "needs 16 nvidia.com/gpu" in line
        assert "can never have more than 8" in line
        assert "Ask for at most 8" in line
        assert running.poll() is None, "it goes on waiting: quota may be raised"
    finally:
        os.killpg(running.pid, signal.SIGINT)
    assert running.wait(30) == 130, "without a terminal nobody is asked"
    assert cluster.ask("GET", f"{JOBS}/greedy")[0] == 404


def test_detached_in_every_form(cluster: Cluster) -> None:
    value = json.loads(cluster.roadstead("run", "--detach", "-o", "json", "--", "true").stdout)
    assert (value["kind"], value["spec"]["template"]["spec"]["containers"][0]["command"]) == ("Job", ["true"])
    assert yaml.safe_load(cluster.roadstead("run", "--detach", "-o", "yaml", "--", "true").stdout)["kind"] == "Job"
    assert cluster.roadstead("run", "--detach", "-o", "name", "--", "true").stdout.startswith("job.batch/true-")


def test_every_form_of_every_page(cluster: Cluster) -> None:
    held = cluster.roadstead("run", "--detach", "--name", "held", "--gpus", "1", "--", "sleep", "300")
    assert held.stdout == "job.batch/held\n"
    cluster.until(lambda: "Running" in cluster.roadstead("queue").stdout, "it runs")
    for words in (["status"], ["queue"], ["queue", "-A"], ["why", "held"]):
        plain, wide = cluster.roadstead(*words).stdout, cluster.roadstead(*words, "-o", "wide").stdout
        assert plain
        assert len(wide) >= len(plain)
        assert json.loads(cluster.roadstead(*words, "-o", "json").stdout).keys() == (
            yaml.safe_load(cluster.roadstead(*words, "-o", "yaml").stdout).keys()
        )
        assert all(" " not in line for line in cluster.roadstead(*words, "-o", "name").stdout.splitlines())
    assert "held" in cluster.roadstead("queue").stdout
    assert "gpu-" in cluster.roadstead("why", "held").stdout
    assert "nvidia.com/gpu=1/8" in cluster.roadstead("status").stdout
    delete(cluster, "held")


def test_deleted_while_it_is_followed(cluster: Cluster) -> None:
    running = begin(cluster, "run", "--name", "doomed", "--", "sleep", "60")
    said(running, "running as pod")
    delete(cluster, "doomed")
    said(running, "job doomed was deleted before it ended.")
    assert running.wait(30) == 1


def test_logs_of_a_pod_with_several_containers(cluster: Cluster) -> None:
    containers = [{"name": name, "image": "local", "command": ["echo", f"I am {name}"]} for name in ("one", "two")]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "several"},
           "spec": {"restartPolicy": "Never", "containers": containers}}  # fmt: skip
    assert cluster.ask("POST", "/api/v1/namespaces/default/pods", pod)[0] == 201
    first = cluster.roadstead("logs", "-f", "several")
    assert first.stdout == "I am one\n"
    assert "container one" in first.stderr
    assert "two" in first.stderr
    second = cluster.roadstead("logs", "-f", "-c", "two", "several")
    assert (second.stdout, second.stderr) == ("I am two\n", "")
    third = cluster.roadstead("logs", "-c", "three", "several", check=False)
    assert third.returncode == 1
    assert "no container three; it has one, two" in third.stderr


def test_parts_of_logs(cluster: Cluster) -> None:
    """By lines, by time, with times, and of the attempt before; kubectl and roadstead agree."""
    command = "if [ -e seen ]; then echo again; sleep 60; fi; touch seen; echo one; sleep 1.2; echo two; exit 1"
    container = {"name": "main", "image": "local", "command": ["sh", "-c", command]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "parts"},
           "spec": {"restartPolicy": "OnFailure", "containers": [container]}}  # fmt: skip
    assert cluster.ask("POST", "/api/v1/namespaces/default/pods", pod)[0] == 201
    cluster.until(
        lambda: cluster.roadstead("logs", "parts", check=False).stdout == "again\n", "the second attempt runs"
    )
    assert cluster.roadstead("logs", "-p", "parts").stdout == "one\ntwo\n"
    assert cluster.roadstead("logs", "-p", "--tail", "1", "parts").stdout == "two\n"
    assert cluster.roadstead("logs", "--since", "1h", "parts").stdout == "again\n"
    stamped = cluster.roadstead("logs", "-p", "--timestamps", "parts").stdout.splitlines()
    (first, one), (second, two) = (line.split(" ") for line in stamped)
    assert (one, two) == ("one", "two")
    assert cluster.roadstead("logs", "-p", "--since", f"{second[:19]}Z", "parts").stdout.endswith("two\n")
    assert first[:19] < second[:19]
    wrong = cluster.roadstead("logs", "--since", "yesterday", "parts", check=False)
    assert (wrong.returncode, wrong.stderr.splitlines()[0]) == (
        1, "error: --since yesterday is neither how long ago nor a time."
    )  # fmt: skip
    assert cluster.ask("DELETE", "/api/v1/namespaces/default/pods/parts?gracePeriodSeconds=1")[0] == 200


def test_streams_that_are_closed(cluster: Cluster) -> None:
    program = f"{sys.executable} -m roadstead.cli run -- echo in"
    for redirect, out in (("<&-", "in\n"), (">&-", ""), ("2>&-", "in\n"), ("<&- 2>&-", "in\n")):
        done = subprocess.run(
            ["sh", "-c", f"{program} {redirect}"], env=cluster.environment, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stdout) == (0, out), (redirect, done.stderr)
    done = subprocess.run(
        ["bash", "-c", f"{program.replace('echo in', 'yes')} | head -1; exit ${{PIPESTATUS[0]}}"],
        env=cluster.environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.count("\n") == 1
    assert done.returncode == 141
    assert "nobody reads the output any more" in done.stderr
    name = done.stderr.partition("job ")[2].partition(" ")[0]
    delete(cluster, name)


@pytest.mark.parametrize("answers", [["n\n", "y\n"], ["\x03"], ["\x04"]],
                         ids=["no, then yes", "a second Ctrl-C", "end of input"])  # fmt: skip
def test_ctrl_c_asks_once_on_a_terminal_and_cancels(cluster: Cluster, answers: list[str]) -> None:
    child, terminal = pty.fork()
    if child == 0:
        words = [sys.executable, "-m", "roadstead.cli", "run", "--name", "asked", "--", "sleep", "60"]
        os.execve(sys.executable, words, cluster.environment)
    heard = ""

    def hear(text: str, times: int = 1) -> None:
        nonlocal heard
        deadline = time.monotonic() + DEADLINE_SECONDS
        while heard.count(text) < times:
            assert time.monotonic() < deadline, heard
            if select.select([terminal], [], [], 0.5)[0]:
                heard += os.read(terminal, 4096).decode()

    try:
        hear("running as pod")
        for number, answer in enumerate(answers, start=1):
            os.write(terminal, b"\x03")
            hear("cancel job asked? [y/N]", number)
            assert cluster.ask("GET", f"{JOBS}/asked")[0] == 200, "asking changes nothing"
            os.write(terminal, answer.encode())
            if answer == "n\n":
                hear("job asked goes on")
        hear("job asked cancelled")
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 130
    finally:
        os.close(terminal)
    cluster.until(lambda: cluster.ask("GET", f"{JOBS}/asked")[0] == 404, "the job is gone")


def test_queues_that_were_deleted_stay_away_and_come_back_when_asked_for(cluster: Cluster) -> None:
    queue = "/apis/kueue.x-k8s.io/v1beta2/namespaces/default/localqueues/default"
    assert cluster.ask("DELETE", queue)[0] == 200
    cluster.until(lambda: cluster.ask("GET", queue)[0] == 404, "the queue is gone")
    assert "There is no LocalQueue: jobs start at once" in cluster.roadstead("status").stdout
    assert cluster.roadstead("run", "--", "echo", "no queue, no wait").stdout == "no queue, no wait\n"
    assert "there again" in cluster.roadstead("up", "--default-queues").stdout
    cluster.until(lambda: cluster.ask("GET", queue)[0] == 200, "the queue is back")
    assert "no LocalQueue" not in cluster.roadstead("status").stdout
