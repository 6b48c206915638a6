"""What a case took, against a player who knew no more than the agent could: the blind expert.

A clairvoyant reference would punish honest diagnosis. The expert's cost of a task is worked out when it is asked for,
and kept. Where the expert does not solve a task, the reference is the oracle's cost and what diagnoses usually add to
it.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock
from typing import TYPE_CHECKING

from telegym.core.episode import Episode
from telegym.envs.base_station.players.expert import expert
from telegym.envs.base_station.players.oracle import oracle
from telegym.envs.base_station.players.steps import play, without_repeats
from telegym.rewards.reasonableness.base_station.case import Act, Case

if TYPE_CHECKING:
    from telegym.envs.base_station.players.steps import Player

__all__ = ["cost", "efficiency", "reference_cost"]

READ, WRITE, TALK, OUTAGE = 1.0, 2.0, 3.0, 5.0
"""What calls count: one that reads, one that changes or sends, a question to the requester, and what each call that
interrupts service for users counts in addition."""
BLIND_FACTOR = 1.5
"""By what the oracle's cost is multiplied; over 160 tasks the expert made 1.56 times as many calls in all."""
_KEPT = 4096
_COSTS: OrderedDict[str, float] = OrderedDict()
_LOCK = Lock()


def cost(acts: Iterable[Act]) -> float:
    """Return what calls count together."""
    return sum(_cost(act) for act in acts)


def _cost(act: Act) -> float:
    if act.tool == "ask_requester":
        return TALK
    interrupts = act.facts.service_affecting and act.facts.users > 0 and not act.failed
    return (READ if act.reads or not act.changes else WRITE) + OUTAGE * interrupts


def efficiency(case: Case) -> float | None:
    """Return the reference's cost by the agent's, at most 1; None for a case that was not solved."""
    if not case.acts or not case.episode.score().success:
        return None
    return min(1.0, reference_cost(case.episode) / cost(case.acts))


def reference_cost(episode: Episode) -> float:
    """Return what the blind expert's play of a task counts, with the tools and the policy of an episode."""
    key = f"{episode.task.id}/{json.dumps(episode.environment.options, sort_keys=True)}"
    with _LOCK:
        known = _COSTS.get(key)
    if known is not None:
        return known
    value = _measured(episode)
    with _LOCK:
        _COSTS[key] = value
        while len(_COSTS) > _KEPT:
            _COSTS.popitem(last=False)
    return value


def _measured(episode: Episode) -> float:
    solved, value = _played(episode, expert)
    return value if solved else BLIND_FACTOR * _played(episode, oracle)[1]


def _played(episode: Episode, player: Player) -> tuple[bool, float]:
    made = play(Episode(episode.environment, episode.task, episode.seed, record=False), without_repeats(player))
    return made.score().success, cost(Case(made).acts)
