"""Roadstead: one queue for AI work on shared accelerators, spoken to as Kubernetes and as Slurm."""

__version__ = "0.1.0"
