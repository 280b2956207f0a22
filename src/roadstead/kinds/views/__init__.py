"""Typed views of API objects, for reading: `obj.view(WorkloadView)`. Frozen; only the fields that somebody reads."""
