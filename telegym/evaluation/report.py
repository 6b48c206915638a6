"""Report: what a run learnt, as one HTML file without scripts or network.

It is made from the files of the run alone: `config.yaml`, `metrics.jsonl`, pairs `evaluation-before*.json` and
`evaluation-after*.json`, and `trajectories/*.jsonl`. What is missing or broken is left out and named at the end.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from markupsafe import Markup

from telegym.core.errors import TeleGymError
from telegym.core.trajectory import Trajectory, read_trajectories
from telegym.evaluation.evaluate import EvaluationResult, compare
from telegym.evaluation.learning import read_metrics
from telegym.evaluation.plots import curve_names, learning_curve_svg
from telegym.evaluation.report_tables import (
    Row,
    change_of,
    figure_rows,
    guard_rows,
    held_out_rows,
    measure_rows,
    time_rows,
    tool_rows,
    violation_rows,
)
from telegym.ui.trajectory_page import template_environment, trajectory_fragment, write_html

__all__ = ["write_report"]

_EXAMPLES = 3
_REASONS = 12
_T = TypeVar("_T")


def write_report(run: str | Path, output: str | Path | None = None) -> Path:
    """Write the report of a run.

    Args:
        run: The folder of the run.
        output: The file to write; None writes `report.html` into the folder.

    Returns:
        The file written.

    Raises:
        TeleGymError: If there is no such folder.
    """
    folder = Path(run)
    if not folder.is_dir():
        raise TeleGymError(f"no run folder {str(folder)!r}")
    report = _Report(folder)
    page = template_environment().get_template("evaluation/report.html.j2").render(**report.content())
    target = Path(output) if output is not None else folder / "report.html"
    write_html(page, target)
    return target


@dataclass(frozen=True, slots=True)
class _Example:
    """A task that went otherwise than before."""

    title: str
    before: Markup
    after: Markup


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """One pair of evaluations (or half of one), ready to be shown."""

    name: str
    before: EvaluationResult | None
    after: EvaluationResult | None
    headline: tuple[Row, ...]
    groups: tuple[Row, ...]
    calls: tuple[Row, ...]
    errors: tuple[Row, ...]
    tools: tuple[Row, ...]
    rules: tuple[Row, ...]
    ends: tuple[Row, ...]
    reasons: tuple[Row, ...]
    better: tuple[_Example, ...] = ()
    worse: tuple[_Example, ...] = ()


@dataclass(slots=True)
class _Report:
    folder: Path
    missing: list[str] = field(default_factory=list)

    def content(self) -> dict[str, Any]:
        """Return what the template shows."""
        metrics = self._metrics()
        evaluations = list(self._evaluations())
        return {
            "name": self.folder.resolve().name,
            "config": self._read(self.folder / "config.yaml", lambda path: path.read_text("utf-8", "replace")),
            "curves": self._curves(metrics),
            "steps": metrics[-1].get("step") if metrics else None,
            "evaluations": evaluations,
            "summary": [_sentence(each) for each in evaluations],
            "figures": figure_rows(metrics),
            "held_out": held_out_rows(metrics),
            "times": time_rows(metrics),
            "guards": guard_rows(metrics),
            "missing": self.missing,
        }

    def _read(self, path: Path, read: Callable[[Path], _T]) -> _T | None:
        if not path.is_file():
            self.missing.append(f"{path.relative_to(self.folder)} is missing")
            return None
        try:
            return read(path)
        except (TeleGymError, OSError) as error:
            self.missing.append(f"{path.relative_to(self.folder)} could not be read: {str(error).splitlines()[0]}")
            return None

    def _metrics(self) -> list[dict[str, Any]]:
        rows, broken = self._read(self.folder / "metrics.jsonl", read_metrics) or ([], 0)
        if broken:
            self.missing.append(f"metrics.jsonl has {broken} unreadable lines")
        return rows

    def _curves(self, metrics: Sequence[dict[str, Any]]) -> str | None:
        """Return the learning curves as the address of an inline picture."""
        if not curve_names(metrics):
            return None
        try:
            svg = learning_curve_svg(metrics)
        except TeleGymError as error:
            self.missing.append(str(error))
            return None
        return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"

    def _evaluations(self) -> Iterator[_Evaluation]:
        found = [path.stem for path in self.folder.glob("evaluation-*.json")]
        prefixes = ("evaluation-before", "evaluation-after")
        suffixes = {stem.removeprefix(prefix) for stem in found for prefix in prefixes if stem.startswith(prefix)}
        for suffix in sorted(suffixes) or [""]:
            before, after = (
                self._read(self.folder / f"{prefix}{suffix}.json", EvaluationResult.read) for prefix in prefixes
            )
            if before is not None or after is not None:
                yield self._evaluation(suffix, before, after)

    def _evaluation(self, suffix: str, before: EvaluationResult | None, after: EvaluationResult | None) -> _Evaluation:
        old, new = (
            self._trajectories(when, suffix) if result is not None else None
            for when, result in (("before", before), ("after", after))
        )
        better: tuple[_Example, ...] = ()
        worse: tuple[_Example, ...] = ()
        if before is not None and after is not None:
            comparison = compare(before, after)
            better = tuple(_examples(comparison.better, old or {}, new or {}, rise=True))
            worse = tuple(_examples(comparison.worse, old or {}, new or {}, rise=False))
        return _Evaluation(
            name=suffix.strip("-_") or "held-out tasks",
            before=before,
            after=after,
            headline=tuple(_headline(before, after)),
            groups=tuple(_groups(before, after)),
            calls=tuple(measure_rows(before, after)),
            errors=_counts(before, after, lambda result: result.error_kinds),
            tools=tuple(tool_rows(*(None if played is None else _flat(played) for played in (old, new)))),
            rules=tuple(violation_rows(before, after)),
            ends=_counts(before, after, lambda result: result.end_reasons),
            reasons=_counts(before, after, lambda result: result.reasons)[:_REASONS],
            better=better,
            worse=worse,
        )

    def _trajectories(self, when: str, suffix: str) -> dict[str, list[Trajectory]]:
        """Return the trajectories of one evaluation by task."""
        found: dict[str, list[Trajectory]] = {}
        stem = f"trajectories/evaluation-{when}{suffix}.jsonl"
        compressed = self.folder / f"{stem}.gz"
        path = compressed if compressed.is_file() else self.folder / stem
        for trajectory in self._read(path, lambda file: list(read_trajectories(file))) or ():
            found.setdefault(trajectory.task.id, []).append(trajectory)
        return found


def _examples(
    tasks: Sequence[str], before: dict[str, list[Trajectory]], after: dict[str, list[Trajectory]], *, rise: bool
) -> Iterator[_Example]:
    """Yield the first tasks with a pair of episodes of the same seed that shows the change."""
    shown = 0
    for task in tasks:
        later = {trajectory.seed: trajectory for trajectory in after.get(task, ()) if trajectory.score.success is rise}
        old = next(
            (each for each in before.get(task, ()) if each.score.success is not rise and each.seed in later), None
        )
        if old is not None and shown < _EXAMPLES:
            shown += 1
            title = f"{task}, seed {old.seed}"
            yield _Example(title, Markup(trajectory_fragment(old)), Markup(trajectory_fragment(later[old.seed])))


def _headline(before: EvaluationResult | None, after: EvaluationResult | None) -> Iterator[Row]:
    difference = compare(before, after).difference if before is not None and after is not None else None
    yield Row("success", (*_each(before, after, lambda result: result.success.format()), change_of(difference)))
    trials = max(result.trials for result in (before, after) if result is not None)
    for k in range(2, trials + 1):
        yield Row(f"pass^{k}", (*_each(before, after, _pass_hat(k)), ""))
    yield Row("mean score", (*_each(before, after, lambda result: _number(result.mean_value)), ""))
    yield Row("episodes", (*_each(before, after, lambda result: str(len(result.outcomes))), ""))
    yield Row("failed technically", (*_each(before, after, lambda result: str(result.failures)), ""))


def _pass_hat(k: int) -> Callable[[EvaluationResult], str]:
    return lambda result: _percent(result.pass_hat.get(k))


def _groups(before: EvaluationResult | None, after: EvaluationResult | None) -> Iterator[Row]:
    label = after.group_by if after is not None else None
    old = before.success_by(label) if before is not None else {}
    new = after.success_by(label) if after is not None else {}
    rise = compare(before, after).by_group if before is not None and after is not None else {}
    for name in sorted(old.keys() | new.keys()):
        cells = [rates[name].format() if name in rates else "–" for rates in (old, new)]
        yield Row(name, (*cells, change_of(rise.get(name))))


def _sentence(evaluation: _Evaluation) -> str:
    """Say in one sentence how success changed."""
    before, after = evaluation.before, evaluation.after
    if before is None or after is None:
        alone = after or before
        return f"{evaluation.name}: {alone.success.format() if alone is not None else 'nothing'} solved."
    change = compare(before, after).difference
    sure = change.low is not None and change.high is not None and not change.low <= 0 <= change.high
    doubt = "" if sure else "; the interval holds zero, so it may be chance"
    rise = change_of(change) or "not comparable"
    return f"{evaluation.name}: from {before.success.format()} to {after.success.format()} solved, {rise}{doubt}."


def _flat(played: dict[str, list[Trajectory]]) -> list[Trajectory]:
    return [trajectory for each in played.values() for trajectory in each]


def _counts(
    before: EvaluationResult | None, after: EvaluationResult | None, count: Callable[[EvaluationResult], dict[str, int]]
) -> tuple[Row, ...]:
    old, new = (count(result) if result is not None else {} for result in (before, after))
    names = sorted(old.keys() | new.keys(), key=lambda name: (-max(old.get(name, 0), new.get(name, 0)), name))
    columns = ((before, old), (after, new))
    return tuple(
        Row(name, tuple(str(counts.get(name, 0)) if result else "–" for result, counts in columns)) for name in names
    )


def _each(
    before: EvaluationResult | None, after: EvaluationResult | None, show: Callable[[EvaluationResult], str]
) -> tuple[str, ...]:
    return tuple(show(result) if result is not None else "–" for result in (before, after))


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}%"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
