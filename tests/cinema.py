"""A MovieLens folder for tests of what people ask for: genres, years, titles worth a search."""

from __future__ import annotations

from pathlib import Path

import numpy as np

#: Title as MovieLens writes it, genres. Ids are 1, 3, 5, ... in this order.
MOVIES = (
    ("Toy Story (1995)", "Adventure|Animation|Children|Comedy"),
    ("Heat (1995)", "Action|Crime|Thriller"),
    ("Toy Story 2 (1999)", "Adventure|Animation|Children|Comedy"),
    ("Matrix, The (1999)", "Action|Sci-Fi|Thriller"),
    ("Alien (1979)", "Horror|Sci-Fi"),
    ("Solaris (Solyaris) (1972)", "Drama|Mystery|Sci-Fi"),
    ("Fabuleux destin d'Amélie Poulain, Le (2001)", "Comedy|Romance"),
    ("Babe (1995)", "Children|Drama"),
    ("Casino (1995)", "Crime|Drama"),
    ("Clueless (1995)", "Comedy|Romance"),
    ("Seven Samurai (Shichinin no samurai) (1954)", "Action|Adventure|Drama"),
    ("Stalker (1979)", "Drama|Mystery|Sci-Fi"),
    ("Babylon 5", "Sci-Fi"),
    ("Fargo (1996)", "Comedy|Crime|Drama|Thriller"),
    ("Blade Runner (1982)", "Action|Sci-Fi|Thriller"),
    ("Paterson", "(no genres listed)"),
    ("Aladdin (1992)", "Adventure|Animation|Children|Comedy|Musical"),
    ("Goodfellas (1990)", "Crime|Drama"),
    ("Brazil (1985)", "Fantasy|Sci-Fi"),
    ("Metropolis (1927)", "Drama|Sci-Fi"),
    ("Grease (1978)", "Comedy|Musical|Romance"),
    ("Shrek (2001)", "Adventure|Animation|Children|Comedy"),
    ("Snatch (2000)", "Comedy|Crime|Thriller"),
    ("Contact (1997)", "Drama|Sci-Fi"),
    ("Gattaca (1997)", "Drama|Sci-Fi|Thriller"),
    ("Ronin (1998)", "Action|Crime|Thriller"),
    ("Antz (1998)", "Adventure|Animation|Children|Comedy"),
    ("Nobody Saw This (2010)", "Drama"),
)
IDS = tuple(range(1, 2 * len(MOVIES), 2))
USERS = tuple(range(1, 41))


def genres(movie_id: int) -> set[str]:
    return set(MOVIES[movie_id // 2][1].split("|"))


def cinema(folder: Path) -> Path:
    """40 people; the odd ones like science fiction, the even ones like comedies, each rates some of
    theirs high and a few others low. Nobody rates the last movie."""
    random = np.random.default_rng(3)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for user in USERS:
        taste = "Sci-Fi" if user % 2 else "Comedy"
        liked = [id_ for id_ in IDS[:-1] if taste in genres(id_)]
        others = [id_ for id_ in IDS[:-1] if taste not in genres(id_)]
        chosen = [(id_, True) for id_ in random.choice(liked, len(liked) - 4, replace=False)]
        chosen += [(id_, False) for id_ in random.choice(others, 3, replace=False)]
        for movie, good in chosen:
            stars = random.integers(8, 11) / 2 if good else random.integers(1, 6) / 2
            rows.append((user, movie, stars, int(random.integers(1_000_000, 2_000_000))))
    lines = [f"{user},{movie},{stars},{moment}" for user, movie, stars, moment in rows]
    (folder / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *lines, ""]))
    lines = [
        f'{id_},"{title}",{genres_}' for id_, (title, genres_) in zip(IDS, MOVIES, strict=True)
    ]
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *lines, ""]))
    return folder
