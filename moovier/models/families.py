"""The one table of model families. Adding a family is adding its file and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from moovier.errors import BadRequest
from moovier.models.bayesian_mf import TasteFamily
from moovier.models.dae import DaeFamily
from moovier.models.ease import EaseFamily
from moovier.models.family import Family
from moovier.models.neumf import NeuMFFamily
from moovier.models.popular import PopularFamily
from moovier.models.timeline import TimelineFamily

#: In the order in which a retraining works on them: those that take longest first.
FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        family.name: family
        for family in (
            DaeFamily(),
            TasteFamily(),
            NeuMFFamily(),
            EaseFamily(),
            TimelineFamily(),
            PopularFamily(),
        )
    }
)

#: Families of earlier releases: registered models are still served and compared, but a retraining
#: trains them only when it is asked to by name. Why: docs/decisions/order-of-lists.md.
RETIRED = frozenset({"timeline"})


def family(name: str) -> Family:
    """The family called ``name``.

    Raises:
        BadRequest: there is none; the message names those there are.
    """
    try:
        return FAMILIES[name]
    except KeyError:
        there_are = ", ".join(FAMILIES)
        raise BadRequest(f"unknown family {name!r}; there are: {there_are}") from None
