from __future__ import annotations

import dataclasses
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from moovier.errors import BundleError, RegistryError, RegistryUnavailable, UnknownModel
from moovier.models import bundle
from moovier.registry.client import Registry
from moovier.registry.version import PREVIOUS, REPLACES
from tests.servers import Server, free_port
from tests.unit.registry.conftest import Publish

A, B, C = (f"moovier_emb_{size}_trained_0" for size in (10, 25, 50))


def unfinished(registry: Registry, name: str) -> None:
    """A version as something that is not Moovier, or was killed, would leave it."""
    api = f"{registry.address}/api/2.0/mlflow"
    httpx.post(f"{api}/registered-models/create", json={"name": registry.model_name})
    httpx.post(
        f"{api}/model-versions/create",
        json={
            "name": registry.model_name,
            "source": "s3://bucket/model",
            "tags": [{"key": "name", "value": name}],
        },
    ).raise_for_status()


def test_an_empty_registry_has_no_names_and_says_so(registry: Registry) -> None:
    assert registry.names() == []
    assert registry.alias("champion") is None
    with pytest.raises(UnknownModel, match="none is registered yet"):
        registry.resolve("champion")


def test_a_name_means_its_newest_version(registry: Registry, publish: Publish) -> None:
    publish(A)
    publish(B)
    newest = publish(A)
    assert registry.names() == [A, B]
    assert registry.resolve(A).number == newest.number == 3
    assert [version.number for version in registry.versions()] == [3, 2, 1]


def test_an_alias_and_a_number_resolve_too(registry: Registry, publish: Publish) -> None:
    first, second = publish(A), publish(B)
    registry.promote(first, "the first")
    registry.set_challenger(second)
    assert registry.resolve("champion").name == A
    assert registry.resolve("challenger").number == registry.resolve("2").number == second.number
    assert registry.resolve("champion").aliases == ("champion",)


@pytest.mark.parametrize(
    "text",
    ["../../etc/passwd", "a/b", "moovier_emb_10_trained_0'", "x' or name='y", "\x00", "\n", "", "é",
     "0", "99", "-1", "٣", "9" * 40, "champion ", "x" * 300, "previous"],
)  # fmt: skip
def test_what_is_no_name_is_unknown_and_lists_the_names(
    registry: Registry, publish: Publish, text: str
) -> None:
    publish(A)
    with pytest.raises(UnknownModel) as caught:
        registry.resolve(text)
    assert caught.value.known == (A,)


def test_an_unfinished_version_is_not_seen(registry: Registry, publish: Publish) -> None:
    publish(A)
    unfinished(registry, B)
    assert registry.names() == [A]
    for text in (B, "2"):
        with pytest.raises(UnknownModel):
            registry.resolve(text)


def test_more_versions_than_a_page_holds(
    registry: Registry, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (A, B, C):
        publish(name)
    monkeypatch.setattr("moovier.registry.client._PAGE", 2)
    assert registry.names() == [C, B, A]


def test_the_bundle_comes_whole_and_stays(
    registry: Registry, publish: Publish, tmp_path: Path
) -> None:
    folder = tmp_path / "bundles" / "1"
    version = publish(A)
    assert registry.download_bundle(version, folder) == folder
    assert bundle.load(folder).card.name == A
    before = (folder / bundle.CARD).stat().st_mtime_ns
    registry.download_bundle(version, folder)
    assert (folder / bundle.CARD).stat().st_mtime_ns == before
    assert left_in(folder.parent) == ["1"]


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.suffix != ".lock"]


def test_a_damaged_folder_is_fetched_anew(
    registry: Registry, publish: Publish, tmp_path: Path
) -> None:
    folder = tmp_path / "1"
    version = publish(A)
    registry.download_bundle(version, folder)
    (folder / "scoring.npz").write_bytes(b"half")
    registry.download_bundle(version, folder)
    assert bundle.load(folder).card.name == A


def test_an_altered_artefact_is_refused_and_nothing_is_left(
    mlflow: Server, registry: Registry, publish: Publish, tmp_path: Path
) -> None:
    version = publish(A)
    for file in (mlflow.folder / "artifacts").rglob("scoring.npz"):
        stored = file.read_bytes()
        file.write_bytes(stored[:-1] + bytes([stored[-1] ^ 1]))
    with pytest.raises(BundleError, match="altered"):
        registry.download_bundle(version, tmp_path / "bundles" / "1")
    assert left_in(tmp_path / "bundles") == []


def test_many_threads_fetch_the_same_bundle(
    registry: Registry, publish: Publish, tmp_path: Path
) -> None:
    version, failed = publish(A), []

    def fetch() -> None:
        try:
            bundle.load(registry.download_bundle(version, tmp_path / "1"))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_model_without_keras_cannot_be_fetched_for_training(
    registry: Registry, publish: Publish, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match="no Keras model"):
        registry.download_keras_model(publish(A), tmp_path / "model.keras")


def test_a_store_that_only_mlflow_may_read_is_explained(
    registry: Registry, publish: Publish, tmp_path: Path
) -> None:
    publish(A)
    unfinished(registry, B)
    foreign = dataclasses.replace(registry.resolve("1"), number=2)
    with pytest.raises(RegistryError, match="--serve-artifacts"):
        registry.download_bundle(foreign, tmp_path / "2")


def test_promoting_remembers_who_was_before(registry: Registry, publish: Publish) -> None:
    first, second = publish(A), publish(B)
    registry.promote(first, "the first")
    registry.set_challenger(second)
    promoted = registry.promote(second, "better by far", gate="promoted")
    assert promoted.aliases == ("champion",)
    assert (promoted.tags["gate"], promoted.tags["gate_reasons"]) == ("promoted", "better by far")
    assert registry.resolve("previous").number == first.number
    assert registry.alias("challenger") is None


def test_promoting_the_champion_again_changes_no_alias(
    registry: Registry, publish: Publish
) -> None:
    first, second = publish(A), publish(B)
    for version in (first, second, second):
        registry.promote(version, "again")
    assert registry.resolve("previous").number == first.number


def test_rollback_goes_back_and_forth(registry: Registry, publish: Publish) -> None:
    for name in (A, B):
        registry.promote(publish(name), name)
    assert registry.rollback("it was worse").name == A
    assert registry.resolve("previous").name == B
    assert registry.resolve("previous").tags["gate"] == "rolled back"
    assert registry.rollback("it was better").name == B
    assert registry.resolve("previous").name == A


def test_there_is_nothing_before_the_first(registry: Registry, publish: Publish) -> None:
    with pytest.raises(RegistryError, match="no champion"):
        registry.rollback("why not")
    registry.promote(publish(A), "the first")
    with pytest.raises(RegistryError, match="first champion"):
        registry.rollback("why not")


class Killed(BaseException):
    pass


class Mortal(Registry):
    """Dies before its n-th writing request."""

    def live(self, writes: int) -> Mortal:
        self.left = writes
        send = self._rest.send

        def dying(method: str, path: str, body: Any) -> dict[str, Any]:
            if self.left == 0:
                raise Killed
            self.left -= 1
            return send(method, path, body)

        self._rest.send = dying  # type: ignore[method-assign]
        return self


@pytest.mark.parametrize("writes", range(7))
def test_a_promotion_killed_anywhere_is_finished_by_running_it_again(
    registry: Registry, publish: Publish, writes: int
) -> None:
    for name in (A, B):
        registry.promote(publish(name), name)
    third = publish(C)
    registry.set_challenger(third)
    mortal = Mortal(registry.address, registry.model_name).live(writes)
    try:
        mortal.promote(third, "better")
    except Killed:
        assert registry.resolve("champion").name in (B, C)
    registry.promote(third, "better")
    assert registry.resolve("champion").name == C
    assert registry.resolve("champion").tags["gate_reasons"] == "better"
    assert registry.resolve("previous").name == B
    assert registry.alias("challenger") is None
    assert registry.rollback("back").name == B


@pytest.mark.parametrize("writes", range(3))
def test_after_a_killed_promotion_rollback_still_knows_the_one_before(
    registry: Registry, publish: Publish, writes: int
) -> None:
    for name in (A, B):
        registry.promote(publish(name), name)
    mortal = Mortal(registry.address, registry.model_name).live(writes)
    with pytest.raises(Killed):
        mortal.promote(publish(C), "better")
    assert registry.resolve("champion").name == B
    assert registry.rollback("back").name == A


@pytest.mark.parametrize("writes", range(8))
def test_a_rollback_killed_anywhere_is_finished_by_running_it_again(
    registry: Registry, publish: Publish, writes: int
) -> None:
    for name in (A, B):
        registry.promote(publish(name), name)
    mortal = Mortal(registry.address, registry.model_name).live(writes)
    with pytest.raises(Killed):
        mortal.rollback("worse")
    assert registry.rollback("worse").name == A
    assert registry.resolve("champion").tags["gate"] == "rollback"
    assert registry.resolve("previous").tags["gate"] == "rolled back"
    assert registry.resolve("previous").name == B


def test_replaces_is_read_from_the_tag(registry: Registry, publish: Publish) -> None:
    version = publish(A)
    assert version.replaces is None
    registry.set_tag(version, REPLACES, "nonsense")
    assert registry.resolve("1").replaces is None
    assert registry.alias(PREVIOUS) is None


def test_a_server_that_is_not_there_is_said_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(RegistryUnavailable, match="moovier up"):
        Registry(f"http://127.0.0.1:{free_port()}").names()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "./mlruns", "", "http://", "http://[::1"])
def test_an_address_that_is_none_is_refused(uri: str) -> None:
    with pytest.raises(RegistryError, match="MLFLOW_TRACKING_URI"):
        Registry(uri)


def test_a_password_in_the_address_is_never_shown() -> None:
    registry = Registry(f"http://ann:secret@127.0.0.1:{free_port()}")
    with pytest.raises(RegistryUnavailable) as caught:
        registry.ping()
    assert "secret" not in str(caught.value)
    assert "ann" not in registry.address


def test_the_model_itself_has_tags(registry: Registry, publish: Publish) -> None:
    assert registry.model_tags() == {}
    with pytest.raises(RegistryError):
        registry.set_model_tag("monitoring", "{}")
    publish(A)
    registry.set_model_tag("monitoring", '{"alarm": true}')
    registry.set_model_tag("other", "x")
    registry.set_model_tag("monitoring", '{"alarm": false}')
    assert registry.model_tags() == {"monitoring": '{"alarm": false}', "other": "x"}
    with pytest.raises(RegistryError, match="5000"):
        registry.set_model_tag("other", "x" * 5001)
