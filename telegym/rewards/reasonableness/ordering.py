"""Ordering: what has to come first, as constraints between kinds of events, keyed by their target.

A call stands for events: reading a bill is `read` of that bill, flipping a switch is `repair` of its cause. A
constraint says that an event of one kind needs an earlier one of another kind with the same target: `identify ≺ act`,
`diagnose(cause) ≺ repair(cause)`, `confirm(action) ≺ destroy(action)`, `verify ≺ close`. With `since`, the earlier
event must not lie before the last event of a third kind: a verification counts only after the last repair. Blame is
the later call's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

__all__ = ["ANY", "Constraint", "Event", "Order", "Violation"]

ANY = "*"
"""A target that stands for every target."""


class Event(NamedTuple):
    """Something a call stands for."""

    kind: str
    """What happened, for example `repair`."""
    target: str = ANY
    """To what."""


class Constraint(NamedTuple):
    """One thing has to come before another."""

    first: str
    """Kind of what has to come first."""
    then: str
    """Kind of what may only come after it."""
    sentence: str
    """What is to be said of a violation; `{target}` stands for the target."""
    since: str | None = None
    """If set: what comes first counts only after the last event of this kind with the target."""
    same_target: bool = True
    """Whether both must be about the same target."""


class Violation(NamedTuple):
    """A constraint that was not met."""

    constraint: Constraint
    """Which."""
    target: str
    """For what."""

    def sentence(self) -> str:
        """Return what is to be said of it."""
        return self.constraint.sentence.format(target=self.target)


class Order:
    """Checks the constraints of a domain along an episode. Feed it calls in order.

    Args:
        constraints: What has to come before what.
    """

    __slots__ = ("_by_then", "_clock", "_last")

    def __init__(self, constraints: Iterable[Constraint]) -> None:
        self._by_then: dict[str, list[Constraint]] = {}
        for constraint in constraints:
            self._by_then.setdefault(constraint.then, []).append(constraint)
        self._last: dict[tuple[str, str], int] = {}
        self._clock = 0

    def happened(self, events: Iterable[Event]) -> None:
        """Take in events without judging them: what was known from the beginning, what a user did."""
        self._clock += 1
        for event in events:
            self._last[event] = self._clock
            self._last[event.kind, ""] = self._clock

    def judge(self, attempted: Sequence[Event]) -> tuple[int, list[Violation]]:
        """Return how many constraints apply to what a call is about to do, and which are not met.

        Args:
            attempted: Events the call stands for if it succeeds.
        """
        applicable = 0
        found: list[Violation] = []
        for event in attempted:
            for constraint in self._by_then.get(event.kind, ()):
                applicable += 1
                if not self._met(constraint, event.target):
                    found.append(Violation(constraint, event.target))
        return applicable, found

    def last(self, kind: str, target: str | None = None) -> int:
        """Return when an event last happened; 0 if never.

        Args:
            kind: Its kind.
            target: Its target; whatever target by default.
        """
        if target is None:
            return self._last.get((kind, ""), 0)
        return max(self._last.get((kind, target), 0), self._last.get((kind, ANY), 0))

    def _met(self, constraint: Constraint, target: str) -> bool:
        anything = not constraint.same_target or target == ANY
        when = self.last(constraint.first, None if anything else target)
        if constraint.since is None:
            return when > 0
        return when > self.last(constraint.since, None if anything else target)
