"""Recorded trajectories as tokens: what is in the files of runs, evaluations and other agents can be learnt from.

A trajectory is rendered anew for the model that learns: the opening through its chat template, turns and answers behind
it as in a rollout. So whoever played, and with whatever template, the tokens are those this model would see.
"""

from __future__ import annotations

import glob
import json
import logging
import re
from collections.abc import Iterable, Iterator, Sequence

from telegym.agents.prompting import ChatCodec
from telegym.agents.training.grpo import Outcome
from telegym.agents.training.stages.items import Example
from telegym.agents.training.stages.settings import TrajectoryFilter, WorthSettings
from telegym.core.environment import Environment
from telegym.core.episode import Episode
from telegym.core.errors import ConfigurationError, InfrastructureError, TeleGymError
from telegym.core.replay import replay_episode
from telegym.core.trajectory import Trajectory, read_trajectories
from telegym.envs.registry import make_environment
from telegym.rewards.base import Run

__all__ = ["Reader", "examples_of", "recorded_rewards", "trajectories_in"]

logger = logging.getLogger(__name__)


def trajectories_in(files: Iterable[str]) -> Iterator[Trajectory]:
    """Yield the trajectories of files, in the order of their names.

    Args:
        files: Files and patterns.

    Raises:
        ConfigurationError: If there is no such file.
        InfrastructureError: If a file cannot be read.
    """
    for pattern in files:
        found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 (absolute and relative patterns alike)
        if not found:
            raise ConfigurationError(f"no file of trajectories {pattern!r}")
        for path in found:
            yield from read_trajectories(path)


class Reader:
    """Turns trajectories into tokens, and plays them again.

    Args:
        codec: Of the model that learns.
        raw: Whether turns are the text that was written, rather than calls in the form in which they are shown.
        failed_turns: Whether turns are learnt in which a call failed.
    """

    def __init__(self, codec: ChatCodec, raw: bool = False, failed_turns: bool = True) -> None:
        self._codec = codec
        self._raw = raw
        self._failed_turns = failed_turns
        self._environments: dict[str, Environment] = {}

    def example(self, trajectory: Trajectory, tokens: int) -> Example | None:
        """Return the tokens of a trajectory.

        Args:
            trajectory: What was recorded.
            tokens: The most tokens.

        Returns:
            The tokens, or None if it needs more of them or has nothing to learn.
        """
        seen = [message for message in trajectory.messages if message.visible_to_agent]
        places = [place for place, message in enumerate(seen) if message.role == "assistant"]
        if not places:
            return None
        environment = self._environment(trajectory)
        task = trajectory.task
        ids = self._codec.begin(environment.instructions(task), environment.toolkit(task), seen[: places[0]])
        prompt = len(ids)
        mask = [0] * prompt
        for number, (place, behind) in enumerate(zip(places, [*places[1:], len(seen)], strict=True)):
            answers = seen[place + 1 : behind]
            action = trajectory.actions[number]
            turn = self._codec.turn(action if self._raw and isinstance(action, str) else seen[place])
            learnt = self._failed_turns or not any(answer.error for answer in answers)
            ids, mask = ids + turn, mask + [int(learnt)] * len(turn)
            if behind < len(seen):
                suffix = self._codec.suffix(answers)
                ids, mask = ids + suffix, mask + [0] * len(suffix)
        return Example(ids, mask, prompt=prompt) if any(mask) and len(ids) <= tokens else None

    def reopen(self, trajectory: Trajectory) -> Episode:
        """Return the episode of a trajectory, played again.

        Raises:
            InfrastructureError: If it cannot be played again.
        """
        try:
            return replay_episode(trajectory, self._environment(trajectory))
        except ConfigurationError:
            raise
        except TeleGymError as error:
            raise InfrastructureError(f"task {trajectory.task.id!r} cannot be played again: {error}") from error

    def _environment(self, trajectory: Trajectory) -> Environment:
        key = json.dumps([trajectory.environment, trajectory.options])
        if key not in self._environments:
            self._environments[key] = make_environment(trajectory.environment, **trajectory.options)
        return self._environments[key]


def recorded_rewards(reader: Reader, settings: WorthSettings, trajectories: Sequence[Trajectory]) -> list[float | None]:
    """Return what trajectories are worth.

    Args:
        reader: Plays them again for rewards that look into the simulator.
        settings: Says by what.
        trajectories: The recordings.

    Raises:
        ConfigurationError: If a reward asks for what only the policy that played could tell.
    """
    if settings.rewards is None:
        return Outcome(settings.reward)([each.score for each in trajectories])
    rewards = settings.rewards.build()
    if rewards.needs_signals:
        raise ConfigurationError("rewards of recorded trajectories cannot go by log-probabilities, which no file has")
    return [score.value for score in rewards.score([Run(trajectory=t, reopen=reader.reopen) for t in trajectories])]


def examples_of(codec: ChatCodec, settings: TrajectoryFilter, tokens: int) -> list[Example]:
    """Return what is learnt from files of trajectories.

    Args:
        codec: Of the model that learns.
        settings: Which files, and which trajectories in them.
        tokens: The most tokens of a conversation.
    """
    reader = Reader(codec, settings.raw, settings.failed_turns)
    everything = list(trajectories_in(settings.files))
    chosen = [each for each in everything if _passes(each, settings)]
    rewards: Sequence[float | None] = [each.score.value for each in chosen]
    if settings.least_reward is not None:
        rewards = recorded_rewards(reader, settings, chosen)
    rated = [
        (each, reward)
        for each, reward in zip(chosen, rewards, strict=True)
        if reward is not None and (settings.least_reward is None or reward >= settings.least_reward - 1e-9)
    ]
    found = [each for each in (reader.example(t, tokens) for t in _best_of_tasks(rated, settings.per_task)) if each]
    if settings.distinct:
        found = list({tuple(each.ids): each for each in reversed(found)}.values())[::-1]
    logger.info("%d of %d trajectories are learnt from", len(found), len(everything))
    return found


def _passes(trajectory: Trajectory, settings: TrajectoryFilter) -> bool:
    score = trajectory.score
    if score.value is None or (settings.success and not score.success):
        return False
    errors = sum(entry.error is not None and entry.call.requestor == "assistant" for entry in trajectory.calls)
    return (
        (settings.least_value is None or score.value >= settings.least_value - 1e-9)
        and (settings.most_errors is None or errors <= settings.most_errors)
        and (settings.most_turns is None or trajectory.turns <= settings.most_turns)
        and all(score.components.get(name, -1e9) >= least - 1e-9 for name, least in settings.components.items())
        and not any(re.search(pattern, reason) for pattern in settings.without_reasons for reason in score.reasons)
    )


def _best_of_tasks(rated: Sequence[tuple[Trajectory, float]], most: int | None) -> list[Trajectory]:
    """Return the best trajectories of each task, in their order."""
    if most is None:
        return [trajectory for trajectory, _ in rated]
    by_task: dict[tuple[str, str], list[int]] = {}
    for place, (trajectory, _) in enumerate(rated):
        by_task.setdefault((trajectory.environment, trajectory.task.id), []).append(place)
    kept = {place for places in by_task.values() for place in sorted(places, key=lambda place: -rated[place][1])[:most]}
    return [trajectory for place, (trajectory, _) in enumerate(rated) if place in kept]
