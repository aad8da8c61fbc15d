"""What a test may ask of a running stack, be it processes or containers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from deploy.environment import filled
from tests.stack_processes.container_paths import ROOT


class Stack(Protocol):
    """The services of docker-compose.yaml. Containers are called ``<service>-<number>``."""

    variables: Mapping[str, str]

    def url(self, service: str, port: int) -> str:
        """Where a published port of the service is reached from here, http://…"""
        ...

    def up(self, *, timeout_s: float, without: frozenset[str] = frozenset()) -> None: ...

    def start(self, name: str) -> None: ...

    def kill(self, name: str) -> None: ...

    def await_healthy(self, name: str, *, timeout_s: float) -> None: ...

    def run(self, service: str, *command: str, timeout_s: float = 120.0) -> str:
        """What the command printed, run in the service's first container."""
        ...

    def logs(self, name: str) -> str: ...

    def put(self, bucket: str, folder: Path) -> bool:
        """Copy the files of ``folder`` into the S3 store; False where it cannot be reached."""
        ...

    def health(self) -> Mapping[str, str]:
        """Per container: healthy, done, or what is wrong."""
        ...


def generated_variables(**settled: str) -> dict[str, str]:
    """A `.env` as `make env` makes it, with ``settled`` values."""
    text = filled((ROOT / ".env.example").read_text())
    return {**dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", text, re.MULTILINE)), **settled}
