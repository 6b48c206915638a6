"""Where a group of rollouts forks: the turn from which other continuations are tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Literal

from telegym.core.messages import Message

if TYPE_CHECKING:
    from telegym.agents.training.rollouts import Transcript

__all__ = ["Choice", "ForkPoint", "fork_point"]

Choice = Literal["entropy", "divergence", "random"]
"""How the turn is chosen."""


@dataclass(frozen=True, slots=True)
class ForkPoint:
    """A turn to branch at."""

    rollout: int
    """Position of the rollout in its group."""
    turn: int
    """The first turn that is played anew, from 0."""


def fork_point(group: Sequence[Transcript], choose: Choice, rng: Random) -> ForkPoint | None:
    """Choose a turn of a group, or None if no rollout has played one.

    - `entropy`: the turn with the highest surprisal (mean negative log-probability of its tokens, in nats), an
      estimate of the policy's entropy there from one sample; the first of equals;
    - `divergence`: the first turn in which what the rollouts do differs, of any of them; where they never differ, as
      `random`;
    - `random`: any turn of any rollout.

    Args:
        group: Rollouts of one task and seed, played to their ends.
        choose: How.
        rng: Decides what is left to chance.
    """
    places = [ForkPoint(i, turn) for i, item in enumerate(group) for turn in range(_played(item))]
    if choose == "divergence":
        places = _diverging(group, places) or places
    if not places:
        return None
    if choose == "entropy":
        return max(
            places, key=lambda place: (_surprisal(group[place.rollout], place.turn), -place.turn, -place.rollout)
        )
    return rng.choice(places)


def _played(item: Transcript) -> int:
    """Return how many turns can be taken back: one that was cut off by the limit of tokens was never played."""
    return min(len(item.turns), item.episode.turn)


def _surprisal(item: Transcript, turn: int) -> float:
    start, end = item.turns[turn]
    return -sum(item.logprobs[start:end]) / (end - start) if end > start else 0.0


def _diverging(group: Sequence[Transcript], places: Sequence[ForkPoint]) -> list[ForkPoint]:
    for turn in sorted({place.turn for place in places}):
        here = [place for place in places if place.turn == turn]
        if len({_said(group[place.rollout].episode.actions[turn]) for place in here}) > 1:
            return here
    return []


def _said(action: str | Message) -> str:
    return action if isinstance(action, str) else action.model_dump_json()
