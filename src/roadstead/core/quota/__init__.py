"""Quota trees: how much a ClusterQueue may use of each (flavor, resource), given its cohort (Kueue KEP-79)."""
