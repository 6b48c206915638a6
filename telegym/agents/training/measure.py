"""Evaluations of the model being trained, before and after, and what a run shows at its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelerate import PartialState
from accelerate.utils import gather_object

from telegym.agents.generation import GenerationEngine, Sampling
from telegym.agents.prompting import ChatCodec
from telegym.agents.training.recipe import Recipe
from telegym.agents.training.rollouts import play
from telegym.core.environment import Environment
from telegym.core.episode import Episode
from telegym.core.trajectory import Trajectory, TrajectoryWriter
from telegym.evaluation.evaluate import EvaluationResult, Outcome, comparison_table, result_table, trial_seeds
from telegym.evaluation.report import write_report

if TYPE_CHECKING:
    from telegym.agents.training.context import RunContext

__all__ = ["Player", "conclude", "measure", "write_trajectories"]


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

    def play(self, episodes: Sequence[Episode], seeds: Sequence[str], on_end: Any) -> None:
        """Play episodes to their ends."""
        rollout = self._recipe.rollout
        if getattr(self._trainer, "in_lock_step", False):
            self._trainer.play_in_lock_step(episodes, on_end)
            return
        sampling = Sampling(self._recipe.evaluation.temperature, 1.0, rollout.turn_tokens, rollout.context)
        model = self._trainer.accelerator.unwrap_model(self._trainer.model)
        engine = GenerationEngine(model, self._codec.stop_ids, sampling, rollout.rows)
        play(engine, self._codec, episodes, seeds, rollout.completion_tokens, on_end)


def measure(context: RunContext, when: str, player: Player) -> None:
    """Play every set of tasks, unless that was done before the run was interrupted.

    Args:
        context: The run; its result gets the evaluations.
        when: `before` or `after`.
        player: Plays.
    """
    results = context.result.before if when == "before" else context.result.after
    for name, options in context.recipe.evaluation.sets.items():
        if "data" in options and options["data"] is None:
            continue
        file = context.folder.evaluation(when, name)
        if not file.is_file():
            _play_set(context, when, name, context.environment(options), player)
        results[name] = EvaluationResult.read(file)


def _play_set(context: RunContext, when: str, name: str, environment: Environment, player: Player) -> None:
    settings = context.recipe.evaluation
    pairs = [(task, seed) for task in environment.tasks for seed in trial_seeds(settings.seed, settings.trials)]
    own = range(context.rank, len(pairs), context.world)
    episodes = [Episode(environment, pairs[index][0], seed=pairs[index][1]) for index in own]
    seeds = [f"{settings.seed}/{episode.task.id}/{episode.seed}" for episode in episodes]
    with context.progress(f"{name}, {when}", len(episodes)) as progress:
        player.play(episodes, seeds, progress.advance)
    agent = f"{context.recipe.model.name} {when}"
    played = [(index, Outcome.of(each), each.trajectory(agent)) for index, each in zip(own, episodes, strict=True)]
    everything = sorted(gather_object(played) if context.world > 1 else played, key=lambda item: item[0])
    if context.rank == 0:
        write_trajectories(context.folder.trajectories(f"evaluation-{when}-{name}"), [item[2] for item in everything])
        EvaluationResult(
            environment=environment.id,
            options=environment.options,
            agent=agent,
            trials=settings.trials,
            seed=settings.seed,
            outcomes=tuple(item[1] for item in everything),
        ).write(context.folder.evaluation(when, name))
    if context.world > 1:
        PartialState().wait_for_everyone()


def conclude(context: RunContext) -> None:
    """Show the tables and write the report."""
    if context.rank:
        return
    for name, after in context.result.after.items():
        before = context.result.before.get(name)
        context.console.print(f"\n{name}", style="bold", markup=False)
        context.console.print(comparison_table(before, after) if before is not None else result_table(after))
    context.result.report = write_report(context.folder.path)
    context.say(f"Model: {context.folder.model}\nReport: {context.result.report}")


def write_trajectories(path: Path, trajectories: Iterable[Trajectory]) -> None:
    """Write trajectories into a file, in the place of what it held."""
    path.unlink(missing_ok=True)
    with TrajectoryWriter(path) as writer:
        for trajectory in trajectories:
            writer.write(trajectory)
