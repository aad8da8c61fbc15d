"""What `/recommend` showed, noted down for feedback to be joined to; and what a challenger in the
shadow would have shown. All of it happens beside the answers: none waits for it, none fails by it.
"""

from __future__ import annotations

import logging
import queue
import threading
import time

from bentos import lists, metrics, schemas
from moovier.experiments.experiment import SHADOW
from moovier.experiments.outcomes import overlap
from moovier.feedback.cache import FeedbackCache
from moovier.feedback.list_recorder import ListRecorder
from moovier.feedback.served_lists import SHADOW_ARM, ServedList
from moovier.serving.experiment_routing import ActiveExperiment, Assignment
from moovier.serving.model_store import ModelStore
from moovier.serving.user_recommender import Page
from moovier.settings import Settings

logger = logging.getLogger(__name__)

#: Requests that wait for the shadow at most; of more some are left out.
_WAITING = 16
#: Seconds that stopping waits for the list that the shadow is making.
_STOP_S = 2.0


class ServedListRecorder:
    """Records lists, and has the shadow make its own. :meth:`note` is the event loop's."""

    def __init__(
        self, settings: Settings, model_store: ModelStore, feedback: FeedbackCache
    ) -> None:
        self._model_store = model_store
        self._recorder = ListRecorder(
            feedback.store,
            per_s=settings.recorded_lists_per_s,
            keep_days=settings.keep_lists_days,
            count=metrics.count_recorded,
        )
        self._recorder.start()
        self._shadows = ShadowLists(feedback, self._recorder)

    def note(
        self,
        request_id: str,
        assignment: Assignment,
        asked: schemas.RecommendRequest,
        page: Page,
        started: float,
    ) -> None:
        """A page was made. ``started``: of the request, by ``time.perf_counter``."""
        if assignment.experiment is not None:
            metrics.answered_in_experiment(assignment.arm, time.perf_counter() - started)
        if not self._recorder.wants():
            return
        served = _list_of(request_id, assignment, asked, page)
        self._recorder.add(served)
        trial = self._model_store.trial
        # Only beside what is recorded: the one is of no use without the other.
        if trial is not None and trial.plan.mode == SHADOW and trial.key == assignment.experiment:
            self._shadows.offer(trial, served, asked)

    def close(self) -> None:
        """Write what waits to be written."""
        self._shadows.close()
        self._recorder.close()


class ShadowLists:
    """A thread that makes lists nobody sees, one at a time."""

    def __init__(self, feedback: FeedbackCache, recorder: ListRecorder) -> None:
        self._feedback = feedback
        self._recorder = recorder
        self._queue: queue.Queue[
            tuple[ActiveExperiment, ServedList, schemas.RecommendRequest] | None
        ]
        self._queue = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None

    def offer(
        self, trial: ActiveExperiment, served: ServedList, asked: schemas.RecommendRequest
    ) -> None:
        """Have the challenger make the list that was ``served``, if it is not busy."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait((trial, served, asked))
        except queue.Full:
            metrics.count_shadow("dropped")

    def close(self) -> None:
        """End after the list that is being made; what waits is left out."""
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
                self._make(*work)
            except Exception:
                metrics.count_shadow("failed")
                logger.exception("a list in the shadow failed")

    def _make(
        self, trial: ActiveExperiment, served: ServedList, asked: schemas.RecommendRequest
    ) -> None:
        shown = lists.decode_cursor(asked.cursor)
        _, page = lists.score_page(trial.challenger, asked, self._feedback, shown, reasons=False)
        assignment = Assignment(trial.challenger, SHADOW_ARM, trial.key)
        made = _list_of(served.request_id, assignment, asked, page)
        self._recorder.add(made)
        metrics.count_shadow("made", overlap(served.movie_ids, made.movie_ids))


def _list_of(
    request_id: str, assignment: Assignment, asked: schemas.RecommendRequest, page: Page
) -> ServedList:
    return ServedList(
        request_id=request_id,
        arm=assignment.arm,
        served_at=int(time.time()),
        version=assignment.model.number,
        user_id=asked.user_id,
        source=page.items[0].source if page.items else "model",
        movie_ids=tuple(page.ids.tolist()),
        experiment=assignment.experiment,
    )
