"""`moovier models`, `moovier promote` and `moovier rollback`: the registered models."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from moovier.cli.console import plain_console
from moovier.registry.version import ALIASES, CHAMPION
from moovier.settings import load_settings

if TYPE_CHECKING:
    from moovier.registry.client import Registry
    from moovier.registry.listing import Listing
    from moovier.registry.version import Version

Reason = Annotated[str | None, typer.Option(help="Reason, stored on the version.")]


def show(
    model: Annotated[
        str | None,
        typer.Argument(help="Name, alias or version number: describe only this model."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, one object per version.")
    ] = False,
) -> None:
    """List the registered models, newest first, or describe one: why it was promoted, its data."""
    if model is not None:
        version = _registry().resolve(model)
        if as_json:
            typer.echo(json.dumps(_facts(version), indent=2))
        else:
            _describe(version)
        return
    listing = _registry().listing()
    if as_json:
        listed = sorted((*listing.versions, *listing.unusable), key=lambda v: -v.number)
        typer.echo(json.dumps([_facts(version) for version in listed], indent=2))
        return
    if listing.versions:
        _print(listing.versions)
    else:
        typer.echo("no model is registered yet; run `moovier up` or `moovier train`")
    _print_problems(listing)


def promote(
    model: Annotated[str, typer.Argument(help="Name, alias or version number.")],
    reason: Reason = None,
) -> None:
    """Make a model the champion; the service follows within seconds."""
    registry = _registry()
    champion = registry.promote(registry.resolve(model), reason or "promoted by hand")
    typer.echo(f"champion: {champion.name} (version {champion.number})")


def rollback(reason: Reason = None) -> None:
    """Make the previous champion the champion again; the service follows within seconds."""
    registry = _registry()
    problem = registry.listing().problem(CHAMPION)
    champion = registry.rollback(reason or "rolled back by hand")
    if problem is not None:
        typer.echo(f"note: {problem}", err=True)
    typer.echo(f"champion: {champion.name} (version {champion.number})")


def _registry() -> Registry:
    from moovier.registry.client import Registry

    settings = load_settings()
    return Registry(settings.mlflow_tracking_uri, settings.registered_model)


def _facts(version: Version) -> dict[str, object]:
    return {
        "name": version.name,
        "version": version.number,
        "aliases": list(version.aliases),
        "family": version.family,
        "parent": version.parent,
        "metrics": dict(version.metrics),
        "data": {key: version.tags.get(f"data_{key}") for key in ("name", "hash")},
        "synthetic": version.tags.get("synthetic") == "true",
        "gate": version.tags.get("gate"),
        "gate_reasons": version.gate_reasons,
        "created_at": version.created_at.isoformat(),
        "usable": version.complete,
        "unreadable": version.unreadable,
    }


#: Metrics that describe a model, with digits.
_METRICS = {
    "visitor_ndcg_at_10": "visitor NDCG@10 {:.3f}",
    "next_visit_ndcg_at_10": "next visit NDCG@10 {:.3f}",
    "rmse": "RMSE {:.3f} stars",
}


def _describe(version: Version) -> None:
    """Print what a model is, how good it is, why it was promoted or kept, and its data."""
    from moovier.jobs.registration import run_url

    settings = load_settings()
    metrics = [
        text.format(version.metrics[name])
        for name, text in _METRICS.items()
        if math.isfinite(version.metrics.get(name, math.nan))
    ]
    synthetic = ", SYNTHETIC ratings" if version.tags.get("synthetic") == "true" else ""
    data = f"{version.tags.get('data_name', '?')}, hash {version.tags.get('data_hash', '?')}"
    rows = {
        "model": version.title,
        "aliases": ", ".join(version.aliases),
        "metrics": ", ".join(metrics),
        "gate": version.tags.get("gate", ""),
        "why": version.gate_reasons or "",
        "data": data + synthetic,
        "run": run_url(settings, version.run_id) if version.run_id else "",
        "problems": version.unreadable or "",
    }
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="bold", no_wrap=True)
    # Hashes and addresses must be copied whole.
    table.add_column(overflow="fold")
    for heading, text in rows.items():
        if text:
            table.add_row(heading, text)
    plain_console(soft_wrap=False).print(table)


def _print_problems(listing: Listing) -> None:
    """Print the aliases and versions that cannot be used, or only in part."""
    console = plain_console(soft_wrap=False)
    problems = [listing.problem(alias) for alias in ALIASES]
    versions = [*listing.unusable, *(v for v in listing.versions if v.unreadable)]
    problems += [
        f"{version.title}{_alias_note(version)} "
        f"{'cannot be used' if version.unusable else 'is partly unreadable'}: {version.unreadable}"
        for version in sorted(versions, key=lambda v: -v.number)
    ]
    for problem in filter(None, problems):
        console.print(f"! {problem}", style="yellow")


def _alias_note(version: Version) -> str:
    return f" [{', '.join(version.aliases)}]" if version.aliases else ""


def _print(versions: Sequence[Version]) -> None:
    # With one space between columns a name, an alias and a data set fit 80 columns.
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for heading, right in (
        ("model", False),
        ("#", True),
        ("alias", False),
        ("visitor", True),
        ("next\nvisit", True),
        ("data", False),
        ("created", False),
    ):
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for version in versions:
        synthetic = version.tags.get("synthetic") == "true"
        table.add_row(
            version.name,
            str(version.number),
            ", ".join(version.aliases),
            _metric(version, "visitor_ndcg_at_10"),
            _metric(version, "next_visit_ndcg_at_10"),
            version.tags.get("data_name", "") + ("*" if synthetic else ""),
            f"{version.created_at:%Y-%m-%d}",
            style="bold" if "champion" in version.aliases else None,
        )
    console = plain_console(soft_wrap=False)
    console.print(table)
    console.print(
        "visitor, next visit: NDCG@10 on the hold-out (docs/metrics.md); –: not measured, as for "
        "models of earlier releases",
        style="dim",
    )
    if any(version.tags.get("synthetic") == "true" for version in versions):
        console.print("* SYNTHETIC ratings: generated, not from real users", style="yellow")


def _metric(version: Version, name: str) -> str:
    """Return a metric with three digits, or a dash if the version lacks it."""
    value = version.metrics.get(name)
    return "–" if value is None or not math.isfinite(value) else f"{value:.3f}"
