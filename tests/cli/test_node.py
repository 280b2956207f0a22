"""`roadstead node`: words that it does not understand, and where it keeps the state of other clusters."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadstead.cli import main
from roadstead.cli.failure import Failure
from roadstead.cli.home import Home
from roadstead.cli.node import choose, joined
from roadstead.cli.nodes import chosen_nodes, forget_gone, gone_nodes, remember_nodes
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
        (["--kubeconfig", "FILE", "--node", "gpu"], "--node gpu names no profile, that is, no devices"),
        (["--kubeconfig", "FILE", "--node", "gpu,cpu=4"], "or --node gpu=cpu for none"),
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


def test_what_was_a_node_and_is_none_any_more_is_remembered_until_its_object_is_gone(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    remember_nodes(home, ["vm=cpu", "a=h100x8"])
    assert gone_nodes(home) == ()
    remember_nodes(home, ["gpu=h100x8,cpu=4"])
    assert chosen_nodes(home, ()) == ("gpu=h100x8,cpu=4",)
    assert gone_nodes(home) == ("vm", "a")
    remember_nodes(home, ["a=cpu"])
    assert gone_nodes(home) == ("gpu", "vm"), "one that came back is none of them"
    forget_gone(home)
    assert (chosen_nodes(home, ()), gone_nodes(home)) == (("a=cpu",), ())


@pytest.mark.parametrize("text", ["{", "[]", '{"nodes": "a=cpu"}', '{"nodes": [1]}', ""])
def test_a_record_of_nodes_that_cannot_be_read_is_refused_and_kept(text: str, tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    home.record("nodes").write_text(text)
    for words in ((), ("a=cpu",)):
        with pytest.raises(Failure, match="does not say which nodes this machine was"):
            choose(home, words, (), (), simulate=False)
    assert home.record("nodes").read_text() == text
