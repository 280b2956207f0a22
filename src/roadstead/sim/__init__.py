"""Deterministic simulation: the production code under a virtual clock, with everything going wrong that can.

One seed draws one world, one story and one plan of faults (`plan/`). The runner, informers, controllers, deciding core,
recorder, store and node agents are those of production; only what touches the machine is replaced: time and threads
(`loop.py`), the disk (`disk.py`), the network (`network.py`), and the processes on nodes (`machines.py`). The judges
(`judges/`) look on from outside: they read what the disk has committed and what processes were started. The same seed
gives the same run, byte for byte.
"""
