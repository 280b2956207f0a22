"""`roadstead node`: words that it does not understand, and where it keeps the state of other clusters."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadstead.cli import main
from roadstead.cli.home import Home
from roadstead.cli.node import choose, joined
from roadstead.node.agent.options import Taint

KUBECONFIG = """
current-context: c
contexts: [{name: c, context: {cluster: c}}]
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
"""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--address", "127.0.0.1"], "--address says how to join a cluster of others, and none is named"),
        (["--context", "x"], "--context says how to join"),
        (["--kubeconfig", "FILE", "--taint", "x"], "'x' is not a taint: write KEY=VALUE:EFFECT"),
        (["--kubeconfig", "FILE", "--taint", "x=y:Never"], "the effect one of NoSchedule, PreferNoSchedule, NoExecute"),
        (["--kubeconfig", "FILE", "--label", "=x"], "--label '=x' has no key"),
        (["--kubeconfig", "FILE", "--node", "N!"], "does not name a node"),
    ],
)
def test_slips_are_told(words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(KUBECONFIG)
    given = [str(file) if word == "FILE" else word for word in words]
    with pytest.raises(SystemExit) as ended:
        main(["node", "--home", str(tmp_path / "home"), *given])
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://127.0.0.1:6443", "127.0.0.1-6443"),
        ("https://[::1]:6443/", "1-6443"),
        ("https://kube.example.com/k8s/clusters/c-1", "kube.example.com-k8s-clusters-c-1"),
    ],
)
def test_every_cluster_has_state_of_its_own(url: str, name: str) -> None:
    assert joined(Home(Path("/home")), url).root == Path("/home/joined") / name


def test_nodes_get_their_labels_and_taints(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    (node,) = choose(
        home, ["a=h100x8"], ["dedicated=gpu:NoSchedule", "x:NoExecute"], ["team=a", "zone="], simulate=False
    )
    assert node.taints == (Taint("dedicated", "gpu", "NoSchedule"), Taint("x", "", "NoExecute"))
    assert node.labels == (("team", "a"), ("zone", ""))
