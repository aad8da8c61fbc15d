from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moovier.registry import tags
from moovier.registry.version import Version

_NUMBERS = st.floats() | st.integers(-(10**6), 10**6)
_JSON = st.recursive(
    st.none() | st.booleans() | _NUMBERS | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), _NUMBERS))
def test_metrics_are_read_as_they_were_written(metrics: dict[str, float]) -> None:
    read, problems = tags.parse_metrics(json.dumps(metrics))
    assert problems == []
    assert read.keys() == metrics.keys()
    for name, value in metrics.items():
        assert read[name] == value or (math.isnan(read[name]) and math.isnan(value))


@given(st.dictionaries(st.text(), _JSON))
def test_metrics_that_are_no_numbers_leave_the_others(values: dict[str, object]) -> None:
    read, problems = tags.parse_metrics(json.dumps(values))
    numbers = {name for name, value in values.items() if type(value) in (int, float)}
    assert read.keys() == numbers
    assert bool(problems) == (numbers != values.keys())


@given(st.text() | st.binary().map(lambda content: content.decode("latin-1")))
def test_any_text_is_parsed_or_named(text: str) -> None:
    read, problems = tags.parse_metrics(text)
    assert (
        problems
        if tags.parse_object(text) is None
        else all(isinstance(value, float) for value in read.values())
    )
    parsed = tags.number(text)
    assert parsed is None or str(parsed) == text.lstrip("0") or int(text) == parsed


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"ndcg_at_10": null}', "the tag `metrics`: ndcg_at_10 is null, not a number"),
        ('{"a": "0.5"}', 'the tag `metrics`: a is "0.5", not a number'),
        ('{"a": true}', "the tag `metrics`: a is true, not a number"),
        ('{"a": [1]}', "the tag `metrics`: a is a list, not a number"),
        ('{"a": 1%s}' % ("0" * 400), "the tag `metrics`: a is too large, not a number"),
        ("", "the tag `metrics` is not a JSON object"),
        ("{", "the tag `metrics` is not a JSON object"),
        ("[]", "the tag `metrics` is not a JSON object"),
        ("[" * 5000, "the tag `metrics` is not a JSON object"),
        ("9" * 5000, "the tag `metrics` is not a JSON object"),
        ("{" + '"a":{' * 1500, "the tag `metrics` is not a JSON object"),
    ],
)
def test_problem_names_the_metric_and_its_value(text: str, problem: str) -> None:
    assert tags.parse_metrics(text) == ({}, [problem])


def test_many_wrong_metrics_are_counted() -> None:
    _, [problem] = tags.parse_metrics(json.dumps(dict.fromkeys("abcdef")))
    assert problem.endswith("c is null, not a number, 3 more")


def version(**own_tags: str) -> Version:
    complete = {"name": "moovier_ease_1_trained_0", "family": "ease", "complete": "true"}
    return Version.of(
        {
            "version": "7",
            "creation_timestamp": 1_800_000_000_000,
            "tags": [{"key": k, "value": v} for k, v in (complete | own_tags).items()],
        },
        (),
    )


@given(
    st.dictionaries(
        st.sampled_from(
            ("name", "family", "complete", "metrics", "params", "replaces", "synthetic", "parent",
             "experiment_result", "gate")
        ),
        st.text() | _JSON.map(json.dumps),
    )
)  # fmt: skip
def test_any_tags_make_a_version(own_tags: dict[str, str]) -> None:
    parsed = version(**own_tags)
    assert parsed.number == 7
    assert parsed.replaces is None or parsed.replaces >= 0
    assert parsed.complete == (parsed.unusable is None)
    assert parsed.unreadable is None or parsed.unreadable.strip()
    assert "7" in parsed.title


@pytest.mark.parametrize(
    ("own_tags", "part"),
    [
        ({"name": ""}, "`name` is missing"),
        ({"name": "a b"}, "letters, digits"),
        ({"name": "champion"}, "an alias or a version number"),
        ({"name": "12"}, "an alias or a version number"),
        ({"complete": "yes"}, "`complete` is 'yes'"),
    ],
)
def test_version_without_a_usable_name_is_unusable(own_tags: dict[str, str], part: str) -> None:
    assert part in (version(**own_tags).unusable or "")


@pytest.mark.parametrize(
    ("own_tags", "part"),
    [
        ({"family": ""}, "`family` is missing"),
        ({"params": "[]"}, "`params` is not a JSON object"),
        ({"replaces": "\u0663"}, "`replaces` is not a version number"),
        ({"replaces": "9" * 5000}, "`replaces` is not a version number"),
        ({"synthetic": "yes"}, "`synthetic` is not 'true' or 'false'"),
        ({"experiment_result": "x"}, "`experiment_result` is not a JSON object"),
    ],
)
def test_version_works_without_tags_that_cannot_be_read(
    own_tags: dict[str, str], part: str
) -> None:
    parsed = version(**own_tags)
    assert parsed.complete
    assert part in (parsed.unreadable or "")
    assert version().unreadable is None
