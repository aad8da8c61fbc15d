"""Import a file of ratings from another service, without the service."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from moovier.errors import BadRequest
from moovier.feedback.store import FeedbackStore
from moovier.jobs.recommend import load_recommender
from moovier.serving.rating_import import Imported, OnProgress, match_file, new_ratings
from moovier.settings import Settings


def import_ratings(
    file: Path,
    user_id: int,
    *,
    dry_run: bool,
    settings: Settings,
    on_progress: OnProgress | None = None,
) -> Imported:
    """Match a file with the champion's catalogue, and store the ratings of its sure matches.

    With ``dry_run`` nothing is stored: ``stored`` is the number of ratings that would be.

    Raises:
        BadRequest: the file cannot be read, is of no known kind, or is damaged.
        FeedbackUnavailable: the database does not answer.
        RegistryError: there is no champion, or MLflow does not answer.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BadRequest(f"{file} cannot be read: {error.strerror}") from error
    matched = match_file(load_recommender(None, settings)[1], content, on_progress)
    with contextlib.closing(FeedbackStore.open(settings.database)) as store:
        stored = store.of_user(user_id).ratings
        new, unchanged = new_ratings(matched, stored, now=int(time.time()))
        if dry_run or not new:
            return Imported(matched, len(new), unchanged, 0)
        added = store.add(user_id, new)
    return Imported(matched, added.stored, unchanged, added.ignored)
