"""Build the movie object of responses, which has exactly the fields of TMDB's movie details.

https://developer.themoviedb.org/reference/movie-details
"""

from __future__ import annotations

from typing import Any

from moovier.data.catalogue import Movie, natural_title

#: MovieLens's genres with TMDB's id and name. The id is None where TMDB does not have the genre.
GENRES: dict[str, tuple[int | None, str]] = {
    "Action": (28, "Action"),
    "Adventure": (12, "Adventure"),
    "Animation": (16, "Animation"),
    "Children": (10751, "Family"),
    "Comedy": (35, "Comedy"),
    "Crime": (80, "Crime"),
    "Documentary": (99, "Documentary"),
    "Drama": (18, "Drama"),
    "Fantasy": (14, "Fantasy"),
    "Film-Noir": (None, "Film-Noir"),
    "Horror": (27, "Horror"),
    "IMAX": (None, "IMAX"),
    "Musical": (10402, "Music"),
    "Mystery": (9648, "Mystery"),
    "Romance": (10749, "Romance"),
    "Sci-Fi": (878, "Science Fiction"),
    "Thriller": (53, "Thriller"),
    "War": (10752, "War"),
    "Western": (37, "Western"),
}

#: The fields of TMDB's movie details, in TMDB's order.
FIELDS = (
    "adult",
    "backdrop_path",
    "belongs_to_collection",
    "budget",
    "genres",
    "homepage",
    "id",
    "imdb_id",
    "original_language",
    "original_title",
    "overview",
    "popularity",
    "poster_path",
    "production_companies",
    "production_countries",
    "release_date",
    "revenue",
    "runtime",
    "spoken_languages",
    "status",
    "tagline",
    "title",
    "video",
    "vote_average",
    "vote_count",
)


def from_catalogue(movie: Movie) -> dict[str, Any]:
    """Build the object from the catalogue; fields that the catalogue lacks are None.

    ``id`` is TMDB's id, None where MovieLens has none. ``release_date`` is only the year.
    """
    known = {
        "genres": [_genre(name) for name in movie.genres],
        "id": movie.tmdb_id,
        "imdb_id": movie.imdb_id,
        "original_title": natural_title(movie.title),
        "release_date": None if movie.year is None else str(movie.year),
        "title": natural_title(movie.title),
    }
    return {field: known.get(field) for field in FIELDS}


def from_tmdb(answer: dict[str, Any]) -> dict[str, Any]:
    """Reduce TMDB's response to the fields of the object; a missing field is None."""
    return {field: answer.get(field) for field in FIELDS}


def _genre(name: str) -> dict[str, Any]:
    tmdb_id, tmdb_name = GENRES.get(name, (None, name))
    return {"id": tmdb_id, "name": tmdb_name}
