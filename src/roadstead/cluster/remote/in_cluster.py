"""Connecting from inside a pod: the server that its environment names, with the account that is mounted into it
(https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from roadstead.cluster.remote.client import RemoteCluster
from roadstead.cluster.remote.kubeconfig import KubeconfigError

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def in_cluster(
    account: Path = ACCOUNT,
    *,
    write_timeout_seconds: float | None = None,
    may_send: Callable[[], bool] | None = None,
) -> RemoteCluster:
    """The cluster that this process runs in, as its service account. Raises KubeconfigError outside a pod.

    The token is read again every minute: the kubelet renews it.
    """
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    token, authority = account / "token", account / "ca.crt"
    if not host or not port:
        raise KubeconfigError(
            "This process does not run in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set. "
            "Name a cluster with --kubeconfig."
        )
    for file in (token, authority):
        if not file.is_file():
            raise KubeconfigError(
                f"The pod has no service account: {file} is missing. Set automountServiceAccountToken: true, or use --kubeconfig."
            )
    where = f"[{host}]" if ":" in host else host
    return RemoteCluster(
        f"https://{where}:{port}",
        token_file=token,
        ca_file=authority,
        write_timeout_seconds=write_timeout_seconds,
        may_send=may_send,
    )
