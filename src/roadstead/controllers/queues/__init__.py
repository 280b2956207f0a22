"""Status of queues, and the finalizers of queues, flavors and topologies in use."""

from roadstead.controllers.queues.in_use import ResourceFlavorController, TopologyController
from roadstead.controllers.queues.status import ClusterQueueController, LocalQueueController

__all__ = ["ClusterQueueController", "LocalQueueController", "ResourceFlavorController", "TopologyController"]
