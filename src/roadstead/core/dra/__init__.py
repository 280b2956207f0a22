"""Dynamic Resource Allocation: which devices satisfy which claims on a node, exactly as Kubernetes' allocator finds
them.

`Inventory` holds what is published and what is in use; `Allocator.allocate(node, claims)` answers for one node;
`first_fit` for a list of nodes without visiting those that cannot have room. Each rule has a room of its own;
`search.py` is where they meet.
"""
