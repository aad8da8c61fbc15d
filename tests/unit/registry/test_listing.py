"""What a listing of versions and aliases says about champions and their problems."""

from __future__ import annotations

from typing import Any

import pytest

from moovier.registry.listing import Listing
from moovier.registry.version import CHAMPION, LAST_CHAMPION, PREVIOUS, STARS, Version
from tests.versions import version


def listing(*versions: Version, last: int | None = None, **aliases: int) -> Listing:
    """Return a listing of ``versions``; ``last``: the number of the version promoted last."""
    newest_first = sorted(versions, key=lambda v: -v.number)
    tags = {} if last is None else {LAST_CHAMPION: str(last)}
    return Listing(
        versions=tuple(v for v in newest_first if v.complete),
        unusable=tuple(v for v in newest_first if not v.complete),
        aliases=aliases,
        model_tags=tags,
    )


def by_hand(number: int) -> Version:
    """Return a version that somebody registered in MLflow's user interface."""
    return version(number, complete="")


def number_of(found: Version | None) -> int | None:
    return None if found is None else found.number


def test_an_alias_is_held_by_a_usable_or_an_unusable_version() -> None:
    both = listing(version(1), by_hand(2), champion=1, stars=2, previous=9)
    assert number_of(both.holder(CHAMPION)) == 1
    assert both.unusable_holder(CHAMPION) is None
    assert both.holder(STARS) is None
    assert number_of(both.unusable_holder(STARS)) == 2
    assert both.holder(PREVIOUS) is both.unusable_holder(PREVIOUS) is None
    assert both.holder("challenger") is None


def test_an_empty_registry_has_no_champion_and_no_problem() -> None:
    empty = listing()
    assert empty.last_champion() is None
    assert not empty.had_champion
    assert [empty.problem(alias) for alias in (CHAMPION, PREVIOUS)] == [None, None]


def test_a_registry_without_promotions_never_had_a_champion() -> None:
    new = listing(version(1, gate="kept"), version(2))
    assert not new.had_champion
    assert new.problem(CHAMPION) is None


@pytest.mark.parametrize(
    ("aliases", "problem"),
    [
        ({"champion": 1}, None),
        (
            {"champion": 2},
            "the alias 'champion' names moovier_ease_2_trained_0 (version 2), which cannot be "
            "used: the tag `complete` is '', not 'true'",
        ),
        ({"champion": 3}, "the alias 'champion' names version 3, which does not exist"),
        (
            {},
            "no version has the alias 'champion', although moovier_ease_1_trained_0 (version 1) "
            "was champion before: the alias or its version was deleted",
        ),
    ],
)
def test_a_problem_names_the_alias_and_the_version(
    aliases: dict[str, int], problem: str | None
) -> None:
    found = listing(version(1), by_hand(2), last=1, **aliases)
    assert found.problem(CHAMPION) == problem
    # Any other alias may be free.
    assert found.problem(PREVIOUS) is None


def test_a_deleted_champion_is_named_by_its_number() -> None:
    deleted = listing(version(1), last=5)
    assert deleted.had_champion
    assert deleted.last_champion() is None
    assert "although version 5 was champion before" in (deleted.problem(CHAMPION) or "")


@pytest.mark.parametrize("tag", ["", "x", "-1", "1.0", "9" * 40])
def test_a_tag_of_the_last_champion_that_is_no_number_is_ignored(tag: str) -> None:
    edited = Listing((version(1),), (), {}, {LAST_CHAMPION: tag})
    assert not edited.had_champion


@pytest.mark.parametrize(
    ("versions", "options", "last"),
    [
        # The champion itself, whatever the tags say.
        ([version(1, gate="promoted"), version(2)], {"champion": 2, "last": 1}, 2),
        # The version promoted last, by the tag of the registered model.
        ([version(1, gate="promoted"), version(2)], {"champion": 9, "last": 2}, 2),
        # Without the tag: the promoted version that replaced the previous champion.
        (
            [version(1), version(2, gate="promoted", replaces="1"), version(3, gate="manual")],
            {"previous": 1},
            2,
        ),
        # Without a previous champion: the newest version that was promoted.
        (
            [version(1, gate="promoted"), version(2, gate="rollback"), version(3, gate="kept")],
            {},
            2,
        ),
        # Nothing was promoted: the previous champion.
        ([version(1), version(2, gate="kept")], {"previous": 1}, 1),
        # A version that was rolled back does not count.
        ([version(1), version(2, gate="rolled back")], {}, None),
    ],
)
def test_the_last_champion_is_found(
    versions: list[Version], options: dict[str, Any], last: int | None
) -> None:
    found = listing(*versions, **options)
    assert number_of(found.last_champion()) == last
    assert found.had_champion == (last is not None)
