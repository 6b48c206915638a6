"""Templates of numerical problems: what is drawn, what is right, and an expression a calculator can compute it by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal, NamedTuple, TypeVar

__all__ = ["BOLTZMANN", "LIGHT", "Category", "Draw", "Level", "Problem", "Template", "number"]

LIGHT = 299_792_458.0
"""Speed of light in m/s."""
BOLTZMANN = 1.380649e-23
"""Boltzmann's constant in J/K."""

Category = Literal["radio", "antennas", "information", "traffic", "networking", "cellular", "reliability", "optics"]
"""What a problem is about."""
Level = Literal["basic", "advanced"]
"""One formula, or several steps."""

_T = TypeVar("_T")


class Problem(NamedTuple):
    """A problem with its answer."""

    slots: dict[str, float | str]
    """What its text names, in the units of the text."""
    answer: float
    """What is right, in `unit`."""
    unit: str
    """The unit asked for; empty for plain numbers."""
    expression: str
    """What a calculator has to be given to get the answer."""


class Draw:
    """Draws the values of a problem.

    Args:
        random: Where chance comes from.
    """

    def __init__(self, random: Random) -> None:
        self._random = random

    def number(self, low: float, high: float, step: float) -> float:
        """Return a multiple of a step between two bounds, both included."""
        count = round((high - low) / step)
        return round(low + step * self._random.randint(0, count), 10)

    def whole(self, low: int, high: int) -> int:
        """Return a whole number between two bounds, both included."""
        return self._random.randint(low, high)

    def pick(self, *options: _T) -> _T:
        """Return one of a few values."""
        return self._random.choice(options)


@dataclass(frozen=True, slots=True)
class Template:
    """A kind of problem."""

    name: str
    """Its name; its texts are found by it."""
    category: Category
    """What it is about."""
    level: Level
    """How many steps it takes."""
    make: Callable[[Draw], Problem]
    """Draws a problem."""


def number(value: float | str) -> str:
    """Return a value as texts write it: at most nine digits, no exponent for everyday sizes."""
    if isinstance(value, str):
        return value
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    text = f"{value:.9g}"
    return text if "e" not in text else f"{value:.6g}"
