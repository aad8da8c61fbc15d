"""Write the report of a retraining as one self-contained HTML page."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moovier.evaluation.visitor import KS, LEAST_PEOPLE
from moovier.models.bundle import DataFacts
from moovier.report.model_report import ModelReport

if TYPE_CHECKING:
    import jinja2

_TEMPLATE = "page.html.j2"


def write(
    folder: Path,
    *,
    key: str,
    data: DataFacts,
    models: Sequence[ModelReport],
    chosen: str,
    kind: str,
    reasons: Sequence[str],
    promoted: bool,
    stars_reason: str,
    plots: Mapping[str, bytes],
    tuning: Mapping[str, Sequence[bytes]],
    notes: Sequence[str] = (),
) -> Path:
    """Write ``report.html`` and its plots into ``folder``; return the page's path.

    ``models``: best first, popularity and champion included. ``chosen`` and ``kind``: name and kind
    of the challenger; two models of a family may share a name. ``plots``: PNG files by name.
    ``tuning``: the plots of each family's study. ``notes``: what was left out or thinned.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, plot in plots.items():
        (folder / f"{name}.png").write_bytes(plot)
    challenger = next(
        (model for model in models if (model.name, model.kind) == (chosen, kind)), None
    )
    page = folder / "report.html"
    page.write_text(
        environment()
        .get_template(_TEMPLATE)
        .render(
            key=key,
            data=data,
            models=models,
            ks=(0, *KS),
            users=_user_counts(models),
            least_people=LEAST_PEOPLE,
            chosen=chosen,
            challenger=challenger,
            reasons=reasons,
            notes=notes,
            promoted=promoted,
            stars_reason=stars_reason,
            plots=plots,
            tuning={
                family: list(family_plots)
                for family, family_plots in tuning.items()
                if family_plots
            },
            curves=_curves(models),
            examples=[] if challenger is None else challenger.examples,
        ),
        encoding="utf-8",
    )
    return page


def environment() -> jinja2.Environment:
    """Return the Jinja environment of this folder's templates.

    Filters: ``png`` embeds a plot; ``number`` formats a number, or None as a dash.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["png"] = _data_url
    environment.filters["number"] = _format_number
    return environment


def _user_counts(models: Sequence[ModelReport]) -> dict[str, int]:
    """Return the number of users of each protocol, 0 if it was not evaluated."""

    def largest(counts: Sequence[int]) -> int:
        return max(counts, default=0)

    return {
        "visitor": largest([m.visitor.ndcg.people for m in models if m.visitor]),
        "next_visit": largest([m.next_visit.ndcg.people for m in models if m.next_visit]),
        "order_audit": largest([m.order_audit.people for m in models if m.order_audit]),
        "by_time": largest([m.by_time.ndcg.people for m in models if m.by_time]),
        "global_time": largest([m.global_time.ndcg.people for m in models if m.global_time]),
    }


def _curves(models: Sequence[ModelReport]) -> list[tuple[str, bytes]]:
    """Plot the learning curves of models that train for several epochs."""
    from moovier.report.plots import curves

    return [
        (f"{model.name} ({model.kind})", curves(model.curves))
        for model in models
        if any(len(values) > 1 for values in model.curves.values())
    ]


def _format_number(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _data_url(plot: bytes) -> Any:
    return f"data:image/png;base64,{base64.b64encode(plot).decode()}"
