"""`$(NAME)` in command, args and env values (k8s `third_party/forked/golang/expansion`).

`$(NAME)` becomes the variable's value, or stays as it is if there is no such variable; `$$` becomes `$`, so `$$(NAME)`
is the text `$(NAME)`; a `$` before anything else stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_TOKEN = re.compile(r"\$(?:(\$)|\(([^)]*)\))")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`text` with its references replaced.

    >>> expand("$(A) $$(A) $(B) $A $", {"A": "1"})
    '1 $(A) $(B) $A $'
    """

    def value(found: re.Match[str]) -> str:
        if found.group(1):
            return "$"
        return variables.get(found.group(2), found.group(0))

    return _TOKEN.sub(value, text)
