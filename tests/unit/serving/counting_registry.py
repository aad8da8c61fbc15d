"""A registry that counts its expensive calls, and broken models in it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

from moovier.models.bundle import CARD, Bundle
from moovier.registry.client import Registry
from moovier.registry.version import Version
from tests.servers import Server

Publish = Callable[..., Version]
OLD, NEW = "moovier_popular_1_trained_0", "moovier_popular_2_trained_0"


def own_name() -> str:
    """Return a model name that no other test uses: all tests share one MLflow."""
    return f"moovier_popular_{uuid.uuid4().int % 10**9}_trained_0"


class Counting(Registry):
    """A registry that counts its expensive calls."""

    def __init__(self, *args: str) -> None:
        super().__init__(*args)
        self.resolved = 0
        self.downloads: list[int] = []

    def resolve(self, text: str) -> Version:
        self.resolved += 1
        return super().resolve(text)

    def load_bundle(self, version: Version, folder: Path) -> Bundle:
        self.downloads.append(version.number)
        return super().load_bundle(version, folder)


def alter(mlflow: Server, version: Version) -> None:
    """Change one byte of the scores in MLflow's store."""
    [file] = [
        path
        for path in (mlflow.folder / "artifacts").rglob("bundle/scoring.npz")
        if version.name in path.with_name(CARD).read_text()
    ]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
