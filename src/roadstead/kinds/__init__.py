"""API kinds: schema facts, typed views, defaults, validation, columns, patches; what an object *is*, never what to do
about it.

`object.py` is one stored version of an object; `served.py` lists the kinds served, each in a room of its group
(`core/`, `batch/`, `kueue/` ...); `schema.py` decodes, prunes and defaults by recorded facts (`facts/`, written by
`scripts/facts.py`); `strategy.py` is what a kind adds to that; `patch/` has the three patch languages, `manifest.py`
reads YAML as kubectl does, `views/` are frozen Structs for readers; `errors.py` is how a request is refused.
"""
