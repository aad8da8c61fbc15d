"""Registered versions for tests without a registry."""

from __future__ import annotations

from datetime import UTC, datetime

from moovier.registry.version import Version


def version(number: int, name: str | None = None, *, run_id: str = "", **tags: str) -> Version:
    """Return a complete version of the family `ease`; ``tags`` are added to its own."""
    name = name or f"moovier_ease_{number}_trained_0"
    return Version(
        number=number,
        name=name,
        family="ease",
        run_id=run_id,
        aliases=(),
        tags={"name": name, "complete": "true", **tags},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        parent=None,
        metrics={},
        status="READY",
    )
