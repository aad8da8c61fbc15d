"""One readable page of a retraining: self-contained, so that it opens from MLflow's artefacts."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moovier.models.bundle import DataFacts
from moovier.report.figures import Figures

if TYPE_CHECKING:
    import jinja2

_TEMPLATE = "page.html.j2"


def write(
    folder: Path,
    *,
    key: str,
    data: DataFacts,
    models: Sequence[Figures],
    chosen: str,
    kind: str,
    reasons: Sequence[str],
    promoted: bool,
    stars_reason: str,
    pictures: Mapping[str, bytes],
    tuning: Mapping[str, Sequence[bytes]],
) -> Path:
    """Write ``report.html`` and its pictures into ``folder``; returns the page's path.

    ``models``: best first, popularity and champion among them. ``chosen``, ``kind``: which of them
    is the challenger; two of a family may share a name.
    ``pictures``: by name, PNG. ``tuning``: per family, its study's pictures.
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
    """Templates of this folder; the filter ``png`` puts a picture's bytes into the page."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["png"] = _inline
    return made


def _curves(models: Sequence[Figures]) -> list[tuple[str, bytes]]:
    """Learning curves of those that learn epoch by epoch."""
    from moovier.report.pictures import curves

    return [
        (f"{model.name} ({model.kind})", curves(model.curves))
        for model in models
        if any(len(values) > 1 for values in model.curves.values())
    ]


def _inline(picture: bytes) -> Any:
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"
