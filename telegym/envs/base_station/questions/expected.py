"""What the right answer to a question is, and how near to it an answer must be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

__all__ = [
    "NOT_AVAILABLE",
    "Expected",
    "Kind",
    "count",
    "nothing",
    "one",
    "pair",
    "parts",
    "quantity",
    "several",
    "yes_no",
]

Kind = Literal["number", "count", "id", "set", "pair", "yes_no", "parts", "not_available"]
NOT_AVAILABLE = "not_available"
"""The answer to a question that has none."""


@dataclass(frozen=True, slots=True)
class Expected:
    """The right answer to a question."""

    kind: Kind
    """How it is written: a number, a whole number, an id, ids in any order, `yes` or `no`, or several of these."""
    value: Any
    """The answer; a list for sets and pairs, a list of `Expected` for `parts`, None for `not_available`."""
    absolute: float = 0.0
    """How far a number may be off, in `unit`."""
    relative: float = 0.0
    """How far a number may be off, as a share of it; the larger of both counts."""
    unit: str = ""
    """Unit of a number."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values, as `check_answer` takes it."""
        value = [part.as_dict() for part in self.value] if self.kind == "parts" else self.value
        record: dict[str, Any] = {"kind": self.kind, "value": value}
        if self.kind == "number":
            record |= {"absolute": self.absolute, "relative": self.relative, "unit": self.unit}
        return record

    @property
    def text(self) -> str:
        """The answer as one would write it, without units."""
        if self.kind == "not_available":
            return NOT_AVAILABLE
        if self.kind == "parts":
            return ", ".join(part.text for part in self.value)
        if self.kind in ("set", "pair"):
            return ", ".join(self.value)
        return f"{self.value:.6f}" if self.kind == "number" else str(self.value)


def quantity(value: float, unit: str, *, absolute: float = 0.0, relative: float = 0.0) -> Expected:
    """Return the expectation of a number with a unit."""
    return Expected("number", round(float(value), 6), absolute, relative, unit)


def count(value: int) -> Expected:
    """Return the expectation of a whole number."""
    return Expected("count", int(value))


def one(name: str) -> Expected:
    """Return the expectation of one id."""
    return Expected("id", name)


def several(names: Iterable[str]) -> Expected:
    """Return the expectation of ids in any order."""
    return Expected("set", sorted(set(names)))


def pair(first: str, second: str) -> Expected:
    """Return the expectation of two ids in any order."""
    return Expected("pair", sorted((first, second)))


def yes_no(true: bool) -> Expected:
    """Return the expectation of `yes` or `no`."""
    return Expected("yes_no", "yes" if true else "no")


def parts(*items: Expected) -> Expected:
    """Return the expectation of several answers in a fixed order."""
    return Expected("parts", list(items))


def nothing() -> Expected:
    """Return the expectation of a question that has no answer."""
    return Expected("not_available", None)
