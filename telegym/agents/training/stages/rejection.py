"""Rejection sampling: of several rollouts of a task the best are learnt from, token by token as they were sampled.

One round is rejection-sampling fine-tuning (RFT, arXiv:2308.01825); several, each with the policy that the last one
left, are expert iteration as in ReST-EM (arXiv:2312.06585).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from telegym.agents.training.grpo import Outcome
from telegym.agents.training.keeping import Stateful
from telegym.agents.training.rollouts import Transcript, play
from telegym.agents.training.stages.items import Example
from telegym.agents.training.stages.playing import Scene, TaskRow
from telegym.agents.training.stages.settings import RejectionSettings, WorthSettings
from telegym.agents.training.stages.trainer import Collection
from telegym.rewards.base import Run
from telegym.rewards.compose import Composite

__all__ = ["RejectionCollector", "Valued", "Worth", "best_of", "example_of", "play_groups"]

logger = logging.getLogger(__name__)

Valued = tuple[Transcript, float | None]
"""A rollout and its reward; None if it has none, for a judge or the infrastructure failed."""


def example_of(transcript: Transcript) -> Example:
    """Return a rollout with all tokens that were sampled in it to be learnt."""
    ids = transcript.prompt + transcript.completion
    drawn = [value for value, own in zip(transcript.logprobs, transcript.mask, strict=True) if own]
    return Example(ids, [0] * len(transcript.prompt) + transcript.mask, drawn, prompt=len(transcript.prompt))


def best_of(group: Sequence[Valued], settings: RejectionSettings) -> list[Transcript]:
    """Return the rollouts of a task that are learnt from, best first; the earlier of two that are equally good.

    Args:
        group: Rollouts of one task with their rewards. Those without a reward do not count.
        settings: How many, and which.
    """
    valued = [(item, value) for item, value in group if value is not None]
    passed = [(item, value) for item, value in valued if value >= settings.threshold - 1e-9]
    if not passed or len(passed) / len(valued) > settings.easiest:
        return []
    usable = [pair for pair in passed if settings.truncated or not pair[0].episode.truncated]
    usable.sort(key=lambda pair: -pair[1])
    if settings.distinct:
        usable = list({tuple(item.completion): (item, value) for item, value in reversed(usable)}.values())[::-1]
        usable.sort(key=lambda pair: -pair[1])
    return [item for item, _ in usable[: settings.keep]]


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


def play_groups(
    scene: Scene, worth: Worth, model: Any, number: int, rows: Sequence[TaskRow], rollouts: int, logprobs: bool = False
) -> list[list[Valued]]:
    """Play each task several times; return the rollouts with their rewards, task by task.

    Args:
        scene: Where.
        worth: Says what rollouts are worth.
        model: The policy.
        number: The round.
        rows: The tasks.
        rollouts: How often each is played.
        logprobs: Whether to keep the log-probability of each sampled token.
    """
    record = True if worth.rewards is not None else None
    episodes = [scene.episode(row, record) for row in rows for _ in range(rollouts)]
    seeds = [seed for row in rows for take in range(rollouts) for seed in scene.seeds(number, [row], take)]
    settings = scene.context.recipe.rollout
    title = f"round {number + 1}, rollouts"
    with scene.context.progress(title, len(episodes)) as bar:
        played = play(
            scene.engine(model, logprobs), scene.codec, episodes, seeds, settings.completion_tokens,
            lambda _: bar.advance(),
        )  # fmt: skip
    values = worth.of(model, played, settings.temperature)
    valued = list(zip(played, values, strict=True))
    return [valued[start : start + rollouts] for start in range(0, len(valued), rollouts)]


class RejectionCollector:
    """Plays tasks several times and keeps the best rollouts.

    Args:
        scene: Where it plays.
        settings: How many, and which are kept.
    """

    def __init__(self, scene: Scene, settings: RejectionSettings) -> None:
        self._scene = scene
        self._settings = settings
        self._worth = Worth(settings)

    @property
    def stateful(self) -> dict[str, Stateful]:
        """What is remembered from round to round."""
        return self._worth.stateful

    def collect(self, model: Any, number: int, rank: int, world: int) -> Collection:
        """Play the part of a process in a round."""
        rows = self._scene.rows(number, rank, world)
        groups = play_groups(self._scene, self._worth, model, number, rows, self._settings.rollouts)
        found = Collection()
        for row, group in zip(rows, groups, strict=True):
            kept = best_of(group, self._settings)
            found.items += [(row.number, example_of(item)) for item in kept]
            found.figures.setdefault("rejection/kept", []).append(len(kept) / len(group))
            found.figures.setdefault("rejection/tasks", []).append(float(bool(kept)))
            rewards = [value for _, value in group if value is not None]
            found.figures.setdefault("reward", []).extend(rewards)
        episodes = [item.episode for group in groups for item, _ in group]
        self._scene.describe(found, episodes)
        self._scene.keep(number, rank, episodes)
        return found
