"""Versions, aliases and bundles as they are read from MLflow's answers.

The answers come from memory; tests/unit/registry/test_client.py has the real server.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from moovier.errors import BundleError, RegistryError, UnknownModel, UnusableModel
from moovier.models import bundle
from moovier.registry import reader as reader_module
from moovier.registry.reader import RegistryReader
from tests.fixtures import toy_model
from tests.unit.registry.fake_rest import FakeRest, reader_of

A, B, C = (f"moovier_emb_{size}_trained_0" for size in (10, 25, 50))


@pytest.fixture
def rest() -> FakeRest:
    return FakeRest()


@pytest.fixture
def reader(rest: FakeRest) -> RegistryReader:
    return reader_of(rest)


def test_a_name_means_its_newest_version(rest: FakeRest, reader: RegistryReader) -> None:
    for name in (A, B, A):
        rest.add(name)
    assert reader.resolve(A).number == 3
    assert reader.resolve("1").name == A
    assert reader.names() == [A, B]
    assert [version.number for version in reader.versions()] == [3, 2, 1]


def test_a_name_means_its_newest_complete_version(rest: FakeRest, reader: RegistryReader) -> None:
    rest.add(A)
    rest.add(A, complete="")
    assert reader.resolve(A).number == 1
    with pytest.raises(UnusableModel, match="version 2"):
        reader.resolve("2")


def test_aliases_are_those_of_the_registered_model(rest: FakeRest, reader: RegistryReader) -> None:
    rest.add(A)
    rest.add(B)
    rest.aliases = {"stars": 2, "champion": 2, "previous": 1}
    assert reader.resolve("champion").aliases == ("champion", "stars")
    assert [version.aliases for version in reader.versions()] == [
        ("champion", "stars"),
        ("previous",),
    ]
    assert reader.alias("challenger") is None
    assert reader.listing().aliases == rest.aliases


@pytest.mark.parametrize(
    "text",
    ["../../etc/passwd", "a/b", "moovier_emb_10_trained_0'", "x' or name='y", "\x00", "\n", "",
     "é", "-1", "٣", "champion ", "x" * 300],
)  # fmt: skip
def test_text_that_is_no_name_is_not_sent_to_mlflow(
    rest: FakeRest, reader: RegistryReader, text: str
) -> None:
    rest.add(A)
    with pytest.raises(UnknownModel) as caught:
        reader.resolve(text)
    assert caught.value.known == (A,)
    sent = [value for _, arguments in rest.requests for value in arguments.values()]
    assert set(sent) <= {"moovier", "name='moovier'", 1000, ""}


@pytest.mark.parametrize("text", ["0", "99", "9" * 40, "previous", "moovier_emb_9_trained_0"])
def test_unknown_models_are_named_with_the_known_ones(
    rest: FakeRest, reader: RegistryReader, text: str
) -> None:
    rest.add(A)
    with pytest.raises(UnknownModel, match=f"'{text}'.*{A}"):
        reader.resolve(text)


def test_an_alias_of_an_unusable_version_is_explained(
    rest: FakeRest, reader: RegistryReader
) -> None:
    rest.add(A)
    rest.add(B, complete="")
    rest.aliases = {"champion": 2}
    assert reader.alias("champion") is None
    with pytest.raises(UnusableModel, match=f"names {B} .version 2., which cannot be used") as e:
        reader.resolve("champion")
    assert e.value.known == (A,)


def test_versions_are_found_by_all_of_their_tags(rest: FakeRest, reader: RegistryReader) -> None:
    rest.add(A, data_hash="a.dir", kind="x")
    rest.add(B, data_hash="a.dir", kind="y")
    rest.add(C, data_hash="b.dir", kind="y")
    rest.add(C, data_hash="a.dir", kind="y", complete="")
    assert [v.number for v in reader.find(data_hash="a.dir")] == [2, 1]
    assert [v.number for v in reader.find(data_hash="a.dir", kind="y")] == [2]
    assert reader.find(data_hash="c.dir") == []


@pytest.mark.parametrize("value", ["it's", "a\\b"])
def test_a_tag_that_mlflow_cannot_search_for_is_refused(
    rest: FakeRest, reader: RegistryReader, value: str
) -> None:
    with pytest.raises(ValueError, match="quote or a backslash"):
        reader.find(name=value)
    assert rest.requests == []


def test_versions_of_all_pages_are_sorted_newest_first(
    rest: FakeRest, reader: RegistryReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "_PAGE", 2)
    for number in range(1, 6):
        rest.add(f"moovier_emb_{number}_trained_0")
    assert [version.number for version in reader.versions()] == [5, 4, 3, 2, 1]
    assert rest.count("/model-versions/search") == 3


def test_versions_have_what_their_logged_models_say(rest: FakeRest, reader: RegistryReader) -> None:
    number = rest.add(A)
    rest.versions[number - 1]["source"] = "models:/m1"
    rest.add_logged_model(
        "m1",
        params=[{"key": "size", "value": "64"}, {"key": "family", "value": "dae"}],
        metrics=[{"key": "rmse", "value": 0.8, "timestamp": 1}],
        tags=[{"key": "hold_out", "value": "h"}],
    )
    rest.add(B)
    other, described = reader.versions()
    assert (described.params, described.metrics) == ({"size": 64}, {"rmse": 0.8})
    assert described.tags["hold_out"] == "h"
    assert (other.params, other.metrics) == ({}, {})


def test_an_empty_registry_is_read_as_empty(reader: RegistryReader) -> None:
    assert (reader.names(), reader.model_tags(), reader.alias("champion")) == ([], {}, None)
    listing = reader.listing()
    assert (listing.versions, listing.unusable, dict(listing.aliases)) == ((), (), {})


def test_tags_of_the_registered_model_are_read(rest: FakeRest, reader: RegistryReader) -> None:
    rest.add(A)
    rest.tags = {"monitoring": "{}", "empty": ""}
    assert reader.model_tags() == reader.listing().model_tags == rest.tags


def test_an_answer_of_an_unknown_form_is_an_error(rest: FakeRest, reader: RegistryReader) -> None:
    rest.add(A)
    rest.versions[0]["version"] = "one"
    with pytest.raises(RegistryError, match="unknown form"):
        reader.versions()


# Bundles


@pytest.fixture
def stored(rest: FakeRest, tmp_path: Path) -> Path:
    """Add a version with a bundle; return the folder of its artefacts."""
    folder = toy_model(tmp_path / "stored", A)
    rest.add(A, folder)
    return folder


def files_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.suffix != ".lock"]


@pytest.mark.usefixtures("stored")
def test_a_bundle_is_downloaded_once(
    rest: FakeRest, reader: RegistryReader, tmp_path: Path
) -> None:
    folder, version = tmp_path / "bundles" / "1", reader.resolve("1")
    assert reader.load_bundle(version, folder).card.name == A
    downloads = rest.count("download")
    assert downloads == len(list(folder.iterdir()))
    assert reader.load_bundle(version, folder).card.name == A
    assert rest.count("download") == downloads
    assert files_in(folder.parent) == ["1"]


@pytest.mark.usefixtures("stored")
def test_a_bundle_is_parsed_once_per_load(
    reader: RegistryReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[bundle.Bundle] = []
    load: Callable[[Path], bundle.Bundle] = bundle.load

    def counting_load(folder: Path) -> bundle.Bundle:
        parsed.append(load(folder))
        return parsed[-1]

    monkeypatch.setattr(bundle, "load", counting_load)
    version = reader.resolve("1")
    for loads in (1, 2):
        assert reader.load_bundle(version, tmp_path / "1") is parsed[-1]
        assert len(parsed) == loads


@pytest.mark.usefixtures("stored")
def test_a_damaged_copy_is_downloaded_again(reader: RegistryReader, tmp_path: Path) -> None:
    folder, version = tmp_path / "1", reader.resolve("1")
    reader.load_bundle(version, folder)
    (folder / "scoring.npz").write_bytes(b"half")
    assert reader.load_bundle(version, folder).card.name == A
    assert bundle.load(folder).card.name == A


@pytest.mark.usefixtures("stored")
def test_threads_download_a_bundle_once(
    rest: FakeRest, reader: RegistryReader, tmp_path: Path
) -> None:
    version, names = reader.resolve("1"), []

    def fetch() -> None:
        names.append(reader.load_bundle(version, tmp_path / "1").card.name)

    threads = [threading.Thread(target=fetch) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names == [A] * 6
    assert rest.count(f"download bundle/{bundle.CARD}") == 1


def test_an_altered_bundle_is_refused_and_not_stored(
    stored: Path, reader: RegistryReader, tmp_path: Path
) -> None:
    file = stored / "bundle" / "scoring.npz"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(BundleError, match="altered"):
        reader.load_bundle(reader.resolve("1"), tmp_path / "bundles" / "1")
    assert files_in(tmp_path / "bundles") == []


def test_a_version_without_a_bundle_is_explained(
    rest: FakeRest, reader: RegistryReader, tmp_path: Path
) -> None:
    rest.add(A)
    with pytest.raises(BundleError, match=r"version 1 has no bundle .*; choose another model"):
        reader.load_bundle(reader.resolve("1"), tmp_path / "1")
    assert reader.card(reader.resolve("1")) is None


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".", ".."])
def test_a_card_that_names_files_outside_its_folder_is_refused(
    stored: Path, rest: FakeRest, reader: RegistryReader, tmp_path: Path, name: str
) -> None:
    card = stored / "bundle" / bundle.CARD
    content: dict[str, Any] = orjson.loads(card.read_bytes())
    card.write_bytes(orjson.dumps({**content, "sha256": {name: "0"}}))
    with pytest.raises(BundleError, match="outside its folder"):
        reader.load_bundle(reader.resolve("1"), tmp_path / "1")
    assert rest.count("download") == 1


@pytest.mark.parametrize("content", [b"no JSON", b"[]", b"{}", b'{"sha256": 3}'])
def test_a_card_of_an_unknown_form_is_refused(
    stored: Path, reader: RegistryReader, tmp_path: Path, content: bytes
) -> None:
    (stored / "bundle" / bundle.CARD).write_bytes(content)
    with pytest.raises(BundleError, match="unknown form"):
        reader.load_bundle(reader.resolve("1"), tmp_path / "1")


@pytest.mark.usefixtures("stored")
def test_a_disk_that_cannot_be_written_is_not_a_broken_bundle(
    reader: RegistryReader, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RegistryError, match="cannot store version 1 on the disk") as caught:
        reader.load_bundle(reader.resolve("1"), tmp_path / "file" / "1")
    assert not isinstance(caught.value, BundleError)


def test_files_beside_the_bundle_are_downloaded(
    stored: Path, reader: RegistryReader, tmp_path: Path
) -> None:
    version, target = reader.resolve("1"), tmp_path / "out"
    assert reader.download_file(version, "report.html", target) is None
    with pytest.raises(BundleError, match=f"{A} has no Keras model"):
        reader.download_keras_model(version, target)
    (stored / "report.html").write_text("page")
    (stored / "data").mkdir()
    (stored / "data" / "model.keras").write_text("keras")
    assert reader.download_file(version, "report.html", target) == target
    assert target.read_text() == "page"
    assert reader.download_keras_model(version, target).read_text() == "keras"


@pytest.mark.usefixtures("stored")
def test_a_card_is_read_without_the_bundle(rest: FakeRest, reader: RegistryReader) -> None:
    card = reader.card(reader.resolve("1"))
    assert card is not None
    assert card.name == A
    assert rest.count("download") == 1
