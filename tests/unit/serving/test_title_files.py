"""The stored index of titles."""

from __future__ import annotations

import subprocess
from bisect import bisect_left
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from moovier.data import compact_movies
from moovier.data.catalogue import Catalogue
from moovier.models import bundle
from moovier.models.bundle import Bundle
from moovier.models.popular import PopularParams
from moovier.serving import bundle_loader, sorted_texts, title_files
from moovier.serving.sorted_texts import PackedTexts, SortedTexts
from moovier.serving.title_files import NAME, indexed_titles
from moovier.serving.title_search import TitleIndex
from tests.contracts import toy

QUERIES = ("mov", "movie 3", "movei", "1", "15", "the movie", "", "xyz", "ovie", "3000")
OTHER_QUERIES = ("toy", "toy story", "toy stroy", "amelei", "七人", "zoe", "1993", "grosse")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """Return a bundle whose catalogue counts as large."""
    monkeypatch.setattr(compact_movies, "LARGE", 2)
    counts = {"counts": np.arange(toy.N_MOVIES, dtype=np.int32)}
    made = toy.bundle_of("popular", PopularParams(), counts, toy.ratings())
    return load(bundle.save(made, tmp_path / "bundle"))


def load(folder: Path) -> Bundle:
    return bundle_loader.load(folder, 1, "model").recommender.bundle


def assert_equal_answers(model: Bundle, index: TitleIndex) -> None:
    expected = TitleIndex(model.catalogue, model.histories.movie_counts())
    for text in QUERIES:
        assert index.find(text).tolist() == expected.find(text).tolist(), text


def test_stored_titles_give_the_same_answers(model: Bundle) -> None:
    indexed = indexed_titles(model)
    assert indexed is not None
    counts = model.histories.movie_counts()
    assert_equal_answers(model, TitleIndex(model.catalogue, counts, indexed=indexed))


def test_titles_are_indexed_once(model: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model.folder
    assert folder is not None
    (folder / f".{NAME}.killed").touch()
    assert indexed_titles(model) is not None
    assert [path.name for path in folder.glob(f".{NAME}.*")] == []

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("indexed again")

    monkeypatch.setattr(subprocess, "run", refuse)
    assert indexed_titles(model) is not None


@pytest.mark.parametrize("fault", ["other titles", "damaged", "other code"])
def test_an_outdated_file_is_written_again(
    model: Bundle, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert indexed_titles(model) is not None
    folder = model.folder
    assert folder is not None
    if fault == "damaged":
        (folder / NAME).write_bytes(b"no archive")
    elif fault == "other titles":
        movies = tuple(replace(movie, title=f"Film {movie.id}") for movie in model.catalogue)
        arrays = {"counts": model.histories.movie_counts()}
        other_titles = replace(model, catalogue=Catalogue(movies), arrays=arrays)
        model = load(bundle.save(other_titles, folder))
    else:
        (folder / "code.py").write_text("")
        monkeypatch.setattr(sorted_texts, "__file__", str(folder / "code.py"))
    written: list[Path] = []

    def run(command: list[str], **options: object) -> None:
        written.append(Path(command[-1]))
        title_files.write(written[0])

    monkeypatch.setattr(subprocess, "run", run)
    indexed = indexed_titles(model)
    assert indexed is not None
    assert written == [folder]
    counts = model.histories.movie_counts()
    assert_equal_answers(model, TitleIndex(model.catalogue, counts, indexed=indexed))


def test_a_failed_process_leaves_no_file(
    model: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    assert indexed_titles(model) is None
    assert "cannot be stored" in caplog.text
    folder = model.folder
    assert folder is not None
    assert not (folder / NAME).exists()


def test_a_small_catalogue_and_one_in_memory_have_no_file(
    model: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert indexed_titles(replace(model, folder=None)) is None
    monkeypatch.setattr(compact_movies, "LARGE", 1000)
    assert indexed_titles(model) is None
    assert model.folder is not None
    assert not (model.folder / NAME).exists()


def test_texts_in_arrays_give_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    titles = ("Amélie", "七人の侍", "Toy Story 2", "Toys", "Zoë 😀 x", "Große Stille, Die")
    movies = Catalogue(
        tuple(
            replace(movie, title=title, year=1990 + number)
            for number, (movie, title) in enumerate(zip(toy.catalogue(), titles, strict=False))
        )
    )
    counts = np.arange(len(movies))
    lists = TitleIndex(movies, counts)
    monkeypatch.setattr(sorted_texts, "LARGE", 0)
    arrays = TitleIndex(movies, counts)
    for text in OTHER_QUERIES:
        assert arrays.find(text).tolist() == lists.find(text).tolist(), text
        assert arrays.find(text).size, text


@pytest.mark.parametrize("sampled", [1, 3, 100])
def test_packed_texts_are_found_by_samples(sampled: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorted_texts, "_SAMPLED", sampled)
    monkeypatch.setattr(sorted_texts, "LARGE", 0)
    texts = [f"{number:02}" for number in range(0, 40, 2)]
    found = SortedTexts.of((text, row) for row, text in enumerate(texts))
    packed = PackedTexts(*(found.to_arrays()[name] for name in ("content", "offsets")))
    for number in range(-1, 42):
        text = f"{number:02}"
        assert packed.place_of(text) == bisect_left(texts, text), text
    assert packed[:3] == texts[:3]
