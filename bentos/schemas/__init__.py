"""The bodies and parameters of requests and responses, with examples that work when pasted."""
