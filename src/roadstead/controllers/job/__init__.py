"""The Job controller (batch/v1): `controller.py` is the door, `sync.py` the main path."""

from roadstead.controllers.job.controller import JobController

__all__ = ["JobController"]
