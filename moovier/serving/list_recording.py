"""Records served lists, and computes the lists of a shadow experiment's challenger.

Feedback is joined to recorded lists later. Recording happens beside the answers: no answer waits
for it or fails because of it.
"""

from __future__ import annotations

import logging
import queue
import threading
import time

from moovier.experiments.experiment import SHADOW
from moovier.experiments.outcomes import overlap
from moovier.feedback.cache import FeedbackCache
from moovier.feedback.list_recorder import ListRecorder
from moovier.feedback.served_lists import SHADOW_ARM, ServedList
from moovier.serving.events import ServingEvents
from moovier.serving.experiment_routing import ActiveExperiment, Assignment
from moovier.serving.model_store import ModelStore
from moovier.serving.page_builder import decode_cursor, score_page
from moovier.serving.requests import RecommendRequest
from moovier.serving.user_recommender import Page
from moovier.settings import Settings

logger = logging.getLogger(__name__)

#: Requests that may wait for the challenger; more are dropped.
_MAX_WAITING = 16
#: Seconds that a stop waits for the list that the challenger is computing.
_STOP_S = 2.0


class ListRecording:
    """Records the lists of ``/recommend`` and starts shadow lists."""

    def __init__(
        self,
        settings: Settings,
        model_store: ModelStore,
        feedback: FeedbackCache,
        events: ServingEvents,
    ) -> None:
        self._model_store = model_store
        self._events = events
        self._recorder = ListRecorder(
            feedback.store,
            per_s=settings.recorded_lists_per_s,
            keep_days=settings.keep_lists_days,
            count=events.lists_recorded,
        )
        self._recorder.start()
        self._shadow_lists = ShadowLists(feedback, self._recorder, events)

    def record(
        self,
        request_id: str,
        assignment: Assignment,
        request: RecommendRequest,
        page: Page,
        started: float,
    ) -> None:
        """Record a page; call it from the event loop.

        ``started`` is the ``time.perf_counter`` value at the start of the request.
        """
        if assignment.experiment is not None:
            seconds = time.perf_counter() - started
            self._events.experiment_answered(assignment.arm, seconds)
        if not self._recorder.wants():
            return
        served = _served_list(request_id, assignment, request, page)
        self._recorder.add(served)
        experiment = self._model_store.experiment
        # A shadow list is only useful beside the recorded list that it is compared with.
        if (
            experiment is not None
            and experiment.plan.mode == SHADOW
            and experiment.key == assignment.experiment
        ):
            self._shadow_lists.submit(experiment, served, request)

    def close(self) -> None:
        """Write the lists that are still waiting."""
        self._shadow_lists.close()
        self._recorder.close()


class ShadowLists:
    """A thread that computes the challenger's lists, which no user sees, one at a time."""

    def __init__(
        self, feedback: FeedbackCache, recorder: ListRecorder, events: ServingEvents
    ) -> None:
        self._feedback = feedback
        self._recorder = recorder
        self._events = events
        self._queue: queue.Queue[tuple[ActiveExperiment, ServedList, RecommendRequest] | None]
        self._queue = queue.Queue(_MAX_WAITING)
        self._thread: threading.Thread | None = None

    def submit(
        self, experiment: ActiveExperiment, served: ServedList, request: RecommendRequest
    ) -> None:
        """Have the challenger compute the list for ``request``; dropped if the queue is full."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait((experiment, served, request))
        except queue.Full:
            self._events.shadow_list("dropped", None)

    def close(self) -> None:
        """Stop after the current list; lists that wait are dropped."""
        if self._thread is None:
            return
        while True:
            try:
                self._queue.get_nowait()
            except queue.Empty:
                break
        self._queue.put(None)
        self._thread.join(_STOP_S)

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                self._compute(*work)
            except Exception:
                self._events.shadow_list("failed", None)
                logger.exception("a shadow list failed")

    def _compute(
        self, experiment: ActiveExperiment, served: ServedList, request: RecommendRequest
    ) -> None:
        shown = decode_cursor(request.cursor)
        _, page = score_page(experiment.challenger, request, self._feedback, shown, reasons=False)
        assignment = Assignment(experiment.challenger, SHADOW_ARM, experiment.key)
        shadow = _served_list(served.request_id, assignment, request, page)
        self._recorder.add(shadow)
        self._events.shadow_list("made", overlap(served.movie_ids, shadow.movie_ids))


def _served_list(
    request_id: str, assignment: Assignment, request: RecommendRequest, page: Page
) -> ServedList:
    return ServedList(
        request_id=request_id,
        arm=assignment.arm,
        served_at=int(time.time()),
        version=assignment.model.number,
        user_id=request.user_id,
        source=page.items[0].source if page.items else "model",
        movie_ids=tuple(page.ids.tolist()),
        experiment=assignment.experiment,
    )
