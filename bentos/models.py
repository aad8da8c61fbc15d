"""Which model answers a request."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool

from moovier.feedback.served_lists import OTHER_ARM
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.experiment_routing import Assignment
from moovier.serving.model_store import ModelStore


async def resolve_model(model_store: ModelStore, name: str | None) -> LoadedModel:
    """The model that answers one request, bound once: nobody's in particular.

    Raises: as :func:`assign_model`.
    """
    return (await assign_model(model_store, name)).model


async def assign_model(
    model_store: ModelStore, name: str | None, users: Sequence[int] = ()
) -> Assignment:
    """The model that answers one request of these people (user ids), bound once.

    Raises:
        UnknownModel: there is none of that name.
        RegistryError, BundleError: it is not in memory and cannot be had now.
    """
    wanted = strip_h5(name)
    assignment = model_store.assignment(wanted, users)
    if assignment is not None:
        return assignment
    if wanted is not None:
        return Assignment(await run_in_threadpool(model_store.get, wanted), OTHER_ARM, None)
    model = await run_in_threadpool(model_store.default)
    return model_store.assignment(None, users) or Assignment(model, OTHER_ARM, None)


def strip_h5(name: str | None) -> str | None:
    """The name without the ending of the files that the original wrote its models to."""
    return name.removesuffix(".h5") if name else None
