"""An additional Schemathesis check, which `SCHEMATHESIS_HOOKS` loads."""

from __future__ import annotations

import re
from typing import Any

import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance

#: Errors of valid requests: they depend on the catalogue, on two values at once, or on the content
#: of a file. Each is a regular expression for the beginning of the detail.
REASONS = (
    # The document allows texts, which only a service with a data set of text ids takes.
    r"(path|query)\.(user|movie)_id: Input should be ",
    r"body\.[\w.]*: Input should be a valid integer",
    r"body\.(people\.[0-9]+\.)?ratings\.[\s\S]*: Value error, a movie id is a positive",
    "invalid cursor",
    "unknown movie [0-9]",
    "unknown genre ['\"]",
    "body.ratings: movie [0-9]+ is in the list more than once",
    "body: people cannot be combined with ",
    "body.people.[0-9]+: a person needs ",
    "year_from [0-9]+ is after year_to",
    "movie [0-9]+: ",
    "providers, runtimes and languages come from TMDB",
    "users times top_k must be at most",
    "the file is not a known export",
    "the zip ",
    "the JSON file ",
    "(line [0-9]+: )?the rating ",
)
#: Further errors of files, which take a large or damaged one.
FILE_REASONS = ("the file has more than ", "the CSV file is damaged")
_EXCUSED = re.compile("|".join(REASONS + FILE_REASONS))


@schemathesis.check
def valid_data_is_accepted(ctx: Any, response: Any, case: Any) -> None:
    """Run ``positive_data_acceptance``, except for requests refused for an excused reason."""
    if response.status_code == 422 and _EXCUSED.match(response.json()["detail"]):
        return
    positive_data_acceptance(ctx, response, case)
