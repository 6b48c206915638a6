"""The oracle's play of a case, whatever tools the agent has: where the par of a task comes from, and whether it is one.

A task is accepted if the oracle solves it, within its limits, without breaking a rule.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from telegym.core.episode import Episode
from telegym.core.task import Task
from telegym.envs.base_station.outcome import Par, measured_par, violations_of
from telegym.envs.base_station.players.oracle import oracle
from telegym.envs.base_station.players.steps import play

if TYPE_CHECKING:
    from telegym.envs.base_station.environment import BaseStation

__all__ = ["accepted_par", "reference_play"]


@lru_cache(maxsize=32)
def _environment(policy: str) -> BaseStation:
    from telegym.envs.base_station.environment import BaseStation

    return BaseStation(count=0, policy=policy)


def reference_play(task: Task, policy: str = "train-1") -> Episode:
    """Return a finished episode of a task, played by the oracle with all tools.

    Args:
        task: The task.
        policy: Version of the policy.
    """
    return play(Episode(_environment(policy), task, record=False), oracle)


def accepted_par(task: Task) -> Par | None:
    """Return the par of a task; None if the oracle does not solve it, or not within the policy.

    Args:
        task: The task, without a par.
    """
    played = reference_play(task)
    par = measured_par(played)
    rated = task.model_copy(update={"data": {**task.data, "par": list(par)}})
    judged = _with_task(played, rated)
    return par if judged.score().success and not violations_of(judged) else None


def _with_task(episode: Episode, task: Task) -> Episode:
    copy = episode.fork()
    copy.task = task
    return copy
