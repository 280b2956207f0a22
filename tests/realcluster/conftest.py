"""What the tests on a real control plane share."""

from __future__ import annotations

import pytest

from tests.realcluster.server import RealServer, whole


@pytest.fixture(scope="session")
def whole_cluster() -> RealServer:
    """etcd, kube-apiserver, kube-controller-manager and kube-scheduler, one for the session. Take a namespace of your
    own."""
    return whole()
