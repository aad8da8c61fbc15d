"""Adapt the service to running from a Bento instead of a checkout.

A Bento is a folder with ``bento.yaml`` and the program in ``src``, which is the working folder of
its processes. It holds the champion that :mod:`bentos.pack_champion` stored before the build.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from moovier.settings import Settings

#: Name of the champion in BentoML's model store.
MODEL = "moovier_champion"
_HOME = "MOOVIER_HOME"


def keep_home_outside_bento(environment: MutableMapping[str, str], folder: Path) -> None:
    """Set ``MOOVIER_HOME`` to ``~/.moovier`` in a Bento, unless it is set.

    The default is a folder in ``folder``, the working folder, and would be deleted with the Bento.
    """
    if (folder.parent / "bento.yaml").is_file() and not environment.get(_HOME):
        environment[_HOME] = str(Path.home() / ".moovier")


def models_to_pack() -> list[Any]:
    """Return the champion that was stored last, for a build; empty without one."""
    import bentoml
    from bentoml.exceptions import NotFound

    try:
        tag = bentoml.models.get(MODEL).tag
    except NotFound:
        return []
    return [bentoml.models.BentoModel(tag)]


def restore_packed(bento: Any, settings: Settings) -> None:
    """Copy the Bento's champion to the home folder, if the home has served no champion yet."""
    import bentoml

    from moovier.serving import champion_file

    for model in () if bento is None else bento.info.all_models:
        if model.tag.name == MODEL:
            packed = Path(bentoml.models.get(model.tag).path)
            champion_file.copy_first(packed, settings.path("bundles"))
