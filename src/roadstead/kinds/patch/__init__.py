"""The patch languages: JSON patch (RFC 6902), merge patch (RFC 7386), strategic merge patch.

Each takes an object and a decoded patch and answers with a new object; neither argument is changed. What a patch cannot
do is a StatusError in the real server's words.
"""

from roadstead.kinds.patch.refused import patch_error
from roadstead.kinds.patch.rfc6902 import apply as json_patch
from roadstead.kinds.patch.rfc7386 import apply as merge_patch
from roadstead.kinds.patch.strategic import apply as strategic_merge_patch

__all__ = ["json_patch", "merge_patch", "patch_error", "strategic_merge_patch"]
