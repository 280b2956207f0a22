"""A pod's resource claims on its node, as a kubelet and the DRA drivers beside it handle them (k8s
`pkg/kubelet/cm/dra`).

`checking.py` says whether the pod may use its claims and what they hold, `preparation.py` asks the server and writes
that down before anything starts, `visible.py` makes of it what a container finds in its environment and its files,
`cdi.py` reads what drivers of others prepared.
"""
