"""The Cluster port over HTTP: a real kube-apiserver, or ours from another process."""

from roadstead.cluster.remote.client import Answered, RemoteCluster
from roadstead.cluster.remote.kubeconfig import KubeconfigError, from_kubeconfig

__all__ = ["Answered", "KubeconfigError", "RemoteCluster", "from_kubeconfig"]
