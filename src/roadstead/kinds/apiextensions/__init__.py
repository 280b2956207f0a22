"""CustomResourceDefinitions: what one may say, and the kinds that come of it."""
