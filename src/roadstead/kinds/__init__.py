"""API kinds: schema facts, typed views, defaults, validation, columns, patches; what an object *is*, never what to do about it.

`object.py` is one stored version of an object; `registry.py` lists the kinds served; `errors.py` is how a request is refused.
"""
