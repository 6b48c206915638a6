"""Blame: which turns of a failed episode have to answer for it.

A trajectory's advantage falls on all its tokens alike, though most turns of a failed episode are as they should be. The
environment's own score tells more: a component that falls in a turn (something was damaged, a rule broken, the end
declared with the goal unmet) is that turn's doing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telegym.agents.training.rollouts import Transcript

__all__ = ["blamed_turns"]


def blamed_turns(transcript: Transcript) -> list[bool]:
    """Return for each turn of a failed episode whether it is to blame.

    Those turns are to blame in which a component of the score fell or a call failed. Where this finds none, all are.

    Args:
        transcript: An episode whose score was watched.
    """
    known = dict(transcript.components[0]) if transcript.components else {}
    blamed = [False] * len(transcript.turns)
    for turn, components in enumerate(transcript.components[1:]):
        blamed[turn] = any(value < known.get(name, 1.0) for name, value in components.items())
        known.update(components)
    failed = {record.turn for record in transcript.episode.calls if record.error is not None}
    blamed = [fell or turn in failed for turn, fell in enumerate(blamed, start=1)]
    return blamed if any(blamed) else [True] * len(blamed)
