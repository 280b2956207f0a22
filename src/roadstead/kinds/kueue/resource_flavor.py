"""ResourceFlavor (kueue.x-k8s.io/v1beta2)."""

from __future__ import annotations

from roadstead.kinds.custom import CustomStrategy, custom_kind
from roadstead.kinds.names import RESOURCE_FLAVORS
from roadstead.kinds.registry import Kind


class ResourceFlavorStrategy(CustomStrategy):
    """Rules of ResourceFlavors."""


def kind() -> Kind:
    return custom_kind(RESOURCE_FLAVORS, "ResourceFlavor", ResourceFlavorStrategy)
