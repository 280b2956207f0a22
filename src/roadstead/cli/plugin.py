"""`kubectl roadstead why|plan|queue`: the same verbs as a kubectl plugin
(https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/).

It asks the cluster that kubectl would ask ($KUBECONFIG, current context), unless --home, --context or --kubeconfig say
otherwise.
"""

from __future__ import annotations

import sys

from roadstead.cli import main as roadstead

VERBS = ("why", "plan", "queue")
SOURCES = ("--home", "--context", "--kubeconfig")


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `kubectl-roadstead`. Exits as the verb does."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    roadstead(as_kubectl(words), program="kubectl roadstead", verbs=VERBS)


def as_kubectl(words: list[str]) -> list[str]:
    """The words with kubectl's own idea of which cluster is meant, where they say nothing about it."""
    if not words or words[0] not in VERBS:
        return words
    options = words[: words.index("--")] if "--" in words else words
    if any(word == source or word.startswith(f"{source}=") for word in options for source in SOURCES):
        return words
    return [words[0], "--context", "", *words[1:]]
