"""Training runs: evaluate, train, evaluate again, and keep everything in one folder.

A run's folder holds its recipe (`config.yaml`), what was logged (`metrics.jsonl`), evaluations and trajectories, the
checkpoints and the trained model. An interrupted run goes on from its last checkpoint and does what it would have done.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telegym.agents.training.checkpoints import clear_after, complete_checkpoints
from telegym.agents.training.ranks import decided, reported
from telegym.agents.training.recipe import Recipe, load_recipe
from telegym.core.errors import ConfigurationError
from telegym.core.files import write_whole

if TYPE_CHECKING:
    from rich.console import Console

    from telegym.evaluation.evaluate import EvaluationResult

__all__ = ["HELD_OUT", "RunFolder", "RunResult", "train"]

logger = logging.getLogger(__name__)

HELD_OUT = "held-out"
"""Name of the figure by which checkpoints are ranked: the share of held-out tasks that were solved."""


@dataclass(slots=True)
class RunResult:
    """What a run gave."""

    folder: Path
    """Where everything is."""
    interrupted: bool = False
    """Whether it was stopped before its end; `resume` continues it."""
    stopped: str | None = None
    """Why a watch stopped it, if one did."""
    before: dict[str, EvaluationResult] = field(default_factory=dict)
    """Evaluations before training, by set of tasks."""
    after: dict[str, EvaluationResult] = field(default_factory=dict)
    """Evaluations after training."""
    report: Path | None = None
    """The report, if it could be written."""


class RunFolder:
    """The folder of a run.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def config(self) -> Path:
        """The recipe."""
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        """What was logged, one line a step."""
        return self.path / "metrics.jsonl"

    @property
    def model(self) -> Path:
        """The trained model."""
        return self.path / "model"

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints are."""
        return self.path / "checkpoints"

    def last_checkpoint(self) -> Path | None:
        """Return the newest complete checkpoint."""
        found = complete_checkpoints(self.checkpoints)
        return found[max(found)] if found else None

    def evaluation(self, when: str, name: str) -> Path:
        """Return the file of an evaluation."""
        return self.path / f"evaluation-{when}-{name}.json"

    def trajectories(self, name: str) -> Path:
        """Return a file for trajectories."""
        return self.path / "trajectories" / f"{name}.jsonl.gz"

    def held_out(self, step: int, name: str) -> Path:
        """Return the file of an evaluation in the middle of the training."""
        return self.path / "held-out" / f"step-{step:05d}-{name}.json"

    def samples(self, step: int) -> Path:
        """Return the file with episodes of a step to read."""
        return self.path / "samples" / f"step-{step:05d}.md"

    def log(self, row: dict[str, Any]) -> None:
        """Append a row to the metrics.

        Raises:
            OSError: If it cannot be written; the error names the file.
        """
        try:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            error.filename = error.filename or str(self.metrics)
            raise

    def rows(self) -> list[dict[str, Any]]:
        """Return what was logged, in order; a half line, which a killed run may have left, is none."""
        lines = self.metrics.read_text("utf-8", "replace").splitlines() if self.metrics.is_file() else []
        found = []
        for line in lines:
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return [row for row in found if isinstance(row, dict) and "step" in row]

    def scores(self) -> dict[int, tuple[float, ...]]:
        """Return what steps reached on held-out tasks: the share solved, then the mean score."""
        return {
            int(row["step"]): (row[HELD_OUT], row.get(f"{HELD_OUT}/value", 0.0))
            for row in self.rows()
            if HELD_OUT in row
        }

    def forget_after(self, step: int) -> None:
        """Drop what comes after a checkpoint, and what was half written: it will be done again."""
        clear_after(self.checkpoints, step)
        if self.metrics.is_file():
            write_whole(self.metrics, "".join(f"{json.dumps(row)}\n" for row in self.rows() if row["step"] <= step))


def train(
    recipe: str | Path | Recipe,
    overrides: Sequence[str] = (),
    name: str | None = None,
    resume: bool = False,
    runs: str | Path = "runs",
    console: Console | None = None,
) -> RunResult:
    """Run a recipe, or continue a run.

    Args:
        recipe: A recipe, the name of a shipped one, or a YAML file.
        overrides: `KEY=VALUE` with dotted keys; a run that is continued keeps its own settings and takes none.
        name: Name of the run; by default the recipe's with the first free number, or the last one for `resume`.
        resume: Continue an interrupted run.
        runs: The folder of runs.
        console: Where progress and tables are shown.

    Raises:
        ConfigurationError: If the recipe is wrong, the name is taken, or there is nothing to continue.
    """
    from rich.console import Console

    label = recipe_label(recipe)
    with reported():
        # One process decides for all: the others would find the folder of the first, or another free number.
        path, chosen = decided(lambda: _begun(_run_path(Path(runs), label, name, resume), recipe, overrides, resume))
        from telegym.agents.training.pipeline import Pipeline

        return Pipeline(chosen, RunFolder(path), console or Console(highlight=False)).run()


def _begun(path: Path, recipe: str | Path | Recipe, overrides: Sequence[str], resume: bool) -> tuple[Path, Recipe]:
    return path, _recipe_of(RunFolder(path), recipe, overrides, resume)


def recipe_label(recipe: str | Path | Recipe) -> str:
    """Return the name by which runs of a recipe are called."""
    return recipe.kind if isinstance(recipe, Recipe) else Path(recipe).stem


def _run_path(runs: Path, label: str, name: str | None, resume: bool) -> Path:
    if name is not None:
        path = runs / name
        if resume and not (path / "config.yaml").is_file():
            existing = sorted(item.name for item in runs.iterdir()) if runs.is_dir() else []
            raise ConfigurationError(
                f"no run {name!r} to continue in {runs}; there are: {', '.join(existing) or 'none'}"
            )
        if not resume and path.exists():
            raise ConfigurationError(f"run {name!r} exists in {runs}; continue it with --resume, or choose a new name")
        return path
    pattern = re.compile(re.escape(label) + r"-(\d+)$")
    numbers = [
        int(match[1]) for item in (runs.iterdir() if runs.is_dir() else ()) if (match := pattern.match(item.name))
    ]
    if resume:
        if not numbers:
            raise ConfigurationError(f"no run of recipe {label!r} in {runs} to continue")
        return runs / f"{label}-{max(numbers)}"
    return runs / f"{label}-{max(numbers, default=0) + 1}"


def _recipe_of(folder: RunFolder, recipe: str | Path | Recipe, overrides: Sequence[str], resume: bool) -> Recipe:
    if resume:
        if overrides:
            raise ConfigurationError(
                f"a continued run keeps its settings; it takes no override: {', '.join(overrides)}"
            )
        return load_recipe(folder.config)
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, overrides)
    folder.path.mkdir(parents=True, exist_ok=True)
    if int(os.environ.get("RANK", "0")) == 0:
        write_whole(folder.config, chosen.to_yaml())
    return chosen
