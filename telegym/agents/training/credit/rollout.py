"""What schemes of credit know of a rollout: numbers and names, neither tokens nor episodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Advantages", "CallValue", "Need", "Rollout"]

Advantages = list[list[float]]
"""The advantage of each turn of each rollout."""

Need = Literal["groups", "components", "situations", "call values", "counterfactuals", "branches"]
"""What has to be measured for a scheme. `groups`: all rollouts of a group are known to one process."""


@dataclass(frozen=True, slots=True)
class CallValue:
    """What a call of the agent is worth."""

    turn: int
    """The turn it was made in, from 0."""
    place: int
    """Its place among the agent's calls of this turn, from 0."""
    value: float | None
    """The value a reward gave it; None where it has none."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One rollout of a batch."""

    group: str
    """Rollouts of a group are of the same task and seed."""
    value: float | None
    """The reward; None if it failed: the rollout then neither gets credit nor counts for others."""
    turns: int
    """How many turns of the model it has."""
    advantage: float = 0.0
    """The advantage that the trainer gave the rollout as a whole."""
    blamed: tuple[bool, ...] = ()
    """Whether each turn is to blame for a failure (`blamed_turns`)."""
    components: tuple[dict[str, float], ...] = ()
    """Components of the score before the first turn and after each turn, where they were watched. A turn that was cut
    off has none."""
    calls: tuple[CallValue, ...] = ()
    """The agent's calls in order."""
    situations: tuple[tuple[str, str], ...] = ()
    """For each turn, a digest of the world's state before it and one of what the agent was told last."""
    counterfactuals: tuple[float, ...] = ()
    """For each turn, the score minus that of the same rollout without one call of the turn, summed over its calls."""
    fork: str | None = None
    """Name of the fork, which the rollout that goes on there and its branches have in common."""
    forked_at: int = 0
    """The first turn after the fork, from 0."""
    branch: bool = False
    """Whether the turns before the fork are another rollout's: they get no credit here."""

    @property
    def own(self) -> range:
        """The turns that were sampled in this rollout."""
        return range(self.forked_at if self.branch else 0, self.turns)
