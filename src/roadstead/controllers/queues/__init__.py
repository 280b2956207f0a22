"""Status of queues, and the finalizers of queues and flavors in use."""

from roadstead.controllers.queues.status import ClusterQueueController, LocalQueueController, ResourceFlavorController

__all__ = ["ClusterQueueController", "LocalQueueController", "ResourceFlavorController"]
