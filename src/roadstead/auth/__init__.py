"""Who is asking: the cluster's certificate authority, tokens, and how a connection or a header becomes an `Identity`."""
