"""The core group: namespaces, nodes, pods and what they read."""
