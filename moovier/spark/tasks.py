"""Run a function of a number on the cluster, one task for each number.

A task that fails runs again, on another worker if its own is lost. So the function must have the
same effect when it runs twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import orjson
import pyarrow as pa

from moovier.errors import ClusterError, MoovierError

RESULT = "result string"
_SCHEMA = pa.schema([("result", pa.string())])


def numbers(spark: Any, count: int) -> Any:
    """Return a data frame of the numbers below ``count``, each in a partition of its own."""
    return spark.range(0, count, 1, count)


def parallelism(spark: Any) -> int:
    """Return the number of tasks that the cluster runs at a time, 2 if it does not say."""
    try:
        return max(int(spark.sparkContext.defaultParallelism), 2)
    except Exception:  # Spark Connect has no context, and says so with an error of its own.
        return int(spark.conf.get("spark.sql.leafNodeDefaultParallelism", None) or 2)


def run(spark: Any, function: Callable[[int], Any], count: int) -> list[Any]:
    """Return ``function(number)`` for each number below ``count``, in their order.

    ``function``: picklable; its result is JSON.

    Raises:
        ClusterError: the function raised an error of Moovier that no retry can mend.
    """
    if count == 0:
        return []
    return results(numbers(spark, count).mapInArrow(partial(_run, function), RESULT))


def results(frame: Any) -> list[Any]:
    """Return what the tasks of a data frame yielded with :func:`result`, by task number."""
    answers = sorted((orjson.loads(row.result) for row in frame.collect()), key=lambda a: a[0])
    for _, _, refusal in answers:
        if refusal is not None:
            error = ClusterError(refusal)
            error.is_transient = False
            raise error
    return [answer for _, answer, _ in answers]


def result(number: int, answer: Any, refusal: str | None = None) -> pa.RecordBatch:
    """Return the result of one task; ``refusal``: the message of an error, None if it succeeded."""
    text = orjson.dumps([number, answer, refusal], option=orjson.OPT_SERIALIZE_NUMPY).decode()
    return pa.RecordBatch.from_pydict({"result": [text]}, schema=_SCHEMA)


def _run(
    function: Callable[[int], Any], batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for number in numbers_of(batches):
        try:
            yield result(number, function(number))
        except MoovierError as error:
            if error.is_transient:
                raise
            # An exception would only repeat the task.
            yield result(number, None, str(error))


def numbers_of(batches: Iterable[pa.RecordBatch]) -> Iterator[int]:
    """Return the numbers of a partition of :func:`numbers`."""
    for batch in batches:
        yield from batch.column(0).to_pylist()
