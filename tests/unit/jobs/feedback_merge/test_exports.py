"""Deletions and new ratings reach files that other programs wrote, or the ingest stops."""

from __future__ import annotations

from pathlib import Path

import pytest

from moovier.data import sources
from moovier.errors import InvalidData
from moovier.feedback.ratings import NewRating
from moovier.feedback.store import FeedbackStore
from moovier.jobs import ingest
from moovier.settings import Settings
from tests.unit.jobs.feedback_merge.conftest import lines, pull

HEADER = "userId,movieId,rating,timestamp\n"
#: The same ratings as pandas writes them with a gap, as Excel shows them, and in other spellings.
SPELLINGS = {
    "pandas": "1,10,4.0,964982703.0\n1,20,4.5,964982704.0\n2,10,3.0,964982705.0\n",
    "pandas, all floats": "1.0,10.0,4.0,964982703.0\n1.0,20.0,4.5,964982704.0\n2.0,10.0,3,9.6E8\n",
    "Excel": "1,10,4.0,9.64983E+08\n1,20,4.5,9.64983E+08\n2,10,3.0,1.44571E+09\n",
    "spaces": " 1, 10, 4.0, 964982703\n 1, 20, 4.5, 964982704\n 2, 10, 3.0, 964982705\n",
    "zeros": "01,010,4.0,964982703\n01,020,4.5,964982704\n02,010,3.0,964982705\n",
    "quotes": '"1","10","4.0","964982703"\n"1","20","4.5","964982704"\n"2","10","3","964982705"\n',
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_new_rating_and_deletion_reach_each_spelling(
    spelling: str, folder: Path, settings: Settings, store: FeedbackStore
) -> None:
    (folder / "ratings.csv").write_text(HEADER + SPELLINGS[spelling])
    sources.use(settings, str(folder))
    store.add(1, [NewRating(10, 1.0, 1_500_000_000)])
    pulled = ingest.pull(settings=settings)
    assert ingest.validate(pulled, settings=settings)["ratings"] == 3
    assert pulled["feedback"]["replaced"] == 1
    assert lines(pulled)[-1] == "1,10,1.0,1500000000\n"
    store.delete(1)
    pulled = ingest.pull(settings=settings)
    assert ingest.validate(pulled, settings=settings)["users"] == 1
    assert pulled["feedback"]["deleted"] == 2
    assert lines(pulled) == [HEADER, (HEADER + SPELLINGS[spelling]).splitlines(True)[3]]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,10,4.0,964982703.5", "timestamp '964982703.5' is not a whole number"),
        ("1,10,4.0,1700000000000", "it looks like milliseconds: divide by 1,000"),
        ("1,10,4.0", "has 3 fields, the header has 4"),
        ("1_0,10,4.0,9", "userId '1_0' is not a whole number"),
        ('"1,10,4.0,9', "a quote opens here and is not closed"),
        ("1,10,nan,9", "rating 'nan' is not a number"),
    ],
)
def test_row_that_cannot_be_read_stops_the_ingest(
    line: str, reason: str, folder: Path, settings: Settings, store: FeedbackStore
) -> None:
    (folder / "ratings.csv").write_text(f"{HEADER}2,10,3.0,964982705\n{line}\n")
    store.delete(1)
    with pytest.raises(InvalidData) as caught:
        pull(folder, settings)
    assert "ratings.csv, row 3: " in str(caught.value)
    assert reason in str(caught.value)
    assert not list(settings.path("data", "merged").iterdir())


def test_allowed_bad_row_is_set_aside_and_the_deletion_still_counts(
    folder: Path, settings: Settings, store: FeedbackStore
) -> None:
    (folder / "ratings.csv").write_text(
        f"{HEADER}1,10,4.0,964982703.0\n1,20,4.0,2005-04-02\n2,10,3.0,964982705\n"
    )
    store.delete(1)
    lenient = settings.model_copy(update={"bad_rows_share": 0.5})
    report = ingest.validate(pull(folder, lenient), settings=lenient)
    assert (report["ratings"], report["users"], len(report["set_aside"])) == (1, 1, 1)


def test_rating_of_a_movie_whose_id_is_a_float_is_kept(
    folder: Path, settings: Settings, store: FeedbackStore
) -> None:
    (folder / "movies.csv").write_text(
        "movieId,title,genres\n10.0,Ten (1995),Drama\n20.0,Twenty (1996),\n30.0,Thirty (1997),\n"
    )
    store.add(1, [NewRating(30, 4.0, 1_500_000_000)])
    pulled = pull(folder, settings)
    assert (pulled["feedback"]["added"], pulled["feedback"]["unknown"]) == (1, 0)
    assert ingest.validate(pulled, settings=settings)["ratings"] == 6


def test_merged_data_set_holds_only_what_is_read(
    folder: Path, settings: Settings, store: FeedbackStore
) -> None:
    store.add(1, [NewRating(30, 4.0, 1500)])
    before = pull(folder, settings)
    for name in (".DS_Store", "README.txt", "tags.csv", "ratings copy.csv"):
        (folder / name).write_text("x")
    after = pull(folder, settings)
    assert after["hash"] == before["hash"]
    names = {path.name for path in Path(after["folder"]).iterdir()}
    assert names == {"ratings.csv", "movies.csv", "links.csv"}
