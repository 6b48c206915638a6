"""What violations cost."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from telegym.envs.base_station.policy.constants import PolicyConstants
from telegym.envs.base_station.policy.rules import RULES, Severity, Violation
from telegym.envs.base_station.policy.trace import Trace

__all__ = ["PENALTIES", "Verdict", "judge"]

PENALTIES: dict[Severity, tuple[float, int]] = {"hard": (1.0, 1), "major": (0.15, 2), "minor": (0.04, 3)}
"""Penalty of one violation, and how often each rule counts at most."""


class Verdict(NamedTuple):
    """How an episode kept to the policy."""

    violations: tuple[Violation, ...]
    """Every violation, rule by rule."""
    penalty: float
    """Sum of penalties."""

    @property
    def hard(self) -> bool:
        """Whether a hard rule was broken, which caps the score of the whole episode."""
        return any(item.severity == "hard" for item in self.violations)

    @property
    def score(self) -> float:
        """What is left of the score for the process, 0-1."""
        return max(0.0, 1.0 - self.penalty)


def judge(trace: Trace, constants: PolicyConstants | None = None) -> Verdict:
    """Check an episode against all rules.

    Args:
        trace: The episode.
        constants: The version of the policy; by default the one agents are trained with.
    """
    numbers = constants or PolicyConstants()
    found = tuple(item for rule in RULES.values() for item in rule.violations(trace, numbers))
    counts = Counter((item.rule, item.severity) for item in found)
    penalty = sum(
        PENALTIES[severity][0] * min(count, PENALTIES[severity][1]) for (_, severity), count in counts.items()
    )
    return Verdict(found, round(penalty, 9))
