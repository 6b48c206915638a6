"""Evaluations of the model being trained, before, during and after, and what a run shows at its end."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelerate import PartialState
from accelerate.utils import gather_object

from telegym.agents.generation import GenerationEngine, Sampling
from telegym.agents.prompting import ChatCodec
from telegym.agents.training.keeping import RandomNumbers
from telegym.agents.training.ranks import together
from telegym.agents.training.recipe import Recipe
from telegym.agents.training.rollouts import play
from telegym.agents.training.run import HELD_OUT
from telegym.agents.training.timing import time_table
from telegym.core.episode import Episode
from telegym.core.trajectory import Trajectory, TrajectoryWriter
from telegym.evaluation.evaluate import (
    EvaluationResult,
    Outcome,
    comparison_table,
    result_table,
    trial_seeds,
    trials_of,
)
from telegym.evaluation.report import write_report
from telegym.evaluation.statistics import success_rate

if TYPE_CHECKING:
    from telegym.agents.training.context import RunContext

__all__ = ["Player", "conclude", "measure", "measure_during", "write_trajectories"]


class Player:
    """Plays episodes with the model being trained.

    Args:
        recipe: Says how.
        trainer: Has the model.
        codec: Turns episodes into tokens.
    """

    def __init__(self, recipe: Recipe, trainer: Any, codec: ChatCodec) -> None:
        self._recipe = recipe
        self._trainer = trainer
        self._codec = codec

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Play without a trace: afterwards the model trains as before, with the random numbers it would have had."""
        model, numbers = self._trainer.model, RandomNumbers()
        training = model.training
        model.eval()
        try:
            yield
        finally:
            model.train(training)
            numbers.restore()

    def play(self, episodes: Sequence[Episode], seeds: Sequence[str], on_end: Any) -> None:
        """Play episodes to their ends."""
        rollout = self._recipe.rollout
        if getattr(self._trainer, "in_lock_step", False):
            with self._trainer.sampling_as(self._recipe.evaluation.temperature):
                self._trainer.play_in_lock_step(episodes, on_end)
            return
        sampling = Sampling(self._recipe.evaluation.temperature, 1.0, rollout.turn_tokens, rollout.context)
        model = self._trainer.accelerator.unwrap_model(self._trainer.model)
        engine = GenerationEngine(model, self._codec.stop_ids, sampling, rollout.rows)
        with together("playing evaluations"):
            play(engine, self._codec, episodes, seeds, rollout.completion_tokens, on_end)


def measure(context: RunContext, when: str, player: Player) -> None:
    """Play every set of tasks, unless that was done before the run was interrupted, or is not asked for.

    Args:
        context: The run; its result gets the evaluations.
        when: `before` or `after`.
        player: Plays.
    """
    settings = context.recipe.evaluation
    if when == "before" and not settings.before:
        return
    results = context.result.before if when == "before" else context.result.after
    for name, options in _present(settings.sets):
        file = context.folder.evaluation(when, name)
        if not file.is_file():
            result, trajectories = _play_set(context, f"{name}, {when}", when, options, player)
            if context.rank == 0:
                write_trajectories(context.folder.trajectories(f"evaluation-{when}-{name}"), trajectories)
                result.write(file)
            if context.world > 1:
                PartialState().wait_for_everyone()
        results[name] = EvaluationResult.read(file)


def measure_during(context: RunContext, step: int, player: Player) -> dict[str, float]:
    """Play the sets of `evaluation.during` in the middle of the training, and leave no trace in it.

    Args:
        context: The run; each result is written into its folder.
        step: Steps done.
        player: Plays.

    Returns:
        The share of episodes solved, `held-out`, with its interval (`/low`, `/high`), their mean score (`/value`), and
        the share of each set. Episodes that failed technically are left out.
    """
    results: dict[str, EvaluationResult] = {}
    for name, options in _present(context.recipe.evaluation.during):
        results[name], _ = _play_set(context, f"{name}, step {step}", f"at step {step}", options, player)
        if context.rank == 0:
            file = context.folder.held_out(step, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            results[name].write(file)
    return _figures(results)


def _figures(results: Mapping[str, EvaluationResult]) -> dict[str, float]:
    trials = {
        f"{name}/{task}": values for name, each in results.items() for task, values in trials_of(each.valid).items()
    }
    valid = [outcome for each in results.values() for outcome in each.valid]
    share = success_rate(trials)
    found = {HELD_OUT: share.value, f"{HELD_OUT}/low": share.low, f"{HELD_OUT}/high": share.high}
    found |= {f"{HELD_OUT}/{name}": each.success.value for name, each in results.items()}
    values = [outcome.value for outcome in valid if outcome.value is not None]
    found[f"{HELD_OUT}/value"] = math.fsum(values) / len(values) if values else None
    return {name: value for name, value in found.items() if value is not None}


def _present(sets: Mapping[str, dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the sets whose data are there."""
    return ((name, options) for name, options in sets.items() if options.get("data", "") is not None)


def _play_set(
    context: RunContext, title: str, when: str, options: dict[str, Any], player: Player
) -> tuple[EvaluationResult, list[Trajectory]]:
    """Play one set, shared out among all processes; each of them gets the whole result."""
    settings, environment = context.recipe.evaluation, context.environment(options)
    pairs = [(task, seed) for task in environment.tasks for seed in trial_seeds(settings.seed, settings.trials)]
    own = range(context.rank, len(pairs), context.world)
    episodes = [Episode(environment, pairs[index][0], seed=pairs[index][1]) for index in own]
    seeds = [f"{settings.seed}/{episode.task.id}/{episode.seed}" for episode in episodes]
    with context.progress(title, len(episodes)) as progress, player.undisturbed():
        player.play(episodes, seeds, progress.advance)
    agent = f"{context.recipe.model.name} {when}"
    played = [(index, Outcome.of(each), each.trajectory(agent)) for index, each in zip(own, episodes, strict=True)]
    everything = sorted(gather_object(played) if context.world > 1 else played, key=lambda item: item[0])
    result = EvaluationResult(
        environment=environment.id,
        options=environment.options,
        agent=agent,
        trials=settings.trials,
        seed=settings.seed,
        outcomes=tuple(item[1] for item in everything),
    )
    return result, [item[2] for item in everything]


def conclude(context: RunContext) -> None:
    """Show the tables and write the report."""
    if context.rank:
        return
    for name, after in context.result.after.items():
        before = context.result.before.get(name)
        context.console.print(f"\n{name}", style="bold", markup=False)
        context.console.print(comparison_table(before, after) if before is not None else result_table(after))
    table = time_table(context.folder.rows())
    if table is not None:
        context.console.print(table)
    context.result.report = write_report(context.folder.path)
    context.say(f"Model: {context.folder.model}\nReport: {context.result.report}")


def write_trajectories(path: Path, trajectories: Iterable[Trajectory]) -> None:
    """Write trajectories into a file, in the place of what it held."""
    path.unlink(missing_ok=True)
    with TrajectoryWriter(path) as writer:
        for trajectory in trajectories:
            writer.write(trajectory)
