"""The service as somebody meets it who looks at the page: for the page's measures and pictures."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from moovier.data import store
from moovier.data.movielens import indexed, read_movielens
from moovier.data.split import time_split
from moovier.jobs.registration import connect
from moovier.models.families import family
from moovier.settings import load_settings
from moovier.training.fit import judge, train
from tests.registered import register_trained
from tests.servers import mlflow_server
from tests.service.conftest import Service, own_settings, promote, running_service

#: The champion, a rival to compare it with, and the model of the stars.
CHAMPION, RIVAL, OF_STARS = ("timeline", 60), ("ease", 3), ("taste", 10)


@contextlib.contextmanager
def looked_at(console: Console, *, judged: bool = False) -> Iterator[Service]:
    """On the data that the settings name; ``judged``: champion and rival carry the figures of their
    hold-out, which takes a minute or two."""
    data = store.fetch(load_settings())
    console.print(f"data: {data.name}" + (" (synthetic)" if data.synthetic else ""))
    with (
        tempfile.TemporaryDirectory() as folder,
        mlflow_server(_made(Path(folder, "mlflow"))) as mlflow,
    ):
        settings = own_settings(mlflow, Path(folder, "home"))
        champion, rival, stars = (
            register_trained(settings, Path(folder), data.folder, *one)
            for one in (CHAMPION, RIVAL, OF_STARS)
        )
        registry = connect(settings)
        if judged:
            for version, (name, size) in ((champion, CHAMPION), (rival, RIVAL)):
                console.print(f"measuring {version.name}")
                registry.set_tag(version, "metrics", _figures(data.folder, name, size))
                registry.set_tag(version, "hold_out", data.hash)
        promote(settings, champion)
        registry.challenge(rival)
        registry.predict_stars(stars)
        with running_service(settings) as service:
            yield service


def _figures(folder: Path, name: str, size: int) -> str:
    """The figures of docs/metrics.md, as a version's tag has them."""
    _, ratings, catalogue = indexed(read_movielens(folder))
    params = family(name).hyper_parameters(size=size)
    trained = train(time_split(ratings), name, params, catalogue=catalogue, seed=0, threads=2)
    return json.dumps(judge(trained, ratings, catalogue=catalogue).metrics())


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
