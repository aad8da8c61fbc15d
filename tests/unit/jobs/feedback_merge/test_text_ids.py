"""Feedback reaches files whose ids are texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from moovier.data import sources
from moovier.errors import MoovierError
from moovier.feedback.id_texts import IdTextStore
from moovier.feedback.new_movies import NewMovie, NewMovieStore
from moovier.feedback.ratings import NewRating
from moovier.feedback.store import FeedbackStore
from moovier.ids import number_of
from moovier.jobs import ingest
from moovier.settings import Settings
from tests.unit.jobs.feedback_merge.conftest import lines

RATINGS = """userId,movieId,rating,timestamp
anna,ten,4.0,1000
7,twenty,3.5,1001
"b,c","tw,o",5.0,1002
"""
MOVIES = 'movieId,title,genres\nten,Ten (1995),Drama\ntwenty,Twenty,Comedy\n"tw,o",Two,Drama\n'
LATER = 1_700_000_000


@pytest.fixture
def texts(folder: Path, settings: Settings) -> Path:
    (folder / "ratings.csv").write_text(RATINGS)
    (folder / "movies.csv").write_text(MOVIES)
    (folder / "links.csv").unlink()
    sources.use(settings, str(folder))
    return folder


def test_merged_file_has_texts(texts: Path, settings: Settings, store: FeedbackStore) -> None:
    ids = IdTextStore(store.database)
    ids.keep("user", {number_of(user): user for user in ("anna", "b,c", 'new "one"')})
    ids.keep("movie", {number_of("added"): "added"})
    NewMovieStore(store.database).put([NewMovie(number_of("added"), "Added", tmdb_id=5)])
    store.add(number_of("anna"), [NewRating(number_of("ten"), 1.0, LATER)])
    store.add(number_of('new "one"'), [NewRating(number_of("tw,o"), 2.0, LATER)])
    store.add(number_of("b,c"), [NewRating(number_of("added"), 3.0, LATER)])
    store.delete(number_of("7"))
    # No text in the database: the id was stored while ids were numbers.
    store.add(12, [NewRating(number_of("ten"), 1.0, LATER)])
    pulled = ingest.pull(settings=settings)
    assert sorted(lines(pulled)[1:]) == sorted(
        [
            '"b,c","tw,o",5.0,1002\n',
            f"anna,ten,1.0,{LATER}\n",
            f'"new ""one""","tw,o",2.0,{LATER}\n',
            f'"b,c",added,3.0,{LATER}\n',
        ]
    )
    assert (Path(pulled["folder"]) / "movies.csv").read_text() == (
        MOVIES + "added,Added,(no genres listed)\n"
    )
    assert pulled["feedback"]["unknown"] == 1
    report = ingest.validate(pulled, settings=settings)
    assert (report["users"], report["movies"], report["ratings"]) == (3, 4, 4)


def test_a_text_stays_as_it_was_stored(store: FeedbackStore) -> None:
    ids = IdTextStore(store.database)
    ids.keep("user", {5: "anna"})
    ids.keep("user", {5: "anna", 6: "bert"})
    with pytest.raises(MoovierError, match="the user id 'other' has the same number"):
        ids.keep("user", {7: "carl", 5: "other"})
    assert ids.all() == {"user": {5: "anna", 6: "bert"}, "movie": {}}
    store.delete(5)
    assert ids.all()["user"] == {6: "bert"}
