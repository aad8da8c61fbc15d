"""Bring the data set in, merge what people said since, and check it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import NotRequired, TypedDict

from moovier.data.dvc_hash import directory_hash
from moovier.data.movielens import read_movielens
from moovier.data.sources import REAL, SAMPLE, fetch
from moovier.errors import DataUnavailable, InvalidData, MoovierError
from moovier.jobs.feedback_merge import SUFFIX, merge_feedback, merged_elsewhere
from moovier.jobs.retrain_plan import write_json
from moovier.settings import Settings, load_settings


class Pulled(TypedDict):
    """Where the data set lies and what it is; ``hash`` is its DVC directory hash.

    ``feedback``: where there was any to merge, how many ratings were added, replaced, deleted,
    and left out (unknown, outdated): see :class:`moovier.jobs.feedback_merge.Merge`.
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
    ref, merge = merge_feedback(fetch(settings), settings)
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

    What was pulled on another machine is brought to this one: the very same bytes, by their hash.

    Raises:
        InvalidData: the data set must not be used; its ``problems`` say why, row by row.
        DataUnavailable: it was pulled on another machine, and this one cannot have it.
    """
    settings = settings or load_settings()
    folder = at_hand(pulled, settings)
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
            folder,
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


def at_hand(pulled: Pulled, settings: Settings) -> Path:
    """A folder of this machine with the bytes that were pulled, here or on another one.

    Which way it can be had by its hash: docs/decisions/stages-on-several-machines.md.

    Raises:
        DataUnavailable: no way leads to it.
    """
    folder, hash_ = Path(pulled["folder"]), pulled["hash"]
    if folder.is_dir() and directory_hash(folder) == hash_:
        return folder
    ways: list[Callable[[], tuple[Path, str]]] = [lambda: _again(pulled, settings)]
    if pulled["name"].endswith(SUFFIX):
        ways.insert(0, lambda: (merged_elsewhere(hash_, settings), hash_))
    elif pulled["source"] == "directory":
        raise DataUnavailable(
            f"{pulled['name']} was pulled from the folder {folder}, which on this machine is "
            "missing or holds other files; every worker has to see it"
        )
    reasons = []
    for way in ways:
        try:
            there, found = way()
        except MoovierError as error:
            reasons.append(str(error))
            continue
        if found == hash_:
            return there
        reasons.append(f"fetched again it is {found}")
    raise DataUnavailable(
        f"{pulled['name']} ({hash_}) was pulled on another machine and cannot be had on this one "
        f"({'; '.join(reasons)}); let all workers use one DVC remote (MOOVIER_DVC_REMOTE)"
    )


def _again(pulled: Pulled, settings: Settings) -> tuple[Path, str]:
    """Fetch it, and merge it where it was merged, as :func:`pull` did: folder and hash."""
    choice = {"sample": SAMPLE, "directory": settings.data}.get(pulled["source"], REAL)
    ref = fetch(settings.model_copy(update={"data": choice}))
    if pulled["name"].endswith(SUFFIX):
        ref, _ = merge_feedback(ref, settings)
    return ref.folder, ref.hash
