"""Fetch the data set, merge the feedback into it, and validate it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NotRequired, TypedDict

from moovier.data import sources
from moovier.data.dvc_hash import directory_hash
from moovier.data.movielens import own_folder_hash
from moovier.data.sources import AUTO, REAL, SAMPLE, chosen, fetch
from moovier.errors import DataUnavailable, InvalidData, MoovierError
from moovier.jobs import engine
from moovier.jobs.feedback_merge import SUFFIX, fetch_merged, merge_feedback
from moovier.jobs.stage_results import with_keys
from moovier.json_files import write_json
from moovier.settings import Settings, load_settings


class Pulled(TypedDict):
    """A fetched data set: its folder on this machine, and its DVC directory hash.

    ``feedback``: numbers of merged ratings, as in :class:`moovier.jobs.feedback_merge.Merge`;
    missing if there was no feedback.
    """

    name: str
    folder: str
    hash: str
    synthetic: bool
    source: str
    note: str
    feedback: NotRequired[dict[str, int]]


#: Keys of :class:`Pulled` that later stages read.
_PULLED = ("name", "folder", "hash", "synthetic", "source")


class Report(TypedDict):
    """The result of a validation; ``report`` is the path of its JSON file."""

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
    """Fetch the data set of ``data`` or the settings, and merge the feedback.

    With feedback, the result is a new data set ``<name>+feedback`` with its own hash. The same
    feedback gives the same hash.

    Raises:
        DataError: the data set is unavailable, or its hash is not the expected one.
        FeedbackUnavailable: the feedback database does not answer.
    """
    settings = _with_data(settings or load_settings(), data)
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


def check_sample(
    pulled: Pulled, champion_tags: Mapping[str, str], data: str | None, settings: Settings
) -> None:
    """Check that `auto` does not replace a champion's real ratings by the sample.

    This machine may never have had the real ratings; the champion shows that another one had them.

    Raises:
        DataUnavailable: the champion was trained on real ratings, and nobody chose the sample.
    """
    is_substitute = pulled["source"] == SAMPLE and chosen(_with_data(settings, data)) == AUTO
    if is_substitute and champion_tags.get("synthetic") == "false":
        raise DataUnavailable(
            "the champion was trained on real ratings, and the synthetic sample does not replace "
            f"them by itself; choose `{SAMPLE}` to train on it. {pulled['note']}"
        )


def check_choice(data: str | None, settings: Settings) -> None:
    """Check the name of a data set before anything that takes long or may be unavailable.

    Raises:
        UnknownData: it is neither a known name nor an existing folder.
    """
    sources.check_choice(_with_data(settings, data))


def _with_data(settings: Settings, data: str | None) -> Settings:
    """Return the settings with another data set, unless it is empty."""
    return settings.model_copy(update={"data": data}) if data else settings


def validate(pulled: Pulled, *, settings: Settings | None = None) -> Report:
    """Validate every row; write a report in any case to ``<home>/ingest/``.

    A data set that was fetched on another machine is fetched here by its hash.

    Raises:
        InvalidData: the data set must not be used; ``problems`` has the reasons, row by row.
        DataUnavailable: the data set was fetched on another machine and cannot be fetched here.
    """
    settings = settings or load_settings()
    with_keys(pulled, _PULLED, "pull", "clear `pull`, so that it runs again")
    folder = local_folder(pulled, settings)
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
        data, _ = engine.parsed(
            folder,
            pulled["hash"],
            settings,
            name=pulled["name"],
            synthetic=pulled["synthetic"],
        )
    except InvalidData as error:
        report["problems"] = list(error.problems)
        write_json(file, report)
        raise
    report["ratings"] = int(data.histories.movies.size)
    report["users"] = int(data.index.users.size)
    report["movies"] = len(data.catalogue)
    report["set_aside"] = list(data.set_aside)
    write_json(file, report)
    return report


def local_folder(pulled: Pulled, settings: Settings) -> Path:
    """Return a data set's folder on this machine, fetched by hash if needed.

    docs/decisions/stages-on-several-machines.md lists the ways to fetch it.

    Raises:
        DataUnavailable: no way succeeded.
    """
    folder, expected_hash = Path(pulled["folder"]), pulled["hash"]
    hash_of = own_folder_hash if pulled["source"] == "directory" else directory_hash
    if folder.is_dir() and hash_of(folder) == expected_hash:
        return folder
    fetchers: list[Callable[[], tuple[Path, str]]] = [lambda: _fetch_again(pulled, settings)]
    if pulled["name"].endswith(SUFFIX):
        fetchers.insert(0, lambda: (fetch_merged(expected_hash, settings), expected_hash))
    elif pulled["source"] == "directory":
        raise DataUnavailable(
            f"{pulled['name']} was read from the folder {folder}, which is missing or different on "
            "this machine; give every worker access to the same folder"
        )
    reasons = []
    for fetch_folder in fetchers:
        try:
            folder, actual_hash = fetch_folder()
        except MoovierError as error:
            reasons.append(str(error))
            continue
        if actual_hash == expected_hash:
            return folder
        reasons.append(f"the source now has {actual_hash}")
    raise DataUnavailable(
        f"{pulled['name']} ({expected_hash}) was pulled on another machine and cannot be pulled "
        f"here ({'; '.join(reasons)}); use one DVC remote for all workers (MOOVIER_DVC_REMOTE)"
    )


def _fetch_again(pulled: Pulled, settings: Settings) -> tuple[Path, str]:
    """Fetch and merge the data set as :func:`pull` did; return folder and hash."""
    choice = {"sample": SAMPLE, "directory": settings.data}.get(pulled["source"], REAL)
    ref = fetch(settings.model_copy(update={"data": choice}))
    if pulled["name"].endswith(SUFFIX):
        ref, _ = merge_feedback(ref, settings)
    return ref.folder, ref.hash
