"""The model store: names, cached models, restarts and unknown names."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from moovier.errors import BundleError, RegistryError, RegistryUnavailable, UnknownModel
from moovier.registry.client import Registry
from moovier.serving import bundle_loader
from moovier.serving.model_store import ModelStore
from tests.fakes.relay import Relay
from tests.servers import Server, free_port
from tests.unit.serving.counting_registry import NEW, OLD, Counting, Publish, alter, own_name


def test_broken_model_requested_by_name_is_downloaded_once_in_a_while(
    model_store: ModelStore,
    counting: Counting,
    mlflow: Server,
    publish: Publish,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry.promote(publish(OLD), "good")
    broken = [publish(own_name()) for _ in range(2)]
    for version in broken:
        alter(mlflow, version)
    model_store.refresh()
    for _ in range(3):
        for version in broken:
            with pytest.raises(BundleError, match="altered"):
                model_store.get(version.name)
    assert counting.downloads == [1, 2, 3]
    monkeypatch.setattr(bundle_loader, "BROKEN_FOR_S", 0.0)
    forgetful = ModelStore(counting, model_store._folder, capacity=2)
    for _ in range(2):
        with pytest.raises(BundleError):
            forgetful.get(broken[0].name)
    assert counting.downloads[3:] == [2, 2]


def test_only_the_newest_broken_models_are_remembered(
    counting: Counting,
    mlflow: Server,
    publish: Publish,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bundle_loader, "MAX_BROKEN", 1)
    model_store = ModelStore(counting, tmp_path / "bundles", capacity=2)
    broken = [publish(own_name()) for _ in range(2)]
    for version in broken:
        alter(mlflow, version)
    for _ in range(2):
        for version in broken:
            with pytest.raises(BundleError):
                model_store.get(version.name)
    assert counting.downloads == [1, 2, 1, 2]
    with pytest.raises(BundleError):
        model_store.get(broken[1].name)
    assert counting.downloads == [1, 2, 1, 2]


def test_restart_without_mlflow_serves_the_last_champion(
    model_store: ModelStore, registry: Registry, publish: Publish, tmp_path: Path
) -> None:
    registry.promote(publish(OLD), "first")
    model_store.refresh()
    away = Registry(f"http://127.0.0.1:{free_port()}", registry.model_name, timeout_s=1.0)
    again = ModelStore(away, tmp_path / "bundles", capacity=2)
    again.restore()
    again.refresh()
    assert again.registry_error is not None
    assert (again.default().name, again.names()) == (OLD, [OLD])
    assert again.get(OLD).recommender.recommend([7], 1)
    with pytest.raises(RegistryUnavailable):
        again.get(NEW)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"names": [], "folder": "1-x"}'])
def test_damaged_champion_file_is_ignored(
    content: bytes, model_store: ModelStore, registry: Registry, publish: Publish, tmp_path: Path
) -> None:
    registry.promote(publish(OLD), "first")
    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles" / "champion.json").write_bytes(content)
    model_store.restore()
    assert model_store.loaded(None) is None
    model_store.refresh()
    assert model_store.default().name == OLD


def test_damaged_bundle_on_disk_is_downloaded_again(
    model_store: ModelStore,
    counting: Counting,
    registry: Registry,
    publish: Publish,
    tmp_path: Path,
) -> None:
    registry.promote(publish(OLD), "first")
    model_store.refresh()
    (scoring,) = (tmp_path / "bundles").glob("*/scoring.npz")
    scoring.write_bytes(scoring.read_bytes()[:-10])
    again = ModelStore(counting, tmp_path / "bundles", capacity=2)
    again.restore()
    assert again.loaded(None) is None
    again.refresh()
    assert again.default().name == OLD


def test_name_means_its_newest_version(model_store: ModelStore, publish: Publish) -> None:
    publish(OLD)
    assert model_store.get(OLD).number == 1
    publish(OLD)
    model_store.refresh()
    assert model_store.get(OLD).number == 2
    assert model_store.get("1").number == 1


def test_unknown_names_are_cached_and_touch_no_file(
    model_store: ModelStore, counting: Counting, publish: Publish, tmp_path: Path
) -> None:
    publish(OLD)
    model_store.refresh()
    for wrong in ("nope", "../../etc/passwd", "/etc/passwd", "1/../1", "", "x" * 10_000, "99"):
        for _ in range(3):
            with pytest.raises(UnknownModel, match=OLD) as caught:
                model_store.get(wrong)
            assert len(str(caught.value)) < 400
    assert counting.resolved == 7
    # Only the stand-in for the champion was downloaded.
    assert counting.downloads == [1]


def test_name_registered_meanwhile_is_found(model_store: ModelStore, publish: Publish) -> None:
    with pytest.raises(UnknownModel):
        model_store.get(OLD)
    publish(OLD)
    model_store.refresh()
    assert model_store.get(OLD).name == OLD


def test_capacity_bounds_the_models_in_memory(
    model_store: ModelStore, registry: Registry, publish: Publish
) -> None:
    names = [f"moovier_popular_{size}_trained_0" for size in range(1, 6)]
    versions = [publish(name) for name in names]
    registry.promote(versions[0], "first")
    model_store.refresh()
    for name in names:
        assert model_store.get(name).name == name
    assert model_store.count() == 3
    assert [name for name in names if model_store.loaded(name)] == [names[0], *names[3:]]


def test_loaded_models_answer_without_mlflow(
    model_store: ModelStore, relay: Relay, registry: Registry, publish: Publish
) -> None:
    publish(NEW)
    registry.promote(publish(OLD), "first")
    model_store.refresh()
    other = model_store.get(NEW)
    relay.cut()
    model_store.refresh()
    assert model_store.registry_error is not None
    assert model_store.registry_unavailable
    assert model_store.default().name == OLD
    assert model_store.get(NEW) is other
    assert model_store.get(str(other.number)) is other
    assert model_store.names() == [OLD, NEW]
    with pytest.raises(RegistryUnavailable):
        model_store.get("moovier_emb_9_trained_0")
    relay.restore()
    model_store.refresh()
    assert model_store.registry_error is None


def test_downloaded_models_load_without_mlflow(
    model_store: ModelStore, counting: Counting, relay: Relay, publish: Publish
) -> None:
    names = [f"moovier_popular_{size}_trained_0" for size in range(1, 4)]
    for name in names:
        publish(name)
    model_store.refresh()
    for name in names:
        model_store.get(name)
    # One refresh found all names.
    assert counting.resolved == 0
    assert model_store.loaded(names[0]) is None
    relay.cut()
    model_store.refresh()
    assert model_store.get(names[0]).name == names[0]


def test_no_model_without_mlflow_and_champion_file(relay: Relay, model_store: ModelStore) -> None:
    relay.cut()
    with pytest.raises(RegistryError):
        model_store.default()
    with pytest.raises(RegistryUnavailable):
        model_store.names()


def test_concurrent_requests_for_one_model_download_it_once(
    model_store: ModelStore, counting: Counting, publish: Publish
) -> None:
    publish(OLD)
    barrier = threading.Barrier(4)

    def get(_: int) -> int:
        barrier.wait()
        return id(model_store.get(OLD))

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(get, range(4)))) == 1
    assert counting.downloads == [1]


def test_only_some_unknown_names_are_remembered(
    counting: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moovier.serving.known_versions.MAX_UNKNOWN", 2)
    model_store = ModelStore(counting, tmp_path / "bundles", capacity=2)
    for wrong in ("a", "b", "c", "d", "e"):
        with pytest.raises(UnknownModel):
            model_store.get(wrong)
    assert len(model_store.known._unknown) <= 2
