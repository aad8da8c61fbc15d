"""Which model answers a request."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool

from moovier.recommending.shelf import Loaded, Shelf


async def answering(shelf: Shelf, name: str | None) -> Loaded:
    """The model that answers one request, bound once.

    Raises:
        UnknownModel: there is none of that name.
        RegistryError, BundleError: it is not in memory and cannot be had now.
    """
    wanted = plain(name)
    loaded = shelf.loaded(wanted)
    if loaded is not None:
        return loaded
    if wanted is None:
        return await run_in_threadpool(shelf.default)
    return await run_in_threadpool(shelf.get, wanted)


def plain(name: str | None) -> str | None:
    """The name without the ending of the files that the original wrote its models to."""
    return name.removesuffix(".h5") if name else None
