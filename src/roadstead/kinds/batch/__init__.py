"""The batch group: Jobs."""
