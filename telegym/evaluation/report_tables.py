"""Tables of a run's report: what its metrics, evaluations and recordings say, row by row."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from telegym.core.tool import CallError
from telegym.core.trajectory import Trajectory
from telegym.evaluation.evaluate import EvaluationResult
from telegym.evaluation.plots import GUARDS, HELD_OUT, TIMES, Metrics, points
from telegym.evaluation.runs import MEASURES, measures_of
from telegym.evaluation.statistics import Estimate

__all__ = [
    "Row",
    "change_of",
    "figure_rows",
    "guard_rows",
    "held_out_rows",
    "measure_rows",
    "time_rows",
    "tool_rows",
    "violation_rows",
]

_FIGURES = {
    "reward": ("reward", 3),
    "episode/success": ("success", 3),
    "entropy": ("entropy of the tokens learnt from, in nats", 3),
    "kl": ("KL divergence from the reference", 4),
    "episode/tokens": ("tokens sampled in an episode", 1),
    "episode/turns": ("turns of an episode", 2),
    "episode/call_errors": ("failed calls of an episode", 2),
    "episode/truncated": ("share of episodes cut off", 3),
    "episode/failures": ("share of episodes without a score", 3),
    "rewards/failures": ("share of episodes without a reward", 3),
    "tokens/second": ("tokens sampled a second", 0),
}


class Row(NamedTuple):
    """One line of a table: a name, then its cells."""

    name: str
    cells: tuple[str, ...]


# --- metrics --------------------------------------------------------------------------------------------


def figure_rows(metrics: Metrics) -> list[Row]:
    """Return the main figures in the first and the last tenth of the steps (five steps at least, half at most)."""
    rows = []
    for name, (title, digits) in _FIGURES.items():
        values = [value for _, value in points(metrics, name)]
        if values:
            part = _ends(len(values))
            first, last = _mean(values[:part]), _mean(values[-part:])
            rows.append(Row(title, (f"{first:.{digits}f}", f"{last:.{digits}f}", f"{last - first:+.{digits}f}")))
    return rows


def _ends(steps: int) -> int:
    """Return how many steps are the first, or the last: a tenth, five at least, but never more than half."""
    return max(1, min(max(5, steps // 10), steps // 2))


def time_rows(metrics: Metrics) -> list[Row]:
    """Return where the time of a step went: seconds and share of each phase."""
    names = dict.fromkeys(name for row in metrics for name in row if name.startswith(TIMES))
    means = {name.removeprefix(TIMES): _mean([value for _, value in points(metrics, name)]) for name in names}
    total = means.pop("step", 0.0)
    if not total:
        return []
    rows = [Row(name, (f"{seconds:.2f}", f"{seconds / total:.1%}")) for name, seconds in means.items()]
    return [*rows, Row("all", (f"{total:.2f}", "100.0%"))]


def guard_rows(metrics: Metrics) -> list[Row]:
    """Return how often guards caught something, by severity: share of rollouts first, last, and at most."""
    rows = []
    for name in dict.fromkeys(name for row in metrics for name in row if name.startswith(GUARDS)):
        values = [value for _, value in points(metrics, name)]
        if values:
            part = _ends(len(values))
            worst = max(points(metrics, name), key=lambda point: point[1])
            cells = (
                f"{_mean(values[:part]):.1%}",
                f"{_mean(values[-part:]):.1%}",
                f"{worst[1]:.1%} (step {worst[0]:.0f})",
            )
            rows.append(Row(name.removeprefix(GUARDS), cells))
    return rows


def held_out_rows(metrics: Metrics) -> list[Row]:
    """Return what was measured on held-out tasks during the training, step by step."""
    found = []
    for row in metrics:
        if isinstance(row.get(HELD_OUT), int | float):
            low, high = row.get(f"{HELD_OUT}/low"), row.get(f"{HELD_OUT}/high")
            share = Estimate(value=row[HELD_OUT], low=low, high=high)
            value = row.get(f"{HELD_OUT}/value")
            found.append(Row(f"step {row['step']:.0f}", (share.format(), "–" if value is None else f"{value:.3f}")))
    return found


# --- evaluations ----------------------------------------------------------------------------------------


def measure_rows(before: EvaluationResult | None, after: EvaluationResult | None) -> list[Row]:
    """Return calls per solved task, rule violations and failed calls with intervals; what is not known is left out."""
    if before is None and after is None:
        return []
    found = measures_of(before, after) if after is not None else measures_of(None, before) if before else {}
    rows = []
    for name, kind in MEASURES.items():
        measured = found[name]
        late = kind.format(measured.after)
        early = "–" if measured.before is None else kind.format(measured.before)
        cells = (early, late, change_of(measured.difference, kind.share)) if after is not None else (late, "–", "")
        known = measured.after.value is not None or (measured.before is not None and measured.before.value is not None)
        if name != "success" and known:
            rows.append(Row(kind.title, cells))
    return rows


def change_of(difference: Estimate | None, share: bool = True) -> str:
    """Return a difference with its sign: of shares in percentage points."""
    if difference is None or difference.value is None:
        return ""
    sign = "+" if difference.value > 0 else ""
    return f"{sign}{difference.format(unit=' pp') if share else difference.format(scale=1.0, digits=2, unit='')}"


def violation_rows(before: EvaluationResult | None, after: EvaluationResult | None) -> list[Row]:
    """Return how many episodes broke each rule, the most broken first; nothing where scores do not speak of rules."""
    old, new = (_broken(result) for result in (before, after))
    counts = [(result, _count(result), broken) for result, broken in ((before, old), (after, new))]
    names = sorted(old.keys() | new.keys(), key=lambda name: (-max(old[name], new[name]), name))
    return [Row(name, tuple(_share(result, broken[name], n) for result, n, broken in counts)) for name in names]


def _broken(result: EvaluationResult | None) -> Counter[str]:
    outcomes = result.valid if result is not None else ()
    return Counter(rule for outcome in outcomes for rule in set(outcome.violations or ()))


def _count(result: EvaluationResult | None) -> int:
    return sum(outcome.violations is not None for outcome in result.valid) if result is not None else 0


def _share(result: EvaluationResult | None, number: int, of: int) -> str:
    return "–" if result is None or not of else f"{number} ({number / of:.1%})"


# --- recordings -----------------------------------------------------------------------------------------


def tool_rows(before: Iterable[Trajectory] | None, after: Iterable[Trajectory] | None) -> list[Row]:
    """Return for each tool of the agent how often it was called in an episode, and how many of these calls failed.

    Args:
        before: Episodes before the training, or None if there are none.
        after: Episodes after it.
    """
    sides = [None if played is None else _ToolUse(played) for played in (before, after)]
    names = {name for side in sides if side is not None for name in side.calls}
    order = sorted(names, key=lambda name: (-max(side.calls[name] for side in sides if side is not None), name))
    both: list[Callable[[str, _ToolUse], str]] = [
        lambda name, side: side.often(name),
        lambda name, side: side.failed(name),
    ]
    return [
        Row(name, tuple("–" if side is None else show(name, side) for show in both for side in sides)) for name in order
    ]


class _ToolUse:
    def __init__(self, played: Iterable[Trajectory]) -> None:
        self.episodes = 0
        self.calls: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        for trajectory in played:
            self.episodes += 1
            for entry in trajectory.calls:
                if entry.call.requestor == "assistant" and entry.error is not CallError.DROPPED:
                    self.calls[entry.call.name] += 1
                    self.errors[entry.call.name] += entry.error is not None

    def often(self, name: str) -> str:
        return f"{self.calls[name] / self.episodes:.2f}" if self.episodes else "–"

    def failed(self, name: str) -> str:
        return f"{self.errors[name] / self.calls[name]:.1%}" if self.calls[name] else "–"


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0
