"""The last monitoring result is read from a tag that anybody can edit."""

from __future__ import annotations

import pytest

from moovier.registry.monitoring_summary import MonitoringSummary


def test_a_summary_is_read() -> None:
    tag = '{"at": 12.5, "alarm": true, "figures": {"drift": 0.25, "ndcg": 1}, "more": []}'
    assert MonitoringSummary.of(tag) == MonitoringSummary(12.5, True, {"drift": 0.25, "ndcg": 1.0})
    assert MonitoringSummary.of('{"at": 0, "alarm": false, "figures": {}}') == MonitoringSummary(
        0.0, False, {}
    )


@pytest.mark.parametrize(
    "tag",
    [None, "", "no JSON", "[]", "3", "null", '{"at": 1, "alarm": true}',
     '{"at": 1, "alarm": true, "figures": [1]}', '{"at": "x", "alarm": true, "figures": {}}',
     '{"at": 1, "alarm": true, "figures": {"a": null}}', '{"alarm": true, "figures": {}}',
     '{"at": 1, "alarm": true, "figures": {"a": "inf"}}',
     "[" * 3000, '{"at": "nan", "alarm": true, "figures": {}}'],
)  # fmt: skip
def test_a_missing_or_invalid_tag_is_no_summary(tag: str | None) -> None:
    assert MonitoringSummary.of(tag) is None
