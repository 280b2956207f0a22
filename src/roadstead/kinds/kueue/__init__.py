"""Kueue's kinds, v1beta2: queues, flavors, workloads; every rule of its CRDs and webhooks."""
