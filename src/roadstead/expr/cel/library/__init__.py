"""Functions by library, each with its declarations: the language's own, the extensions that Kubernetes switches on, and
its own."""
