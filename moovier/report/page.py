"""Write the report of a retraining: one self-contained HTML page, readable from MLflow."""

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
    pictures: Mapping[str, bytes],
    tuning: Mapping[str, Sequence[bytes]],
) -> Path:
    """Write ``report.html`` and its plots into ``folder``; return the page's path.

    ``models``: best first, popularity and champion included. ``chosen``, ``kind``: which of them
    is the challenger; two of a family may share a name.
    ``pictures``: by name, PNG. ``tuning``: per family, the plots of its study.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        (folder / f"{name}.png").write_bytes(picture)
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
            people=_people(models),
            least_people=LEAST_PEOPLE,
            chosen=chosen,
            challenger=challenger,
            reasons=reasons,
            promoted=promoted,
            stars_reason=stars_reason,
            pictures=pictures,
            tuning={family: list(drawn) for family, drawn in tuning.items() if drawn},
            curves=_curves(models),
            examples=[] if challenger is None else challenger.examples,
        ),
        encoding="utf-8",
    )
    return page


def environment() -> jinja2.Environment:
    """Return the templates of this folder.

    Filters: ``png`` embeds a picture; ``figure`` writes a number, or a dash for None.
    """
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["png"] = _inline
    made.filters["figure"] = _figure
    return made


def _people(models: Sequence[ModelReport]) -> dict[str, int]:
    """Return how many people took part in each protocol, 0 where it was not measured."""

    def most(counts: Sequence[int]) -> int:
        return max(counts, default=0)

    return {
        "visitor": most([m.visitor.ndcg.people for m in models if m.visitor]),
        "next_visit": most([m.next_visit.ndcg.people for m in models if m.next_visit]),
        "order_audit": most([m.order_audit.people for m in models if m.order_audit]),
        "by_time": most([m.by_time.ndcg.people for m in models if m.by_time]),
        "global_time": most([m.global_time.ndcg.people for m in models if m.global_time]),
    }


def _curves(models: Sequence[ModelReport]) -> list[tuple[str, bytes]]:
    """Plot the learning curves of models that learn in epochs."""
    from moovier.report.pictures import curves

    return [
        (f"{model.name} ({model.kind})", curves(model.curves))
        for model in models
        if any(len(values) > 1 for values in model.curves.values())
    ]


def _figure(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _inline(picture: bytes) -> Any:
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"
