"""The Job controller (batch/v1): `sync.py` is the main path."""

from roadstead.controllers.job.sync import JobController

__all__ = ["JobController"]
