"""Resource claims of pods: made from templates, written as allocated from a Placement, released, and evicted (dra
reference 3).

Nothing is decided here: which devices a claim is given is the core's decision, and stands in a Placement or a command.
"""

from roadstead.controllers.claims.eviction import DeviceTaintController
from roadstead.controllers.claims.making import PodClaimsController
from roadstead.controllers.claims.releasing import ResourceClaimController

__all__ = ["DeviceTaintController", "PodClaimsController", "ResourceClaimController"]
