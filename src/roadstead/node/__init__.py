"""Nodes: the agent that runs pods as local processes, and the keeper that starts and outlives them.

`main.run_agent` is the door. `keeper` rests on the standard library alone; `agent` talks to the API through the Cluster
port.
"""
