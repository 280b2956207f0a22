"""Numbers, each with its method and its boundary. `python -m benchmarks [NAME...]` runs all, or the modules named.

A benchmark is a module here with `run() -> Iterator[str]`: it yields the lines to print, as they are known. Its docstring's first line
is printed as its title.
"""
