"""The page's pictures, as PNG bytes. Matplotlib is imported inside the functions: it takes time."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from moovier.evaluation.ranking import SEGMENTS
from moovier.report.figures import Figures, People

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Told apart by anyone, also printed. Source: Okabe & Ito 2008, jfly.uni-koeln.de/color.
THEN, NOW = _KNOWN, _NEW = "#0072B2", "#D55E00"


def quality(models: Sequence[Figures]) -> bytes:
    """NDCG@10 with its interval, a row a model, known users beside new people."""
    figure = canvas(8.0, 1.2 + 0.4 * len(models))
    axes = figure.add_subplot()
    for place, model in enumerate(models):
        for people, shift, colour in ((model.known, -0.13, _KNOWN), (model.new, 0.13, _NEW)):
            if people is not None:
                _interval(axes, people, place + shift, colour)
    axes.set_yticks(range(len(models)), [_label(model) for model in models])
    axes.invert_yaxis()
    axes.set_xlabel("NDCG@10, 95 % interval")
    axes.plot([], [], "o", color=_KNOWN, label="known users")
    axes.plot([], [], "o", color=_NEW, label="new people")
    axes.legend()
    axes.grid(axis="x", alpha=0.3)
    return png(figure)


def segments(models: Sequence[Figures]) -> bytes:
    """NDCG@10 by how many ratings people had, a group of bars a segment."""
    figure = canvas(9.0, 3.8)
    axes = figure.add_subplot()
    names = [name for name in SEGMENTS if any(name in model.known.segments for model in models)]
    width = 0.8 / max(len(models), 1)
    for number, model in enumerate(models):
        shown = [model.known.segments.get(name, (0, 0.0)) for name in names]
        places = [place + number * width for place in range(len(names))]
        heights = [ndcg for _, ndcg in shown]
        axes.bar(places, heights, width, label=_label(model), color=_colour(number))
    first = models[0].known.segments if models else {}
    labels = [f"{name}\n({first.get(name, (0, 0.0))[0]} users)" for name in names]
    axes.set_xticks([place + 0.4 - width / 2 for place in range(len(names))], labels)
    axes.set_xlabel("ratings known of a person")
    axes.set_ylabel("NDCG@10")
    _legend_beside(axes)
    return png(figure)


def coverage(models: Sequence[Figures]) -> bytes:
    """How much of the catalogue is shown to anybody, against how popular it is."""
    figure = canvas(9.0, 3.8)
    axes = figure.add_subplot()
    for number, model in enumerate(models):
        shown = model.known.metrics
        axes.scatter(
            shown["popularity_bias_at_10"],
            shown["coverage_at_10"],
            color=_colour(number),
            label=_label(model),
        )
    axes.set_xlabel("mean popularity percentile of what is shown (1: the most rated)")
    axes.set_ylabel("share of the catalogue shown")
    _legend_beside(axes)
    axes.grid(alpha=0.3)
    return png(figure)


def curves(figures: Mapping[str, Sequence[float]]) -> bytes:
    """Learning curves, a panel a figure, training and validation together."""
    from matplotlib.ticker import MaxNLocator

    panels = list(dict.fromkeys(name.removeprefix("val_") for name in figures))
    figure = canvas(4.0 * len(panels), 2.8)
    for place, panel in enumerate(panels, start=1):
        axes = figure.add_subplot(1, len(panels), place)
        for name, label in ((panel, "training"), (f"val_{panel}", "validation")):
            if name in figures:
                values = figures[name]
                axes.plot(range(1, len(values) + 1), values, marker=".", label=label)
        axes.set_xlabel("epoch")
        axes.set_ylabel(panel)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
    return png(figure)


def tuning(study: Any) -> list[bytes]:
    """Optuna's history of a study and, from four completed trials on, its importances."""
    import optuna
    from matplotlib import pyplot
    from optuna.visualization import matplotlib as plots

    done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    drawn = []
    if done:
        with warnings.catch_warnings(), pyplot.rc_context({"figure.figsize": (7.0, 3.2)}):
            # Optuna calls its plots by matplotlib experimental.
            warnings.simplefilter("ignore")
            drawn.append(plots.plot_optimization_history(study))
            if len(done) >= 4:
                # The default evaluator needs scikit-learn, this one does not.
                evaluator = optuna.importance.PedAnovaImportanceEvaluator()
                drawn.append(plots.plot_param_importances(study, evaluator=evaluator))
    pictures = []
    for axes in drawn:
        axes.figure.tight_layout()
        pictures.append(png(axes.figure))
        pyplot.close(axes.figure)
    return pictures


def _label(model: Figures) -> str:
    return f"{model.name.removeprefix('moovier_')} ({model.kind})"


def _colour(number: int) -> Any:
    """Of a model by its place; there are twenty."""
    from matplotlib import colormaps

    return colormaps["tab20"](number % 20)


def _legend_beside(axes: Axes) -> None:
    """Beside the picture, where it covers nothing."""
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))


def _interval(axes: Axes, people: People, place: float, colour: str) -> None:
    axes.plot([people.low, people.high], [place, place], color=colour)
    axes.plot([people.metrics["ndcg_at_10"]], [place], "o", color=colour)


def canvas(width: float, height: float) -> Figure:
    """An empty picture of this size, in inches."""
    # A Figure without pyplot draws with Agg and keeps no global state.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=100, layout="constrained")


def png(figure: Figure) -> bytes:
    """The picture as a file's bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
