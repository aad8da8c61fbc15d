"""Finds the model that answers a request, and loads it if it is not in memory."""

from __future__ import annotations

from collections.abc import Sequence

from anyio.to_thread import run_sync

from moovier.feedback.served_lists import OTHER_ARM
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.experiment_routing import Assignment
from moovier.serving.model_store import ModelStore


async def resolve_model(model_store: ModelStore, name: str | None = None) -> LoadedModel:
    """Return the model for a request that is about no user.

    Raises:
        UnknownModel: no model has this name.
        RegistryError: the model is not in memory and the registry cannot deliver it now.
        BundleError: the model's bundle cannot be used.
    """
    return (await assign_model(model_store, name)).model


async def assign_model(
    model_store: ModelStore, name: str | None, users: Sequence[int] = ()
) -> Assignment:
    """Return the model for a request about ``users`` (MovieLens user ids).

    A request uses the returned model throughout, even if the champion changes meanwhile.

    Raises:
        UnknownModel: no model has this name.
        RegistryError: the model is not in memory and the registry cannot deliver it now.
        BundleError: the model's bundle cannot be used.
    """
    assignment = model_store.assignment(name, users)
    if assignment is not None:
        return assignment
    if name is not None:
        return Assignment(await run_sync(model_store.get, name), OTHER_ARM, None)
    model = await run_sync(model_store.default)
    return model_store.assignment(None, users) or Assignment(model, OTHER_ARM, None)
