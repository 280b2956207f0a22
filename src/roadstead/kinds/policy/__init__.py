"""policy/v1: how many pods may be missing at once."""
