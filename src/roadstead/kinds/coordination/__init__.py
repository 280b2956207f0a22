"""The coordination group: Leases."""
