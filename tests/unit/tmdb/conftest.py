from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.tmdb import FakeTmdb, fake_tmdb


@pytest.fixture
def tmdb(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTmdb]:
    # A proxy in the environment must not be used for this machine's addresses.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with fake_tmdb() as tmdb:
        yield tmdb
