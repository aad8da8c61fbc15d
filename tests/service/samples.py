"""A service whose champion was trained on the sample data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.registered import register_trained
from tests.servers import Server
from tests.service.conftest import Service, own_settings, promote, running_service


@contextlib.contextmanager
def sample_service(mlflow: Server, folder: Path, data: Path) -> Iterator[Service]:
    """Ready to answer; ``data``: the sample's folder."""
    settings = own_settings(mlflow, folder / "home")
    promote(settings, register_trained(settings, folder, data, "ease", 3))
    with running_service(settings) as service:
        yield service


def worker_of(service: Service, name: str) -> psutil.Process | None:
    """The process that runs the BentoML service ``name``; None while there is none."""
    try:
        family = psutil.Process(service.process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return None
    for process in family:
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if "--service-name" in words and words[words.index("--service-name") + 1] == name:
                return process
    return None
