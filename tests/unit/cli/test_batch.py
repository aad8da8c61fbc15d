"""`moovier batch` passes its options on and prints what was written."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from moovier.cli import app
from moovier.errors import BadRequest
from moovier.jobs import batch as job


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {"top_k": job.BatchConfig().top_k, "model": None}),
        (["--top-k", "7", "--shards", "3", "--model", "m"],
         {"top_k": 7, "shards": 3, "model": "m"}),
    ],
)  # fmt: skip
def test_numbers_and_location_are_printed(
    monkeypatch: pytest.MonkeyPatch, options: list[str], expected: dict[str, Any]
) -> None:
    given: list[Any] = []

    def batch_all(config: Any, on_progress: Any, *, settings: Any) -> dict[str, Any]:
        given.append(config)
        on_progress("part 1 of 1")
        return {"users": 1234, "rows": 12340, "url": "/lists/m-v1"}

    monkeypatch.setattr(job, "batch_all", batch_all)
    done = CliRunner().invoke(app, ["batch", *options])
    assert done.exit_code == 0, done.output
    assert done.stdout == "part 1 of 1\n1,234 users, 12,340 rows in /lists/m-v1\n"
    [config] = given
    assert {name: getattr(config, name) for name in expected} == expected


def test_options_out_of_range_are_refused() -> None:
    done = CliRunner().invoke(app, ["batch", "--top-k", "0"])
    assert isinstance(done.exception, BadRequest)
    assert "top_k" in str(done.exception)
