"""An agent that plays recorded trajectories again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from telegym.agents.base import Action, Agent
from telegym.core.episode import EndReason, Episode
from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.trajectory import Trajectory, read_trajectories

__all__ = ["ReplayingAgent"]


class ReplayingAgent(Agent):
    """Gives in each turn what was given in the recording of the same task and seed.

    Where a recording ends before the episode does, the episode is cut off for the recorded reason.

    Args:
        recordings: A file of trajectories (JSON Lines), or trajectories.

    Raises:
        ConfigurationError: In play, if there is no recording of a task with the seed of the episode.
    """

    name = "replay"

    def __init__(self, recordings: str | Path | Iterable[Trajectory]) -> None:
        source = read_trajectories(recordings) if isinstance(recordings, str | Path) else recordings
        self._recordings = {(recording.task.id, recording.seed): recording for recording in source}

    def act(self, episodes: Sequence[Episode]) -> list[Action]:
        """Return the recorded action of each episode's turn."""
        return [self._recorded(episode) for episode in episodes]

    def _recorded(self, episode: Episode) -> Action:
        recording = self._find(episode)
        if episode.turn < len(recording.actions):
            return recording.actions[episode.turn]
        if recording.score.failure is not None:
            return recording.score.failure
        reason = EndReason(recording.end) if recording.end is not None else EndReason.TURN_LIMIT
        episode.truncate(reason)
        return ""

    def _find(self, episode: Episode) -> Trajectory:
        recording = self._recordings.get((episode.task.id, episode.seed))
        if recording is not None:
            return recording
        seeds = sorted(seed for task, seed in self._recordings if task == episode.task.id)
        if seeds:
            text = f"no recording of task {episode.task.id!r} with seed {episode.seed}"
            raise ConfigurationError(f"{text}; recorded seeds: {', '.join(map(str, seeds))}")
        hint = did_you_mean(episode.task.id, sorted({task for task, _ in self._recordings}))
        count = len(self._recordings)
        raise ConfigurationError(f"no recording of task {episode.task.id!r} among the {count} recordings.{hint}")
