"""Events that the service reports, so that it does not depend on a metrics library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


def _ignore(*_: object) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class ServingEvents:
    """Callbacks for what happens while requests are answered; each ignores its event by default.

    They are called from the event loop and from worker threads, and must not block or raise.
    """

    #: Lists were answered: model name, number of personal lists, number of popular lists.
    lists_answered: Callable[[str, int, int], None] = _ignore
    #: A list was computed by fold-in: model name.
    fold_in: Callable[[str], None] = _ignore
    #: A request of an experiment was answered: arm, seconds.
    experiment_answered: Callable[[str, float], None] = _ignore
    #: Served lists were ``stored``, ``dropped`` or ``over_limit``: result, number of lists.
    lists_recorded: Callable[[str, int], None] = _ignore
    #: A shadow list was ``made``, ``dropped`` or ``failed``: result, overlap with the served list.
    shadow_list: Callable[[str, float | None], None] = _ignore
