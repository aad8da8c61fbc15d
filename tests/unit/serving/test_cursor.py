"""Cursors keep the ids of shown movies; any other text is refused."""

from __future__ import annotations

import base64
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from moovier.errors import BadRequest
from moovier.serving import cursor

IDS = st.lists(st.integers(1, 2**62 - 1), max_size=200)


def packed(content: bytes) -> str:
    """Return a cursor as a client that knows the format could write it."""
    return base64.urlsafe_b64encode(zlib.compress(content)).rstrip(b"=").decode()


@given(ids=IDS)
@example(ids=[])
@example(ids=[5, 1, 5])
def test_round_trip_returns_unique_ascending_ids(ids: list[int]) -> None:
    assert cursor.decode(cursor.encode(np.array(ids, dtype=np.int64))).tolist() == sorted(set(ids))


def test_cursor_is_short_url_safe_text() -> None:
    ids = np.random.default_rng(0).choice(200_000, 9_724, replace=False) + 1
    text = cursor.encode(ids)
    assert text.replace("-", "").replace("_", "").isalnum()
    # All movies of ml-latest-small fit into the line of a request: 64 KiB.
    assert len(text) < 32_768


@given(text=st.text(max_size=100) | st.binary(max_size=100).map(lambda b: packed(b)))
@example(text="=")
@example(text="é")
@example(text="\ud800")
@example(text="\x00")
def test_other_text_is_refused(text: str) -> None:
    try:
        ids = cursor.decode(text)
    except BadRequest:
        return
    # The text is a valid cursor by chance.
    assert (np.diff(ids, prepend=0) > 0).all()


@pytest.mark.parametrize(
    "steps", [[0], [1, 0, 2], [2**62], [2**64 - 1], [1, 2**64 - 1], [2**62 - 1] * 3, [5, 2**63]]
)
def test_invalid_ids_are_refused(steps: list[int]) -> None:
    with pytest.raises(BadRequest):
        cursor.decode(packed(np.array(steps, dtype="<u8").tobytes()))


@given(ids=IDS.filter(lambda ids: len(ids) > 0), cut=st.integers(1, 8), more=st.binary(max_size=3))
def test_damaged_cursor_is_refused(ids: list[int], cut: int, more: bytes) -> None:
    raw = zlib.compress(np.unique(ids).astype("<u8").tobytes(), 1)
    for damaged in (raw[:-cut], raw + b"x" + more):
        with pytest.raises(BadRequest):
            cursor.decode(base64.urlsafe_b64encode(damaged).decode())
    with pytest.raises(BadRequest):
        cursor.decode(packed(b"1234567"))


def test_cursor_holds_at_most_max_movies() -> None:
    for size in (cursor.MAX_MOVIES - 1, cursor.MAX_MOVIES):
        ids = np.arange(1, size + 1)
        assert (cursor.decode(cursor.encode(ids)) == ids).all()
    with pytest.raises(BadRequest):
        cursor.decode(cursor.encode(np.arange(1, cursor.MAX_MOVIES + 2)))


def test_decompression_is_bounded() -> None:
    bomb = packed(bytes(300_000_000))
    assert len(bomb) < 900_000
    tracemalloc.start()
    try:
        with pytest.raises(BadRequest):
            cursor.decode(bomb)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 20_000_000
