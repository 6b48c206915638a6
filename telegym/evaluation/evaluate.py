"""Evaluation: play tasks, several trials each, and say how well it went and how sure that is.

An `EvaluationResult` keeps one `Outcome` per episode; every figure is computed from them, so results written to disk
can be compared and regrouped later. Episodes that the infrastructure or a judge failed have no value: they are counted
apart and never scored as zero.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from telegym.agents.base import Agent
from telegym.agents.rollout import DEFAULT_BATCH_SIZE, OnProgress, rollout
from telegym.core.environment import Environment
from telegym.core.episode import Episode, Limits
from telegym.core.errors import ConfigurationError
from telegym.core.files import write_whole
from telegym.core.score import Failure, Score
from telegym.core.task import Task
from telegym.core.tool import CallError
from telegym.evaluation.statistics import Estimate, bootstrap_difference, pass_hat_k, success_rate

if TYPE_CHECKING:
    from rich.table import Table

__all__ = [
    "Comparison",
    "EvaluationResult",
    "Outcome",
    "compare",
    "comparison_table",
    "evaluate",
    "result_table",
    "trial_seeds",
]

Scorer = Callable[[Episode], Score]

_OF_RULES = frozenset({"policy", "share_policy"})
_RULE = re.compile(r"R\d+")


class Outcome(BaseModel):
    """How one episode went."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task_id: str
    """The task."""
    seed: int
    """The seed of the episode."""
    labels: dict[str, str | int | bool | list[str] | None] = {}
    """The labels of the task, for grouping."""
    value: float | None
    """The value of the score, or None if there is a failure."""
    success: bool
    """Whether the value is that of a success."""
    failure: Failure | None = None
    """Why there is no value."""
    end: str
    """Why the episode ended."""
    turns: int
    """Turns of the agent."""
    calls: int
    """Tool calls of the agent."""
    errors: dict[str, int] = {}
    """Failed tool calls of the agent, by class of error; calls dropped because the episode ended are none."""
    minutes: float = 0.0
    """Simulated time."""
    components: dict[str, float] = {}
    """Named parts of the value."""
    reasons: tuple[str, ...] = ()
    """What cost something."""

    @property
    def violations(self) -> tuple[str, ...] | None:
        """Names of the rules that were broken, one for each violation; None if the score does not speak of rules.

        A score that does has the component `policy` or `share_policy`. Its reasons then begin with the name of the rule
        and a colon, for violations: `R19: …`, or `refuel: …` beside a component `rule:refuel`.
        """
        if self.components.keys().isdisjoint(_OF_RULES):
            return None
        named = (reason.partition(": ")[0] for reason in self.reasons if ": " in reason)
        return tuple(name for name in named if _RULE.fullmatch(name) or f"rule:{name}" in self.components)

    @classmethod
    def of(cls, episode: Episode, score: Score | None = None) -> Outcome:
        """Sum up an ended episode; without a score, the environment's outcome score is taken."""
        score = score if score is not None else episode.score()
        failure = score.failure or episode.failure
        calls = [record for record in episode.calls if record.call.requestor == "assistant"]
        failed = [record.error for record in calls if record.error not in (None, CallError.DROPPED)]
        return cls(
            task_id=episode.task.id,
            seed=episode.seed,
            labels=episode.task.labels,
            value=None if failure else score.value,
            success=score.success and failure is None,
            failure=failure,
            end=str(episode.end),
            turns=episode.turn,
            calls=len(calls),
            errors=dict(sorted(Counter(map(str, failed)).items())),
            minutes=episode.world.minutes,
            components=score.components,
            reasons=score.reasons,
        )


class EvaluationResult(BaseModel):
    """The outcomes of an evaluation, and what they say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    """Version of the format on disk."""
    environment: str
    """Id of the environment."""
    options: dict[str, Any] = {}
    """Options of the environment."""
    agent: str
    """Name of the agent."""
    trials: int
    """Episodes per task."""
    seed: int
    """Decides the seeds of the trials."""
    group_by: str = "family"
    """The task label by which results are grouped."""
    outcomes: tuple[Outcome, ...]
    """One for each episode: task by task, trial by trial."""

    @property
    def valid(self) -> tuple[Outcome, ...]:
        """The outcomes that have a value."""
        return tuple(outcome for outcome in self.outcomes if outcome.failure is None)

    @property
    def failures(self) -> int:
        """How many episodes have no value because something other than the agent failed."""
        return len(self.outcomes) - len(self.valid)

    @property
    def success(self) -> Estimate:
        """The success rate."""
        return success_rate(trials_of(self.valid))

    @property
    def mean_value(self) -> float | None:
        """The mean score."""
        return _mean(outcome.value for outcome in self.valid if outcome.value is not None)

    @property
    def pass_hat(self) -> dict[int, float]:
        """Return pass^k for each k up to the number of trials."""
        values = {k: pass_hat_k(trials_of(self.valid), k) for k in range(1, self.trials + 1)}
        return {k: value for k, value in values.items() if value is not None}

    @property
    def calls_per_solved(self) -> float | None:
        """Mean number of tool calls in the episodes that succeeded."""
        return _mean(outcome.calls for outcome in self.valid if outcome.success)

    @property
    def tool_error_rate(self) -> float | None:
        """Share of the agent's tool calls that failed."""
        calls = sum(outcome.calls for outcome in self.valid)
        return sum(sum(outcome.errors.values()) for outcome in self.valid) / calls if calls else None

    @property
    def error_kinds(self) -> dict[str, int]:
        """Failed tool calls by class of error, the most frequent first."""
        return _ranked(kind for outcome in self.valid for kind, count in outcome.errors.items() for _ in range(count))

    @property
    def end_reasons(self) -> dict[str, int]:
        """Episodes by the reason they ended, the most frequent first."""
        return _ranked(outcome.end for outcome in self.outcomes)

    @property
    def reasons(self) -> dict[str, int]:
        """What cost something in how many episodes, the most frequent first."""
        return _ranked(reason for outcome in self.valid for reason in dict.fromkeys(outcome.reasons))

    def groups(self, label: str | None = None) -> dict[str, tuple[Outcome, ...]]:
        """Return the valid outcomes by a label of their tasks; those without it form the group `–`."""
        found: dict[str, list[Outcome]] = {}
        for outcome in self.valid:
            found.setdefault(_label(outcome, label or self.group_by), []).append(outcome)
        return {name: tuple(found[name]) for name in sorted(found)}

    def success_by(self, label: str | None = None) -> dict[str, Estimate]:
        """Return the success rate of each group."""
        return {name: success_rate(trials_of(outcomes)) for name, outcomes in self.groups(label).items()}

    def summary(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {
            "episodes": len(self.outcomes),
            "tasks": len({outcome.task_id for outcome in self.outcomes}),
            "failures": self.failures,
            "success": self.success.model_dump(mode="json"),
            "mean_value": self.mean_value,
            "pass_hat": {str(k): value for k, value in self.pass_hat.items()},
            "success_by_group": {name: rate.model_dump(mode="json") for name, rate in self.success_by().items()},
            "calls_per_solved": self.calls_per_solved,
            "tool_error_rate": self.tool_error_rate,
            "error_kinds": self.error_kinds,
            "end_reasons": self.end_reasons,
            "reasons": self.reasons,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON values: the outcomes, and for readers the summary computed from them."""
        data = self.model_dump(mode="json")
        outcomes = data.pop("outcomes")
        return {**data, "summary": self.summary(), "outcomes": outcomes}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave; the summary is computed anew.

        Raises:
            ConfigurationError: If it is not an evaluation result of this version.
        """
        try:
            return cls.model_validate({key: value for key, value in data.items() if key != "summary"})
        except ValidationError as error:
            raise ConfigurationError(f"not an evaluation result of version 1: {error}") from error

    def write(self, path: str | Path) -> None:
        """Write the result as a JSON file, as a whole or not at all."""
        write_whole(path, json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n")

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a JSON file that `write` wrote.

        Raises:
            ConfigurationError: If the file is not an evaluation result.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigurationError(f"{path} is not JSON: {error}") from error
        if not isinstance(data, dict):
            raise ConfigurationError(f"{path} is not an evaluation result but a JSON {type(data).__name__}")
        return cls.from_dict(data)


def evaluate(
    environment: Environment,
    agent: Agent,
    tasks: Iterable[Task] | None = None,
    *,
    trials: int = 1,
    seed: int = 0,
    score: Scorer | None = None,
    limits: Limits | None = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
    group_by: str = "family",
    write_to: str | Path | None = None,
    on_progress: OnProgress | None = None,
) -> EvaluationResult:
    """Play tasks and sum up how it went.

    Args:
        environment: The environment of the tasks.
        agent: Who plays.
        tasks: What is played; None plays every task of the environment.
        trials: Episodes per task.
        seed: Decides the seeds of the trials.
        score: Gives the value of an ended episode; None takes the environment's outcome score.
        limits: Limits of an episode; None takes the environment's.
        batch_size: How many episodes are played at once. It changes speed, not results.
        group_by: The task label by which results are grouped.
        write_to: A file to which the trajectories are appended (JSON Lines).
        on_progress: Called after every turn.

    Raises:
        ConfigurationError: If `trials` is not positive.
    """
    if trials < 1:
        raise ConfigurationError(f"trials must be at least 1, not {trials}")
    episodes = rollout(
        environment,
        environment.tasks if tasks is None else tasks,
        agent,
        seeds=trial_seeds(seed, trials),
        limits=limits,
        batch_size=batch_size,
        write_to=write_to,
        on_progress=on_progress,
    )
    return EvaluationResult(
        environment=environment.id,
        options=environment.options,
        agent=agent.name,
        trials=trials,
        seed=seed,
        group_by=group_by,
        outcomes=tuple(Outcome.of(episode, score(episode) if score else None) for episode in episodes),
    )


def trial_seeds(seed: int, trials: int) -> list[int]:
    """Return the episode seeds of the trials of every task: different for every evaluation seed."""
    return [int.from_bytes(hashlib.sha256(f"{seed}/{trial}".encode()).digest()[:4]) for trial in range(trials)]


def trials_of(outcomes: Iterable[Outcome]) -> dict[str, list[float]]:
    """Return 1.0 for every success and 0.0 for every other outcome, by task."""
    trials: dict[str, list[float]] = {}
    for outcome in outcomes:
        trials.setdefault(outcome.task_id, []).append(float(outcome.success))
    return trials


class Comparison(BaseModel):
    """What changed between two evaluations of the same tasks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    difference: Estimate
    """How much the success rate rose, paired by task."""
    by_group: dict[str, Estimate]
    """The same for each group of tasks."""
    better: tuple[str, ...]
    """Tasks that succeed more often than before."""
    worse: tuple[str, ...]
    """Tasks that succeed less often than before."""


def compare(before: EvaluationResult, after: EvaluationResult, *, seed: int = 0) -> Comparison:
    """Compare two evaluations on the tasks that both have valid outcomes for.

    Args:
        before: The earlier one.
        after: The later one; its `group_by` groups the tasks.
        seed: Decides the resampling behind the intervals.
    """
    first, second = trials_of(before.valid), trials_of(after.valid)
    by_group = {
        name: bootstrap_difference(first, trials_of(outcomes), seed=seed)
        for name, outcomes in after.groups().items()
        if any(outcome.task_id in first for outcome in outcomes)
    }
    change = {task: _share(second[task]) - _share(first[task]) for task in first if task in second}
    return Comparison(
        difference=bootstrap_difference(first, second, seed=seed),
        by_group=by_group,
        better=tuple(task for task, rise in change.items() if rise > 0),
        worse=tuple(task for task, rise in change.items() if rise < 0),
    )


def result_table(result: EvaluationResult) -> Table:
    """Return the figures of an evaluation as a table for the terminal."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(f"{result.agent} on {result.environment}"))
    for name, justify in _COLUMNS:
        table.add_column(name, justify=justify)
    for name, outcomes in result.groups().items():
        table.add_row(Text(name), *_cells(outcomes))
    table.add_section()
    table.add_row(Text("all"), *_cells(result.valid))
    if result.failures:
        table.caption = f"not counted: {result.failures} of {len(result.outcomes)} episodes, which failed technically"
    return table


_Justify = Literal["left", "right"]
_COLUMNS: tuple[tuple[str, _Justify], ...] = (
    ("group", "left"),
    ("episodes", "right"),
    ("success (95%)", "right"),
    ("calls/solved", "right"),
    ("tool errors", "right"),
)


def _cells(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    calls = sum(outcome.calls for outcome in outcomes)
    errors = sum(sum(outcome.errors.values()) for outcome in outcomes)
    solved = _mean(outcome.calls for outcome in outcomes if outcome.success)
    return (
        str(len(outcomes)),
        success_rate(trials_of(outcomes)).format(),
        "–" if solved is None else f"{solved:.1f}",
        f"{100 * errors / calls:.1f}%" if calls else "–",
    )


def comparison_table(before: EvaluationResult, after: EvaluationResult, *, seed: int = 0) -> Table:
    """Return success before and after, by group, as a table for the terminal."""
    from rich.table import Table
    from rich.text import Text

    comparison = compare(before, after, seed=seed)
    table = Table(title=Text(f"{before.agent} → {after.agent} on {after.environment}"))
    for name, justify in (("group", "left"), ("before", "right"), ("after", "right"), ("difference", "right")):
        table.add_column(name, justify="left" if justify == "left" else "right")
    earlier, later = before.success_by(after.group_by), after.success_by()
    for name, difference in comparison.by_group.items():
        old = earlier[name].format() if name in earlier else "–"
        table.add_row(Text(name), old, later[name].format(), difference.format(unit=" pp"))
    table.add_section()
    table.add_row("all", before.success.format(), after.success.format(), comparison.difference.format(unit=" pp"))
    return table


def _label(outcome: Outcome, label: str) -> str:
    value = outcome.labels.get(label)
    if value is None:
        return "–"
    return ", ".join(value) if isinstance(value, list) else str(value)


def _share(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _mean(values: Iterable[float]) -> float | None:
    collected = list(values)
    return math.fsum(collected) / len(collected) if collected else None


def _ranked(items: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(items).items(), key=lambda item: (-item[1], item[0])))
