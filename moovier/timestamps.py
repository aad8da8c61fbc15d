"""Units of time, and the bounds of timestamps in files, in requests and in the database."""

from __future__ import annotations

#: Seconds of a day, and of a mean Gregorian year.
DAY_S, YEAR_S = 86_400, 31_556_952

#: Timestamps in seconds since 1970 stay below this until the year 2106. Milliseconds are above it
#: except for the first 50 days of 1970.
TIMESTAMP_END = 2**32
#: The least plausible value in each finer unit, largest first: a moment in 1973.
_FINER_UNITS = (
    (10**17, "nanoseconds", "1,000,000,000"),
    (10**14, "microseconds", "1,000,000"),
    (10**11, "milliseconds", "1,000"),
)


def timestamp_problem(timestamp: int) -> str | None:
    """Return what is wrong with a timestamp, as "is before 1970", or None for a valid one."""
    if 0 <= timestamp < TIMESTAMP_END:
        return None
    if timestamp < 0:
        return "is before 1970"
    problem = "is not in seconds since 1970"
    for least, unit, divisor in _FINER_UNITS:
        if timestamp >= least:
            return f"{problem}; it looks like {unit}: divide by {divisor}"
    return f"{problem}: it would be after the year 2106"
