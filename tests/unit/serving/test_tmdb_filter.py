"""Which movies pass a filter by what only TMDB knows."""

from __future__ import annotations

from typing import Any

import pytest

from moovier.serving.tmdb_filter import TmdbFilter
from moovier.tmdb.providers import empty_region

DETAILS = {"runtime": 90, "original_language": "fr"}


def offers(kind: str = "stream", region: str = "US", provider: int = 8) -> dict[str, Any]:
    return {"regions": {region: {**empty_region(), kind: [{"id": provider}]}}}


@pytest.mark.parametrize(
    ("fields", "needed"),
    [({}, False), ({"providers": (8,)}, False), ({"runtime_from": 1}, True),
     ({"runtime_to": 0}, True), ({"language": "fr"}, True)],
)  # fmt: skip
def test_details_are_needed_for_runtime_and_language(fields: dict[str, Any], needed: bool) -> None:
    assert TmdbFilter(**fields).needs_details == needed


def test_an_empty_filter_passes_unknown_movies() -> None:
    assert TmdbFilter().passes(None, None)


@pytest.mark.parametrize(
    ("fields", "passes"),
    [
        ({"runtime_from": 90}, True),
        ({"runtime_from": 91}, False),
        ({"runtime_to": 90}, True),
        ({"runtime_to": 89}, False),
        ({"runtime_from": 80, "runtime_to": 100, "language": "fr"}, True),
        ({"runtime_from": 80, "language": "en"}, False),
    ],
)
def test_runtimes_are_inclusive_and_all_conditions_must_hold(
    fields: dict[str, Any], passes: bool
) -> None:
    assert TmdbFilter(**fields).passes(DETAILS, None) == passes


@pytest.mark.parametrize("runtime", [0, None, "90", -5])
@pytest.mark.parametrize("fields", [{"runtime_from": 0}, {"runtime_to": 200}])
def test_an_unknown_runtime_never_passes(fields: dict[str, Any], runtime: Any) -> None:
    assert not TmdbFilter(**fields).passes({"runtime": runtime}, None)
    assert not TmdbFilter(**fields).passes({}, None)


def test_movies_without_details_do_not_pass() -> None:
    assert not TmdbFilter(language="fr").passes(None, None)
    assert not TmdbFilter(language="fr").passes({"original_language": None}, None)


@pytest.mark.parametrize(
    ("found", "passes"),
    [
        (offers("stream"), True),
        (offers("free"), True),
        (offers("ads"), True),
        # These cost extra.
        (offers("rent"), False),
        (offers("buy"), False),
        (offers(region="FR"), False),
        (offers(provider=9), False),
        ({"regions": {}}, False),
        (None, False),
    ],
)
def test_any_provider_of_the_region_without_extra_cost_counts(
    found: dict[str, Any] | None, passes: bool
) -> None:
    assert TmdbFilter(providers=(8, 3)).passes(None, found) == passes


def test_providers_and_details_must_both_pass() -> None:
    both = TmdbFilter(providers=(8,), runtime_to=100)
    assert both.passes(DETAILS, offers())
    assert not both.passes(DETAILS, offers("rent"))
    assert not both.passes({"runtime": 101}, offers())
