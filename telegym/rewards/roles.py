"""Roles: what a component of a composition is for whoever reads its scores, and what its verdicts really took.

Scores on disk name the role of each component, so that a report knows whom to believe: the outcome and the oracle's
view tell the truth, the observable view and other rules follow from what was seen, judges can be mistaken.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from telegym.core.trajectory import Trajectory
from telegym.rewards.base import Reward
from telegym.rewards.cache import Cached
from telegym.rewards.compose import Composite
from telegym.rewards.grm.asking import Tally
from telegym.rewards.outcome import EnvironmentOutcome
from telegym.rewards.verdict import View

__all__ = ["USAGE_SUFFIX", "Role", "calls_shown", "length_of", "roles_of", "usage_of"]

Role = Literal["outcome", "oracle", "observable", "rule", "judge"]
"""The environment's own score; a view of the auditor; another rule; something that words could sway."""
USAGE_SUFFIX = ".usage.json"
"""Ending of the file beside scores that says what was really used."""

_SHOWN = 300


def roles_of(composite: Composite) -> dict[str, str]:
    """Return the role of each component, by name."""
    outcome = composite.combination.outcome
    return {name: "outcome" if name == outcome else _role(each) for name, each in composite.components.items()}


def _role(component: Reward) -> Role:
    inner = _inner(component)
    view = getattr(inner, "view", None)
    if isinstance(view, View):
        return "oracle" if view is View.ORACLE else "observable"
    if isinstance(inner, EnvironmentOutcome):
        return "outcome"
    return "judge" if inner.persuadable else "rule"


def _inner(component: Reward) -> Reward:
    return component.reward if isinstance(component, Cached) else component


def usage_of(composite: Composite) -> dict[str, dict[str, int]]:
    """Return what components have really used so far, by name: counters of a judgement say what it took at first.

    `cached` are answers that came from a store of answers, `kept` whole scores that came from a cache of scores.
    Components that count nothing are left out.
    """
    found = {}
    for name, component in composite.components.items():
        used = _used(_inner(component))
        if isinstance(component, Cached):
            used["kept"] = component.hits
        if used:
            found[name] = used
    return found


def _used(reward: Reward) -> dict[str, int]:
    known = {"": getattr(reward, "tally", None), **getattr(reward, "tallies", {})}
    tallies = {id(each): each for each in known.values() if isinstance(each, Tally)}
    names = ("requests", "cached", "failures", "retries", "prompt_tokens", "completion_tokens")
    return {name: sum(getattr(each, name) for each in tallies.values()) for name in names} if tallies else {}


def length_of(trajectory: Trajectory) -> int:
    """Return how many characters stand in the agent's name: its words, and names and arguments of its calls."""
    messages = [message for message in trajectory.messages if message.role == "assistant"]
    words = sum(len(message.content or "") for message in messages)
    return words + sum(len(_text(call.name, call.arguments, call.raw)) for each in messages for call in each.tool_calls)


def calls_shown(trajectory: Trajectory) -> list[str]:
    """Return each call in one line of at most 300 characters, the user's included, by their positions."""
    calls = (entry.call for entry in trajectory.calls)
    return [_text(call.name, call.arguments, call.raw)[:_SHOWN] for call in calls]


def _text(name: str, arguments: dict[str, Any], raw: str | None) -> str:
    return raw if raw is not None else f"{name} {json.dumps(arguments, ensure_ascii=False)}"
