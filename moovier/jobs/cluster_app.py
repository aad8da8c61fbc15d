"""What Airflow starts by ``spark-submit``: one stage of a job, with its driver on this machine.

::

    spark-submit moovier/jobs/cluster_app.py histories '{"name": …}'
    spark-submit moovier/jobs/cluster_app.py lists '{"name": …}'

The argument is the JSON result of the stage before. The settings come from the environment.
"""

from __future__ import annotations

import logging
import sys

import orjson

from moovier.errors import InvalidData
from moovier.jobs import batch, ingest
from moovier.settings import load_settings

_log = logging.getLogger(__name__)


def main(stage: str, argument: str) -> None:
    """Run one stage.

    Raises:
        ClusterError: the cluster failed.
    """
    logging.basicConfig(level=logging.INFO)
    settings, value = load_settings(), orjson.loads(argument)
    if stage == "lists":
        batch.write_on_cluster(value, settings=settings)
    elif stage == "histories":
        try:
            ingest.validate(value, settings=settings)
        except InvalidData as error:
            # `validate` finds the reasons, reports them and fails without a retry.
            _log.warning("%s", error)
    else:
        raise SystemExit(f"unknown stage {stage!r}: histories or lists")


if __name__ == "__main__":
    main(*sys.argv[1:])
