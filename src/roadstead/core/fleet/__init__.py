"""Nodes x topology x devices: the only place that picks nodes or devices.

`Fleet` (fleet.py) is the ledger and the door; `ask.py` is the question, `placing.py` turns it into an answer. Below it:

    ledger.py    one node: facts, holders, what is left        devices.py    its devices: counted, picked, never twice
    matching.py  which nodes a pod may use at all              demand.py     what is counted; shape.py makes it of a pod set
    forest.py    phase 1: how much fits into which domain.py   search.py     phase 2: which domains take how much (Kueue 4.4)
    recorded.py  Kueue's own arithmetic of a leaf              refusing.py   why there is no place; shortages.py counts for it
    claims.py    what is published and claimed of devices      claim_needs.py   what a pod's claims come to as things stand
    claim_room.py    how many pods' claims a node can hold     claim_refusing.py   why they found no devices

Which devices satisfy which claims on one node is `core.dra`'s business; here whole gangs find nodes where that works
out.
"""
