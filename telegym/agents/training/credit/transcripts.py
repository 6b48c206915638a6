"""Transcripts as the rollouts that schemes of credit know."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from telegym.agents.training.credit.blame import blamed_turns
from telegym.agents.training.credit.counterfactual import Worth, worth_of_turns
from telegym.agents.training.credit.rollout import CallValue, Need, Rollout
from telegym.core.score import Score
from telegym.core.world import sha256_hex

if TYPE_CHECKING:
    from telegym.agents.training.rollouts import Transcript

__all__ = ["rollouts_of"]


def rollouts_of(
    transcripts: Sequence[Transcript],
    values: Sequence[float | None],
    advantages: Sequence[float],
    scores: Sequence[Score],
    needs: Collection[Need],
    worth: Worth | None = None,
    budget: int = 0,
) -> list[Rollout]:
    """Return what schemes know of transcripts.

    Args:
        transcripts: Episodes with their tokens, played to their ends.
        values: The reward of each; None where it failed.
        advantages: The trainer's advantage of each.
        scores: For each, the score whose `calls` are the calls' values.
        needs: What is measured.
        worth: What an episode is worth, for counterfactuals.
        budget: The most calls of a rollout that are tried without.
    """
    forks = _forks(transcripts)
    return [
        Rollout(
            group=f"{item.episode.task.id}#{item.episode.seed}",
            value=values[index],
            turns=len(item.turns),
            advantage=advantages[index],
            blamed=tuple(blamed_turns(item)) if item.components else (True,) * len(item.turns),
            components=tuple(item.components),
            calls=_calls(item, scores[index]) if "call values" in needs else (),
            situations=_situations(item) if "situations" in needs else (),
            counterfactuals=_counterfactuals(item, worth, budget) if "counterfactuals" in needs else (),
            fork=forks[index],
            forked_at=_forked_at(item, transcripts),
            branch=item.parent is not None,
        )
        for index, item in enumerate(transcripts)
    ]


def _forks(transcripts: Sequence[Transcript]) -> list[str | None]:
    """Name the fork each transcript takes part in, as parent or as branch."""
    parents = [item.parent for item in transcripts if item.parent is not None]
    places = {id(item): index for index, item in enumerate(transcripts)}
    mine = [item if item.parent is None else item.parent for item in transcripts]
    return [f"fork of {places[id(item)]}" if any(item is parent for parent in parents) else None for item in mine]


def _forked_at(item: Transcript, transcripts: Sequence[Transcript]) -> int:
    if item.parent is not None:
        return item.forked_at
    return next((other.forked_at for other in transcripts if other.parent is item), 0)


def _calls(item: Transcript, score: Score) -> tuple[CallValue, ...]:
    found: list[CallValue] = []
    for record in item.episode.calls:
        if record.call.requestor == "assistant" and 0 < record.turn <= len(item.turns):
            place = sum(call.turn == record.turn - 1 for call in found)
            value = score.calls[record.index] if record.index < len(score.calls) else None
            found.append(CallValue(record.turn - 1, place, value))
    return tuple(found)


def _situations(item: Transcript) -> tuple[tuple[str, str], ...]:
    """Return what each turn began with: the state of the world, and what the agent was told last."""
    told = [sha256_hex(text) for text in _told(item)]
    return tuple(zip(item.situations[: len(item.turns)], told[: len(item.turns)], strict=True))


def _told(item: Transcript) -> list[str]:
    """Return for each turn what came between the agent's message before it and its own."""
    pieces, piece = [], ""
    for message in item.episode.agent_messages():
        if message.role == "assistant":
            pieces.append(piece)
            piece = ""
        else:
            piece += f"{message.role}\n{message.content or ''}\n"
    return [*pieces, piece]


def _counterfactuals(item: Transcript, worth: Worth | None, budget: int) -> tuple[float, ...]:
    if worth is None:
        raise ValueError("counterfactuals need `worth`: what an episode is worth")
    changed = frozenset(
        turn
        for turn, (before, after) in enumerate(zip(item.components, item.components[1:], strict=False))
        if before != after
    )
    return worth_of_turns(item.episode, len(item.turns), worth, budget, changed)
