from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from moovier.errors import BundleError, RegistryError, RegistryUnavailable, UnknownModel
from moovier.registry.client import Registry
from moovier.registry.version import PREVIOUS, REPLACES
from tests.servers import Server, free_port
from tests.unit.registry.conftest import Publish

A, B, C = (f"moovier_emb_{size}_trained_0" for size in (10, 25, 50))


def create_incomplete(registry: Registry, name: str) -> None:
    """Create a version without the tag ``complete``, as a killed process leaves it."""
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


def test_empty_registry_has_no_names(registry: Registry) -> None:
    assert registry.names() == []
    assert registry.alias("champion") is None
    with pytest.raises(UnknownModel, match="none is registered yet"):
        registry.resolve("champion")


def test_name_resolves_to_its_newest_version(registry: Registry, publish: Publish) -> None:
    publish(A)
    publish(B)
    newest = publish(A)
    assert registry.names() == [A, B]
    assert registry.resolve(A).number == newest.number == 3
    assert [version.number for version in registry.versions()] == [3, 2, 1]


def test_alias_and_number_resolve_to_a_version(registry: Registry, publish: Publish) -> None:
    first, second = publish(A), publish(B)
    registry.promote(first, "the first")
    registry.set_challenger(second)
    assert registry.resolve("champion").name == A
    assert registry.resolve("challenger").number == registry.resolve("2").number == second.number
    assert registry.resolve("champion").aliases == ("champion",)


def test_unknown_text_is_rejected_with_the_known_names(
    registry: Registry, publish: Publish
) -> None:
    publish(A)
    for text in ("99", "9" * 40, "previous", B, "x' or name='y"):
        with pytest.raises(UnknownModel) as caught:
            registry.resolve(text)
        assert caught.value.known == (A,)


def test_incomplete_version_is_ignored(registry: Registry, publish: Publish) -> None:
    publish(A)
    create_incomplete(registry, B)
    assert registry.names() == [A]
    for text in (B, "2"):
        with pytest.raises(UnknownModel):
            registry.resolve(text)


def test_versions_on_several_pages_are_all_listed(
    registry: Registry, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (A, B, C):
        publish(name)
    monkeypatch.setattr("moovier.registry.reader._PAGE", 2)
    assert registry.names() == [C, B, A]


def files_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.suffix != ".lock"]


def test_altered_artefact_is_rejected_and_not_stored(
    mlflow: Server, registry: Registry, publish: Publish, tmp_path: Path
) -> None:
    version = publish(A)
    assert registry.load_bundle(version, tmp_path / "good").card.name == A
    for file in (mlflow.folder / "artifacts").rglob("scoring.npz"):
        stored = file.read_bytes()
        file.write_bytes(stored[:-1] + bytes([stored[-1] ^ 1]))
    with pytest.raises(BundleError, match="altered"):
        registry.load_bundle(version, tmp_path / "bundles" / "1")
    assert files_in(tmp_path / "bundles") == []


def test_store_that_is_not_proxied_is_explained(
    registry: Registry, publish: Publish, tmp_path: Path
) -> None:
    publish(A)
    create_incomplete(registry, B)
    foreign = dataclasses.replace(registry.resolve("1"), number=2)
    with pytest.raises(RegistryError, match="--serve-artifacts"):
        registry.load_bundle(foreign, tmp_path / "2")


def test_promotion_keeps_the_previous_champion(registry: Registry, publish: Publish) -> None:
    first, second = publish(A), publish(B)
    registry.promote(first, "the first")
    registry.set_challenger(second)
    promoted = registry.promote(second, "better by far", gate="promoted")
    assert promoted.aliases == ("champion",)
    assert (promoted.tags["gate"], promoted.gate_reasons) == ("promoted", "better by far")
    assert registry.resolve("previous").number == first.number
    assert registry.alias("challenger") is None


def test_promoting_the_champion_changes_no_alias(registry: Registry, publish: Publish) -> None:
    first, second = publish(A), publish(B)
    for version in (first, second, second):
        registry.promote(version, "again")
    assert registry.resolve("previous").number == first.number


def test_two_rollbacks_restore_the_champion(registry: Registry, publish: Publish) -> None:
    for name in (A, B):
        registry.promote(publish(name), name)
    assert registry.rollback("it was worse").name == A
    assert registry.resolve("previous").name == B
    assert registry.resolve("previous").tags["gate"] == "rolled back"
    assert registry.rollback("it was better").name == B
    assert registry.resolve("previous").name == A


def test_first_champion_cannot_be_rolled_back(registry: Registry, publish: Publish) -> None:
    with pytest.raises(RegistryError, match="no champion"):
        registry.rollback("why not")
    registry.promote(publish(A), "the first")
    with pytest.raises(RegistryError, match="first champion"):
        registry.rollback("why not")


class Killed(BaseException):
    """As a SIGKILL, no handler catches it."""


class KilledRegistry(Registry):
    """A registry that raises Killed before its n-th write request."""

    def after(self, writes: int) -> KilledRegistry:
        self.writes_left = writes
        send = self._rest.send

        def send_or_die(method: str, path: str, body: Any) -> dict[str, Any]:
            if self.writes_left == 0:
                raise Killed
            self.writes_left -= 1
            return send(method, path, body)

        self._rest.send = send_or_die  # type: ignore[method-assign]
        return self


@pytest.mark.parametrize("writes", range(7))
def test_killed_promotion_is_finished_by_a_second_call(
    registry: Registry, publish: Publish, writes: int
) -> None:
    for name in (A, B):
        registry.promote(publish(name), name)
    third = publish(C)
    registry.set_challenger(third)
    killed = KilledRegistry(registry.address, registry.model_name).after(writes)
    try:
        killed.promote(third, "better")
    except Killed:
        assert registry.resolve("champion").name in (B, C)
    registry.promote(third, "better")
    assert registry.resolve("champion").name == C
    assert registry.resolve("champion").gate_reasons == "better"
    assert registry.resolve("previous").name == B
    assert registry.alias("challenger") is None
    assert registry.rollback("back").name == B


@pytest.mark.parametrize("writes", range(3))
def test_rollback_after_a_killed_promotion_finds_the_previous_champion(
    registry: Registry, publish: Publish, writes: int
) -> None:
    for name in (A, B):
        registry.promote(publish(name), name)
    killed = KilledRegistry(registry.address, registry.model_name).after(writes)
    with pytest.raises(Killed):
        killed.promote(publish(C), "better")
    assert registry.resolve("champion").name == B
    assert registry.rollback("back").name == A


@pytest.mark.parametrize("writes", range(8))
def test_killed_rollback_is_finished_by_a_second_call(
    registry: Registry, publish: Publish, writes: int
) -> None:
    for name in (A, B):
        registry.promote(publish(name), name)
    killed = KilledRegistry(registry.address, registry.model_name).after(writes)
    with pytest.raises(Killed):
        killed.rollback("worse")
    assert registry.rollback("worse").name == A
    assert registry.resolve("champion").tags["gate"] == "rollback"
    assert registry.resolve("previous").tags["gate"] == "rolled back"
    assert registry.resolve("previous").name == B


def test_invalid_tag_of_the_previous_champion_is_ignored(
    registry: Registry, publish: Publish
) -> None:
    version = publish(A)
    assert version.replaces is None
    registry.set_tag(version, REPLACES, "nonsense")
    assert registry.resolve("1").replaces is None
    assert registry.alias(PREVIOUS) is None


def test_missing_server_is_reported_at_once() -> None:
    started = time.monotonic()
    with pytest.raises(RegistryUnavailable, match="moovier up"):
        Registry(f"http://127.0.0.1:{free_port()}").names()
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "./mlruns", "", "http://", "http://[::1"])
def test_invalid_address_is_rejected(uri: str) -> None:
    with pytest.raises(RegistryError, match="MLFLOW_TRACKING_URI"):
        Registry(uri)


def test_password_in_the_address_is_never_shown() -> None:
    registry = Registry(f"http://ann:secret@127.0.0.1:{free_port()}")
    with pytest.raises(RegistryUnavailable) as caught:
        registry.ping()
    assert "secret" not in str(caught.value)
    assert "ann" not in registry.address


def test_registered_model_has_tags(registry: Registry, publish: Publish) -> None:
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
