"""Where Slurm would put a job: `place(request, nodes)` gives nodes, tasks and devices per node, or says why not.

The rules of `select/cons_tres` with cores and memory as consumable resources, as its documentation describes them (cons_tres.shtml,
gres.shtml, sbatch(1)) and as a running 22.05.8 was observed to apply them:

1. `offer`: what one node has for the job. First only cores next to the devices asked for count; if the job fits nowhere like that and
   binding is not enforced, all cores do.
2. `choose`: nodes in order of weight, each giving what it has, but leaving at least one task's worth for each node that is still
   required.
3. `spread`: one task for every node, then one more in turn as long as there is room.
4. `devices`: `--gpus` are handed out node by node, from sockets with a core of the job first, one kept back for each node to come.
"""

from roadstead.slurm.language.placement.model import Device, Node, NodeShare, Placement
from roadstead.slurm.language.placement.place import place

__all__ = ["Device", "Node", "NodeShare", "Placement", "place"]
