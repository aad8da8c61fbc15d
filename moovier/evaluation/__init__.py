"""Metrics on arrays, and the protocols that compute them (docs/metrics.md)."""
