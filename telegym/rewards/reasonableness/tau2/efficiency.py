"""Efficiency: what the calls cost compared with a player who knows no more than the agent.

A clairvoyant player needs no diagnosis; measured against one, honest looking would count as waste. So the measure is
the expert of the environment, who sees only what the agent sees and looks in the order of the manual.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from telegym.core.environment import Environment
from telegym.core.episode import Episode
from telegym.core.task import Task
from telegym.envs.extended import ExtendedEnvironment
from telegym.envs.tau2_telecom.environment import Tau2Telecom

__all__ = ["COSTS", "efficiency", "telecom_of"]

COSTS = {"read": 1.0, "write": 2.0, "control": 1.0, "turn": 3.0}
"""What a call of each kind costs, and a turn of the conversation."""

_KEPT = 4096
_par: OrderedDict[tuple[str, str, int], tuple[Task, float | None]] = OrderedDict()
_lock = Lock()


def telecom_of(environment: Environment) -> Tau2Telecom:
    """Return the environment itself, or the one it extends with tools."""
    while isinstance(environment, ExtendedEnvironment):
        environment = environment.inner
    assert isinstance(environment, Tau2Telecom)
    return environment


def efficiency(episode: Episode) -> float | None:
    """Return the expert's cost divided by the agent's, at most 1; None if the expert does not solve the task."""
    par = _expert_cost(episode)
    return None if par is None else min(1.0, par / max(_cost(episode), 1.0))


def _cost(episode: Episode) -> float:
    total = 0.0
    for record in episode.calls:
        tool = episode.toolkit.get(record.call.name)
        if record.call.requestor == "assistant":
            total += COSTS[tool.kind] if tool is not None else COSTS["read"]
    said = (message for message in episode.messages if message.role == "assistant" and not message.tool_calls)
    return total + COSTS["turn"] * sum(1 for _ in said)


def _expert_cost(episode: Episode) -> float | None:
    environment = telecom_of(episode.environment)
    key = (episode.task.id, environment.mode, episode.seed)
    with _lock:
        kept = _par.get(key)
    if kept is not None and kept[0] is episode.task:
        return kept[1]
    found = _play(environment, episode)
    with _lock:
        _par[key] = (episode.task, found)
        while len(_par) > _KEPT:
            _par.popitem(last=False)
    return found


def _play(environment: Tau2Telecom, episode: Episode) -> float | None:
    """Let the expert play the task; None if it fails, or if that would take a user played by a model."""
    if environment.mode == "dual" and environment.user_spec != "scripted":
        return None
    played = Episode(environment, episode.task, episode.seed, record=False)
    while not played.done:
        played.step(environment.expert(played))
    return _cost(played) if played.score().success else None
