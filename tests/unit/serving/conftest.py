"""The registry's fixtures serve here, too: a real MLflow, an empty registered model a test."""

from tests.unit.registry.conftest import publish, registry, tracking

__all__ = ["publish", "registry", "tracking"]
