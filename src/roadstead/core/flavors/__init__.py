"""Which flavor each pod set gets of each resource, and in which mode it would fit (kueue.md 3.5)."""
