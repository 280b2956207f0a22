"""The judges. They look on from outside: at what the disk has committed, at what was acknowledged, at what processes
really ran.

None of them asks the controllers what they believe; the one exception is `digests`, whose very question is whether what
the deciding core believes follows from the objects alone.
"""

from __future__ import annotations

from roadstead.sim.judges.base import Judge
from roadstead.sim.judges.jobs import JobsJudge
from roadstead.sim.judges.places import PlacesJudge
from roadstead.sim.judges.pods import PodsJudge
from roadstead.sim.judges.quota import QuotaJudge
from roadstead.sim.judges.versions import VersionsJudge

__all__ = ["JobsJudge", "Judge", "PlacesJudge", "PodsJudge", "QuotaJudge", "VersionsJudge"]
