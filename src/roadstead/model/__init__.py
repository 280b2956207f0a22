"""The nouns of the deciding core: frozen values without decisions. Standard library only.

`ingest` makes them from API objects, `core` decides about them, `controllers` turn its answers back into objects.
"""
