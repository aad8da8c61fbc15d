"""A service whose champion was trained on the sample data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.registry_fixtures import register_trained
from tests.servers import Server
from tests.service.conftest import Service, own_settings, promote, running_service


@contextlib.contextmanager
def sample_service(mlflow: Server, folder: Path, data: Path) -> Iterator[Service]:
    """Run a service that is ready to answer; ``data`` is the sample's folder."""
    settings = own_settings(mlflow, folder / "home")
    promote(settings, register_trained(settings, folder, data, "ease", 3))
    with running_service(settings) as service:
        yield service
