"""Print the summary of `moovier up`: addresses, login, champion, data and a first command."""

from __future__ import annotations

import json
import shlex

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from moovier.errors import BundleError
from moovier.ids import USER
from moovier.models import bundle
from moovier.registry.version import Version
from moovier.settings import Settings
from moovier.stack.environment import AIRFLOW_USER
from moovier.stack.lifecycle import RunningStack
from moovier.stack.services import airflow_url, mlflow_url, service_url


def show(running: RunningStack, console: Console) -> None:
    """Print the summary of a running stack."""
    settings, champion = running.settings, running.champion
    service = service_url(settings)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    if (settings.project / "web" / "dist" / "index.html").is_file():
        table.add_row("Web page", f"{service}/  (operations: {service}/behind)")
    else:
        table.add_row("Web page", "not built: install Node.js 20 with npm, then `make web`")
    table.add_row("Service", f"{service}  (its API: {service}/docs)")
    table.add_row("Airflow", airflow_url(settings))
    table.add_row("", f"user {AIRFLOW_USER}, password {escape(running.airflow_password)}")
    table.add_row("MLflow", mlflow_url(settings))
    if champion is not None:
        table.add_row("Champion", escape(_champion(champion)))
        table.add_row("Trained on", escape(_data(champion)))
    table.add_row("Logs", escape(str(settings.path("logs"))))
    console.print()
    console.print(table, highlight=False)
    if champion is None:
        console.print(
            Panel(
                "No model was good enough to become champion; the description of each version in "
                "MLflow says why. Until a model is promoted, the service recommends popular "
                "movies to everybody.",
                border_style="yellow",
            )
        )
        return
    if _synthetic(champion):
        console.print(
            Panel(
                "SYNTHETIC DATA: the ratings behind these recommendations are generated, not "
                "real. The README explains how to use real ratings.",
                border_style="yellow",
            ),
            style="bold yellow",
        )
    console.print("Try it:")
    body = shlex.quote(json.dumps([_first_user(settings, champion)]))
    # No line breaks, so that the command can be copied.
    console.print(
        f"curl -X POST '{service}/predict?top_k=3' -H 'Content-Type: application/json' -d {body}",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )


def _first_user(settings: Settings, champion: Version) -> int | str:
    """Return a user id of the champion's data: 1 for MovieLens, a text where ids are texts."""
    try:
        index, texts = bundle.read_ids(
            settings.path("bundles", f"{champion.number}-{champion.run_id}")
        )
    except BundleError:
        # The service has not stored the model yet; the command still shows how to ask.
        return 1
    number = int(index.users[0])
    text = None if texts is None else texts.text(USER, number)
    return number if text is None else text


#: Label by metric of the version.
_QUALITY = {
    "visitor_ndcg_at_10": "visitor NDCG@10",
    "next_visit_ndcg_at_10": "next visit NDCG@10",
}


def _champion(version: Version) -> str:
    quality = "".join(
        f", {name} {version.metrics[metric]:.3f}"
        for metric, name in _QUALITY.items()
        if metric in version.metrics
    )
    # Versions of earlier releases have only the split by time.
    if not quality and "ndcg_at_10" in version.metrics:
        quality = f", NDCG@10 {version.metrics['ndcg_at_10']:.3f} on the split by time"
    return f"{version.name} (version {version.number}{quality})"


def _data(version: Version) -> str:
    kind = "synthetic ratings" if _synthetic(version) else "real ratings"
    return (
        f"{version.tags.get('data_name', '?')}: {kind}, hash {version.tags.get('data_hash', '?')}"
    )


def _synthetic(version: Version) -> bool:
    return version.tags.get("synthetic", "").lower() == "true"
