"""Groups: every task of a round is played several times, and each rollout gets a reward."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

from telegym.agents.training.grpo import Outcome
from telegym.agents.training.keeping import Stateful
from telegym.agents.training.rollouts import Transcript
from telegym.agents.training.stages.playing import PlayingCollector, Scene, TaskRow
from telegym.agents.training.stages.settings import GroupSettings, WorthSettings
from telegym.agents.training.stages.trainer import Collection
from telegym.core.episode import Episode
from telegym.rewards.base import Run
from telegym.rewards.compose import Composite

__all__ = ["GroupCollector", "Valued", "Worth"]

logger = logging.getLogger(__name__)

Valued = tuple[Transcript, float | None]
"""A rollout and its reward; None if it has none, for a judge or the infrastructure failed."""
S = TypeVar("S", bound=GroupSettings)


class Worth:
    """Says what rollouts are worth, by the environment's score or a rewards recipe.

    Args:
        settings: Which of the two.
    """

    def __init__(self, settings: WorthSettings) -> None:
        self.rewards: Composite | None = settings.rewards.build() if settings.rewards is not None else None
        self._outcome = Outcome(settings.reward)

    @property
    def stateful(self) -> dict[str, Stateful]:
        """What rewards remember from batch to batch; checkpoints keep it."""
        return {"rewards": self.rewards} if self.rewards is not None else {}

    def of(self, model: Any, transcripts: Sequence[Transcript], temperature: float) -> list[float | None]:
        """Return the reward of each rollout.

        Args:
            model: The policy, for rewards that ask what it knows of its tokens.
            transcripts: The rollouts; those of a group are of the same task and seed.
            temperature: At which they were sampled.
        """
        if self.rewards is None or not transcripts:
            return self._outcome([item.episode.score() for item in transcripts])
        runs = [Run.of(item.episode) for item in transcripts]
        if self.rewards.needs_signals:
            from telegym.agents.signals import signals_of_transcripts

            found = signals_of_transcripts(model, transcripts, temperature=temperature)
            for run, signals in zip(runs, found, strict=True):
                run.signals = signals
        scores = self.rewards.score(runs)
        failed = [score.failure.message for score in scores if score.failure is not None]
        if failed:
            logger.warning("%d of %d rollouts have no reward; the first: %s", len(failed), len(scores), failed[0])
        return [score.value for score in scores]


class GroupCollector(PlayingCollector[S]):
    """Plays each task several times, and learns from a choice of the rollouts.

    Args:
        scene: Where it plays.
        settings: How much, and what rollouts are worth.
    """

    def __init__(self, scene: Scene, settings: S) -> None:
        super().__init__(scene, settings)
        self._worth = Worth(settings)

    @property
    def stateful(self) -> dict[str, Stateful]:
        """What is remembered from round to round."""
        return self._worth.stateful

    def play(self, model: Any, number: int, rows: Sequence[TaskRow], found: Collection) -> list[Episode]:
        """Play tasks several times each, and choose what is learnt from."""
        groups = self._groups(model, number, rows)
        self.choose(model, rows, groups, found)
        return [item.episode for group in groups for item, _ in group]

    @abstractmethod
    def choose(
        self, model: Any, rows: Sequence[TaskRow], groups: Sequence[Sequence[Valued]], found: Collection
    ) -> None:
        """Choose what is learnt from.

        Args:
            model: The policy.
            rows: The tasks.
            groups: Rollouts of each task with their rewards.
            found: Gets what is learnt from, and figures.
        """

    def _groups(self, model: Any, number: int, rows: Sequence[TaskRow]) -> list[list[Valued]]:
        """Return the rollouts of each task with their rewards."""
        scene, rollouts = self._scene, self._settings.rollouts
        record = True if self._worth.rewards is not None else None
        episodes = [scene.episode(row, record) for row in rows for _ in range(rollouts)]
        seeds = [seed for row in rows for take in range(rollouts) for seed in scene.seeds(number, [row], take)]
        played = scene.play(model, number, episodes, seeds)
        values = self._worth.of(model, played, scene.context.recipe.rollout.temperature)
        valued = list(zip(played, values, strict=True))
        return [valued[start : start + rollouts] for start in range(0, len(valued), rollouts)]
