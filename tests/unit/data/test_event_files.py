"""A folder with events instead of ratings becomes ratings without stars."""

from __future__ import annotations

from pathlib import Path

import pytest

from moovier.data import sources
from moovier.errors import BadRequest, InvalidData
from moovier.feedback.events import NewEvent
from moovier.feedback.store import FeedbackStore
from moovier.jobs import ingest
from moovier.jobs.dataset import parse_dataset
from moovier.jobs.retrain_plan import RetrainConfig, RetrainPlan
from moovier.settings import Settings

EVENTS = """userId,movieId,event,timestamp
1,1,clicked,100
1,1,finished,90
1,2,shown,101
1,3,not_for_me,102
2,1,skipped,103
2,1,clicked,104
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "clicks"
    folder.mkdir()
    (folder / "events.csv").write_text(EVENTS)
    movies = "".join(f"{movie},Movie {movie} (1990),Drama\n" for movie in (1, 2, 3))
    (folder / "movies.csv").write_text("movieId,title,genres\n" + movies)
    return folder


def rows(reference: sources.DataRef) -> list[str]:
    return (reference.folder / "ratings.csv").read_text().splitlines()[1:]


def test_strongest_event_of_a_movie_becomes_a_rating(settings: Settings, folder: Path) -> None:
    assert sources.use(settings, str(folder)) == str(folder)
    reference = sources.fetch(settings)
    assert rows(reference) == ["1,1,4.5,90", "1,3,0.5,102", "2,1,1.5,103"]
    assert reference.name == "clicks"
    assert reference.note == "6 events count as 3 ratings; there are no stars"
    assert sources.fetch(settings) == reference
    # Other weights are another data set.
    other = settings.model_copy(update={"event_weights": "shown=1"})
    assert rows(sources.fetch(other)) == ["1,2,5.0,101"]
    assert sources.fetch(other).hash != reference.hash


def test_families_of_stars_are_left_out(settings: Settings, folder: Path) -> None:
    pulled = ingest.pull(str(folder), settings=settings)
    assert ingest.validate(pulled, settings=settings)["ratings"] == 3
    facts = parse_dataset(pulled, settings).facts
    assert not facts.stars

    def plan(**options: object) -> RetrainPlan:
        return RetrainPlan.of(
            RetrainConfig.of(options),
            settings,
            folder=settings.path("retrain", "x"),
            run_id="r",
            data=facts,
            first=True,
            recipe=None,
        )

    assert plan(families=["taste", "ease", "emb"]).families == ("ease",)
    assert plan().notes[0] == "left out taste, emb: clicks has no stars"
    with pytest.raises(BadRequest, match="no family can be trained: left out taste"):
        plan(families=["taste"])


def test_feedback_and_its_events_are_merged(settings: Settings, folder: Path) -> None:
    store = FeedbackStore.open(settings.database)
    store.add_events(9, [NewEvent(2, "bookmarked", 200), NewEvent(3, "shown", 200)])
    store.close()
    pulled = ingest.pull(str(folder), settings=settings)
    assert pulled["name"] == "clicks+feedback"
    assert (Path(pulled["folder"]) / "ratings.csv").read_text().endswith("\n9,2,4.5,200\n")
    assert not parse_dataset(pulled, settings).facts.stars


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("1,1,watched,100", "events.csv, row 8: event 'watched' is not one of viewed"),
        ("1,9,seen,100", "events.csv, row 8: movieId 9 is not in movies.csv"),
        ("1,1,seen,1e15", "events.csv, row 8: timestamp"),
        ("x,1,seen,100", "events.csv, row 8: userId 'x' is not a whole number"),
    ],
)
def test_bad_rows_are_named(settings: Settings, folder: Path, line: str, problem: str) -> None:
    (folder / "events.csv").write_text(f"{EVENTS}{line}\n")
    with pytest.raises(InvalidData, match=problem):
        sources.use(settings, str(folder))
    tolerant = settings.model_copy(update={"bad_rows_share": 0.5})
    assert (
        "1 bad rows set aside"
        in sources.fetch(tolerant.model_copy(update={"data": str(folder)})).note
    )


def test_events_that_count_nothing_are_refused(settings: Settings, folder: Path) -> None:
    (folder / "events.csv").write_text("userId,movieId,event,timestamp\n1,1,shown,1\n")
    with pytest.raises(InvalidData, match="no event counts as a rating"):
        sources.use(settings, str(folder))


def test_folder_with_ratings_is_read_by_its_stars(settings: Settings, folder: Path) -> None:
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,3.0,7\n")
    pulled = ingest.pull(str(folder), settings=settings)
    assert pulled["folder"] == str(folder)
    assert parse_dataset(pulled, settings).facts.stars
