"""The table of model families. To add a family, add its file and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from moovier.errors import BadRequest
from moovier.models.als import AlsFamily
from moovier.models.bayesian_mf import TasteFamily
from moovier.models.dae import DaeFamily
from moovier.models.ease import EaseFamily
from moovier.models.elsa import ElsaFamily
from moovier.models.family import Family
from moovier.models.neumf import NeuMFFamily
from moovier.models.popular import PopularFamily
from moovier.models.timeline import TimelineFamily

#: Families by name, in the order in which a retraining trains them: the slowest first.
FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        family.name: family
        for family in (
            DaeFamily(),
            TasteFamily(),
            NeuMFFamily(),
            ElsaFamily(),
            AlsFamily(),
            EaseFamily(),
            TimelineFamily(),
            PopularFamily(),
        )
    }
)

#: Families of earlier releases: registered models are still served and compared, but a retraining
#: trains them only on request by name. Why: docs/decisions/order-of-lists.md.
RETIRED = frozenset({"timeline"})

#: Families for catalogues larger than item-item weights cover: a retraining of such a catalogue
#: trains them, others only on request by name (:mod:`moovier.training.budget`).
FOR_LARGE_CATALOGUES = frozenset({"elsa", "als"})

#: Families for large catalogues that a Spark cluster trains; without the engine `spark`, a
#: retraining trains them only on request by name.
ON_CLUSTER = frozenset({"als"})


def family(name: str) -> Family:
    """Return the family called ``name``.

    Raises:
        BadRequest: No family has this name.
    """
    try:
        return FAMILIES[name]
    except KeyError:
        raise BadRequest(f"unknown family {name!r}; choose from {', '.join(FAMILIES)}") from None
