"""The versions of the last read are found by name, number and alias."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from moovier.registry.listing import Listing
from moovier.registry.version import Version
from moovier.serving import known_versions
from moovier.serving.known_versions import KnownVersions


def version(number: int, name: str, *aliases: str, complete: str = "true") -> Version:
    return Version(
        number=number,
        name=name,
        family="ease",
        run_id=f"run{number}",
        aliases=aliases,
        tags={"name": name, "complete": complete},
        created_at=datetime(2026, 1, number, tzinfo=UTC),
        parent=None,
        metrics={},
        status="READY",
    )


OLD, NEW, OTHER = version(1, "a"), version(3, "a", "champion", "mine"), version(2, "b")


@pytest.fixture
def known() -> KnownVersions:
    versions = KnownVersions()
    versions.update(Listing((NEW, OTHER, OLD), (version(4, "c", complete="no"),), {}))
    return versions


def test_name_means_its_newest_version(known: KnownVersions) -> None:
    assert known.get("a") is NEW
    assert known.get("b") is OTHER
    assert known.get("d") is None


def test_number_and_known_alias_mean_one_version(known: KnownVersions) -> None:
    assert known.get("1") is OLD
    assert known.get("champion") is NEW
    assert known.get("mine") is None


def test_versions_are_listed_once_newest_first(known: KnownVersions) -> None:
    assert known.versions() == [NEW, OTHER, OLD]


def test_unusable_version_has_a_reason_and_is_not_found(known: KnownVersions) -> None:
    assert known.get("c") is None
    assert known.why_unusable("c") == "c (version 4): the tag `complete` is 'no', not 'true'"
    assert known.why_unusable("a") is None


def test_read_replaces_all_versions(known: KnownVersions) -> None:
    known.add("d", version(5, "d"))
    assert known.get("d") is not None
    known.update(Listing((OTHER,), (), {}))
    assert [known.get(name) for name in ("a", "b", "d")] == [None, OTHER, None]


def test_unknown_name_is_forgotten_after_a_while_and_by_a_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    known = KnownVersions()
    known.add_unknown("x")
    assert known.is_unknown("x")
    now[0] += known_versions.UNKNOWN_FOR_S
    assert not known.is_unknown("x")
    known.add_unknown("x")
    known.update(Listing((), (), {}))
    assert not known.is_unknown("x")
