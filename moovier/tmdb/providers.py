"""Where a movie can be watched: TMDB's watch providers, which come from JustWatch.

https://developer.themoviedb.org/reference/movie-watch-providers asks for JustWatch to be named as
the source wherever the data are shown: :data:`ATTRIBUTION` goes with every answer.
"""

from __future__ import annotations

from typing import Any

#: Has to be shown with the providers.
ATTRIBUTION = (
    "Watch providers: data by JustWatch. "
    "This product uses the TMDB API but is not endorsed or certified by TMDB."
)
#: Ways to watch a movie, with TMDB's names of them.
KINDS = {"stream": "flatrate", "free": "free", "ads": "ads", "rent": "rent", "buy": "buy"}
#: Ways that cost nothing beyond a subscription, which the filter by provider counts.
WITHOUT_EXTRA_COST = ("stream", "free", "ads")
#: Most providers of one kind and region that are kept, and of a whole region.
_MOST, _MOST_OF_REGION = 50, 200


def from_tmdb(response: dict[str, Any]) -> dict[str, Any]:
    """Reduce TMDB's response to ``{"id": …, "regions": {"US": {"link": …, "stream": […], …}}}``.

    A provider is ``{"id": 8, "name": "Netflix", "logo_path": "/….jpg"}``, in TMDB's order of
    display. Fields of another type than documented are left out.
    """
    results = response.get("results")
    regions = results.items() if isinstance(results, dict) else ()
    return {
        "id": response.get("id"),
        "regions": {name: _region(value) for name, value in regions if isinstance(value, dict)},
    }


def empty_region() -> dict[str, Any]:
    """Return a region without any provider."""
    return {"link": None, **{kind: [] for kind in KINDS}}


def provider_ids(region: dict[str, Any]) -> set[int]:
    """Return the ids of the providers that show the movie without an extra payment."""
    return {provider["id"] for kind in WITHOUT_EXTRA_COST for provider in region[kind]}


def of_region(response: dict[str, Any]) -> dict[str, Any]:
    """Reduce the list of a country's providers to ``{"id": …, "providers": […]}``.

    https://developer.themoviedb.org/reference/watch-providers-movie-list
    """
    region = region_of(response["id"])
    results = response.get("results")
    values = [_at_home(value, region) for value in results] if isinstance(results, list) else []
    return {"id": response["id"], "providers": _offers(values, _MOST_OF_REGION)}


def region_number(region: str) -> int:
    """Return a number for a country (ISO 3166-1), since the cache's keys are numbers."""
    return int.from_bytes(region.encode("ascii"), "big")


def region_of(number: int) -> str:
    """Return the country of :func:`region_number`."""
    return number.to_bytes(2, "big").decode("ascii")


def _at_home(value: Any, region: str) -> Any:
    """Return a provider with its place of display in the country, if TMDB names one."""
    places = value.get("display_priorities") if isinstance(value, dict) else None
    place = places.get(region) if isinstance(places, dict) else None
    return {**value, "display_priority": place} if isinstance(place, int) else value


def _region(value: dict[str, Any]) -> dict[str, Any]:
    link = value.get("link")
    is_link = isinstance(link, str) and link.startswith("https://www.themoviedb.org/")
    offers = {kind: _offers(value.get(name)) for kind, name in KINDS.items()}
    return {"link": link if is_link else None, **offers}


def _offers(values: Any, most: int = _MOST) -> list[dict[str, Any]]:
    if not isinstance(values, list):
        return []
    known = [
        value
        for value in values
        if isinstance(value, dict)
        and isinstance(value.get("provider_id"), int)
        and isinstance(value.get("provider_name"), str)
    ]
    known.sort(key=_display_order)
    return [
        {
            "id": value["provider_id"],
            "name": value["provider_name"],
            "logo_path": value["logo_path"] if isinstance(value.get("logo_path"), str) else None,
        }
        for value in known[:most]
    ]


def _display_order(value: dict[str, Any]) -> int:
    place = value.get("display_priority")
    return place if isinstance(place, int) else 1_000_000
