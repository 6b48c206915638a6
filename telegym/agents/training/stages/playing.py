"""What rounds play: tasks drawn once for the whole stage, and the policy that plays them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from telegym.agents.generation import GenerationEngine, Sampling
from telegym.agents.prompting import ChatCodec
from telegym.agents.training.measure import write_trajectories
from telegym.agents.training.rollouts import Transcript, play
from telegym.agents.training.stages.settings import RoundSettings
from telegym.agents.training.stages.trainer import Collection
from telegym.core.episode import Episode, Limits

if TYPE_CHECKING:
    from telegym.agents.training.context import RunContext

__all__ = ["PlayingCollector", "Scene", "TaskRow"]

S = TypeVar("S", bound=RoundSettings)


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One task to be played."""

    number: int
    """Its number among all tasks of the stage."""
    task: int
    """Position of the task in the environment."""
    seed: int
    """Seed of the episode."""


class Scene:
    """Where a stage plays.

    Args:
        context: The run.
        codec: Turns episodes into tokens.
        rounds: How many rounds there are.
        tasks: How many tasks a round has, over all processes.
    """

    def __init__(self, context: RunContext, codec: ChatCodec, rounds: int, tasks: int) -> None:
        self.context = context
        self.codec = codec
        recipe = context.recipe
        self.environment = context.environment(recipe.environment.train)
        self.stream = f"{recipe.seed}/{recipe.kind}"
        base = self.environment.limits.model_dump()
        self._limits = Limits.model_validate({**base, **recipe.rollout.limits})
        count, rng = rounds * tasks, Random(f"{self.stream}/tasks")
        available = len(self.environment.tasks)
        chosen = rng.sample(range(available), min(count, available))
        self._rows = [TaskRow(i, chosen[i % len(chosen)], rng.getrandbits(31)) for i in range(count)]
        self._tasks = tasks

    def rows(self, number: int, rank: int = 0, world: int = 1) -> list[TaskRow]:
        """Return the tasks that a process plays in a round."""
        return self._rows[number * self._tasks : (number + 1) * self._tasks][rank::world]

    def episode(self, row: TaskRow, record: bool | None = None) -> Episode:
        """Return a fresh episode of a task.

        Args:
            row: The task.
            record: Whether it keeps what a trajectory needs; as the recipe says by default.
        """
        kept = self.context.recipe.rollout.keep if record is None else record
        return Episode(self.environment, self.environment.tasks[row.task], row.seed, self._limits, record=kept)

    def engine(self, model: Any, logprobs: bool = False) -> GenerationEngine:
        """Return what samples from the policy as it learns.

        Args:
            model: The policy.
            logprobs: Whether to return the log-probability of each sampled token.
        """
        rollout = self.context.recipe.rollout
        sampling = Sampling(rollout.temperature, rollout.top_p, rollout.turn_tokens, rollout.context, logprobs)
        return GenerationEngine(model, self.codec.stop_ids, sampling, rollout.rows)

    def seeds(self, number: int, rows: Sequence[TaskRow], take: int = 0) -> list[str]:
        """Return the seed of the sampling for each task.

        Args:
            number: The round.
            rows: The tasks.
            take: Which rollout of the task it is.
        """
        return [f"{self.stream}/{number}/{row.number}/{take}" for row in rows]

    def play(
        self, model: Any, number: int, episodes: Sequence[Episode], seeds: Sequence[str], logprobs: bool = False
    ) -> list[Transcript]:
        """Let the policy play episodes to their ends.

        Args:
            model: The policy.
            number: The round.
            episodes: Fresh episodes.
            seeds: Seed of each episode's sampling.
            logprobs: Whether to keep the log-probability of each sampled token.
        """
        engine, tokens = self.engine(model, logprobs), self.context.recipe.rollout.completion_tokens
        with self.context.progress(f"round {number + 1}, rollouts", len(episodes)) as bar:
            return play(engine, self.codec, episodes, seeds, tokens, lambda _: bar.advance())

    def keep(self, number: int, rank: int, episodes: Sequence[Episode]) -> None:
        """Write the trajectories of a round, if the recipe says so."""
        if not self.context.recipe.rollout.keep:
            return
        name = f"train/round-{number + 1:05d}" + (f"-rank-{rank}" if rank else "")
        played = (episode.trajectory(f"round {number + 1}") for episode in episodes)
        write_trajectories(self.context.folder.trajectories(name), played)

    def describe(self, found: Collection, episodes: Sequence[Episode]) -> None:
        """Add figures of episodes to what a round gave."""
        for episode in episodes:
            score = episode.score()
            figures = {"episode/failures": float(score.value is None), "episode/truncated": float(episode.truncated)}
            if score.value is not None:
                figures |= {"episode/success": float(score.success), "episode/value": score.value}
            figures["episode/turns"] = float(episode.turn)
            for name, value in figures.items():
                found.figures.setdefault(name, []).append(value)


class PlayingCollector(ABC, Generic[S]):
    """Plays the tasks of each round, and keeps what came of it.

    Args:
        scene: Where it plays.
        settings: How much, and what is made of it.
    """

    def __init__(self, scene: Scene, settings: S) -> None:
        self._scene = scene
        self._settings = settings

    def collect(self, model: Any, number: int, rank: int, world: int) -> Collection:
        """Play the part of a process in a round."""
        found = Collection()
        episodes = self.play(model, number, self._scene.rows(number, rank, world), found)
        self._scene.describe(found, episodes)
        self._scene.keep(number, rank, episodes)
        return found

    @abstractmethod
    def play(self, model: Any, number: int, rows: Sequence[TaskRow], found: Collection) -> list[Episode]:
        """Play tasks.

        Args:
            model: The policy as it is now.
            number: The round, from 0.
            rows: The tasks.
            found: Gets what is learnt from, and figures.

        Returns:
            The episodes as they ended.
        """
