"""The one place where the worlds are wired: which store, which controllers, which deciding core, which surface.

`embedded.py` is the server process (API, controllers, admission), `agent.py` the node agent's. Import the module you need: each
loads only its own world.
"""
