"""Templates of questions: how to choose what is asked about, what is true, and how to find it out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from telegym.envs.base_station.network import Network
from telegym.envs.base_station.players.steps import Steps
from telegym.envs.base_station.questions.expected import Expected
from telegym.envs.base_station.questions.reading import Answer

__all__ = ["Level", "Slots", "Template"]

Slots = dict[str, Any]
"""What a question names: ids, numbers, times; JSON values."""
Level = Literal[0, 1, 2]


@dataclass(frozen=True, slots=True)
class Template:
    """A kind of question."""

    id: str
    """Its name, `Q01` to `Q30`."""
    level: Level
    """0 for one look-up, 1 for a few with arithmetic, 2 for a search."""
    subjects: Callable[[Network, int], Iterator[Slots]]
    """Yields what may be asked about in a network, the best first; nothing if it cannot be asked there."""
    truth: Callable[[Network, Slots], Expected | None]
    """Returns the answer at present; None if there is no clear one."""
    procedure: Callable[[Slots], Steps[Answer]]
    """Finds the answer from what tools print."""
    needs: str = ""
    """What a network must have for it to be asked; empty if it can be asked anywhere."""
    special: bool = False
    """Whether it is about something that is not as it should be, which few networks have."""
    horizon_min: int = 15
    """For how many minutes the answer must stay true."""
    unknown: str = ""
    """Slot that may name an element that does not exist; then there is no answer."""
    lacking: Callable[[Network, int], Iterator[Slots]] | None = None
    """Yields elements that lack what is asked about; then there is no answer."""
    profile: str = "qa"
    """Tools that suffice to answer it."""
