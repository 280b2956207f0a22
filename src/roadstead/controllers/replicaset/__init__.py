"""The ReplicaSet controller."""

from roadstead.controllers.replicaset.controller import ReplicaSetController

__all__ = ["ReplicaSetController"]
