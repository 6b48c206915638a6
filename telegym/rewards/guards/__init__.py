"""Guards: what looks like work but is meant for the judge, found in a run before anybody pays for it."""

from telegym.rewards.guards.base import (
    Guard,
    Guards,
    Hit,
    Inspection,
    Severity,
    guard_names,
    make_guards,
    register_guard,
)
from telegym.rewards.guards.reading import Passage, Reading

__all__ = [
    "Guard",
    "Guards",
    "Hit",
    "Inspection",
    "Passage",
    "Reading",
    "Severity",
    "guard_names",
    "make_guards",
    "register_guard",
]
