"""Send notifications of failures, alarms and promotions, and write notes on DAG runs.

Both use connections of Airflow, and neither fails a task: what cannot be sent is logged.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

#: Connection to Airflow's own API, with which tasks write the notes of their runs.
API_CONNECTION = "moovier_airflow"
_log = logging.getLogger(__name__)


def notify(subject: str, text: str) -> None:
    """Send a message through the connection of the setting `notify_connection`, if it is set.

    Connection types: `smtp` sends a mail (extra fields `from_email` and `to_email`); `http` posts
    JSON with the field `text`, which Slack's, Mattermost's and similar webhooks take.
    """
    from moovier.settings import load_settings

    connection_id = load_settings().notify_connection
    if connection_id is None:
        return
    try:
        _send(connection_id, subject, text)
        _log.info("sent the notification %r through the connection %s", subject, connection_id)
    except Exception as error:  # any library may fail; the task has done its work
        _log.warning(
            "cannot send the notification %r: %s; check the connection %s",
            subject,
            error,
            connection_id,
        )


def notify_failure(context: Mapping[str, Any]) -> None:
    """Report the failed task of ``context``; a callback for ``on_failure_callback``."""
    task = context["ti"]
    notify(
        f"Moovier: {task.dag_id} failed",
        f"The task `{task.task_id}` of {task.dag_id} failed (run {task.run_id}): "
        f"{context.get('exception')}\nThe champion stays in service. Log: {task.log_url}",
    )


def set_run_note(context: Mapping[str, Any], note: str) -> None:
    """Write a note on the DAG run of ``context``, which Airflow's page shows."""
    from airflow.sdk import Connection

    from moovier.stack.airflow_api import AirflowApi

    try:
        connection = Connection.get(API_CONNECTION)
        url = f"{connection.schema or 'http'}://{connection.host}:{connection.port or 8080}"
        with AirflowApi(url, connection.login or "", connection.password or "") as api:
            api.set_note(context["ti"].dag_id, context["ti"].run_id, note)
    except Exception as error:  # the note is a convenience
        _log.warning(
            "cannot write the note of the run: %s; check the connection %s", error, API_CONNECTION
        )


def _send(connection_id: str, subject: str, text: str) -> None:
    from airflow.sdk import Connection

    connection = Connection.get(connection_id)
    if connection.conn_type == "smtp":
        from airflow.providers.smtp.notifications.smtp import SmtpNotifier

        extra = connection.extra_dejson
        SmtpNotifier(
            smtp_conn_id=connection_id,
            from_email=extra.get("from_email"),
            to=extra["to_email"],
            subject=subject,
            html_content=f"<p>{text}</p>".replace("\n", "<br>"),
        ).notify({})
    elif connection.conn_type in ("http", "https"):
        from airflow.providers.http.hooks.http import HttpHook

        HttpHook(method="POST", http_conn_id=connection_id).run(json={"text": f"{subject}\n{text}"})
    else:
        raise ValueError(
            f"connections of type {connection.conn_type!r} are not supported; use smtp or http"
        )
