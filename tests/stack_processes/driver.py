"""The interface of a running stack, whether it runs as processes or as containers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from deploy.environment import filled
from tests.stack_processes.container_paths import ROOT


class Stack(Protocol):
    """The services of docker-compose.yaml. Containers are named ``<service>-<number>``."""

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables of the compose file, as in a `.env`."""
        ...

    def url(self, service: str, port: int) -> str:
        """Return the local address of a published port of the service, http://…"""
        ...

    def up(self, *, timeout_s: float, without: frozenset[str] = frozenset()) -> None:
        """Start the services but ``without`` in the file's order; wait until all are healthy."""
        ...

    def start(self, name: str) -> None:
        """Start a container, again or for the first time."""
        ...

    def kill(self, name: str) -> None:
        """Kill a container with SIGKILL; it stays down until it is started again."""
        ...

    def await_healthy(self, name: str, *, timeout_s: float) -> None:
        """Wait until the health check of a container succeeds."""
        ...

    def run(self, service: str, *command: str, timeout_s: float = 120.0) -> str:
        """Run a command in the service's first container and return its output."""
        ...

    def logs(self, name: str) -> str:
        """Return what a container has logged."""
        ...

    def put(self, bucket: str, folder: Path) -> bool:
        """Copy the files of ``folder`` into the S3 store; return False if it is unreachable."""
        ...

    def health(self) -> Mapping[str, str]:
        """Return per container: healthy, done, or what is wrong."""
        ...


def generated_variables(*, root: Path = ROOT, **chosen: str) -> dict[str, str]:
    """Return the variables that `make env` writes in ``root``, with ``chosen`` on top."""
    text = filled((root / ".env.example").read_text())
    return {**dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", text, re.MULTILINE)), **chosen}
