"""Fair sharing: the dominant resource share of a queue or cohort, and whose turn it is by it (kueue.md 3.10; Kueue
KEP-1714)."""
