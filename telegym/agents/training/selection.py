"""Which rollouts a step learns from: groups that say something, and what becomes of rollouts that are too long.

A group whose rewards are all equal has no advantage: it costs its rollouts and teaches nothing. Dynamic sampling (DAPO,
arXiv 2503.14476) plays groups of other tasks in its place; the deviation filter (RLPR, arXiv 2506.18254) also leaves
out groups that differ by less than groups did of late, where rewards are never quite equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from telegym.core.errors import ConfigurationError
from telegym.core.settings import Settings
from telegym.rewards.probability import DeviationFilter

__all__ = [
    "DeviationSettings",
    "DynamicSamplingSettings",
    "GroupOutcome",
    "OverLong",
    "OverLongSettings",
    "Selection",
    "soft_punishment",
]

SAME = 1e-6
"""Rewards that differ by no more count as equal."""


class DynamicSamplingSettings(Settings):
    """Groups without a difference are replaced by groups of other tasks."""

    rounds: PositiveInt = 3
    """The most rounds of rollouts in a step, the first one included. With 1 nothing is replaced, only left out."""
    by: Literal["reward", "success"] = "reward"
    """What has to differ within a group: the reward, or, as in DAPO, whether the task was solved."""


class DeviationSettings(Settings):
    """Groups whose rewards deviate by less than groups did of late are left out; see `DeviationFilter`."""

    beta: NonNegativeFloat = 0.5
    """Share of the moving average that a group's standard deviation has to reach."""
    decay: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Weight of the past in the moving average."""
    starts: PositiveInt = 6
    """The step, from 1, whose deviations begin the average."""
    filters: PositiveInt = 11
    """The step from which groups are left out; later than `starts`."""

    def build(self) -> DeviationFilter:
        """Return the filter.

        Raises:
            ConfigurationError: If `filters` is not later than `starts`.
        """
        return DeviationFilter(self.beta, self.decay, self.starts, self.filters)


class OverLongSettings(Settings):
    """What becomes of rollouts that are cut off or nearly so."""

    action: Literal["keep", "mask", "punish"] = "keep"
    """`keep`: they are learnt from like others; `mask`: those cut off by a limit are left out of the loss; `punish`:
    length is taken off the reward, softly (DAPO)."""
    limit: PositiveInt | None = None
    """For `punish`: tokens after the prompt from which it is in full; null takes `rollout.completion_tokens`."""
    buffer: PositiveInt = 512
    """For `punish`: over how many tokens below the limit the punishment rises."""
    weight: PositiveFloat = 1.0
    """For `punish`: the full punishment."""

    def build(self, completion_tokens: int) -> OverLong:
        """Return what decides about rollouts.

        Args:
            completion_tokens: The most tokens after a prompt.

        Raises:
            ConfigurationError: If the buffer is longer than the limit.
        """
        return OverLong(self.action, self.limit or completion_tokens, self.buffer, self.weight)


@dataclass(frozen=True, slots=True)
class GroupOutcome:
    """How the rollouts of one group ended."""

    values: tuple[float | None, ...]
    """Reward of each; None where the infrastructure or a judge failed."""
    solved: tuple[bool | None, ...]
    """Whether each solved its task, by the environment's own score; None where that failed."""

    @property
    def successes(self) -> tuple[int, int]:
        """How many solved their task, of how many of which that is known."""
        known = [solved for solved in self.solved if solved is not None]
        return sum(known), len(known)


class Selection:
    """Decides which groups are learnt from, and how often groups are replaced.

    Args:
        sampling: How groups without a difference are replaced; None leaves them as they are.
        deviation: Leaves out groups that deviate too little; None leaves out none.
    """

    def __init__(
        self, sampling: DynamicSamplingSettings | None = None, deviation: DeviationFilter | None = None
    ) -> None:
        self._sampling = sampling
        self.deviation = deviation
        """The filter, with what it remembers."""

    @property
    def rounds(self) -> int:
        """The most rounds in a step."""
        return self._sampling.rounds if self._sampling is not None else 1

    def keeps(self, group: GroupOutcome) -> bool:
        """Return whether a group is learnt from; asking changes nothing."""
        values = [value for value in group.values if value is not None]
        if self._sampling is not None and not _differ(self._measured(group, self._sampling.by)):
            return False
        return self.deviation is None or self.deviation.keeps(values)

    def learn(self, groups: Sequence[GroupOutcome]) -> None:
        """End a step: take note of all groups that were played in it, in order."""
        if self.deviation is not None:
            self.deviation.keep([[value for value in group.values if value is not None] for group in groups])

    def figures(self) -> dict[str, float]:
        """Return what is worth logging of its memory."""
        average = self.deviation.average if self.deviation is not None else None
        return {"selection/deviation": average} if average is not None else {}

    def state(self) -> dict[str, Any]:
        """Return what it remembers, as JSON values."""
        return {"deviation": self.deviation.state() if self.deviation is not None else None}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        if self.deviation is not None and state["deviation"] is not None:
            self.deviation = DeviationFilter.restore(state["deviation"])

    @staticmethod
    def _measured(group: GroupOutcome, by: Literal["reward", "success"]) -> list[float]:
        # A rollout without a reward teaches nothing, whether it solved its task or not.
        pairs = zip(group.values, group.solved, strict=True)
        if by == "reward":
            return [value for value, _ in pairs if value is not None]
        return [float(solved) for value, solved in pairs if value is not None and solved is not None]


def _differ(values: Sequence[float]) -> bool:
    return len(values) > 1 and max(values) - min(values) > SAME


def soft_punishment(length: int, limit: int, buffer: int) -> float:
    """Return what length takes off a reward (DAPO, arXiv 2503.14476, equation 13).

    0 up to `limit - buffer`, then falling evenly, -1 beyond the limit.

    Args:
        length: Tokens of the rollout.
        limit: The most tokens that are welcome.
        buffer: Over how many tokens below the limit the punishment rises.

    Returns:
        A number from -1 to 0.
    """
    free = limit - buffer
    if length <= free:
        return 0.0
    return (free - length) / buffer if length <= limit else -1.0


class OverLong:
    """Decides about rollouts that are too long.

    Args:
        action: `keep`, `mask` or `punish`.
        limit: The most tokens after a prompt that are welcome.
        buffer: Over how many tokens below the limit the punishment rises.
        weight: The full punishment.

    Raises:
        ConfigurationError: If the buffer is longer than the limit.
    """

    def __init__(
        self, action: Literal["keep", "mask", "punish"] = "keep", limit: int = 1, buffer: int = 1, weight: float = 1.0
    ) -> None:
        if action == "punish" and buffer > limit:
            raise ConfigurationError(f"over_long: the buffer of {buffer} tokens is longer than the limit of {limit}")
        self.action, self._limit, self._buffer, self._weight = action, limit, buffer, weight

    def punishment(self, tokens: int, cut: bool) -> float:
        """Return what is added to the reward of a rollout, at most 0.

        Args:
            tokens: Tokens after the prompt, results of tools included.
            cut: Whether it was cut off by a limit on tokens; it then counts as longer than the limit.
        """
        if self.action != "punish":
            return 0.0
        return self._weight * (-1.0 if cut else soft_punishment(tokens, self._limit, self._buffer))

    def masks(self, truncated: bool) -> bool:
        """Return whether a rollout is left out of the loss.

        Args:
            truncated: Whether any limit cut it off.
        """
        return truncated and self.action == "mask"
