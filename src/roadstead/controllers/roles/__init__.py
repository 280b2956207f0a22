"""Roles: those that are there from the start, and those that are made of others."""

from roadstead.controllers.roles.aggregation import ClusterRoleAggregation
from roadstead.controllers.roles.bootstrap import bootstrap_writes, policy

__all__ = ["ClusterRoleAggregation", "bootstrap_writes", "policy"]
