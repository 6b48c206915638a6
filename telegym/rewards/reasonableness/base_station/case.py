"""An episode as its auditor goes through it: calls with times and answers, the truth, rules that were broken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import resources
from typing import Any

from telegym.core.episode import CallRecord, Episode
from telegym.core.tool import CallError
from telegym.envs.base_station.cases import TICKET, truth_of
from telegym.envs.base_station.facts import CaseTruth, element_of
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.outcome import trace_of
from telegym.envs.base_station.policy import Facts, PolicyConstants, Trace, Violation, judge
from telegym.rewards.reasonableness.calls import agent_calls

__all__ = ["DIAGNOSTIC", "LOOKING", "Act", "Case", "group_of", "text_of"]

_UNHEARD = frozenset({CallError.DROPPED, CallError.DUPLICATE_ID, CallError.EMPTY_MESSAGE})
"""Errors of calls that never reached the toolkit, so that no journal knows them."""
_REFUSAL = re.compile(r"^Error: ([A-Z_]+): ")
LOOKING = frozenset({"inspect", "measure_power", "measure_optical", "walk_test"})
"""What somebody on site is asked for to find something out."""
DIAGNOSTIC = "diagnostic"
"""Group of tests."""
_READING = frozenset({"query", "compute", DIAGNOSTIC})


@cache
def group_of(tool: str) -> str:
    """Return the group of a tool; empty if there is no such tool."""
    from telegym.tools.base_station._definition import definitions

    known = definitions().get(tool)
    return known.group if known is not None else ""


@dataclass(slots=True)
class Act:
    """A call and what surrounded it."""

    index: int
    """Position among all calls of the episode."""
    visible: int
    """How many calls had been answered when it was decided on: those of earlier turns."""
    tool: str
    """Name of the tool."""
    arguments: dict[str, Any]
    """Its arguments."""
    record: CallRecord
    """The call as the episode keeps it."""
    start_s: int
    """Simulated time before it."""
    end_s: int
    """Simulated time after it."""
    before: Network | None
    """The network before it; None for calls that only read."""
    element_id: str
    """What it is about; empty if it is about nothing."""
    facts: Facts = field(default_factory=Facts)
    """What was true before it, as far as the policy asks."""
    failed: bool = field(init=False)
    """Whether it was refused."""
    group: str = field(init=False)
    """Group of the tool; empty if there is no such tool."""
    reads: bool = field(init=False)
    """Whether it finds something out and leaves the network as it is."""
    changes: bool = field(init=False)
    """Whether it acts on the network or sends somebody, and was not refused."""

    asked: str = field(init=False, default="")
    """What it asks for as one text, once somebody worked that out."""

    def __post_init__(self) -> None:
        """Find out what kind of call it is."""
        self.failed = self.record.error is not None
        self.group = group_of(self.tool)
        self.reads = self._is_read()
        self.changes = not self.failed and not self.reads and self._is_change()

    @property
    def refusal(self) -> str:
        """Code of the refusal, for example `NO_CHANGE`; empty if the simulated system did not refuse."""
        found = _REFUSAL.match(self.record.content) if self.record.error is CallError.REFUSED else None
        return found[1] if found else ""

    def _is_read(self) -> bool:
        if self.tool == "instruct_technician":
            return self.arguments.get("action") in LOOKING
        return self.group in _READING and not self.facts.is_write

    def _is_change(self) -> bool:
        if self.tool == "update_alarm":
            return self.arguments.get("action") == "clear"
        return self.group in ("remote_action", "field") or self.facts.is_write


class Case:
    """An episode of base-station maintenance, prepared for judgement.

    Args:
        episode: The episode; it is not changed.

    Raises:
        TypeError: If its world is no network.
    """

    def __init__(self, episode: Episode) -> None:
        if not isinstance(episode.world, Network):
            raise TypeError(f"a case needs a Network, not a {type(episode.world).__name__}")
        self.episode = episode
        self.network: Network = episode.world
        self.kind: str = episode.task.data["kind"]
        self.constants: PolicyConstants = getattr(episode.environment, "constants", PolicyConstants())
        self.trace: Trace | None = None if self.kind == "QNA" else trace_of(episode)
        self.truth: CaseTruth | None = None if self.kind == "QNA" else truth_of(episode.task.data)
        self.acts: list[Act] = list(self._acts())
        self.by_journal: list[int] = [act.index for act in self.acts if act.record.error not in _UNHEARD]

    def _acts(self) -> Iterator[Act]:
        journal = iter(self.network.journal)
        place, visible, turn = 0, 0, 0
        now = self.network.start_s
        for record in agent_calls(self.episode):
            if record.turn != turn:
                turn, visible = record.turn, record.index
            call = record.call
            if record.error in _UNHEARD:
                yield Act(record.index, visible, call.name, call.arguments, record, now, now, None, "")
                continue
            logged = next(journal)
            facts = self.trace.entries[place].facts if self.trace is not None else Facts()
            place, now = place + 1, logged.end_s
            element = facts.element_id or element_of(self.network, call.name, call.arguments)
            span = (logged.time_s, logged.end_s, logged.before)
            yield Act(record.index, visible, call.name, call.arguments, record, *span, element, facts)

    @cached_property
    def violations(self) -> tuple[Violation, ...]:
        """Rules that were broken, with the calls by their index in the episode."""
        if self.trace is None:
            return ()
        found = judge(self.trace, self.constants).violations
        return tuple(item if item.call is None else item._replace(call=self.by_journal[item.call]) for item in found)

    @cached_property
    def closing(self) -> Act | None:
        """The call that closed the ticket."""
        return next((act for act in self.acts if act.tool == "close_ticket" and not act.failed), None)

    @cached_property
    def submitted(self) -> list[Act]:
        """Diagnoses that were accepted."""
        return [act for act in self.acts if act.tool == "submit_diagnosis" and not act.failed]

    @cached_property
    def briefing(self) -> str:
        """What the agent was told at the beginning."""
        return "\n".join(message.content or "" for message in self.episode.environment.opening(self.episode.task))

    @property
    def ticket_id(self) -> str:
        """The ticket."""
        return TICKET


def text_of(name: str) -> str:
    """Return a file of this package."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
