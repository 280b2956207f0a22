"""Numbers, each with its method and its boundary. `python -m benchmarks [NAME...]` runs all, or the modules named.

A benchmark is a module here with `run() -> Iterator[str]`: it yields the lines to print, as they are known. Its
docstring's first paragraph is printed as its title.

Some take too long for every run and are started by name only (`BY_NAME` in __main__): kueue-baseline,
kueue-large-scale, kueue-tas.
"""
