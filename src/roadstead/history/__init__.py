"""History: what happened, kept in append-only files. `journal.py` writes all that the deciding core was given,
`replay.py` decides it again."""
