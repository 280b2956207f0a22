"""The scheduling group: PriorityClasses."""
