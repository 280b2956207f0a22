"""The PodDisruptionBudget controller."""

from roadstead.controllers.disruption.controller import DisruptionController

__all__ = ["DisruptionController"]
