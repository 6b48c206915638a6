"""Learning curves and figures of scored runs, drawn by matplotlib without a display.

matplotlib is imported when a picture is asked for.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from telegym.core.errors import ConfigurationError
from telegym.evaluation.statistics import t_quantile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from telegym.evaluation.reward_figures import CalibrationFigures, ComponentFigures, LengthBucket

__all__ = [
    "GUARDS",
    "HELD_OUT",
    "TIMES",
    "curve_names",
    "distributions_svg",
    "learning_curve_svg",
    "lengths_svg",
    "points",
    "reliability_svg",
    "write_learning_curve",
]

Metrics = Sequence[Mapping[str, Any]]
"""One mapping per step, with `step` and numbers."""

TIMES, GUARDS, HELD_OUT = "time/", "guards/", "held-out"
"""How figures begin that say where time went, what guards caught, and what was solved of held-out tasks on the way."""

_FIRST = ("success", "reward", "entropy", "tokens", "kl", "turns", "call_errors", "truncated", "failures", "loss")
_LEFT_OUT = frozenset({"step", "epoch", "step_time", "num_tokens", "total_flos"})
_DRAWN_APART = (TIMES, f"{HELD_OUT}", "tokens/second", "profiling/")
_BANDED = frozenset({"success", "reward"})
_COLUMNS = 3
_WINDOW = 5
_LIGHT, _DARK = "#9db8dd", "#2457a6"


def curve_names(metrics: Metrics, most: int = 9) -> list[str]:
    """Return the names worth a curve: numbers that change over at least two steps, the well-known ones first."""
    names = dict.fromkeys(name for row in metrics for name in row if name not in _LEFT_OUT)
    curves = [name for name in names if not name.startswith(_DRAWN_APART)]
    changing = [name for name in curves if len({value for _, value in points(metrics, name)}) > 1]
    rank = {name: index for index, name in enumerate(_FIRST)}
    return sorted(changing, key=lambda name: rank.get(name.rpartition("/")[2], len(rank)))[:most]


def write_learning_curve(metrics: Metrics, path: str | Path) -> None:
    """Draw the curves into a file; its ending (`.png`, `.svg`, `.pdf`) gives the format.

    Raises:
        ConfigurationError: If matplotlib is not installed.
    """
    _draw(metrics).savefig(path, dpi=120, metadata=_without_date(Path(path).suffix))


def learning_curve_svg(metrics: Metrics) -> str:
    """Return the curves as SVG: the same text for the same metrics.

    Raises:
        ConfigurationError: If matplotlib is not installed.
    """
    return _svg(_draw(metrics))


def distributions_svg(components: Sequence[ComponentFigures]) -> str:
    """Return histograms of the values of components as SVG; those without a value are left out.

    Raises:
        ConfigurationError: If matplotlib is not installed.
    """
    shown = [(each.name, each.histogram) for each in components if each.histogram is not None]
    figure, every = _panels(len(shown))
    for axes, (name, histogram) in zip(every, shown, strict=True):
        axes.stairs(histogram.counts, histogram.edges, fill=True, color=_LIGHT)
        axes.stairs(histogram.counts, histogram.edges, color=_DARK, linewidth=1)
        _label(axes, name, "value")
    return _svg(figure)


def reliability_svg(calibrations: Sequence[CalibrationFigures]) -> str:
    """Return reliability diagrams as SVG: how often it was so against how likely it was said to be.

    Raises:
        ConfigurationError: If matplotlib is not installed.
    """
    figure, every = _panels(len(calibrations))
    for axes, each in zip(every, calibrations, strict=True):
        most = max(row.count for row in each.table)
        predicted, observed = [row.predicted for row in each.table], [row.observed for row in each.table]
        axes.plot([0, 1], [0, 1], color=_LIGHT, linewidth=1)
        axes.plot(predicted, observed, color=_DARK, linewidth=1)
        axes.scatter(predicted, observed, s=[60 * row.count / most for row in each.table], color=_DARK)
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.03, 1.03)
        _label(axes, f"{each.component}, {each.truth}", "said")
    return _svg(figure)


def lengths_svg(buckets: Sequence[LengthBucket]) -> str:
    """Return the share that is accepted against the length of runs as SVG, one curve a component.

    Raises:
        ConfigurationError: If matplotlib is not installed.
    """
    figure, (axes,) = _panels(1)
    middles = [math.sqrt(max(1, each.shortest) * max(1, each.longest)) for each in buckets]
    for name in buckets[0].accepted if buckets else ():
        shares = [each.accepted[name].value for each in buckets]
        points = [(at, share) for at, share in zip(middles, shares, strict=True) if share is not None]
        axes.plot([at for at, _ in points], [share for _, share in points], marker="o", label=name.replace("$", ""))
    axes.set_xscale("log")
    axes.tick_params(which="minor", labelbottom=False)
    axes.set_ylim(-0.03, 1.03)
    if buckets:
        axes.legend(fontsize=8)
    _label(axes, "accepted", "characters")
    return _svg(figure)


def _svg(figure: Figure) -> str:
    """Return a figure as SVG: the same text for the same figure."""
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "telegym"}):
        figure.savefig(text, format="svg", metadata=_without_date(".svg"))
    return text.getvalue()


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """Return a figure with a number of empty panels, at least one."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigurationError("pictures need the package matplotlib: pip install 'telegym[train]'") from error
    columns = min(_COLUMNS, max(1, count))
    rows = math.ceil(max(1, count) / columns)
    # A figure without pyplot has the Agg canvas and no global state.
    figure = Figure(figsize=(4.2 * columns, 2.6 * rows), layout="constrained")
    return figure, [figure.add_subplot(rows, columns, index + 1) for index in range(max(1, count))][:count]


def _label(axes: Axes, title: str, below: str) -> None:
    axes.set_title(title, fontsize=10, parse_math=False)
    axes.grid(alpha=0.3)
    axes.tick_params(labelsize=8)
    axes.set_xlabel(below, fontsize=8)


def _without_date(suffix: str) -> dict[str, None]:
    return {"Date": None} if suffix == ".svg" else {}


def _draw(metrics: Metrics) -> Figure:
    names = curve_names(metrics)
    apart = [
        draw for draw, there in ((_draw_held_out, HELD_OUT), (_draw_times, f"{TIMES}step")) if points(metrics, there)
    ]
    figure, every = _panels(len(names) + len(apart))
    for axes, name in zip(every, names, strict=False):
        _draw_curve(axes, points(metrics, name), name)
    for axes, draw in zip(every[len(names) :], apart, strict=True):
        draw(axes, metrics)
    return figure


def _draw_held_out(axes: Axes, metrics: Metrics) -> None:
    """Draw what was solved of held-out tasks, with intervals."""
    found = points(metrics, HELD_OUT)
    edges = [dict(points(metrics, f"{HELD_OUT}/{end}")) for end in ("low", "high")]
    low, high = (
        [max(0.0, sign * (edge.get(at, y) - y)) for at, y in found] for sign, edge in zip((-1, 1), edges, strict=True)
    )
    axes.errorbar([at for at, _ in found], [y for _, y in found], yerr=[low, high], color=_DARK, marker="o", capsize=3)
    _label(axes, "held-out success, 95%", "step")


def _draw_times(axes: Axes, metrics: Metrics) -> None:
    """Draw where the time of steps went, phase upon phase."""
    steps = [step for step, _ in points(metrics, f"{TIMES}step")]
    names = dict.fromkeys(name for row in metrics for name in row if name.startswith(TIMES) and name != f"{TIMES}step")
    series = {name.removeprefix(TIMES): dict(points(metrics, name)) for name in names}
    layers = [[each.get(step, 0.0) for step in steps] for each in series.values()]
    if layers:
        axes.stackplot(steps, *layers, labels=[name.replace("$", "") for name in series])
        axes.legend(fontsize=7, loc="upper right")
    _label(axes, "seconds a step", "step")


def _draw_curve(axes: Axes, points: Sequence[tuple[float, float]], name: str) -> None:
    steps, values = [step for step, _ in points], [value for _, value in points]
    axes.plot(steps, values, color=_LIGHT, linewidth=1)
    smooth = _smooth(values)
    axes.plot(steps, smooth, color=_DARK, linewidth=2)
    if name.rpartition("/")[2] in _BANDED:
        half = _band(values)
        low, high = ([mean + sign * each for mean, each in zip(smooth, half, strict=True)] for sign in (-1, 1))
        axes.fill_between(steps, low, high, color=_LIGHT, alpha=0.4, linewidth=0)
    _label(axes, name, "step")


def _band(values: Sequence[float]) -> list[float]:
    """Return half the width of the 95% interval of each mean over a window, from how its steps differ."""
    windows = [values[max(0, index + 1 - _WINDOW) : index + 1] for index in range(len(values))]
    return [_half_width(window) for window in windows]


def _half_width(values: Sequence[float]) -> float:
    n = len(values)
    if n < 2:
        return 0.0
    mean = math.fsum(values) / n
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    return t_quantile(0.975, n - 1) * deviation / math.sqrt(n)


def _smooth(values: Sequence[float]) -> list[float]:
    """Return means over a window of the last few values."""
    windows = [values[max(0, index + 1 - _WINDOW) : index + 1] for index in range(len(values))]
    return [math.fsum(window) / len(window) for window in windows]


def points(metrics: Metrics, name: str) -> list[tuple[float, float]]:
    """Return the steps in which a figure is a finite number, with the number."""
    rows = ((row.get("step", index), row.get(name)) for index, row in enumerate(metrics))
    return [(float(step), float(value)) for step, value in rows if _is_number(step) and _is_number(value)]


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
