"""Roadstead's own kinds."""
