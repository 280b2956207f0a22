"""discovery.k8s.io/v1: where the pods of a Service are."""
