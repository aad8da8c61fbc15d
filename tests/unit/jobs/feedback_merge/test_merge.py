"""Feedback becomes a part of the data set with the next ingest."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from moovier.data.dvc_hash import directory_hash
from moovier.data.movielens import read_movielens
from moovier.errors import InvalidData
from moovier.feedback.errors import FeedbackUnavailable
from moovier.feedback.ratings import NewRating
from moovier.feedback.store import FeedbackStore
from moovier.jobs import ingest
from moovier.settings import Settings
from tests.unit.jobs.feedback_merge.conftest import NOW, ORIGINAL, lines, pull


def test_without_a_database_the_data_set_is_unchanged(folder: Path, settings: Settings) -> None:
    pulled = pull(folder, settings)
    assert pulled == {
        "name": "movies",
        "folder": str(folder),
        "hash": directory_hash(folder),
        "synthetic": False,
        "source": "directory",
        "note": "",
    }
    assert not settings.path("data", "merged").exists()


def test_without_feedback_the_data_set_is_unchanged(
    folder: Path, settings: Settings, store: FeedbackStore
) -> None:
    assert pull(folder, settings) == {
        "name": "movies",
        "folder": str(folder),
        "hash": directory_hash(folder),
        "synthetic": False,
        "source": "directory",
        "note": "",
    }
    assert not settings.path("data", "merged").exists()


def test_feedback_creates_a_new_data_set_beside_the_original(
    folder: Path, settings: Settings, store: FeedbackStore
) -> None:
    before = directory_hash(folder)
    store.add(1, [NewRating(10, 1.0, 2000), NewRating(30, 4.5, 1500)], request_id="r")
    store.add(900, [NewRating(20, 5, 1400)])
    store.delete(2, 30)
    pulled = pull(folder, settings)
    assert lines(pulled) == [
        "userId,movieId,rating,timestamp\n",
        "1,20,3.5,1001\n",
        "2,10,5.0,1002\n",
        "3,20,2.0,1004\n",
        "1,30,4.5,1500\n",
        "1,10,1.0,2000\n",
        "900,20,5.0,1400\n",
    ]
    merged = Path(pulled["folder"])
    assert merged == settings.path("data", "merged", pulled["hash"].removesuffix(".dir"))
    assert pulled["hash"] == directory_hash(merged) != before
    assert pulled["name"] == "movies+feedback"
    assert pulled["feedback"] == {
        "added": 2,
        "replaced": 1,
        "deleted": 1,
        "unknown": 0,
        "outdated": 0,
        "unreadable": 0,
        "movies": 0,
    }
    assert "2 ratings added, 1 replaced, 1 deleted" in pulled["note"]
    assert directory_hash(folder) == before
    for name in ("movies.csv", "links.csv"):
        assert (merged / name).read_bytes() == (folder / name).read_bytes()
    json.dumps(pulled)
    report = ingest.validate(pulled, settings=settings)
    assert (report["name"], report["hash"]) == ("movies+feedback", pulled["hash"])
    assert (report["ratings"], report["users"], report["problems"]) == (6, 4, [])


def test_same_feedback_gives_the_same_hash(
    folder: Path, settings: Settings, store: FeedbackStore
) -> None:
    store.add(1, [NewRating(30, 4, 1500)])
    store.add(3, [NewRating(30, 4, 1500)])
    store.delete(2, 10)
    first = pull(folder, settings)
    assert pull(folder, settings) == first
    elsewhere = settings.model_copy(update={"home": settings.home.with_name("elsewhere")})
    other = FeedbackStore.open(elsewhere.database, clock=lambda: NOW + 7)
    other.delete(2, 10)
    other.add(3, [NewRating(30, 4, 1500)], request_id="other")
    other.add(1, [NewRating(30, 3, 1499)])
    other.add(1, [NewRating(30, 4, 1500)], idempotency_key="other")
    assert pull(folder, elsewhere)["hash"] == first["hash"]
    store.add(1, [NewRating(30, 4.5, 1501)])
    assert pull(folder, settings)["hash"] != first["hash"]


def test_newer_rating_wins_over_the_files(
    folder: Path, settings: Settings, store: FeedbackStore
) -> None:
    older, same_second, newer = (1, 10, 999), (1, 20, 1001), (2, 10, 1003)
    for user, movie, moment in (older, same_second, newer):
        store.add(user, [NewRating(movie, 1.0, moment)])
    pulled = pull(folder, settings)
    assert lines(pulled)[1:] == [
        "1,10,4.0,1000\n",
        "2,30,0.5,1003\n",
        "3,20,2.0,1004\n",
        "1,20,1.0,1001\n",
        "2,10,1.0,1003\n",
    ]
    assert pulled["feedback"]["outdated"] == 1
    assert pulled["feedback"]["replaced"] == 2


def test_feedback_that_the_files_hold_already_changes_nothing(
    folder: Path, settings: Settings, store: FeedbackStore
) -> None:
    store.add(1, [NewRating(10, 4, 1000)])
    store.delete(77)
    pulled = pull(folder, settings)
    assert (pulled["name"], pulled["folder"]) == ("movies", str(folder))
    assert pulled["hash"] == directory_hash(folder)


def test_ratings_of_unknown_movies_are_left_out_and_counted(
    folder: Path, settings: Settings, store: FeedbackStore
) -> None:
    store.add(1, [NewRating(99, 4, 1500), NewRating(98, 4, 1500)])
    pulled = pull(folder, settings)
    assert pulled["hash"] == directory_hash(folder)
    assert pulled["feedback"]["unknown"] == 2
    assert "2 left out" in pulled["note"]
    store.add(1, [NewRating(30, 4, 1500)])
    pulled = pull(folder, settings)
    assert (pulled["feedback"]["added"], pulled["feedback"]["unknown"]) == (1, 2)
    assert ingest.validate(pulled, settings=settings)["ratings"] == 6


def test_all_ratings_of_a_user_are_deleted(
    folder: Path, settings: Settings, store: FeedbackStore
) -> None:
    store.add(2, [NewRating(20, 4, 1500)])
    store.delete(2)
    pulled = pull(folder, settings)
    assert not [line for line in lines(pulled) if line.startswith("2,")]
    assert pulled["feedback"]["deleted"] == 2
    # A rating given after the deletion counts, even if its clock runs behind.
    store.add(2, [NewRating(10, 2, 900)])
    pulled = pull(folder, settings)
    assert [line for line in lines(pulled) if line.startswith("2,")] == ["2,10,2.0,900\n"]


def test_rating_newer_than_the_deletion_counts(
    folder: Path, settings: Settings, store: FeedbackStore
) -> None:
    with (folder / "ratings.csv").open("a") as file:
        file.write(f"2,20,3.0,{NOW + 1}\n3,30,3.0,{NOW + 1}\n3,10,3.0,{NOW}\n")
    store.delete(2)
    store.delete(3, 30)
    store.delete(3, 10)
    assert lines(pull(folder, settings))[3:] == [
        "3,20,2.0,1004\n",
        f"2,20,3.0,{NOW + 1}\n",
        f"3,30,3.0,{NOW + 1}\n",
    ]


def test_rating_given_after_the_deletion_wins_over_the_files(
    folder: Path, settings: Settings, store: FeedbackStore
) -> None:
    store.delete(1, 10)
    store.add(1, [NewRating(10, 2, 500)])
    pulled = pull(folder, settings)
    assert [line for line in lines(pulled) if line.startswith("1,10,")] == ["1,10,2.0,500\n"]


def test_line_ends_byte_order_mark_and_columns_are_preserved(
    folder: Path, settings: Settings, store: FeedbackStore
) -> None:
    text = (
        "\ufeffnote,rating,userId,timestamp,movieId,source\r\n"
        '"a, ""b""",4.0,1,1000,10,x\r\n'
        '"two, words",3.5,1,1001,20,\r\n'
        "é,5,2,1002,10,y\r\n"
    )
    (folder / "ratings.csv").write_bytes(text.encode())
    for name in ("movies.csv", "links.csv"):
        content = (folder / name).read_text().replace("\n", "\r\n")
        (folder / name).write_bytes(b"\xef\xbb\xbf" + content.encode())
    store.add(1, [NewRating(20, 1, 2000), NewRating(30, 2, 2001)])
    pulled = pull(folder, settings)
    assert (Path(pulled["folder"]) / "ratings.csv").read_bytes().decode() == (
        "\ufeffnote,rating,userId,timestamp,movieId,source\r\n"
        '"a, ""b""",4.0,1,1000,10,x\r\n'
        "é,5,2,1002,10,y\r\n"
        ",1.0,1,2000,20,\r\n"
        ",2.0,1,2001,30,\r\n"
    )
    ratings = read_movielens(Path(pulled["folder"])).ratings
    assert ratings.to_numpy().tolist() == [
        [1, 10, 4.0, 1000],
        [2, 10, 5.0, 1002],
        [1, 20, 1.0, 2000],
        [1, 30, 2.0, 2001],
    ]


def test_byte_order_mark_before_a_used_column_is_preserved(
    folder: Path, settings: Settings, store: FeedbackStore
) -> None:
    (folder / "ratings.csv").write_text("\ufeff" + ORIGINAL, encoding="utf-8")
    store.add(1, [NewRating(10, 1, 2000)])
    merged = lines(pull(folder, settings))
    assert merged[0] == "\ufeffuserId,movieId,rating,timestamp\n"
    assert (merged[1], merged[-1]) == ("1,20,3.5,1001\n", "1,10,1.0,2000\n")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ratings.csv", ORIGINAL[:-3].encode()),
        # Joined to the row that is added, the cut line would be a valid rating of user 3900.
        ("ratings.csv", ORIGINAL.removesuffix(",20,2.0,1004\n").encode()),
        ("ratings.csv", b""),
        ("ratings.csv", b"userId,movieId,rating,timestamp\n"),
        ("ratings.csv", b"userId,movieId,rating\n1,10,4\n"),
        ("ratings.csv", ORIGINAL.encode() + b"1,30,\xff,4\n"),
        ("ratings.csv", ORIGINAL.encode() + b"1,30,x,4\n"),
        ("ratings.csv", ORIGINAL.encode() + b"1,30\n"),
        ("ratings.csv", ORIGINAL.encode() + b"3,20,2.0,1004\n"),
        ("ratings.csv", "userId,movieId,rating,timestamp\n".encode("utf-16")),
        ("movies.csv", b""),
        ("movies.csv", b"\xff\xfe"),
        ("movies.csv", b"title,genres\nx,y\n"),
        ("movies.csv", None),
        ("ratings.csv", None),
    ],
)
def test_invalid_files_are_refused_with_feedback_too(
    name: str, content: bytes | None, folder: Path, settings: Settings, store: FeedbackStore
) -> None:
    (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
    store.add(900, [NewRating(10, 1.0, 2000)])
    with pytest.raises(InvalidData):
        ingest.validate(pull(folder, settings), settings=settings)


def test_bad_rows_are_set_aside_with_feedback_too(
    folder: Path, settings: Settings, store: FeedbackStore
) -> None:
    with (folder / "ratings.csv").open("a") as file:
        file.write("1,30,x,4\n")
    store.add(900, [NewRating(10, 1.0, 2000)])
    lenient = settings.model_copy(update={"bad_rows_share": 0.5})
    report = ingest.validate(pull(folder, lenient), settings=lenient)
    assert report["ratings"] == 6
    assert len(report["set_aside"]) == 1


def test_unreachable_database_stops_the_ingest(folder: Path, settings: Settings) -> None:
    from pydantic import SecretStr

    unreachable = settings.model_copy(
        update={"database_url": SecretStr("postgresql://ann:hush@127.0.0.1:9/x")}
    )
    with pytest.raises(FeedbackUnavailable, match=r"127\.0\.0\.1:9") as caught:
        pull(folder, unreachable)
    assert "hush" not in str(caught.value)


def test_feedback_in_postgres_is_merged(
    folder: Path, settings: Settings, postgres_url: str
) -> None:
    from pydantic import SecretStr

    settings = settings.model_copy(update={"database_url": SecretStr(postgres_url)})
    store = FeedbackStore.open(settings.database)
    assert pull(folder, settings)["name"] == "movies"
    store.add(1, [NewRating(30, 4, 1500)])
    assert lines(pull(folder, settings))[-1] == "1,30,4.0,1500\n"
    store.close()


def test_merged_data_set_is_stored_in_the_remote(
    folder: Path, settings: Settings, store: FeedbackStore, tmp_path: Path
) -> None:
    store.add(1, [NewRating(30, 4, 1500)])
    pulled = pull(folder, settings)
    assert "kept in the DVC remote" in pulled["note"]
    assert "not kept" not in pulled["note"]
    objects = tmp_path / "remote" / "files" / "md5"
    md5 = pulled["hash"].removesuffix(".dir")
    listed = json.loads((objects / md5[:2] / f"{md5[2:]}.dir").read_text())
    merged = Path(pulled["folder"])
    assert {entry["relpath"] for entry in listed} == {"ratings.csv", "movies.csv", "links.csv"}
    for entry in listed:
        stored = objects / entry["md5"][:2] / entry["md5"][2:]
        assert stored.read_bytes() == (merged / entry["relpath"]).read_bytes()


@pytest.mark.parametrize(
    "obstacle", ["a file in its place", "no DVC repository", "no such server", "no such S3"]
)
def test_unusable_remote_is_reported_and_does_not_stop_the_ingest(
    obstacle: str,
    folder: Path,
    settings: Settings,
    store: FeedbackStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if obstacle == "a file in its place":
        (tmp_path / "remote").write_text("")
    elif obstacle == "no such server":
        settings = settings.model_copy(update={"dvc_remote": "http://127.0.0.1:9/x"})
    elif obstacle == "no such S3":
        settings = settings.model_copy(update={"dvc_remote": "s3://moovier/x"})
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    else:
        settings = settings.model_copy(update={"project": tmp_path})
    store.add(1, [NewRating(30, 4, 1500)])
    pulled = pull(folder, settings)
    assert "not kept in the DVC remote: " in pulled["note"]
    assert ingest.validate(pulled, settings=settings)["ratings"] == 6


def test_old_merged_data_sets_are_deleted(
    folder: Path, settings: Settings, store: FeedbackStore
) -> None:
    merged = settings.path("data", "merged")
    left_over = merged / ".merging-killed"
    left_over.mkdir(parents=True)
    os.utime(left_over, (time.time() - 90_000,) * 2)
    names = []
    for number in range(5):
        store.add(1, [NewRating(30, 4, 1500 + number)])
        names.append(Path(pull(folder, settings)["folder"]).name)
        os.utime(merged / names[-1], (1000 + number,) * 2)
    assert {path.name for path in merged.iterdir()} == set(names[-3:])
    # A data set that is pulled again counts as new.
    os.utime(merged / names[-1], (1, 1))
    pull(folder, settings)
    store.add(1, [NewRating(30, 4, 1600)])
    pull(folder, settings)
    remaining = {path.name for path in merged.iterdir()}
    assert names[-1] in remaining
    assert names[2] not in remaining


def test_damaged_merged_data_set_is_created_again(
    folder: Path, settings: Settings, store: FeedbackStore
) -> None:
    store.add(1, [NewRating(30, 4, 1500)])
    first = pull(folder, settings)
    ratings = Path(first["folder"]) / "ratings.csv"
    ratings.write_text("cut off")
    assert pull(folder, settings) == first
    assert directory_hash(Path(first["folder"])) == first["hash"]


def test_synthetic_ratings_stay_marked(
    folder: Path, settings: Settings, store: FeedbackStore
) -> None:
    (folder / "SYNTHETIC.txt").write_text("synthetic")
    store.add(1, [NewRating(30, 4, 1500)])
    pulled = pull(folder, settings)
    assert pulled["synthetic"]
    assert read_movielens(Path(pulled["folder"])).synthetic


@pytest.mark.real_data
def test_ml_latest_small_with_feedback_is_valid(
    real_data: Path, settings: Settings, store: FeedbackStore
) -> None:
    store.add(1, [NewRating(1, 0.5, NOW), NewRating(318, 5, NOW)])
    store.delete(610)
    store.delete(414, 1)
    pulled = pull(real_data, settings)
    counts = pulled["feedback"]
    assert (counts["added"], counts["replaced"], counts["deleted"]) == (1, 1, 1302 + 1)
    report = ingest.validate(pulled, settings=settings)
    assert report["ratings"] == 100_836 + 1 - 1303
    assert report["users"] == 609
