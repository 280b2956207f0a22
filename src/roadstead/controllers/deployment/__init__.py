"""The Deployment controller."""

from roadstead.controllers.deployment.controller import DeploymentController

__all__ = ["DeploymentController"]
