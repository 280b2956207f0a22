"""The one place where the worlds are wired."""
