"""Objects as protobuf, on their way in (kubernetes-api section 4.2): an envelope, and in it one message of
`generated.proto`.

kubectl from 1.32 and Go controllers send built-in kinds so. A message becomes the JSON form that a client without
protobuf would have sent; from there on nobody knows how an object came. Answers are JSON: every client that sends
protobuf reads it.
"""

from roadstead.kinds.protobuf.decode import decode
from roadstead.kinds.protobuf.envelope import Envelope, open_envelope

__all__ = ["Envelope", "decode", "open_envelope"]
