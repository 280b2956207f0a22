"""Which workloads would have to go so that another fits (kueue.md 3.7)."""
