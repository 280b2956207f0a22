"""The configuration file, as Kueue's administrators know it (config.kueue.x-k8s.io/v1beta2; kueue.md 1.12, 1.13)."""

from roadstead.kinds.configuration.reading import Problem, read
from roadstead.kinds.configuration.shape import Configuration

__all__ = ["Configuration", "Problem", "read"]
