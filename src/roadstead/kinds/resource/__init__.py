"""resource.k8s.io/v1: devices that nodes offer, classes of them, claims for some of them, taints on them (KEP-4381)."""
