"""Acts: what an agent's message makes a person do, and under which conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from telegym.agents.users.readings import WRITE_TOOLS

__all__ = ["Act", "Condition", "Context"]


@dataclass(frozen=True)
class Condition:
    """A question about the phone or the person on which an act depends."""

    fact: str
    """Name of the fact; `goal`, `abroad`, or `?` for one that was not understood."""
    values: tuple[Any, ...] = (True,)
    """Values that meet the condition."""
    negated: bool = False
    """Whether it is met by all other values instead."""
    key: int = 0
    """Conditions with one key are judged once, before the acts that depend on them change anything."""


@dataclass(frozen=True)
class Act:
    """One thing to do."""

    do: str
    """`read`, `set` (a switch), `toggle`, `call` (any other change), `goal`, `repeat` or `power`."""
    tool: str = ""
    """The tool, if it is known already."""
    arguments: tuple[tuple[str, Any], ...] = ()
    """Arguments of the tool."""
    concept: str = ""
    """The switch, for `set` and `toggle`."""
    state: bool | None = None
    """The state wanted, for `set`."""
    facts: tuple[str, ...] = ()
    """What a reading is meant to find out; empty for all of it."""
    conditions: tuple[Condition, ...] = ()
    """All must be met, in order."""
    presupposed: bool = False
    """Whether it was only presupposed ("once you have restarted"), so that it is not done twice."""

    @property
    def writes(self) -> bool:
        """Whether it changes the phone or pays a bill."""
        return self.do in ("set", "toggle", "power") or self.tool in WRITE_TOOLS

    def same_as(self, other: Act) -> bool:
        """Whether two acts are the same but for conditions and what they are meant to find out."""
        return self.do != "toggle" and (self.do, self.tool, self.arguments, self.concept, self.state) == (
            (other.do, other.tool, other.arguments, other.concept, other.state)
        )


@dataclass(frozen=True)
class Context:
    """What "it", "again" or "the app" may refer to."""

    family: str = "service_issue"
    """What the call is about."""
    focus: tuple[str, ...] = ()
    """What was mentioned last."""
    subject: str | None = None
    """The switch that the last clause with a switch was about."""
    stated: tuple[tuple[str, bool], ...] = ()
    """Switches that were said or made to be on or off."""
    app: str | None = None
    """The app mentioned last."""
    permissions: tuple[str, ...] = ()
    """Permissions mentioned last."""
    condition: Condition | None = None
    """The yes-or-no question raised last."""
    last: Act | None = None
    """What was asked for last, for "the same for …" and "do that again"."""
    last_read: str | None = None
    """The tool that was used last to look at something."""
