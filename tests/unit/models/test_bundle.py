"""Bundles: saving and loading, altered files, and arrays that do not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest

from moovier.data.catalogue import Catalogue
from moovier.errors import BundleError
from moovier.models import bundle
from moovier.models.bundle import CARD, Bundle
from moovier.models.popular import PopularParams
from tests.contracts import toy


def toy_bundle() -> Bundle:
    counts = {"counts": np.arange(toy.N_MOVIES, dtype=np.int32)}
    return toy.bundle_of("popular", PopularParams(), counts, toy.ratings())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return bundle.save(toy_bundle(), tmp_path / "deep" / "bundle")


def test_a_saved_bundle_loads_unchanged(folder: Path) -> None:
    saved, loaded = toy_bundle(), bundle.load(folder)
    assert loaded.card.name == "moovier_popular_1_trained_0"
    assert loaded.catalogue == saved.catalogue
    np.testing.assert_array_equal(loaded.index.users, saved.index.users)
    np.testing.assert_array_equal(loaded.index.movies, saved.index.movies)
    for name in ("offsets", "movies", "stars", "timestamps"):
        expected = getattr(saved.histories, name)
        np.testing.assert_array_equal(getattr(loaded.histories, name), expected)
        assert getattr(loaded.histories, name).dtype == expected.dtype
    np.testing.assert_array_equal(loaded.arrays["counts"], np.arange(toy.N_MOVIES))


@pytest.mark.parametrize("name", ["scoring.npz", "people.npz", "catalogue.json"])
def test_an_altered_file_is_an_error(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name} was altered"):
        bundle.load(folder)


@pytest.mark.parametrize("name", [CARD, "scoring.npz"])
def test_a_missing_file_is_an_error(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"cannot read the bundle in bundle.*{name}"):
        bundle.load(folder)


def test_another_format_is_an_error(folder: Path) -> None:
    head = orjson.loads((folder / CARD).read_bytes())
    head["card"]["format"] = 2
    (folder / CARD).write_bytes(orjson.dumps(head))
    with pytest.raises(BundleError, match="has format 2, but this version of Moovier reads only"):
        bundle.load(folder)


def test_sizes_that_do_not_fit_are_an_error() -> None:
    whole = toy_bundle()
    with pytest.raises(BundleError, match=r"catalogue \(16\).*number of movies"):
        replace(whole, catalogue=Catalogue(whole.catalogue.movies[:-1]))
    fewer_users = replace(whole.index, users=whole.index.users[:-1])
    with pytest.raises(BundleError, match=r"histories \(12\) and index \(11\).*number of users"):
        replace(whole, index=fewer_users)


def test_a_display_name_has_family_size_and_fine_tunings() -> None:
    assert bundle.display_name("emb", 25, 3) == "moovier_emb_25_trained_3"


def test_bundles_of_the_same_data_share_it(tmp_path: Path) -> None:
    one, other = (bundle.load(bundle.save(toy_bundle(), tmp_path / name)) for name in "ab")
    assert one.histories is other.histories
    assert one.index is other.index
    assert one.catalogue is other.catalogue
    changed = replace(toy_bundle(), catalogue=Catalogue(one.catalogue.movies[::-1]))
    assert bundle.load(bundle.save(changed, tmp_path / "c")).catalogue is not one.catalogue
