"""API objects -> facts, for every world (main path, step 4).

`fact` for every change that an informer reports, `fact_of_dict` for objects that come from a file, `RESOURCES` for what to watch.
One module per kind below; `topology` holds Kueue's encoding of topology assignments, both ways.
"""

from roadstead.ingest.reading import Lookup, Trouble
from roadstead.ingest.registry import RESOURCES, fact, fact_of_dict

__all__ = ["RESOURCES", "Lookup", "Trouble", "fact", "fact_of_dict"]
