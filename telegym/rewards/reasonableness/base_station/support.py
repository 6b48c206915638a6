"""Counterfactuals: what would have become of a case without some of its changes.

The journal keeps the network before every call that may change something, so a case is played again from there. In
place of a call that is left out the same time passes; ids of work orders, change requests and escalations that come
out differently are put in place of the recorded ones.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from telegym.core.messages import ToolCall
from telegym.envs.base_station.facts import make_trace
from telegym.envs.base_station.impact import loss
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.outcome import dealt_with, harmed, left_behind, restored_by_others
from telegym.envs.base_station.policy import judge
from telegym.envs.base_station.process.records import Ticket
from telegym.rewards.reasonableness.base_station.case import Act, Case
from telegym.rewards.reasonableness.elimination import eliminate

__all__ = ["Standing", "Trial", "try_without"]

MOST_TRIALS = 12
"""Changes that are tried without, at most."""
SPARED = 0.02
"""Share of the loss of customers that counts as none."""
SPARED_MIN = 5.0
"""User-minutes that count as none."""
_MADE = {"dispatch_technician": "work_order", "request_change_approval": "change", "escalate_ticket": "escalation"}
"""What the answer of a call that makes a record calls its id."""


class Standing(NamedTuple):
    """Where a case stands at its end."""

    dealt: frozenset[str]
    """Causes that are dealt with."""
    closed: bool
    """Whether the ticket is closed."""
    out: frozenset[str]
    """Cells that are out of service, though they would not be had nobody done anything."""
    left: int
    """What was left behind."""
    lost: float
    """User-minutes that customers lost."""
    broken: Counter[str]
    """Rules that were broken, with how often."""


class Trial(NamedTuple):
    """What was found out about changes."""

    needed: frozenset[int]
    """Calls without which the case would not have ended as well."""
    idle: frozenset[int]
    """Calls that could be left out."""
    harmful: dict[int, str]
    """Calls without which customers would have been served better, with what they cost."""
    trials: int
    """How often the case was played again."""


def try_without(case: Case, candidates: Sequence[Act]) -> Trial:
    """Find out which of some changes were needed, and which did harm.

    Args:
        case: The episode.
        candidates: Changes that nothing speaks for.
    """
    if not candidates or case.truth is None:
        return Trial(frozenset(), frozenset(), {}, 0)
    real = _standing(case, case.network)
    worth: dict[int, str] = {}

    def suffices(dropped: frozenset[int]) -> bool:
        other = _standing(case, _replayed(case, dropped))
        latest = min(dropped)
        harm = _harm(real, other, case.constants.users_lost_min)
        if harm:
            worth.setdefault(latest, harm)
        return _as_good(other, real)

    found = eliminate([act.index for act in candidates], suffices, MOST_TRIALS)
    harmful = {index: text for index, text in worth.items() if index in found.idle}
    return Trial(found.needed, found.idle, harmful, found.forks)


def _as_good(other: Standing, real: Standing) -> bool:
    """Return whether a case ended as well as it really did."""
    more = any(count > real.broken[rule] for rule, count in other.broken.items())
    lost = other.lost > real.lost * (1 + SPARED) + SPARED_MIN
    same = other.dealt >= real.dealt and other.closed >= real.closed and other.out <= real.out
    return same and other.left <= real.left and not more and not lost


def _harm(real: Standing, other: Standing, limit: float) -> str:
    """Return what a change cost customers; empty if it cost little."""
    if real.out - other.out:
        return f"{sorted(real.out - other.out)[0]} is out of service because of it"
    spared = real.lost - other.lost
    return f"it cost customers {spared:.0f} user-minutes" if spared > limit else ""


def _standing(case: Case, network: Network) -> Standing:
    truth = case.truth
    assert truth is not None
    alone = truth.network.fork()
    alone.advance(max(network.now - alone.now, 0))
    dealt = frozenset(defect.element_id for defect in truth.defects if dealt_with(network, defect))
    left = left_behind(network)
    trace = make_trace(network, truth, restored=restored_by_others(network, truth), left_behind=left)
    return Standing(
        dealt,
        network.get(Ticket, truth.ticket_id).closed_s is not None,
        frozenset(harmed(network, alone)),
        len(left),
        loss(network, truth.network.now).user_minutes,
        Counter(item.rule for item in judge(trace, case.constants).violations),
    )


# --- playing again -----------------------------------------------------------------------------------------


def _replayed(case: Case, dropped: frozenset[int]) -> Network:
    """Return the network in which a case would have ended without some calls."""
    first = next(act for act in case.acts if act.index in dropped)
    assert first.before is not None
    network = first.before.fork()
    place = case.acts.index(first)
    renamed: dict[str, str] = {}
    for act in case.acts[place:]:
        if act.index in dropped:
            network.advance(act.end_s - act.start_s)
        elif act.end_s > act.start_s or act.before is not None:
            _perform(case, network, act, renamed)
    return network


def _perform(case: Case, network: Network, act: Act, renamed: dict[str, str]) -> None:
    call = ToolCall(id=f"call_{act.index}", name=act.tool, arguments=_renamed(act.arguments, renamed))
    answer = case.episode.toolkit.execute(network, call)
    key = _MADE.get(act.tool)
    if key is None or act.failed or answer.error is not None:
        return
    old, new = (re.search(rf"\b{key}: (\S+)", text) for text in (act.record.content, answer.content))
    if old and new and old[1] != new[1]:
        renamed[old[1]] = new[1]


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if not names:
        return value
    if isinstance(value, dict):
        return {key: _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value
