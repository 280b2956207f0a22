"""apps/v1: Deployments, ReplicaSets, StatefulSets and the revisions these keep."""
