"""Learning curves, drawn by matplotlib without a display. matplotlib is imported when a picture is asked for."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from telegym.core.errors import ConfigurationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["curve_names", "learning_curve_svg", "write_learning_curve"]

Metrics = Sequence[Mapping[str, Any]]
"""One mapping per step, with `step` and numbers."""

_FIRST = ("success", "reward", "loss", "call_errors", "turns", "tokens", "truncated", "failures", "entropy", "kl")
_LEFT_OUT = frozenset({"step", "epoch", "step_time", "num_tokens", "total_flos"})
_COLUMNS = 3
_WINDOW = 5


def curve_names(metrics: Metrics, most: int = 9) -> list[str]:
    """Return the names worth a curve: numbers that change over at least two steps, the well-known ones first."""
    names = dict.fromkeys(name for row in metrics for name in row if name not in _LEFT_OUT)
    changing = [name for name in names if len({value for _, value in _points(metrics, name)}) > 1]
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
    figure = _draw(metrics)
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "telegym"}):
        figure.savefig(text, format="svg", metadata=_without_date(".svg"))
    return text.getvalue()


def _without_date(suffix: str) -> dict[str, None]:
    return {"Date": None} if suffix == ".svg" else {}


def _draw(metrics: Metrics) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigurationError("pictures need the package matplotlib: pip install 'telegym[train]'") from error
    names = curve_names(metrics)
    columns = min(_COLUMNS, max(1, len(names)))
    rows = math.ceil(max(1, len(names)) / columns)
    # A figure without pyplot has the Agg canvas and no global state.
    figure = Figure(figsize=(4.2 * columns, 2.6 * rows), layout="constrained")
    for index, name in enumerate(names):
        _draw_curve(figure.add_subplot(rows, columns, index + 1), _points(metrics, name), name)
    return figure


def _draw_curve(axes: Axes, points: Sequence[tuple[float, float]], name: str) -> None:
    steps, values = [step for step, _ in points], [value for _, value in points]
    axes.plot(steps, values, color="#9db8dd", linewidth=1)
    axes.plot(steps, _smooth(values), color="#2457a6", linewidth=2)
    axes.set_title(name, fontsize=10, parse_math=False)
    axes.grid(alpha=0.3)
    axes.tick_params(labelsize=8)
    axes.set_xlabel("step", fontsize=8)


def _smooth(values: Sequence[float]) -> list[float]:
    """Return means over a window of the last few values."""
    windows = [values[max(0, index + 1 - _WINDOW) : index + 1] for index in range(len(values))]
    return [math.fsum(window) / len(window) for window in windows]


def _points(metrics: Metrics, name: str) -> list[tuple[float, float]]:
    rows = ((row.get("step", index), row.get(name)) for index, row in enumerate(metrics))
    return [(float(step), float(value)) for step, value in rows if _is_number(step) and _is_number(value)]


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
