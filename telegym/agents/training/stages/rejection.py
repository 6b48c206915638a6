"""Rejection sampling: of several rollouts of a task the best are learnt from, token by token as they were sampled.

One round is rejection-sampling fine-tuning (RFT, arXiv:2308.01825); several, each with the policy that the last one
left, are expert iteration as in ReST-EM (arXiv:2312.06585).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from telegym.agents.training.rollouts import Transcript
from telegym.agents.training.stages.groups import GroupCollector, Valued
from telegym.agents.training.stages.items import Example
from telegym.agents.training.stages.playing import TaskRow
from telegym.agents.training.stages.settings import RejectionSettings
from telegym.agents.training.stages.trainer import Collection

__all__ = ["RejectionCollector", "best_of", "example_of"]


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


class RejectionCollector(GroupCollector[RejectionSettings]):
    """Plays tasks several times and keeps the best rollouts."""

    def choose(
        self, model: Any, rows: Sequence[TaskRow], groups: Sequence[Sequence[Valued]], found: Collection
    ) -> None:
        """Keep the best rollouts of each task."""
        for row, group in zip(rows, groups, strict=True):
            kept = best_of(group, self._settings)
            found.items += [(row.number, example_of(item)) for item in kept]
            found.figures.setdefault("rejection/kept", []).append(len(kept) / len(group))
            found.figures.setdefault("rejection/tasks", []).append(float(bool(kept)))
            rewards = [value for _, value in group if value is not None]
            found.figures.setdefault("reward", []).extend(rewards)
