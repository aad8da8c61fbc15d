"""Weights of events are chosen on validation, and proposed only if other users confirm them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from moovier.cli import app
from moovier.errors import BadRequest, InvalidData
from moovier.event_weights import parse_event_weights
from moovier.jobs.event_weight_tuning import GRIDS, tune
from moovier.settings import Settings

DAY = 86_400
EQUAL = "clicked=0.6,finished=0.6"
GROUPS, MOVIES_OF_GROUP, USERS = 4, 15, 120
N_MOVIES = GROUPS * MOVIES_OF_GROUP
HEADER = "userId,movieId,event,timestamp"


def events_of(folder: Path, *, random_clicks: bool) -> Path:
    """Write events of people who finish movies of their own group in three visits.

    In the first one they also click: on any movies, or on movies of their own group.
    """
    draw = np.random.default_rng(5)
    lines = []
    for user in range(1, USERS + 1):
        own = user % GROUPS * MOVIES_OF_GROUP + draw.permutation(MOVIES_OF_GROUP)
        others = np.setdiff1d(np.arange(GROUPS * MOVIES_OF_GROUP), own)
        clicked = draw.choice(others, 24, replace=False) if random_clicks else own[11:]
        for visit, movies in enumerate((own[:7], own[7:9], own[9:11])):
            kinds = [(movie, "finished") for movie in movies]
            kinds += [(movie, "clicked") for movie in clicked if visit == 0]
            for step, (movie, kind) in enumerate(kinds):
                lines.append(f"{user},{movie + 1},{kind},{visit * 2 * DAY + DAY + step}")
    folder.mkdir()
    (folder / "events.csv").write_text("\n".join([HEADER, *lines, ""]))
    titles = [f"{movie},Movie {movie} (1990),Drama" for movie in range(1, N_MOVIES + 1)]
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *titles, ""]))
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", event_weights=EQUAL)


def test_random_clicks_lose_their_weight(settings: Settings, tmp_path: Path) -> None:
    seen: list[tuple[int, float]] = []
    tuned = tune(
        events_of(tmp_path / "clicks", random_clicks=True),
        settings,
        trials=12,
        on_trial=lambda number, best: seen.append((number, best)),
    )
    weights = parse_event_weights(tuned.best)
    assert weights["clicked"] < weights["finished"]
    assert tuned.best_ndcg > tuned.current_ndcg + 0.02
    assert tuned.is_better
    assert tuned.gain >= tuned.low > 0
    assert tuned.current == EQUAL
    assert [number for number, _ in seen] == list(range(1, 13))
    assert seen[-1][1] == tuned.best_ndcg


def test_equally_good_kinds_change_nothing(settings: Settings, tmp_path: Path) -> None:
    tuned = tune(events_of(tmp_path / "clicks", random_clicks=False), settings, trials=8)
    assert not tuned.is_better


def test_test_visits_are_not_read(settings: Settings, tmp_path: Path) -> None:
    folder = events_of(tmp_path / "clicks", random_clicks=False)
    before = tune(folder, settings, trials=4)
    content = (folder / "events.csv").read_text()
    test_visits = [row for row in content.splitlines()[1:] if int(row.split(",")[3]) >= 5 * DAY]
    assert len(test_visits) == 2 * USERS
    # Movies of another group, with which nobody had an event before.
    for row in test_visits:
        user, movie, kind, moment = row.split(",")
        other = (int(movie) - 1 + MOVIES_OF_GROUP) % N_MOVIES + 1
        content = content.replace(row, f"{user},{other},{kind},{moment}")
    (folder / "events.csv").write_text(content)
    after = tune(folder, settings, trials=4)
    assert after == before


def test_every_tried_weight_is_a_valid_setting() -> None:
    for kind, grid in GRIDS.items():
        for weight in grid:
            assert parse_event_weights(f"{kind}={weight}")[kind] == weight


def test_folder_without_events_is_refused(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "stars").mkdir()
    with pytest.raises(BadRequest, match=r"stars: give a folder with events\.csv"):
        tune(tmp_path / "stars", settings, trials=2)


def test_too_few_returning_users_are_counted(settings: Settings, tmp_path: Path) -> None:
    folder = events_of(tmp_path / "clicks", random_clicks=True)
    header, *rows = (folder / "events.csv").read_text().splitlines()
    few = [row for row in rows if int(row.split(",")[0]) <= 15]
    (folder / "events.csv").write_text("\n".join([header, *few, ""]))
    with pytest.raises(InvalidData, match=r"needs 20"):
        tune(folder, settings, trials=2)


def test_command_prints_the_gain_and_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOOVIER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MOOVIER_EVENT_WEIGHTS", EQUAL)
    folder = events_of(tmp_path / "clicks", random_clicks=True)
    words = ["data", "event-weights", str(folder), "--trials", "12"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "12 trials; NDCG@10 of the next visit of" in done.stdout
    assert "(95 % +" in done.stdout
    assert "better: set MOOVIER_EVENT_WEIGHTS=" in done.stdout
