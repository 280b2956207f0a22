"""Where pending workloads stand: active heap, parked set, equivalence classes, stickiness (kueue.md 3.2, 3.3, 3.12)."""
