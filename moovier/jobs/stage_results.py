"""Read the results of earlier stages, which another version of Moovier may have written.

After an upgrade in the middle of a run, later tasks get results in the form of the earlier version.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from moovier.errors import StaleResult

_Result = TypeVar("_Result", bound=BaseModel)
#: What a person does about an unreadable result of a stage of a retraining.
RETRAIN_AGAIN = "start a new retraining"
#: Keys of the gate's decision that later stages read.
DECISION = (
    *("promote", "reasons", "stars", "stars_reason"),
    *("version", "name", "kind", "compared_with", "versions"),
)


def parse_result(
    kind: type[_Result], content: object, stage: str, advice: str = RETRAIN_AGAIN
) -> _Result:
    """Return a stage's stored result as ``kind``.

    ``advice``: what a person should do if it has another form.

    Raises:
        StaleResult: the result has another form.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        fields = "; ".join(
            f"{'.'.join(map(str, reason['loc'])) or 'result'}: {reason['msg']}"
            for reason in error.errors()[:5]
        )
        raise _stale(stage, fields, advice) from error


def with_keys(
    content: Mapping[str, Any],
    keys: Collection[str],
    stage: str,
    advice: str = RETRAIN_AGAIN,
) -> dict[str, Any]:
    """Return a stage's stored result, which must have ``keys``.

    Raises:
        StaleResult: a key is missing.
    """
    missing = sorted(set(keys) - set(content))
    if missing:
        raise _stale(stage, f"missing: {', '.join(missing)}", advice)
    return dict(content)


def _stale(stage: str, problem: str, advice: str) -> StaleResult:
    return StaleResult(
        f"the result of `{stage}` was written by another version of Moovier ({problem}): {advice}"
    )
