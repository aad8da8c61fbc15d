"""The health of the service: a public sentence for each problem."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from moovier.registry.listing import Listing
from moovier.registry.version import Version
from moovier.serving.bundle_loader import RejectedModel
from moovier.serving.health import (
    Health,
    describe_rejection,
    health_of,
    unreadable_versions,
)
from moovier.serving.recommender import Recommender
from tests.unit.serving.toy_context import CHAMPION, champion, rating_model
from tests.versions import version

REJECTED = RejectedModel(3, "moovier_dae_64_trained_0", "3-run", "scoring.npz was altered")


def listing(*usable: Version, unusable: tuple[Version, ...] = (), **aliases: int) -> Listing:
    return Listing(usable, unusable, aliases)


def health(tmdb: Any = None, feedback: Any = None, **store: Any) -> Health:
    """Return the health of a service without problems, except for the given ones."""
    values = {
        "champion": champion(),
        "champion_rejected": None,
        "stars": rating_model(),
        "stars_rejected": None,
        "experiment_rejected": None,
        "listing": listing(version(1), champion=1),
        "model_tags": {},
        "known": SimpleNamespace(is_read=True),
        "save_error": None,
        "registry_error": None,
        "registry_unavailable": False,
        **store,
    }
    stand_in = values.pop("stand_in", None)
    model_store = SimpleNamespace(**values, loaded=lambda _name: values["champion"] or stand_in)
    own = {"trouble": None, "unreadable": (), "empty": False, **(feedback or {})}
    details = SimpleNamespace(tmdb=tmdb, usable=bool(tmdb and tmdb.usable))
    context: Any = SimpleNamespace(
        model_store=model_store, feedback=SimpleNamespace(**own), details=details
    )
    return health_of(context)


def problem(**values: Any) -> str:
    """Return the only sentence of a degraded service."""
    [sentence] = health(**values).degraded
    return sentence


def test_a_healthy_service_is_ready_and_has_nothing_to_say() -> None:
    found = health()
    assert (found.ready, found.champion, found.degraded) == (True, champion(), [])


def test_a_service_that_starts_is_not_ready() -> None:
    assert health_of(None) == Health(False, None, ["the service is starting"])


def test_a_registry_that_is_away_or_refuses_is_told_apart() -> None:
    away = problem(registry_error="http://10.0.0.1:5000 is away", registry_unavailable=True)
    assert away.startswith("the registry cannot be read (MLflow does not answer): loaded models")
    refused = problem(registry_error="MLflow at http://10.0.0.1:5000 refused the login")
    assert "(MLflow at … refused the login)" in refused


def test_a_rejected_champion_names_who_answers() -> None:
    assert problem(champion_rejected=REJECTED) == (
        "the champion moovier_dae_64_trained_0 (version 3) was rejected: scoring.npz was altered; "
        f"{CHAMPION} (version 1) keeps answering"
    )
    nobody = health(champion_rejected=REJECTED, champion=None)
    assert not nobody.ready
    assert nobody.degraded[0].endswith("no other model can answer")


def test_without_a_champion_popular_movies_answer_if_there_is_a_model() -> None:
    empty = listing()
    nothing = health(champion=None, listing=empty)
    assert not nothing.ready
    assert nothing.degraded == [
        "there is no champion and no other model: the first retraining makes one"
    ]
    stand_in = health(champion=None, stand_in=champion(), listing=empty)
    assert stand_in.ready
    assert stand_in.degraded == ["there is no champion yet: every user gets popular movies"]


def test_an_alias_that_lost_its_version_is_explained() -> None:
    assert problem(listing=listing(version(1), champion=8)) == (
        "the alias 'champion' names version 8, which does not exist; "
        f"{CHAMPION} (version 1) keeps answering: promote a model, or run `moovier rollback`"
    )
    assert "no version has the alias 'champion'" in problem(listing=listing(version(1)))
    # Before the first read nothing is known about the aliases.
    unread = health(listing=listing(), known=SimpleNamespace(is_read=False))
    assert unread.degraded == []


def test_the_rating_model_is_missing_rejected_or_useless() -> None:
    assert problem(stars=None) == "there is no rating model: lists have no stars"
    assert problem(stars_rejected=REJECTED).endswith("altered; the previous one keeps answering")
    assert problem(stars=None, stars_rejected=REJECTED).endswith("altered; lists have no stars")


def test_data_without_stars_need_no_rating_model() -> None:
    bundle = champion().recommender.bundle
    data = bundle.card.data.model_copy(update={"stars": False})
    card = bundle.card.model_copy(update={"data": data})
    recommender = Recommender(replace(bundle, card=card), scorer=rating_model().recommender.scorer)
    events_only = replace(champion(), recommender=recommender)
    assert problem(champion=events_only, stars=None) == (
        "the data set has events and no stars: lists have no stars"
    )


def test_a_rejected_challenger_stops_the_experiment() -> None:
    assert problem(experiment_rejected=REJECTED).startswith("the challenger moovier_dae_64")


def test_unreadable_versions_are_named_newest_first_up_to_five() -> None:
    broken = tuple(version(n, family="") for n in range(10, 17))
    broken = tuple(replace(v, problems=("the tag `family` is missing",)) for v in broken)
    found = health(listing=listing(version(1), *broken, champion=1)).degraded
    assert len(found) == 6
    assert found[0].startswith("moovier_ease_16_trained_0 (version 16) is partly unreadable: ")
    assert found[-1] == (
        "2 more versions are unusable or partly unreadable: `moovier models` lists them"
    )


def test_a_version_that_an_alias_sentence_names_is_named_once() -> None:
    by_hand = version(2, complete="")
    both = listing(version(1), unusable=(by_hand,), champion=1, challenger=2)
    assert unreadable_versions(both)[0].startswith("moovier_ease_2_trained_0 (version 2) is unus")
    assert health(listing=both).degraded == []
    alone = listing(version(1), unusable=(by_hand,), champion=1)
    assert len(health(listing=alone).degraded) == 1


def test_a_previous_champion_that_is_gone_stops_a_rollback() -> None:
    gone = listing(version(1), champion=1, previous=7)
    assert problem(listing=gone).endswith("does not exist; `moovier rollback` cannot use it")


def test_a_monitoring_tag_that_somebody_broke_is_named() -> None:
    assert "the tag `monitoring`" in problem(model_tags={"monitoring": "no JSON"})
    assert health(model_tags={"monitoring": "{}"}).degraded == []


def test_a_disk_that_is_full_is_named_without_its_path() -> None:
    sentence = problem(save_error="cannot write '/srv/moovier/champion.json': No space left")
    assert "(cannot write '…': No space left)" in sentence
    assert "/srv" not in sentence


@pytest.mark.parametrize(
    ("feedback", "part"),
    [
        (
            {"trouble": "postgresql://host is away", "empty": True},
            "earlier ratings are unknown",
        ),
        ({"trouble": "away"}, "earlier ratings still count"),
        ({"unreadable": ("ratings row 3: x",)}, "a row of the feedback database cannot be read"),
        ({"unreadable": ("ratings row 3: x", "y", "z")}, "database and 2 more cannot be read"),
    ],
)
def test_a_database_that_is_away_or_damaged_is_named(feedback: dict[str, Any], part: str) -> None:
    sentence = problem(feedback=feedback)
    assert part in sentence
    assert "postgresql" not in sentence


@pytest.mark.parametrize("usable", [True, False])
def test_paused_requests_to_tmdb_are_named(usable: bool) -> None:
    found = health(tmdb=SimpleNamespace(usable=usable)).degraded
    assert found == (
        []
        if usable
        else ["TMDB requests are paused after failures: details come from cache and catalogue"]
    )


@pytest.mark.parametrize(
    ("reason", "public"),
    [
        ("a\nTraceback (most recent call last)", "a"),
        ("s3://bucket/key?secret=x failed", "… failed"),
        ("/home/ann/models: denied", "… denied"),
        ("km/h and either/or stay", "km/h and either/or stay"),
        ("x" * 500, "x" * 200),
        ("", ""),
    ],
)
def test_reasons_are_public(reason: str, public: str) -> None:
    assert describe_rejection(replace(REJECTED, reason=reason)).endswith(f"was rejected: {public}")
