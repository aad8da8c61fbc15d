from __future__ import annotations

import errno
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from moovier.errors import BundleError, RegistryError, RegistryUnavailable, UnknownModel
from moovier.models.bundle import CARD, Bundle
from moovier.registry.client import Registry
from moovier.registry.tracking import Tracking
from moovier.registry.version import Version
from moovier.serving import bundle_loader
from moovier.serving import model_store as room
from moovier.serving.model_store import ModelStore
from tests.fakes.relay import Relay, relay_before
from tests.fixtures import toy_model
from tests.servers import Server, free_port

Publish = Callable[..., Version]
OLD, NEW = "moovier_popular_1_trained_0", "moovier_popular_2_trained_0"


def own_name() -> str:
    """A model's name that no other test's has: MLflow's store is the session's."""
    return f"moovier_popular_{uuid.uuid4().int % 10**9}_trained_0"


class Counting(Registry):
    """Counts what costs MLflow something."""

    def __init__(self, *args: str) -> None:
        super().__init__(*args)
        self.resolved = 0
        self.downloads: list[int] = []

    def resolve(self, text: str) -> Version:
        self.resolved += 1
        return super().resolve(text)

    def load_bundle(self, version: Version, folder: Path) -> Bundle:
        self.downloads.append(version.number)
        return super().load_bundle(version, folder)


@pytest.fixture
def relay(mlflow: Server) -> Iterator[Relay]:
    with relay_before(mlflow.address) as relay:
        yield relay


@pytest.fixture
def seen(relay: Relay, registry: Registry) -> Counting:
    """The same registry as the shelf sees it: through a line that can be cut."""
    return Counting(relay.address, registry.model_name)


@pytest.fixture
def model_store(seen: Counting, tmp_path: Path) -> ModelStore:
    return ModelStore(seen, tmp_path / "bundles", capacity=2)


def test_a_new_champion_is_taken_over(
    model_store: ModelStore, registry: Registry, publish: Publish
) -> None:
    registry.promote(publish(OLD), "first")
    assert model_store.loaded(None) is None
    model_store.refresh()
    first = model_store.loaded(None)
    assert first is not None
    assert (first.name, first.number) == (OLD, 1)
    assert model_store.loaded("champion") is first

    registry.promote(publish(NEW), "better")
    assert model_store.loaded(None) is first
    model_store.refresh()
    assert model_store.default().name == NEW
    # A request that is under way goes on with what it bound.
    assert first.recommender.recommend([7], 1)[0].items[0].movie.id == 47

    registry.rollback("worse")
    model_store.refresh()
    assert model_store.default().name == OLD


def test_nothing_is_fetched_twice(
    model_store: ModelStore, seen: Counting, registry: Registry, publish: Publish
) -> None:
    registry.promote(publish(OLD), "first")
    for _ in range(3):
        model_store.refresh()
    for text in (OLD, "1", "champion", OLD):
        assert model_store.get(text).number == 1
    assert seen.downloads == [1]


def test_a_champion_that_cannot_answer_is_refused(
    model_store: ModelStore,
    registry: Registry,
    tracking: Tracking,
    publish: Publish,
    tmp_path: Path,
) -> None:
    registry.promote(publish(OLD), "good")
    model_store.refresh()
    key = uuid.uuid4().hex
    run_id = tracking.start(NEW, retraining=key, part="train")
    folder = toy_model(tmp_path / "ghost", NEW, family="ghost")
    registry.promote(tracking.register(folder, NEW, run_id=run_id, key=key, tags={}), "bad")
    model_store.refresh()
    assert model_store.default().name == OLD
    # MLflow is well: it is the version that is not.
    assert model_store.registry_error is None
    assert model_store.champion_rejected is not None
    assert (model_store.champion_rejected.name, model_store.champion_rejected.number) == (NEW, 2)
    assert "unknown family 'ghost'" in str(model_store.champion_rejected)
    assert model_store.names() == [NEW, OLD]
    registry.rollback("does not score")
    model_store.refresh()
    assert model_store.champion_rejected is None


def alter(mlflow: Server, version: Version) -> None:
    """One byte of the scores in MLflow's store: what arrives is not what was registered."""
    [file] = [
        path
        for path in (mlflow.folder / "artifacts").rglob("bundle/scoring.npz")
        if version.name in path.with_name(CARD).read_text()
    ]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


def test_a_broken_champion_is_fetched_once_until_the_alias_moves(
    model_store: ModelStore, seen: Counting, mlflow: Server, registry: Registry, publish: Publish
) -> None:
    registry.promote(publish(OLD), "good")
    model_store.refresh()
    broken = publish(own_name())
    alter(mlflow, broken)
    registry.promote(broken, "bad")
    for _ in range(4):
        model_store.refresh()
    assert seen.downloads == [1, 2]
    assert model_store.default().name == OLD
    registry.rollback("altered")
    model_store.refresh()
    assert model_store.champion_rejected is None
    # Named anew, it may have been mended.
    registry.promote(broken, "once more")
    for _ in range(2):
        model_store.refresh()
    assert seen.downloads == [1, 2, 2]
    assert model_store.champion_rejected is not None


def test_a_broken_model_asked_for_by_name_is_fetched_once_in_a_while(
    model_store: ModelStore,
    seen: Counting,
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
    assert seen.downloads == [1, 2, 3]
    monkeypatch.setattr(bundle_loader, "BROKEN_FOR_S", 0.0)
    forgetful = ModelStore(seen, model_store._folder, capacity=2)
    for _ in range(2):
        with pytest.raises(BundleError):
            forgetful.get(broken[0].name)
    assert seen.downloads[3:] == [2, 2]


def test_only_the_newest_broken_models_are_remembered(
    seen: Counting,
    mlflow: Server,
    publish: Publish,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bundle_loader, "MAX_BROKEN", 1)
    model_store = ModelStore(seen, tmp_path / "bundles", capacity=2)
    broken = [publish(own_name()) for _ in range(2)]
    for version in broken:
        alter(mlflow, version)
    for _ in range(2):
        for version in broken:
            with pytest.raises(BundleError):
                model_store.get(version.name)
    assert seen.downloads == [1, 2, 1, 2]
    with pytest.raises(BundleError):
        model_store.get(broken[1].name)
    assert seen.downloads == [1, 2, 1, 2]


def test_a_broken_stand_in_gives_way_to_the_one_before(
    model_store: ModelStore, seen: Counting, mlflow: Server, publish: Publish
) -> None:
    publish(OLD)
    alter(mlflow, publish(own_name()))
    for _ in range(3):
        assert model_store.default().number == 1
        model_store.refresh()
    assert seen.downloads == [2, 1]


def test_a_broken_model_of_stars_is_fetched_once(
    model_store: ModelStore, seen: Counting, mlflow: Server, registry: Registry, publish: Publish
) -> None:
    registry.promote(publish(OLD), "good")
    broken = publish(own_name())
    alter(mlflow, broken)
    registry.set_rating_model(broken)
    for _ in range(3):
        model_store.refresh()
    assert sorted(seen.downloads) == [1, 2]
    assert model_store.stars is None
    assert model_store.stars_rejected is not None
    registry.set_rating_model(publish(NEW))
    model_store.refresh()
    assert model_store.stars is not None
    assert model_store.stars_rejected is None


def test_a_full_disk_is_no_fault_of_the_version(
    model_store: ModelStore, registry: Registry, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.promote(publish(OLD), "good")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/somewhere/secret")

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "_fetch_bundle", full)
        model_store.refresh()
    assert model_store.champion_rejected is None
    assert model_store.registry_error is not None
    assert "No space left" in model_store.registry_error
    assert "/somewhere" not in model_store.registry_error
    assert not model_store.registry_unavailable
    model_store.refresh()
    assert model_store.default().name == OLD


def test_a_restart_without_mlflow_serves_the_last_champion(
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
def test_a_damaged_note_of_the_champion_is_passed_over(
    content: bytes, model_store: ModelStore, registry: Registry, publish: Publish, tmp_path: Path
) -> None:
    registry.promote(publish(OLD), "first")
    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles" / "champion.json").write_bytes(content)
    model_store.restore()
    assert model_store.loaded(None) is None
    model_store.refresh()
    assert model_store.default().name == OLD


def test_a_damaged_bundle_on_disk_is_fetched_anew(
    model_store: ModelStore, seen: Counting, registry: Registry, publish: Publish, tmp_path: Path
) -> None:
    registry.promote(publish(OLD), "first")
    model_store.refresh()
    (scoring,) = (tmp_path / "bundles").glob("*/scoring.npz")
    scoring.write_bytes(scoring.read_bytes()[:-10])
    again = ModelStore(seen, tmp_path / "bundles", capacity=2)
    again.restore()
    assert again.loaded(None) is None
    again.refresh()
    assert again.default().name == OLD


def test_a_name_means_its_newest_version(model_store: ModelStore, publish: Publish) -> None:
    publish(OLD)
    assert model_store.get(OLD).number == 1
    publish(OLD)
    model_store.refresh()
    assert model_store.get(OLD).number == 2
    assert model_store.get("1").number == 1


def test_wrong_names_cost_little_and_touch_no_file(
    model_store: ModelStore, seen: Counting, publish: Publish, tmp_path: Path
) -> None:
    publish(OLD)
    model_store.refresh()
    for wrong in ("nope", "../../etc/passwd", "/etc/passwd", "1/../1", "", "x" * 10_000, "99"):
        for _ in range(3):
            with pytest.raises(UnknownModel, match=OLD) as caught:
                model_store.get(wrong)
            assert len(str(caught.value)) < 400
    assert seen.resolved == 7
    # Only what stands in for a champion was fetched.
    assert seen.downloads == [1]


def test_a_name_that_is_registered_meanwhile_is_found(
    model_store: ModelStore, publish: Publish
) -> None:
    with pytest.raises(UnknownModel):
        model_store.get(OLD)
    publish(OLD)
    model_store.refresh()
    assert model_store.get(OLD).name == OLD


def test_few_models_stay_in_memory(
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


def test_what_is_loaded_outlives_mlflow(
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


def test_what_is_on_the_disk_outlives_mlflow(
    model_store: ModelStore, seen: Counting, relay: Relay, publish: Publish
) -> None:
    names = [f"moovier_popular_{size}_trained_0" for size in range(1, 4)]
    for name in names:
        publish(name)
    model_store.refresh()
    for name in names:
        model_store.get(name)
    # The registry was asked what there is once, not for each name.
    assert seen.resolved == 0
    assert model_store.loaded(names[0]) is None
    relay.cut()
    model_store.refresh()
    assert model_store.get(names[0]).name == names[0]


def test_before_the_first_champion_what_is_popular_stands_in(
    model_store: ModelStore, registry: Registry, publish: Publish
) -> None:
    with pytest.raises(RegistryError, match="no model has been trained"):
        model_store.default()
    version = publish(NEW)
    stand_in = model_store.default()
    assert (stand_in.name, stand_in.number) == ("popular", 1)
    assert [item.movie.id for item in stand_in.recommender.recommend([11], 2)[0].items] == [1, 47]
    registry.promote(version, "first")
    model_store.refresh()
    assert model_store.default().name == NEW


def test_without_mlflow_and_without_a_note_there_is_nothing(
    relay: Relay, model_store: ModelStore
) -> None:
    relay.cut()
    with pytest.raises(RegistryError):
        model_store.default()
    with pytest.raises(RegistryUnavailable):
        model_store.names()


def test_many_requests_for_one_model_fetch_it_once(
    model_store: ModelStore, seen: Counting, publish: Publish
) -> None:
    publish(OLD)
    barrier = threading.Barrier(4)

    def get(_: int) -> int:
        barrier.wait()
        return id(model_store.get(OLD))

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(get, range(4)))) == 1
    assert seen.downloads == [1]


def test_wrong_names_are_forgotten_when_there_are_too_many(
    seen: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_UNKNOWN", 2)
    model_store = ModelStore(seen, tmp_path / "bundles", capacity=2)
    for wrong in ("a", "b", "c", "d", "e"):
        with pytest.raises(UnknownModel):
            model_store.get(wrong)
    assert len(model_store._unknown) <= 2
