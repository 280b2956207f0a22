"""API objects -> facts, for every world (main path, step 4).

`fact` for every change that an informer reports, `fact_of_dict` for objects that come from a file, `RESOURCES` for what
to watch (`CLAIM_RESOURCES` besides where devices are claimed). One module per kind below; `topology` holds Kueue's
encoding of topology assignments, `dra` that of claims and allocations, both ways.
"""

from roadstead.ingest.devices import template_keys
from roadstead.ingest.filled_in import Ranges, runtime_class_names
from roadstead.ingest.reading import Lookup, Trouble
from roadstead.ingest.registry import CLAIM_RESOURCES, RESOURCES, fact, fact_of_dict

__all__ = [
    "CLAIM_RESOURCES",
    "RESOURCES",
    "Lookup",
    "Ranges",
    "Trouble",
    "fact",
    "fact_of_dict",
    "runtime_class_names",
    "template_keys",
]
