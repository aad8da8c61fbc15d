from __future__ import annotations

import pytest

from moovier.cli.recommend import recommend
from moovier.jobs import recommend as job


def test_narrow_terminal_shows_rank_and_year(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    title = "Harry Potter and the Sorcerer's Stone (a.k.a. The Philosopher's Stone)"
    long = {"id": 1, "title": title, "year": 2001, "genres": ["Adventure", "Children", "Fantasy"]}
    items = [long, {"id": 2, "title": "The Omen", "year": 1976, "genres": ["Horror"]}]
    result = {
        "model": "moovier_ease_3_trained_0",
        "version": 1,
        "synthetic": False,
        "feedback": None,
        "answers": [{"user": 1, "source": "model", "items": items}],
    }
    monkeypatch.setattr(job, "recommend", lambda *_args, **_more: result)
    monkeypatch.setenv("COLUMNS", "80")
    recommend(["1"])
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    shown = [line.split() for line in lines if "Harry" in line or "Omen" in line]
    assert [words[0] for words in shown] == ["1", "2"]
    assert "2001" in shown[0]
    assert "1976" in shown[1]
