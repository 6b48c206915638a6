"""Several training runs together: what each variant of a recipe reached on the same tasks, as a mean over seeds.

Runs whose recipes differ only in the seed are one row. Every figure is a ratio of sums over episodes (successes over
episodes, calls over solved tasks and so on), so that tasks can be resampled for its interval.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict

from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.evaluation.evaluate import EvaluationResult, Outcome, compare
from telegym.evaluation.learning import episodes_to, read_metrics
from telegym.evaluation.resampling import TaskBootstrap, ratio
from telegym.evaluation.statistics import Estimate, mean_over_seeds

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["MEASURES", "Measured", "RunRow", "RunTable", "compare_runs", "measures_of", "run_table"]

_BEFORE, _AFTER = "evaluation-before-", "evaluation-after-"
_NUMBER = re.compile(r"[-_.]?(seed)?[-_.]?\d*$")
_NOT_LEARNT_FROM = ("seed", "threads", "save_steps", "rollout.keep", "evaluation.before")
_SHOWN_SETTINGS = 3

Grouping = Literal["recipe", "name"]
Ratio = Callable[[Outcome], tuple[float, float] | None]
"""Of an episode: what is counted, and out of how much; None where it does not apply."""


class MeasureKind(BaseModel):
    """One figure of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    """What it is called in tables."""
    of: Ratio
    """What an episode adds to it."""
    share: bool
    """Whether it is a share of 0 to 1, shown in percent."""

    def format(self, estimate: Estimate) -> str:
        """Return a figure with its interval."""
        return estimate.format() if self.share else estimate.format(scale=1.0, digits=2, unit="")

    def difference(self, estimate: Estimate) -> str:
        """Return a difference with its interval: of shares in percentage points."""
        return estimate.format(unit=" pp") if self.share else self.format(estimate)


MEASURES: dict[str, MeasureKind] = {
    "success": MeasureKind(title="strict success", of=lambda each: (each.success, 1), share=True),
    "calls_per_solved": MeasureKind(
        title="calls per solved task", of=lambda each: (each.calls, 1) if each.success else None, share=False
    ),
    "violations": MeasureKind(
        title="rule violations per episode",
        of=lambda each: None if each.violations is None else (len(each.violations), 1),
        share=False,
    ),
    "tool_errors": MeasureKind(
        title="failed calls", of=lambda each: (sum(each.errors.values()), each.calls), share=True
    ),
}
"""The figures by name. Rule violations are counted where scores speak of rules."""


class Measured(BaseModel):
    """One figure of a row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    before: Estimate | None
    """Before training; None if that was not evaluated."""
    after: Estimate
    """After training."""
    difference: Estimate | None
    """How much it rose, in the same unit, paired by task."""


class RunRow(BaseModel):
    """Runs that differ only in their seed: means over seeds, with t intervals.

    A single run, or runs that agree to the last digit, have intervals from resampling tasks instead.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """What their names have in common."""
    runs: tuple[str, ...]
    """Names of the runs."""
    seeds: tuple[int | None, ...]
    """The seed of each run."""
    settings: dict[str, Any]
    """Settings, by dotted key, in which the rows of the table differ; null where a recipe does not have one."""
    measures: dict[str, Measured]
    """The figures by name (`MEASURES`)."""
    by_run: dict[str, dict[str, Measured]]
    """The figures of each run, with intervals from resampling tasks."""
    against: dict[str, Estimate] = {}
    """By how much the figures after training exceed those of the baseline, paired by seed; empty without one."""
    episodes: dict[str, int | None] = {}
    """For each run the episodes played until success in training was as asked (`episodes_to`); None if it never was."""


class RunTable(BaseModel):
    """What runs reached on one set of tasks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment: str
    """Where the tasks are."""
    tasks: str
    """Name of the set."""
    baseline: str | None = None
    """Name of the row that the others are compared with."""
    reach: float | None = None
    """The success in training, 0 to 1, to which episodes are counted."""
    rows: tuple[RunRow, ...]
    """One for each variant of a recipe, in the order in which its first run was named."""


@dataclass(frozen=True, slots=True)
class _Run:
    path: Path
    config: dict[str, Any]
    sets: dict[tuple[str, str], tuple[EvaluationResult | None, EvaluationResult]]
    metrics: list[dict[str, Any]]

    @property
    def name(self) -> str:
        return self.path.name


def compare_runs(
    runs: Sequence[Path], group: Grouping = "recipe", *, baseline: str | None = None, reach: float | None = None
) -> list[RunTable]:
    """Return what finished runs reached, a table for every set of tasks.

    Args:
        runs: Folders of training runs, of any environments.
        group: Which runs are one row: those whose recipes differ only in the seed (and in `threads` and `save_steps`),
            or those whose names differ only in a number at the end, for example `fast-0` and `fast-1`.
        baseline: Name of the row that the others are compared with.
        reach: Success in training, 0 to 1, to which episodes are counted.

    Raises:
        ConfigurationError: If a folder holds no finished run, or is named twice, or no row has the baseline's name.
    """
    found = [_read(Path(run).resolve()) for run in runs]
    twice = {run.path for run in found if sum(run.path == other.path for other in found) > 1}
    if twice:
        raise ConfigurationError(f"named twice: {', '.join(sorted(map(str, twice)))}")
    grouped: dict[str, list[_Run]] = {}
    for run in found:
        grouped.setdefault(_key(run, group), []).append(run)
    names = _names(list(grouped.values()))
    if baseline is not None and baseline not in names:
        raise ConfigurationError(f"no row {baseline!r}; there are: {', '.join(names)}.{did_you_mean(baseline, names)}")
    keys = dict.fromkeys(key for run in found for key in run.sets)
    rows = dict(zip(names, grouped.values(), strict=True))
    return [_compared(_table(key, rows, reach), baseline) for key in keys]


def _read(path: Path) -> _Run:
    sets: dict[tuple[str, str], tuple[EvaluationResult | None, EvaluationResult]] = {}
    for file in sorted(path.glob(f"{_AFTER}*.json")):
        name = file.name.removeprefix(_AFTER)
        after, before = EvaluationResult.read(file), path / f"{_BEFORE}{name}"
        earlier = EvaluationResult.read(before) if before.is_file() else None
        sets[after.environment, name.removesuffix(".json")] = earlier, after
    if not sets:
        raise ConfigurationError(f"{path} holds no finished training run: no evaluation after training")
    config = path / "config.yaml"
    data = yaml.safe_load(config.read_text("utf-8")) if config.is_file() else None
    metrics = path / "metrics.jsonl"
    rows = read_metrics(metrics)[0] if metrics.is_file() else []
    return _Run(path, data if isinstance(data, dict) else {}, sets, rows)


def _key(run: _Run, group: Grouping) -> str:
    if group == "name":
        return _NUMBER.sub("", run.name) or run.name
    if not run.config:
        return f"without a recipe: {run.path}"
    return json.dumps(_settings(run), sort_keys=True, default=str)


def _settings(run: _Run) -> dict[str, Any]:
    return {key: value for key, value in _flat(run.config).items() if key not in _NOT_LEARNT_FROM}


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return flat


def _names(groups: Sequence[Sequence[_Run]]) -> list[str]:
    """Return what the names of each group have in common, or the first one, so that all differ."""
    short = [_NUMBER.sub("", _common([run.name for run in group])) or group[0].name for group in groups]
    return [
        name if short.count(name) == 1 else group[0].name + (" …" if len(group) > 1 else "")
        for name, group in zip(short, groups, strict=True)
    ]


def _common(names: Sequence[str]) -> str:
    """Return what all names begin with."""
    return "".join(each[0] for each in takewhile(lambda each: len(set(each)) == 1, zip(*names, strict=False)))


def _table(key: tuple[str, str], groups: Mapping[str, Sequence[_Run]], reach: float | None) -> RunTable:
    present = {name: [run for run in runs if key in run.sets] for name, runs in groups.items()}
    rows = {name: runs for name, runs in present.items() if runs}
    settings = {name: _settings(runs[0]) for name, runs in rows.items()}
    differing = [
        each
        for each in dict.fromkeys(each for flat in settings.values() for each in flat)
        if len({json.dumps(flat.get(each), sort_keys=True, default=str) for flat in settings.values()}) > 1
    ]
    return RunTable(
        environment=key[0],
        tasks=key[1],
        reach=reach,
        rows=tuple(
            _row(name, runs, key, {each: settings[name].get(each) for each in differing}, reach)
            for name, runs in rows.items()
        ),
    )


def _compared(table: RunTable, baseline: str | None) -> RunTable:
    """Return a table with the differences from one of its rows; a table without that row stays as it is."""
    base = next((row for row in table.rows if row.name == baseline), None)
    if base is None:
        return table
    rows = tuple(row if row is base else row.model_copy(update={"against": _against(row, base)}) for row in table.rows)
    return table.model_copy(update={"baseline": baseline, "rows": rows})


def _against(row: RunRow, base: RunRow) -> dict[str, Estimate]:
    pairs = [
        (row.by_run[mine], base.by_run[other])
        for mine, seed in zip(row.runs, row.seeds, strict=True)
        for other, same in zip(base.runs, base.seeds, strict=True)
        if seed is not None and seed == same
    ]
    return {name: mean_over_seeds(_differences(name, pairs)) for name in MEASURES}


def _differences(name: str, pairs: Sequence[tuple[dict[str, Measured], dict[str, Measured]]]) -> list[float]:
    values = [(mine[name].after.value, other[name].after.value) for mine, other in pairs]
    return [mine - other for mine, other in values if mine is not None and other is not None]


def _row(
    name: str, runs: Sequence[_Run], key: tuple[str, str], settings: dict[str, Any], reach: float | None
) -> RunRow:
    by_run = {run.name: measures_of(*run.sets[key]) for run in runs}
    return RunRow(
        name=name,
        runs=tuple(run.name for run in runs),
        seeds=tuple(run.config.get("seed") for run in runs),
        settings=settings,
        measures={measure: _mean([each[measure] for each in by_run.values()]) for measure in MEASURES},
        by_run=by_run,
        episodes={} if reach is None else {run.name: episodes_to(reach, run.metrics, run.config) for run in runs},
    )


def _mean(found: Sequence[Measured]) -> Measured:
    before, difference = ([getattr(each, name) for each in found] for name in ("before", "difference"))
    return Measured(
        before=None if None in before else _over_seeds(before),
        after=_over_seeds([each.after for each in found]),
        difference=None if None in difference else _over_seeds(difference),
    )


def _over_seeds(estimates: Sequence[Estimate]) -> Estimate:
    values = [each.value for each in estimates if each.value is not None]
    if len(set(values)) < 2:
        return estimates[0] if len(values) == len(estimates) else mean_over_seeds(values)
    return mean_over_seeds(values)


# --- one run --------------------------------------------------------------------------------------------


def measures_of(before: EvaluationResult | None, after: EvaluationResult) -> dict[str, Measured]:
    """Return all figures (`MEASURES`) of one run, with intervals from resampling tasks.

    Args:
        before: The evaluation before training; None if there is none.
        after: The evaluation after training.
    """
    found = {name: _measure(kind, before, after) for name, kind in MEASURES.items()}
    success = Measured(
        before=None if before is None else before.success,
        after=after.success,
        difference=None if before is None else compare(before, after).difference,
    )
    return {**found, "success": success}


def _measure(kind: MeasureKind, before: EvaluationResult | None, after: EvaluationResult) -> Measured:
    rows: list[tuple[float, float, float, float]] = []
    tasks: list[str] = []
    for place, result in enumerate((before, after)):
        for outcome in result.valid if result is not None else ():
            if (part := kind.of(outcome)) is not None:
                top, bottom = part
                rows.append((0.0, 0.0, bottom, top) if place else (bottom, top, 0.0, 0.0))
                tasks.append(outcome.task_id)
    return _resampled(rows, tasks, kind.share, both=before is not None)


def _resampled(
    rows: Sequence[tuple[float, float, float, float]], tasks: Sequence[str], share: bool, *, both: bool
) -> Measured:
    """Return a figure from what episodes add to it before (two columns) and after (two more)."""
    nothing = Estimate(value=None, method="bootstrap")
    if not rows:
        return Measured(before=nothing if both else None, after=nothing, difference=nothing if both else None)
    bootstrap, runs = TaskBootstrap(tasks), range(len(rows))
    early = bootstrap.estimate(rows, runs, lambda sums: ratio(sums[:, :2]), share=share)
    late = bootstrap.estimate(rows, runs, lambda sums: ratio(sums[:, 2:]), share=share)
    rise = bootstrap.estimate(rows, runs, lambda sums: ratio(sums[:, 2:]) - ratio(sums[:, :2]))
    return Measured(before=early if both else None, after=late, difference=rise if both else None)


# --- the terminal ---------------------------------------------------------------------------------------


def run_table(found: RunTable) -> Table:
    """Return one table for the terminal; figures that no row has are left out."""
    from rich.table import Table
    from rich.text import Text

    several = any(len(row.runs) > 1 for row in found.rows)
    over = "over seeds (of a single run: over tasks)" if several else "over tasks"
    table = Table(title=Text(f"{found.tasks} of {found.environment}: mean, 95% interval {over}"))
    keys = list(found.rows[0].settings) if found.rows else []
    shown = keys if len(keys) <= _SHOWN_SETTINGS else []
    kinds = {name: kind for name, kind in MEASURES.items() if any(_has(row.measures[name]) for row in found.rows)}
    for column in ("variant", *shown):
        table.add_column(Text(column))
    table.add_column("runs", justify="right")
    for kind in kinds.values():
        for when in ("before", "after", "difference"):
            table.add_column(f"{kind.title}, {when}" if when != "difference" else "difference", justify="right")
    if found.reach is not None:
        table.add_column(f"episodes to {found.reach:.0%} success in training", justify="right")
    for kind in kinds.values() if found.baseline is not None else ():
        table.add_column(Text(f"{kind.title}, against {found.baseline}"), justify="right")
    for row in found.rows:
        cells = (cell for name, kind in kinds.items() for cell in _cells(kind, row.measures[name]))
        values = (Text(json.dumps(row.settings[key], default=str)) for key in shown)
        table.add_row(Text(row.name), *values, str(len(row.runs)), *cells, *_further(found, row, kinds))
    return table


def _further(found: RunTable, row: RunRow, kinds: Mapping[str, MeasureKind]) -> list[str]:
    """Return the cells for episodes and for differences from the baseline."""
    cells = [] if found.reach is None else [_episodes(list(row.episodes.values()))]
    if found.baseline is not None:
        cells += [kind.difference(row.against[name]) if row.against else "–" for name, kind in kinds.items()]
    return cells


def _episodes(counts: Sequence[int | None]) -> str:
    reached = [count for count in counts if count is not None]
    if len(reached) < len(counts):
        return f"{len(reached)} of {len(counts)} runs reached it"
    return mean_over_seeds(reached).format(scale=1.0, digits=0, unit="")


def _has(measured: Measured) -> bool:
    return measured.after.value is not None or (measured.before is not None and measured.before.value is not None)


def _cells(kind: MeasureKind, measured: Measured) -> tuple[str, str, str]:
    change = measured.difference
    rise = "–" if change is None else kind.difference(change)
    return ("–" if measured.before is None else kind.format(measured.before), kind.format(measured.after), rise)
