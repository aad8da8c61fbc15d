"""`moovier movies add FILE | list | delete ID`: movies that nobody has rated."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moovier.cli.console import plain_console
from moovier.cli.options import parse_id
from moovier.settings import load_settings

movies_app = typer.Typer(help="Add movies that nobody has rated.", no_args_is_help=True)


@movies_app.command()
def add(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV with the columns movieId, title, genres, and optionally tmdbId, people "
            "(separated by |) and text."
        ),
    ],
) -> None:
    """Add the movies of a file, all or none; a running service has them within seconds."""
    from moovier.jobs.add_movies import add_movies

    result = add_movies(file, load_settings())
    typer.echo(f"{result.added:,} movies added, {result.replaced:,} replaced")


@movies_app.command("list")
def show() -> None:
    """List the movies that were added."""
    from rich.table import Table

    from moovier.jobs.add_movies import list_movies, movie_texts

    settings = load_settings()
    movies = list_movies(settings)
    if not movies:
        typer.echo("no movies were added yet; `moovier movies add FILE` adds some")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("id", "title", "year", "genres", "TMDB id"):
        table.add_column(heading, overflow="fold")
    texts = movie_texts(settings)
    for movie in movies:
        year = "" if movie.year is None else str(movie.year)
        tmdb_id = "" if movie.tmdb_id is None else str(movie.tmdb_id)
        movie_id = texts.get(movie.id, str(movie.id))
        table.add_row(movie_id, movie.title, year, "|".join(movie.genres), tmdb_id)
    plain_console(soft_wrap=False).print(table)


@movies_app.command()
def delete(movie_id: Annotated[str, typer.Argument(help="Movie id.")]) -> None:
    """Delete a movie that was added; its ratings stay, but no longer count."""
    from moovier.jobs.add_movies import delete_movie

    delete_movie(parse_id(movie_id), load_settings())
    typer.echo(f"deleted: {movie_id}")
