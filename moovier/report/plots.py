"""Draw the plots of the reports, as PNG bytes.

Matplotlib is imported inside the functions, because its import is slow.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from moovier.evaluation.ranking import SEGMENTS
from moovier.evaluation.visitor import KS
from moovier.report.model_report import BASELINE, Interval, ModelReport, OrderAuditReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colours that are distinct for colour-blind readers and in print. Source: Okabe & Ito 2008,
#: jfly.uni-koeln.de/color.
THEN, NOW = _VISITOR, _NEXT_VISIT = "#0072B2", "#D55E00"
#: Colours of the three orders of the order audit, from the same source.
_ORDERS = {"as_rated": "#0072B2", "within_sittings": "#56B4E9", "shuffled": "#E69F00"}


def of_models(models: Sequence[ModelReport]) -> dict[str, bytes]:
    """Return the plots of all models by name, without the plots that have no values."""
    plots = {
        "quality": quality(models),
        "visitors": visitors(models),
        "order_audit": order_audit(models),
        "segments": segments(models),
        "coverage": coverage(models),
    }
    return {name: plot for name, plot in plots.items() if plot is not None}


def visitors(models: Sequence[ModelReport]) -> bytes:
    """Plot NDCG@10 of visitors against their number of ratings, one curve per model."""
    figure = canvas(9.0, 4.2)
    axes = figure.add_subplot()
    for number, model in enumerate(models):
        by_k = {} if model.visitor is None else model.visitor.by_k
        # A logarithmic axis cannot show k = 0; the table has it.
        ks = [k for k in KS if k in by_k]
        if not ks:
            continue
        baseline = model.kind == BASELINE
        axes.plot(
            ks,
            [by_k[k].mean for k in ks],
            label=_label(model),
            color=_colour(model, number),
            linestyle="--" if baseline else "-",
            marker="o",
            markersize=4,
        )
    axes.set_xscale("log")
    axes.set_xticks(KS, [str(k) for k in KS])
    axes.minorticks_off()
    axes.set_xlabel("ratings that a visitor brings (logarithmic)")
    axes.set_ylabel("NDCG@10")
    axes.grid(alpha=0.3)
    if axes.has_data():
        _legend_beside(axes)
    return png(figure)


def quality(models: Sequence[ModelReport]) -> bytes:
    """Plot the two protocols that decide, with intervals, one row per model."""
    figure = canvas(9.0, 1.4 + 0.32 * len(models))
    panels = figure.subplots(1, 2, sharey=True)
    of_visitors = [None if model.visitor is None else model.visitor.ndcg for model in models]
    of_next = [None if model.next_visit is None else model.next_visit.ndcg for model in models]
    _intervals(panels[0], of_visitors, _VISITOR, "visitors: mean NDCG@10, 95 % interval")
    _intervals(panels[1], of_next, _NEXT_VISIT, "next visit: NDCG@10, 95 % interval")
    panels[0].set_yticks(range(len(models)), [_label(model) for model in models])
    panels[0].set_ylim(len(models) - 0.5, -0.5)
    return png(figure)


def order_audit(models: Sequence[ModelReport]) -> bytes | None:
    """Plot NDCG@10 under three orders of one history; None without values."""
    audited = [(model, model.order_audit) for model in models if model.order_audit is not None]
    if not audited:
        return None
    figure = canvas(9.0, 1.6 + 0.5 * len(audited))
    axes = figure.add_subplot()
    for number, (order, colour) in enumerate(_ORDERS.items()):
        axes.barh(
            [row + (number - 1) * 0.26 for row in range(len(audited))],
            [_of_order(audit, order) for _, audit in audited],
            0.25,
            color=colour,
            label={"as_rated": "as rated", "within_sittings": "shuffled within sittings"}.get(
                order, "shuffled"
            ),
        )
    axes.set_yticks(range(len(audited)), [_label(model) for model, _ in audited])
    axes.invert_yaxis()
    axes.set_xlabel("NDCG@10 on the last fifth by time")
    axes.grid(axis="x", alpha=0.3)
    _legend_beside(axes)
    return png(figure)


def segments(models: Sequence[ModelReport]) -> bytes:
    """Plot NDCG@10 of the next visit by number of ratings."""
    figure = canvas(9.0, 3.8)
    axes = figure.add_subplot()
    evaluated = [(model, model.next_visit.segments) for model in models if model.next_visit]
    names = [name for name in SEGMENTS if any(name in by_name for _, by_name in evaluated)]
    width = 0.8 / max(len(evaluated), 1)
    users = {name: count for _, by_name in evaluated for name, (count, _) in by_name.items()}
    for number, (model, by_name) in enumerate(evaluated):
        positions = [group + number * width for group in range(len(names))]
        heights = [by_name.get(name, (0, 0.0))[1] for name in names]
        axes.bar(positions, heights, width, label=_label(model), color=_colour(model, number))
    labels = [f"{name}\n({users[name]} users)" for name in names]
    axes.set_xticks([group + 0.4 - width / 2 for group in range(len(names))], labels)
    axes.set_xlabel("ratings before the visit")
    axes.set_ylabel("NDCG@10")
    if evaluated:
        _legend_beside(axes)
    return png(figure)


def coverage(models: Sequence[ModelReport]) -> bytes:
    """Plot the share of the catalogue that is recommended, against its popularity."""
    figure = canvas(9.0, 3.8)
    axes = figure.add_subplot()
    for number, model in enumerate(models):
        if model.next_visit is None:
            continue
        metrics = model.next_visit.metrics
        axes.scatter(
            metrics["popularity_bias_at_10"],
            metrics["coverage_at_10"],
            color=_colour(model, number),
            label=_label(model),
        )
    axes.set_xlabel("mean popularity percentile of recommended movies (1: the most rated)")
    axes.set_ylabel("share of the catalogue recommended")
    if axes.has_data():
        _legend_beside(axes)
    axes.grid(alpha=0.3)
    return png(figure)


def curves(values_by_metric: Mapping[str, Sequence[float]]) -> bytes:
    """Plot learning curves, one panel per metric, training and validation together."""
    from matplotlib.ticker import MaxNLocator

    panels = list(dict.fromkeys(name.removeprefix("val_") for name in values_by_metric))
    figure = canvas(4.0 * len(panels), 2.8)
    for position, panel in enumerate(panels, start=1):
        axes = figure.add_subplot(1, len(panels), position)
        for name, label in ((panel, "training"), (f"val_{panel}", "validation")):
            if name in values_by_metric:
                values = values_by_metric[name]
                axes.plot(range(1, len(values) + 1), values, marker=".", label=label)
        axes.set_xlabel("epoch")
        axes.set_ylabel(panel)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
    return png(figure)


def tuning(study: Any) -> list[bytes]:
    """Plot a study's history and, with four completed trials, importances."""
    import optuna
    from matplotlib import pyplot
    from optuna.visualization import matplotlib as plots

    completed = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    all_axes = []
    if completed:
        with warnings.catch_warnings(), pyplot.rc_context({"figure.figsize": (7.0, 3.2)}):
            # Optuna warns that its Matplotlib plots are experimental.
            warnings.simplefilter("ignore")
            all_axes.append(plots.plot_optimization_history(study))
            if len(completed) >= 4:
                # The default evaluator needs scikit-learn; this one does not.
                evaluator = optuna.importance.PedAnovaImportanceEvaluator()
                all_axes.append(plots.plot_param_importances(study, evaluator=evaluator))
    images = []
    for axes in all_axes:
        axes.figure.tight_layout()
        images.append(png(axes.figure))
        pyplot.close(axes.figure)
    return images


def _label(model: ModelReport) -> str:
    return f"{model.name.removeprefix('moovier_')} ({model.kind})"


def _colour(model: ModelReport, number: int) -> Any:
    """Return the colour of a model by its place, of twenty; the baseline is black."""
    from matplotlib import colormaps

    # The ten strong colours first, then the ten pale ones.
    pale, hue = divmod(number % 20, 10)
    return "black" if model.kind == BASELINE else colormaps["tab20"](2 * hue + pale)


def _legend_beside(axes: Axes) -> None:
    """Put the legend beside the plot."""
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))


def _intervals(
    axes: Axes, values: Sequence[Interval | None], colour: str, description: str
) -> None:
    """Draw one point and interval per row; rows without a value stay empty."""
    for row, value in enumerate(values):
        if value is not None:
            axes.plot([value.low, value.high], [row, row], color=colour)
            axes.plot([value.mean], [row], "o", color=colour)
    axes.set_xlabel(description)
    axes.grid(axis="x", alpha=0.3)


def _of_order(audit: OrderAuditReport, order: str) -> float:
    return float(getattr(audit, order))


def canvas(width: float, height: float) -> Figure:
    """Return an empty figure of this size, in inches."""
    # A Figure without pyplot uses the Agg backend and keeps no global state.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=100, layout="constrained")


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG file's bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
