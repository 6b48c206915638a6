"""Guard, hit, and the collection of guards that gates a composition and reports as a reward."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import ClassVar
from weakref import WeakKeyDictionary

from pydantic import BaseModel, ConfigDict

from telegym.core.entry_points import load_entry_point, register_entry_point
from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.score import Score
from telegym.rewards.base import Judgement, Reward, Run
from telegym.rewards.guards.reading import Passage, Reading

__all__ = ["Guard", "Guards", "Hit", "Inspection", "Severity", "guard_names", "make_guards", "register_guard"]

EXCERPT = 120
"""Longest excerpt in a hit, in characters."""


class Severity(StrEnum):
    """What follows from a hit, from mild to strong."""

    NOTE = "note"
    """It is counted, and nothing else."""
    DOUBT = "doubt"
    """What judges say of the run does not count; the verified outcome does."""
    BLOCK = "block"
    """The agent tried to write its own verdict: the reward of the run is at most 0."""

    @property
    def rank(self) -> int:
        """0 for the mildest."""
        return list(Severity).index(self)


class Hit(BaseModel):
    """One thing that a guard found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    guard: str
    """Name of the guard."""
    severity: Severity
    """What follows from it."""
    reason: str
    """One sentence that says what is wrong."""
    message: int | None = None
    """Position among the messages of the run, from 0; None if it is in no single message."""
    call: int | None = None
    """Position among the calls of the run, from 0; None if it is in no single call."""
    excerpt: str = ""
    """What was found, at most 120 characters."""


class Inspection(Judgement):
    """What guards say of a run, as a score."""

    hits: tuple[Hit, ...] = ()
    """What they found, guard by guard."""


class Guard(ABC):
    """Looks at one run for one family of tricks. Guards keep no state and are safe to share."""

    name: ClassVar[str]
    """Under which it is configured and counted, for example `judge_orders`."""

    @abstractmethod
    def look(self, reading: Reading) -> Iterator[Hit]:
        """Yield what is found, in order of occurrence."""

    def inspect(self, run: Run) -> list[Hit]:
        """Return what is found in a run, in order of occurrence."""
        return list(self.look(Reading(run)))

    def hit(self, severity: Severity, reason: str, at: Passage | None = None, excerpt: str | None = None) -> Hit:
        """Make a hit.

        Args:
            severity: What follows from it.
            reason: One sentence that says what is wrong.
            at: Where it was found, if in one text.
            excerpt: What was found; the beginning of the text at `at` by default.
        """
        shown = excerpt if excerpt is not None else (at.text if at is not None else "")
        where = {"message": at.message, "call": at.call} if at is not None else {}
        return Hit(guard=self.name, severity=severity, reason=reason, excerpt=shown[:EXCERPT], **where)


_GUARDS: dict[str, str] = {
    "judge_orders": "telegym.rewards.guards.verdicts:JudgeOrders",
    "verdict_echo": "telegym.rewards.guards.verdicts:VerdictEcho",
    "forged_roles": "telegym.rewards.guards.verdicts:ForgedRoles",
    "hidden_text": "telegym.rewards.guards.verdicts:HiddenText",
    "unmade_checks": "telegym.rewards.guards.claims:UnmadeChecks",
    "padding": "telegym.rewards.guards.texts:Padding",
    "keyword_stuffing": "telegym.rewards.guards.texts:KeywordStuffing",
    "blank_answer": "telegym.rewards.guards.texts:BlankAnswer",
    "copied_question": "telegym.rewards.guards.texts:CopiedQuestion",
    "truncated_answer": "telegym.rewards.guards.texts:TruncatedAnswer",
    "repeated_calls": "telegym.rewards.guards.calls:RepeatedCalls",
    "repeated_questions": "telegym.rewards.guards.calls:RepeatedQuestions",
    "all_tools": "telegym.rewards.guards.calls:AllTools",
    "premature_end": "telegym.rewards.guards.calls:PrematureEnd",
}


def register_guard(name: str, entry_point: str) -> None:
    """Register a guard class under a name; `make_guards("all")` has it from then on.

    Args:
        name: The name.
        entry_point: `module:class` of a subclass of `Guard` that needs no arguments; imported when first made.

    Raises:
        ConfigurationError: If the name is taken by another class or the entry point is not `module:class`.
    """
    register_entry_point(_GUARDS, "guard", name, entry_point)


def guard_names() -> tuple[str, ...]:
    """Return the names of all guards."""
    return tuple(_GUARDS)


def make_guards(kind: str | Sequence[str] = "all", *, gate: bool = True) -> Guards:
    """Build guards by name, as recipes name them.

    Args:
        kind: `all`, one name, or several.
        gate: Whether hits have consequences; if not, they are counted only.

    Raises:
        ConfigurationError: If a name is unknown; the message names the nearest.
    """
    names = guard_names() if kind == "all" else (kind,) if isinstance(kind, str) else tuple(kind)
    return Guards(names, gate=gate)


def _make(name: str) -> Guard:
    if name not in _GUARDS:
        hint = did_you_mean(name, (*_GUARDS, "all"))
        raise ConfigurationError(f"no guard {name!r}; valid: all, {', '.join(_GUARDS)}.{hint}")
    made: Guard = load_entry_point(_GUARDS[name])()
    return made


class Guards(Reward):
    """Several guards together: a gate for compositions, and a reward that reports what they find.

    As a reward, a run is worth 1, or 0 if a hit gates it; `counters` has the number of hits of each guard.

    Args:
        guards: The guards, or their names; all that are registered by default.
        gate: Whether hits have consequences; if not, every run is worth 1 and hits are counted only.
    """

    name = "guards"

    def __init__(self, guards: Sequence[Guard | str] | None = None, *, gate: bool = True) -> None:
        named = guards if guards is not None else guard_names()
        self.guards = tuple(_make(each) if isinstance(each, str) else each for each in named)
        self.gating = gate
        self._known: WeakKeyDictionary[Run, tuple[int, list[Hit]]] = WeakKeyDictionary()

    def inspect(self, run: Run) -> list[Hit]:
        """Return what all guards find, guard by guard. A run that has not grown is not looked at again."""
        reading = Reading(run)
        length, hits = self._known.get(run, (-1, []))
        if length != len(reading.messages):
            hits = [hit for guard in self.guards for hit in guard.look(reading)]
            self._known[run] = len(reading.messages), hits
        return list(hits)

    def gate(self, run: Run) -> Severity | None:
        """Return the strongest consequence of the hits in a run: DOUBT, BLOCK, or None if there is none."""
        return self.consequence(self.inspect(run))

    def consequence(self, hits: Sequence[Hit]) -> Severity | None:
        """Return the strongest consequence of given hits: DOUBT, BLOCK, or None."""
        severities = [hit.severity for hit in hits if hit.severity is not Severity.NOTE]
        if not self.gating or not severities:
            return None
        return max(severities, key=lambda severity: severity.rank)

    def score(self, runs: Sequence[Run]) -> list[Score]:
        """Return 1 for each run without consequences and 0 for the others, with the hits as reasons and counters."""
        return [self._judge(run) for run in runs]

    def _judge(self, run: Run) -> Inspection:
        hits = self.inspect(run)
        gated = self.consequence(hits) is not None
        counts = Counter(f"guard/{hit.guard}" for hit in hits)
        counters = {name: float(count) for name, count in sorted(counts.items())}
        value = 0.0 if gated else 1.0
        return Inspection(
            value=value,
            components={"guards": value},
            reasons=tuple(f"{hit.guard}: {hit.reason}" for hit in hits),
            counters={**counters, "guards/gated": float(gated)},
            hits=tuple(hits),
        )
