"""Tags and aliases that somebody changed by hand in MLflow."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from moovier.errors import RegistryError, UnusableModel
from moovier.registry.client import Registry
from tests.registry_fixtures import register_by_hand, set_alias_by_hand
from tests.unit.registry.conftest import Publish

A, B, C = (f"moovier_emb_{size}_trained_0" for size in (10, 25, 50))


def delete(registry: Registry, number: int) -> None:
    httpx.request(
        "DELETE",
        f"{registry.address}/api/2.0/mlflow/model-versions/delete",
        json={"name": registry.model_name, "version": str(number)},
    ).raise_for_status()


def test_unreadable_metrics_do_not_hide_other_versions(
    registry: Registry, publish: Publish
) -> None:
    first, second = publish(A, family="emb"), publish(B, family="emb", metrics='{"rmse": 0.9}')
    registry.set_tag(first, "metrics", '{"ndcg_at_10": null, "rmse": 0.8}')
    bad, good = sorted(registry.versions(), key=lambda version: version.number)
    assert bad.unreadable == "the tag `metrics`: ndcg_at_10 is null, not a number"
    assert bad.metrics == {"rmse": 0.8}
    assert (good.unreadable, good.metrics) == (None, {"rmse": 0.9})
    registry.promote(first, "by hand")
    registry.promote(second, "better")
    assert registry.rollback("worse").number == first.number


def test_name_that_means_an_alias_or_a_number_hides_no_version(
    registry: Registry, publish: Publish
) -> None:
    champion, other, third = publish(A), publish(B), publish(C)
    registry.promote(champion, "the first")
    registry.set_tag(other, "name", "champion")
    registry.set_tag(third, "name", "1")
    assert registry.resolve("champion").number == registry.resolve("1").number == champion.number
    assert registry.names() == [A]
    assert [version.number for version in registry.listing().unusable] == [3, 2]


def test_version_registered_by_hand_is_named_with_the_reason(
    registry: Registry, publish: Publish
) -> None:
    publish(A)
    number = register_by_hand(registry)
    [by_hand] = registry.listing().unusable
    assert by_hand.number == number
    assert "not registered by Moovier" in (by_hand.unusable or "")
    with pytest.raises(UnusableModel, match="not registered by Moovier"):
        registry.resolve(str(number))


def test_rollback_replaces_a_champion_that_cannot_be_used(
    registry: Registry, publish: Publish
) -> None:
    for name in (A, B):
        registry.promote(publish(name), name)
    number = register_by_hand(registry)
    set_alias_by_hand(registry, "champion", number)
    assert registry.alias("champion") is None
    problem = registry.listing().problem("champion")
    assert problem is not None
    assert f"names version {number}, which cannot be used" in problem
    with pytest.raises(UnusableModel, match="cannot be used"):
        registry.resolve("champion")
    last = registry.listing().last_champion()
    assert last is not None
    assert last.name == B
    assert registry.rollback("a mistake").name == A
    # The next rollback brings back the last usable champion, not the version made by hand.
    assert registry.resolve("previous").name == B
    assert registry.rollback("again").name == B


def test_promotion_over_a_champion_that_cannot_be_used_keeps_the_last_one(
    registry: Registry, publish: Publish
) -> None:
    registry.promote(publish(A), "the first")
    set_alias_by_hand(registry, "champion", register_by_hand(registry))
    promoted = registry.promote(publish(B), "better")
    assert registry.resolve("previous").name == A
    assert promoted.replaces == 1
    assert registry.rollback("worse").name == A


@pytest.mark.parametrize("champions", [1, 2])
def test_deleted_champion_is_not_taken_for_a_first_start(
    registry: Registry, publish: Publish, champions: int
) -> None:
    numbers = []
    for name in (A, B)[:champions]:
        numbers.append(publish(name).number)
        registry.promote(registry.resolve(str(numbers[-1])), name)
    publish(C)
    delete(registry, numbers[-1])
    listing = registry.listing()
    assert listing.had_champion
    assert "no version has the alias 'champion'" in (listing.problem("champion") or "")
    last = listing.last_champion()
    if champions == 1:
        assert last is None
        with pytest.raises(RegistryError, match=r"version 1 was champion before.*promote a model"):
            registry.rollback("why not")
        return
    assert last is not None
    assert last.name == A
    assert registry.rollback("it is gone").name == A
    assert registry.listing().problem("champion") is None


def test_rollback_without_any_usable_champion_says_why(
    registry: Registry, publish: Publish
) -> None:
    publish(A)
    set_alias_by_hand(registry, "champion", register_by_hand(registry))
    with pytest.raises(RegistryError, match=r"cannot be used.*promote a model"):
        registry.rollback("why not")


def test_previous_champion_that_is_gone_is_not_taken_for_a_first_champion(
    registry: Registry, publish: Publish
) -> None:
    for name in (A, B):
        registry.promote(publish(name), name)
    registry.delete_tag(registry.resolve("1"), "name")
    with pytest.raises(RegistryError, match="'previous' names version 1, which cannot be used"):
        registry.rollback("why not")
    delete(registry, 1)
    with pytest.raises(RegistryError, match="version 1, the previous champion, was deleted"):
        registry.rollback("why not")


def test_bundle_of_a_version_with_unreadable_tags_loads(
    registry: Registry, publish: Publish, tmp_path: Path
) -> None:
    version = publish(A)
    for tag in ("metrics", "params", "family", "replaces", "synthetic"):
        registry.set_tag(version, tag, "[" * 3000)
    edited = registry.resolve(A)
    assert edited.complete
    assert registry.load_bundle(edited, tmp_path / "1").card.name == A
    card = registry.card(edited)
    assert card is not None
    assert card.family == "popular"
