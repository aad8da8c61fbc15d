"""Import a file of ratings from another service, without the service."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from moovier.errors import BadRequest
from moovier.feedback.id_texts import IdTextStore
from moovier.feedback.store import FeedbackStore
from moovier.ids import USER
from moovier.jobs.recommend import load_recommender
from moovier.jobs.text_ids import OutsideIds
from moovier.serving.rating_import import Imported, OnProgress, match_file, new_ratings
from moovier.settings import Settings


def import_ratings(
    file: Path,
    user: int | str,
    *,
    dry_run: bool,
    settings: Settings,
    on_progress: OnProgress | None = None,
) -> Imported:
    """Match a file with the champion's catalogue, and store the ratings of its sure matches.

    ``user``: the id, a text where the data set has text ids. With ``dry_run`` nothing is stored:
    ``stored`` is the number of ratings that would be.

    Raises:
        BadRequest: the file cannot be read, is of no known kind, or is damaged; or the id is wrong.
        FeedbackUnavailable: the database does not answer.
        RegistryError: there is no champion, or MLflow does not answer.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BadRequest(f"{file} cannot be read: {error.strerror}") from error
    recommender = load_recommender(None, settings)[1]
    ids = OutsideIds(recommender.bundle.ids)
    user_id = ids.number(USER, str(user))
    matched = match_file(recommender, content, on_progress)
    with contextlib.closing(FeedbackStore.open(settings.database)) as store:
        stored = store.of_user(user_id).ratings
        new, unchanged = new_ratings(matched, stored, now=int(time.time()))
        if dry_run or not new:
            return Imported(matched, len(new), unchanged, 0)
        if ids.is_text(USER):
            IdTextStore(store.database).keep(USER, {user_id: str(user)})
        added = store.add(user_id, new)
    return Imported(matched, added.stored, unchanged, added.ignored)
