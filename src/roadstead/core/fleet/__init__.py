"""Nodes x topology x devices: the only place that picks nodes or devices.

`Fleet` (fleet.py) is the ledger, `DeviceAllocator` (devices.py) picks devices on a node, `ask.py` is the question.
"""
