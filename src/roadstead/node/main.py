"""The node agent's door: `run_agent`, for `roadstead node` and for whoever composes worlds."""

from __future__ import annotations

from roadstead.node.agent.agent import Agent
from roadstead.node.agent.options import AgentOptions, NodeOptions, Tls
from roadstead.runtime.cluster import Cluster

__all__ = ["AgentOptions", "NodeOptions", "Tls", "run_agent"]


async def run_agent(cluster: Cluster, options: AgentOptions) -> None:
    """Be the node agent of `options.nodes` until cancelled.

    It may be killed at any moment: pods' processes go on, and the next agent with the same state directory adopts them.
    It waits for an API server that is not there. CannotJoin if another agent uses the state directory, if the server
    refuses a node, or if the log port cannot be had.
    """
    await Agent(cluster, options).run()
