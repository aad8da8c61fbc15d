"""How good a model is: metrics on arrays, and the protocols that feed them (docs/metrics.md)."""
