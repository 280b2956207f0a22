"""The one place where the worlds are wired: which store, which controllers, which deciding core, which surface.

Worlds that run: `embedded` (the server process: API, controllers, admission), `agent` (a node agent beside it),
`operator` (our admission on a cluster of others), `join` (a node agent as a guest there). Worlds that only answer:
`planning` (what would become of manifests), `onlooker` (the same answers on a cluster of others).

What they are given and ask for: `configuration` (what a configuration file means), `manifests` (what an administrator
applies first), `rights` (what the operator may do), `preflight` (can this cluster be worked on?), `running` (until
which signal, and beside what).

Import the module you need: each loads only its own world.
"""
