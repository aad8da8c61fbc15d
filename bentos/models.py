"""Which model answers a request."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool

from moovier.feedback.served_lists import OTHER_ARM
from moovier.serving.bundle_loader import Loaded
from moovier.serving.experiment_routing import Turn
from moovier.serving.model_store import Shelf


async def answering(shelf: Shelf, name: str | None) -> Loaded:
    """The model that answers one request, bound once: nobody's in particular.

    Raises: as :func:`turn_of`.
    """
    return (await turn_of(shelf, name)).model


async def turn_of(shelf: Shelf, name: str | None, users: Sequence[int] = ()) -> Turn:
    """The model that answers one request of these people (user ids), bound once.

    Raises:
        UnknownModel: there is none of that name.
        RegistryError, BundleError: it is not in memory and cannot be had now.
    """
    wanted = plain(name)
    turn = shelf.turn(wanted, users)
    if turn is not None:
        return turn
    if wanted is not None:
        return Turn(await run_in_threadpool(shelf.get, wanted), OTHER_ARM, None)
    model = await run_in_threadpool(shelf.default)
    return shelf.turn(None, users) or Turn(model, OTHER_ARM, None)


def plain(name: str | None) -> str | None:
    """The name without the ending of the files that the original wrote its models to."""
    return name.removesuffix(".h5") if name else None
