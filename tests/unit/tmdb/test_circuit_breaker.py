from __future__ import annotations

import pytest

from moovier.tmdb.circuit_breaker import CircuitBreaker


class Clock:
    """A monotonic clock that a test sets, in seconds."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("moovier.tmdb.circuit_breaker.time.monotonic", clock)
    return clock


def test_one_call_probes_the_service_after_the_pause(clock: Clock) -> None:
    breaker = CircuitBreaker(failures=2, open_s=60)
    breaker.record_failure()
    assert breaker.allow()
    breaker.record_failure()
    assert not breaker.allow()
    assert not breaker.is_closed
    clock.now += 59
    assert not breaker.allow()
    clock.now += 2
    assert [breaker.allow() for _ in range(3)] == [True, False, False]
    breaker.record_success()
    assert breaker.is_closed
    assert [breaker.allow() for _ in range(3)] == [True, True, True]


def test_failed_probe_opens_the_circuit_again(clock: Clock) -> None:
    breaker = CircuitBreaker(failures=2, open_s=60)
    breaker.record_failure(times=2)
    clock.now += 61
    assert breaker.allow()
    clock.now += 30
    breaker.record_failure()
    clock.now += 59
    assert not breaker.allow()
    clock.now += 2
    assert breaker.allow()


def test_success_between_failures_keeps_the_circuit_closed(clock: Clock) -> None:
    breaker = CircuitBreaker(failures=2, open_s=60)
    for _ in range(5):
        breaker.record_failure()
        breaker.record_success()
    assert breaker.allow()


def test_pause_lasts_as_long_as_the_service_asked(clock: Clock) -> None:
    breaker = CircuitBreaker(failures=2, open_s=60)
    breaker.pause(300)
    assert not breaker.is_closed
    clock.now += 299
    assert not breaker.allow()
    clock.now += 2
    assert breaker.allow()
