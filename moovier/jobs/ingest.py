"""Bring the data set in, merge what people said since, and check it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import NotRequired, TypedDict

from moovier.data.movielens import read_movielens
from moovier.data.store import fetch
from moovier.errors import InvalidData
from moovier.jobs.merging import with_feedback
from moovier.jobs.plan import write_json
from moovier.settings import Settings, load_settings


class Pulled(TypedDict):
    """Where the data set lies and what it is; ``hash`` is its DVC directory hash.

    ``feedback``: where there was any to merge, how many ratings were added, replaced, deleted,
    and left out (unknown, outdated): see :class:`moovier.jobs.merging.Merge`.
    """

    name: str
    folder: str
    hash: str
    synthetic: bool
    source: str
    note: str
    feedback: NotRequired[dict[str, int]]


class Report(TypedDict):
    """What validation found. ``report`` is the JSON file with all of it."""

    name: str
    hash: str
    synthetic: bool
    ratings: int
    users: int
    movies: int
    problems: list[str]
    set_aside: list[str]
    report: str


def pull(data: str | None = None, *, settings: Settings | None = None) -> Pulled:
    """Fetch the data set that ``data``, or else the settings, name, and merge people's feedback.

    With feedback it is a new data set beside the pulled one, named ``<name>+feedback``, with a
    hash of its own. The same feedback gives the same hash.

    Raises:
        DataError: it cannot be had, or its bytes are not the ones that the pointer names.
        FeedbackUnavailable: the database of feedback does not answer.
    """
    settings = settings or load_settings()
    if data:
        settings = settings.model_copy(update={"data": data})
    ref, merge = with_feedback(fetch(settings), settings)
    pulled = Pulled(
        name=ref.name,
        folder=str(ref.folder),
        hash=ref.hash,
        synthetic=ref.synthetic,
        source=ref.source,
        note=ref.note or "",
    )
    if merge is not None:
        pulled["feedback"] = asdict(merge)
    return pulled


def validate(pulled: Pulled, *, settings: Settings | None = None) -> Report:
    """Check every row and write the report under ``<home>/ingest/``, also when it fails.

    Raises:
        InvalidData: the data set must not be used; its ``problems`` say why, row by row.
    """
    settings = settings or load_settings()
    file = settings.path("ingest", f"{pulled['hash'].removesuffix('.dir')}.json")
    report = Report(
        name=pulled["name"],
        hash=pulled["hash"],
        synthetic=pulled["synthetic"],
        ratings=0,
        users=0,
        movies=0,
        problems=[],
        set_aside=[],
        report=str(file),
    )
    try:
        found = read_movielens(
            Path(pulled["folder"]),
            bad_rows_share=settings.bad_rows_share,
            name=pulled["name"],
            synthetic=pulled["synthetic"],
        )
    except InvalidData as error:
        report["problems"] = list(error.problems)
        write_json(file, report)
        raise
    report["ratings"] = len(found.ratings)
    report["users"] = int(found.ratings["userId"].nunique())
    report["movies"] = len(found.movies)
    report["set_aside"] = list(found.set_aside)
    write_json(file, report)
    return report
