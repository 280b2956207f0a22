"""Status of queues, and the finalizers of queues, flavors, topologies and admission checks in use."""

from roadstead.controllers.queues.in_use import AdmissionCheckController, ResourceFlavorController, TopologyController
from roadstead.controllers.queues.sampling import UsageController, usage_controllers
from roadstead.controllers.queues.status import ClusterQueueController, LocalQueueController

__all__ = [
    "AdmissionCheckController",
    "ClusterQueueController",
    "LocalQueueController",
    "ResourceFlavorController",
    "TopologyController",
    "UsageController",
    "usage_controllers",
]
