"""Several training runs together: what they gained on the same tasks, as a mean over runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from telegym.core.errors import ConfigurationError
from telegym.evaluation.evaluate import EvaluationResult, compare, trials_of
from telegym.evaluation.statistics import Estimate, mean_over_seeds, success_rate

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Gain", "gains", "gains_table"]

_BEFORE, _AFTER = "evaluation-before-", "evaluation-after-"


class Gain(BaseModel):
    """What runs gained on one set of tasks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tasks: str
    """Name of the set."""
    before: Estimate
    """Success rate before, the runs being trials of the tasks."""
    after: Estimate
    """Success rate after, the runs being trials of the tasks."""
    difference: Estimate
    """How much the success rate rose: mean over runs, with a t interval over runs."""
    by_run: dict[str, Estimate]
    """How much it rose in each run, with an interval from resampling tasks."""


def gains(runs: Sequence[Path]) -> list[Gain]:
    """Return what finished runs gained, for every set of tasks that all of them were evaluated on.

    Args:
        runs: Folders of training runs.

    Raises:
        ConfigurationError: If a folder holds no finished run, or no set of tasks is common to all.
    """
    found = [_evaluations(Path(run)) for run in runs]
    common = [name for name in found[0] if all(name in each for each in found)] if found else []
    if not common:
        raise ConfigurationError("the runs have no set of tasks in common")
    return [_gain(name, {Path(run).name: each[name] for run, each in zip(runs, found, strict=True)}) for name in common]


def _evaluations(run: Path) -> dict[str, tuple[EvaluationResult, EvaluationResult]]:
    names = sorted(file.name.removeprefix(_AFTER) for file in run.glob(f"{_AFTER}*.json"))
    pairs = {name: (run / f"{_BEFORE}{name}", run / f"{_AFTER}{name}") for name in names}
    results = {
        name.removesuffix(".json"): (EvaluationResult.read(before), EvaluationResult.read(after))
        for name, (before, after) in pairs.items()
        if before.is_file()
    }
    if not results:
        raise ConfigurationError(f"{run} holds no finished training run: no evaluations before and after")
    return results


def _gain(name: str, results: dict[str, tuple[EvaluationResult, EvaluationResult]]) -> Gain:
    by_run = {run: compare(before, after).difference for run, (before, after) in results.items()}
    return Gain(
        tasks=name,
        before=_pooled([before for before, _ in results.values()]),
        after=_pooled([after for _, after in results.values()]),
        difference=mean_over_seeds([each.value for each in by_run.values() if each.value is not None]),
        by_run=by_run,
    )


def _pooled(results: Sequence[EvaluationResult]) -> Estimate:
    return success_rate(trials_of([outcome for result in results for outcome in result.valid]))


def gains_table(found: Sequence[Gain]) -> Table:
    """Return gains as a table for the terminal."""
    from rich.table import Table

    runs = list(found[0].by_run) if found else []
    table = Table(title=f"{len(runs)} runs: mean, 95% interval over runs")
    table.add_column("tasks")
    for column in ("before", "after", "difference", *runs):
        table.add_column(column, justify="right")
    for gain in found:
        each = (gain.by_run[run].format(unit=" pp") for run in runs)
        mean = gain.before.format(), gain.after.format(), gain.difference.format(unit=" pp")
        table.add_row(gain.tasks, *mean, *each)
    return table
