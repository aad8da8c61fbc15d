"""Served lists are recorded, and a shadow experiment's challenger makes its own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from moovier.experiments.experiment import Experiment
from moovier.feedback.served_lists import ServedList
from moovier.serving import list_recording
from moovier.serving.experiment_routing import ActiveExperiment, Assignment
from moovier.serving.list_recording import ListRecording, ShadowLists
from moovier.serving.page_builder import decode_cursor, score_page
from moovier.serving.requests import RecommendRequest
from moovier.settings import Settings
from tests.unit.serving.toy_context import Toy, champion, rating_model
from tests.unit.serving.toy_users import USERS

REQUEST = RecommendRequest(user_id=USERS[0], top_k=4)


class Recorder:
    """A list recorder that keeps the lists in memory."""

    def __init__(self, *_arguments: Any, **_options: Any) -> None:
        self.lists: list[ServedList] = []
        self.wanted = True
        self.closed = False

    def start(self) -> None:
        """Start nothing."""

    def wants(self) -> bool:
        return self.wanted

    def add(self, served: ServedList) -> None:
        self.lists.append(served)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(list_recording, "ListRecorder", lambda *_, **__: recorder)
    return recorder


@pytest.fixture
def recording(toy: Toy, recorder: Recorder) -> Iterator[ListRecording]:
    recording = ListRecording(Settings(), toy.context.model_store, toy.feedback, toy.reports.events)
    yield recording
    recording.close()
    assert recorder.closed


def record(toy: Toy, recording: ListRecording, request: RecommendRequest = REQUEST,
           experiment: str | None = None) -> Any:  # fmt: skip
    _, page = score_page(champion(), request, toy.feedback, decode_cursor(None))
    assignment = Assignment(champion(), "champion", experiment)
    recording.record("r" * 32, assignment, request, page, time.perf_counter())
    return page


def test_a_list_is_recorded_with_its_user_model_and_movies(
    toy: Toy, recording: ListRecording, recorder: Recorder
) -> None:
    page = record(toy, recording)
    [served] = recorder.lists
    assert (served.request_id, served.arm, served.version) == ("r" * 32, "champion", 1)
    assert (served.user_id, served.source) == (USERS[0], "model")
    assert served.movie_ids == tuple(page.ids.tolist())
    assert served.experiment is None
    assert abs(served.served_at - time.time()) < 60
    assert toy.reports.arms == []


def test_a_visitors_list_has_no_user_and_an_empty_list_a_source(
    toy: Toy, recording: ListRecording, recorder: Recorder
) -> None:
    record(toy, recording, RecommendRequest())
    empty = RecommendRequest(user_id=USERS[0], exclude=tuple(range(10, 44)))
    record(toy, recording, empty)
    popular, nothing = recorder.lists
    assert (popular.user_id, popular.source) == (None, "popular")
    assert (nothing.movie_ids, nothing.source) == ((), "model")


def test_lists_beyond_the_limit_are_counted_for_the_experiment_only(
    toy: Toy, recording: ListRecording, recorder: Recorder
) -> None:
    recorder.wanted = False
    record(toy, recording, experiment="key")
    assert recorder.lists == []
    assert toy.reports.arms == ["champion"]


def begin(toy: Toy, mode: str) -> ActiveExperiment:
    tag = {"id": "autumn", "mode": mode, "share": 1.0, "started_at": 1, "salt": "x"}
    plan = Experiment.parse(json.dumps(tag))
    experiment = ActiveExperiment.of(plan, champion(), rating_model())
    toy.models.experiment = experiment
    return experiment


def wait_for_shadows(recording: ListRecording, toy: Toy, n: int) -> None:
    end = time.monotonic() + 90
    while len(toy.reports.shadows) < n:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_shadow_list_is_recorded_beside_the_served_one(
    toy: Toy, recording: ListRecording, recorder: Recorder
) -> None:
    experiment = begin(toy, "shadow")
    page = record(toy, recording, experiment=experiment.key)
    wait_for_shadows(recording, toy, 1)
    served, shadow = recorder.lists
    assert (served.arm, shadow.arm) == ("champion", "shadow")
    assert (shadow.request_id, shadow.version) == (served.request_id, 2)
    # The challenger prefers the last movies for everybody.
    rated = champion().recommender.bundle.histories[0].movies
    ids = champion().recommender.bundle.index.movies.tolist()
    unrated = [movie for row, movie in enumerate(ids) if row not in rated]
    assert list(shadow.movie_ids) == unrated[::-1][:4]
    [(result, overlap)] = toy.reports.shadows
    assert result == "made"
    common = len(set(shadow.movie_ids) & set(page.ids.tolist()))
    assert overlap == pytest.approx(common / 4)


@pytest.mark.parametrize(("mode", "key"), [("canary", None), ("shadow", "another")])
def test_other_lists_have_no_shadow(
    toy: Toy, recording: ListRecording, recorder: Recorder, mode: str, key: str | None
) -> None:
    experiment = begin(toy, mode)
    record(toy, recording, experiment=key or experiment.key)
    recording.close()
    assert [served.arm for served in recorder.lists] == ["champion"]
    assert recording._shadow_lists._thread is None


def test_a_full_queue_drops_shadow_lists_and_a_failure_is_reported(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_recording, "_MAX_WAITING", 1)
    recorder: Any = Recorder()
    lists = ShadowLists(toy.feedback, recorder, toy.reports.events)
    # No thread takes anything out of the queue.
    monkeypatch.setattr(lists, "_run", lambda: None)
    experiment = begin(toy, "shadow")
    served = ServedList("r", "champion", 1, 1, 7, "model", (), None)
    for _ in range(3):
        lists.submit(experiment, served, REQUEST)
    assert toy.reports.shadows == [("dropped", None), ("dropped", None)]
    lists.close()
    failing = ShadowLists(toy.feedback, recorder, toy.reports.events)
    failing.submit(experiment, served, RecommendRequest(cursor="nonsense"))
    end = time.monotonic() + 90
    while len(toy.reports.shadows) < 3:
        assert time.monotonic() < end
        time.sleep(0.005)
    failing.close()
    assert toy.reports.shadows[-1] == ("failed", None)
    assert recorder.lists == []
