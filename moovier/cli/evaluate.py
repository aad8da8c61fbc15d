"""`moovier evaluate`: evaluate recipes on a data set under every protocol."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from moovier.cli.console import plain_console
from moovier.cli.options import Data
from moovier.settings import MAX_SEED, load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from moovier.jobs.evaluate import EvaluationReport
    from moovier.report.model_report import Interval, ModelReport, RankingReport

#: Fields left out of the JSON; only a retraining's report needs them.
_NOT_IN_JSON = {"models": {"__all__": {"curves", "examples"}}}
_DASH = "–"


def evaluate(
    model: Annotated[
        str | None,
        typer.Argument(
            help="Name, alias or version number of a registered model. Default: the default "
            "recipes of the families that rank."
        ),
    ] = None,
    data: Data = None,
    family: Annotated[
        list[str] | None,
        typer.Option(help="Evaluate this family's default recipe; repeat for several."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=MAX_SEED, help="Seed of the trainings. Default: MOOVIER_SEED."),
    ] = None,
    split_seed: Annotated[
        int,
        typer.Option(
            min=0,
            max=MAX_SEED,
            help="Seed that draws the held-out users and the ratings of visitors.",
        ),
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Evaluate a model's recipe on a data set, under every protocol.

    A registered model was trained on all ratings, so it cannot be evaluated on
    them. Its recipe (family and hyper-parameters) is trained again for each
    protocol, without the test set. Without MODEL no registry is needed. Nothing
    is registered. See docs/metrics.md.
    """
    # TensorFlow reads this when it is imported: no messages about the processor.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from moovier.jobs import evaluate as job

    progress = plain_console(stderr=True)
    report = job.evaluate(
        model,
        data=data,
        families=family or (),
        seed=seed,
        split_seed=split_seed,
        settings=load_settings(),
        on_progress=progress.print,
    )
    if as_json:
        typer.echo(report.model_dump_json(indent=2, exclude=_NOT_IN_JSON))
    else:
        _print(report, plain_console(soft_wrap=False))


def _print(report: EvaluationReport, console: Console) -> None:
    """Print a table per protocol, at most 80 columns wide."""
    facts, models = report.data, report.models
    console.print(
        f"{facts.name}: {facts.ratings:,} ratings of {facts.users:,} users, {facts.movies:,} "
        "movies",
    )
    if facts.synthetic:
        console.print("SYNTHETIC ratings: generated, not from real users", style="yellow")
    console.print(_about(report))
    _print_decisive(models, console)
    _print_reported(models, console)


def _about(report: EvaluationReport) -> str:
    seeds = f"Seed {report.seed}, split seed {report.split_seed}."
    if report.model is None:
        return f"Default recipes, trained again for each protocol. {seeds}"
    return (
        f"Recipe of {report.model} (version {report.version}), trained again for each protocol "
        f"without the users and ratings of its test set. {seeds}"
    )


def _print_decisive(models: Sequence[ModelReport], console: Console) -> None:
    """Print the two protocols that decide on promotion."""
    from moovier.evaluation.visitor import KS

    _table(
        console,
        _heading("Visitors: NDCG@10", [m.visitor.ndcg for m in models if m.visitor], decides=True),
        ("mean", "95 %", *(f"k={k}" for k in (0, *KS))),
        [
            (
                model.name,
                *_interval(model.visitor.ndcg),
                *(_of(model.visitor.by_k.get(k)) for k in (0, *KS)),
            )
            for model in models
            if model.visitor
        ],
    )
    _table(
        console,
        _heading("Next visit", [m.next_visit.ndcg for m in models if m.next_visit], decides=True),
        ("NDCG@10", "95 %", "recall", "hit", "coverage"),
        [
            (
                model.name,
                *_interval(model.next_visit.ndcg),
                *(
                    _number(model.next_visit.metrics.get(f"{name}_at_10"))
                    for name in ("recall", "hit", "coverage")
                ),
            )
            for model in models
            if model.next_visit
        ],
    )


def _print_reported(models: Sequence[ModelReport], console: Console) -> None:
    """Print the protocols that are reported and decide nothing."""
    _table(
        console,
        "Corrected for popularity: NDCG@10; reported",
        ("visitors", "next visit"),
        [
            (
                model.name,
                _number(model.visitor.debiased if model.visitor else None),
                _number(_metric(model.next_visit, "debiased_ndcg_at_10")),
            )
            for model in models
            if model.visitor or model.next_visit
        ],
    )
    audited = [model.order_audit.people for model in models if model.order_audit]
    _table(
        console,
        f"Order audit: NDCG@10 and overlap with the list as rated; {max(audited, default=0)} "
        "users; reported",
        ("as rated", "in sittings", "shuffled", "overlap", "overlap"),
        [
            (
                model.name,
                _number(model.order_audit.as_rated),
                _number(model.order_audit.within_sittings),
                _number(model.order_audit.shuffled),
                _number(model.order_audit.overlap_within_sittings),
                _number(model.order_audit.overlap_shuffled),
            )
            for model in models
            if model.order_audit
        ],
        note="in sittings: shuffled within each sitting; the overlaps are of both shuffled orders",
    )
    protocols: list[tuple[str, Callable[[ModelReport], RankingReport | None]]] = [
        ("Last fifth of each user's ratings", lambda model: model.by_time),
        ("Same time split for all users", lambda model: model.global_time),
    ]
    for name, part in protocols:
        measured = [(model.name, ranking.ndcg) for model in models if (ranking := part(model))]
        _table(
            console,
            _heading(name, [ndcg for _, ndcg in measured], decides=False),
            ("NDCG@10", "95 %"),
            [(model, *_interval(ndcg)) for model, ndcg in measured],
        )
    _table(
        console,
        "Stars: a tenth of the ratings; reported",
        ("RMSE", "MAE"),
        [
            (model.name, _number(model.stars.get("rmse")), _number(model.stars.get("mae")))
            for model in models
            if model.stars
        ],
    )


def _table(
    console: Console,
    heading: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    note: str = "",
) -> None:
    """Print a table under a heading; print nothing if it has no rows."""
    from rich.table import Table

    if not rows:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("model", overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print()
    console.print(heading, style="bold")
    console.print(table)
    if note:
        console.print(note, style="dim")


def _heading(name: str, intervals: Sequence[Interval], *, decides: bool) -> str:
    users = max((interval.people for interval in intervals), default=0)
    return f"{name}; {users} users; {'decides' if decides else 'reported'}"


def _interval(value: Interval) -> tuple[str, str]:
    return f"{value.mean:.3f}", f"{value.low:.3f}{_DASH}{value.high:.3f}"


def _of(value: Interval | None) -> str:
    return _number(None if value is None else value.mean)


def _metric(report: RankingReport | None, name: str) -> float | None:
    return None if report is None else report.metrics.get(name)


def _number(value: float | None) -> str:
    return _DASH if value is None else f"{value:.3f}"
