"""What a movie is about and who made it, from TMDB's details with credits.

https://developer.themoviedb.org/docs/append-to-response
"""

from __future__ import annotations

from typing import Any

#: Actors that are kept, in the order of the credits.
ACTORS = 5
#: Most directors that are kept, and most characters of a name.
_DIRECTORS, _NAME = 5, 100


def from_tmdb(response: dict[str, Any]) -> dict[str, Any]:
    """Reduce TMDB's response to ``id``, ``overview``, ``tagline``, ``directors`` and ``actors``.

    A person is ``{"id": 525, "name": "Christopher Nolan"}``. Fields of another type than
    documented are left out.
    """
    credits = response.get("credits")
    credits = credits if isinstance(credits, dict) else {}
    crew = [person for person in _dicts(credits.get("crew")) if person.get("job") == "Director"]
    return {
        "id": response.get("id"),
        "overview": _text(response.get("overview")),
        "tagline": _text(response.get("tagline")),
        "directors": _people(crew)[:_DIRECTORS],
        "actors": _people(sorted(_dicts(credits.get("cast")), key=_billing))[:ACTORS],
    }


def words(content: dict[str, Any]) -> str:
    """Return the text of :func:`from_tmdb`'s object by which movies are compared."""
    people = [person["name"] for kind in ("directors", "actors") for person in content[kind]]
    return " ".join(filter(None, (content["overview"], content["tagline"], *people)))


def _people(values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = {
        value["id"]: value["name"][:_NAME]
        for value in values
        if isinstance(value.get("id"), int) and isinstance(value.get("name"), str)
    }
    return [{"id": id_, "name": name} for id_, name in known.items()]


def _dicts(values: Any) -> list[dict[str, Any]]:
    return [v for v in values if isinstance(v, dict)] if isinstance(values, list) else []


def _billing(value: dict[str, Any]) -> int:
    order = value.get("order")
    return order if isinstance(order, int) else 1_000_000


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
