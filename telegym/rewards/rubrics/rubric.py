"""Rubric and criterion: yes-or-no questions about a run, answered by code, by an expression, or by a judge."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.rewards.base import Run
from telegym.rewards.guards.reading import Reading

__all__ = ["Criterion", "Judge", "Predicate", "Rubric", "predicate_names", "register_predicate"]

Predicate = Callable[..., bool]
"""Takes a `Reading` of the run, and the arguments of the criterion by keyword."""
Judge = Callable[[str, Run], bool | None]
"""Answers a question about a run; None if it cannot. It may raise `JudgeError`."""


def _called(reading: Reading, tool: str, least: int = 1) -> bool:
    return sum(call.name == tool and not call.failed for call in reading.agent_calls) >= least


def _not_called(reading: Reading, tool: str) -> bool:
    return all(call.name != tool for call in reading.agent_calls)


def _called_before(reading: Reading, first: str, then: str) -> bool:
    names = [call.name for call in reading.agent_calls if not call.failed]
    return then not in names or first in names[: names.index(then)]


def _at_most_calls(reading: Reading, most: int) -> bool:
    return len(reading.agent_calls) <= most


def _at_most_errors(reading: Reading, most: int = 0) -> bool:
    return sum(call.failed for call in reading.agent_calls) <= most


def _ended(reading: Reading, how: str = "finished") -> bool:
    return reading.end == how


def _component(reading: Reading, name: str, least: float = 1.0) -> bool:
    return reading.run.outcome.components.get(name, 0.0) >= least


_PREDICATES: dict[str, Predicate] = {
    "called": _called,
    "not_called": _not_called,
    "called_before": _called_before,
    "at_most_calls": _at_most_calls,
    "at_most_errors": _at_most_errors,
    "ended": _ended,
    "component": _component,
}


def predicate_names() -> tuple[str, ...]:
    """Return the names of all predicates."""
    return tuple(_PREDICATES)


def register_predicate(name: str, predicate: Predicate) -> None:
    """Register a predicate for criteria; it must depend on nothing but the run.

    Raises:
        ConfigurationError: If the name is taken by another.
    """
    if _PREDICATES.setdefault(name, predicate) is not predicate:
        raise ConfigurationError(f"there is already a predicate {name!r}")


class Criterion(BaseModel):
    """One yes-or-no check. It has a predicate, an expression, or neither, in which case a judge is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str
    """What is asked, such that yes is good; what a judge is asked."""
    weight: float = Field(1.0, gt=0)
    """How much it counts relative to the others."""
    predicate: str | None = None
    """Name of a predicate: called, not_called, called_before, at_most_calls, at_most_errors, ended, component, or one
    of your own."""
    arguments: dict[str, Any] = {}
    """Arguments of the predicate."""
    pattern: str | None = None
    """A regular expression, case ignored, that the agent's texts have to match somewhere."""
    absent: bool = False
    """Whether the expression must not match instead."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.predicate is not None and self.pattern is not None:
            raise ValueError(f"criterion {self.question!r} has a predicate and a pattern; it takes one of them")
        if self.predicate is not None and self.predicate not in _PREDICATES:
            hint = did_you_mean(self.predicate, _PREDICATES)
            raise ValueError(f"no predicate {self.predicate!r}; valid: {', '.join(_PREDICATES)}.{hint}")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError(f"pattern {self.pattern!r} of criterion {self.question!r}: {error}") from error
        return self

    @property
    def needs_judge(self) -> bool:
        """Whether a judge is asked."""
        return self.predicate is None and self.pattern is None

    def met(self, run: Run, reading: Reading, judge: Judge | None) -> bool | None:
        """Return whether a run meets it; None if nobody can tell.

        Raises:
            JudgeError: If the judge does.
            ConfigurationError: If the predicate does not take the arguments.
        """
        if self.pattern is not None:
            found = any(re.search(self.pattern, passage.text, re.IGNORECASE) for passage in reading.written)
            return found != self.absent
        if self.predicate is not None:
            try:
                return _PREDICATES[self.predicate](reading, **self.arguments)
            except TypeError as error:
                raise ConfigurationError(f"criterion {self.question!r}: {error}") from error
        return judge(self.question, run) if judge is not None else None


class Rubric(BaseModel):
    """The criteria for a question and those like it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """Unique within a store."""
    question: str
    """The question it was made for, by which it is found."""
    criteria: tuple[Criterion, ...] = Field(min_length=1)
    """The criteria."""
    source: str = "given"
    """Who made it: `given`, or the name of a generator."""

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Make a rubric from JSON values.

        Raises:
            ConfigurationError: If they are none; the message says what is wrong.
        """
        try:
            return cls.model_validate(data)
        except ValueError as error:
            raise ConfigurationError(f"not a rubric: {error}") from error
