"""Replay: play a recorded trajectory again and compare every byte."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import ClassVar, Self

from telegym.core.environment import Environment
from telegym.core.episode import EndReason, Episode, Limits
from telegym.core.errors import InfrastructureError
from telegym.core.messages import Message
from telegym.core.trajectory import Trajectory
from telegym.core.user import User
from telegym.core.world import Change, diff_states

__all__ = ["replay", "replay_episode"]


class _RecordedUser(User):
    """Says again what a user said in a recording; stands in for users that are not deterministic."""

    deterministic: ClassVar[bool] = False

    def __init__(self, replies: Iterable[Message]) -> None:
        self._replies = tuple(replies)
        self._next = 0

    def respond(self, incoming: Sequence[Message]) -> Message:
        """Return the next recorded message."""
        if self._next == len(self._replies):
            raise InfrastructureError("the recording has no further message of the user")
        self._next += 1
        return self._replies[self._next - 1]

    def fork(self) -> Self:
        """Return a copy at the same place."""
        copy = type(self)(self._replies)
        copy._next = self._next
        return copy


def replay_episode(trajectory: Trajectory, environment: Environment) -> Episode:
    """Play a recording again and return the episode.

    Args:
        trajectory: The recording.
        environment: An environment equal to the recorded one.

    Raises:
        TeleGymError: If the episode ends before the recorded actions do.
    """
    user = environment.user(trajectory.task, trajectory.seed)
    if user is not None and not user.deterministic:
        user = _RecordedUser(message for message in trajectory.messages if message.role == "user")
    limits = Limits.model_validate(trajectory.limits)
    episode = Episode(environment, trajectory.task, trajectory.seed, limits, user)
    for action in trajectory.actions:
        episode.step(action)
    if episode.end is None and trajectory.end is not None:
        episode.truncate(EndReason(trajectory.end), trajectory.score.failure)
    return episode


def replay(trajectory: Trajectory, environment: Environment) -> list[Change]:
    """Play a recording again and compare every byte.

    Args:
        trajectory: The recording.
        environment: An environment equal to the recorded one.

    Returns:
        Every leaf that differs, with its path; empty if the recording is reproduced exactly.
    """
    again = replay_episode(trajectory, environment).trajectory(trajectory.agent)
    return list(diff_states(json.loads(trajectory.to_json()), json.loads(again.to_json())))
