"""Diagnosis: whether the components of a reward pull the same way as the outcome, within groups.

Group-relative training learns from differences within groups alone. A component that is higher for the failures of a
group than for its successes teaches the wrong thing, whatever its correlation over all runs is.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from telegym.core.settings import Settings

__all__ = ["ComponentDiagnosis", "Marks", "diagnose"]

_SAME = 1e-12


@dataclass(frozen=True, slots=True)
class Marks:
    """What the components said of a run."""

    group: str
    """Name of the run's group."""
    values: Mapping[str, float | None]
    """Value of each component by name; None where it failed."""


class ComponentDiagnosis(Settings):
    """One component."""

    name: str
    """Its name."""
    weight: float
    """How much it can move the total; 0 if it is only reported."""
    correlation: float | None
    """Pearson's correlation with the outcome within groups, -1 to 1: of the deviations from the means of the groups.
    None if either never differs within a group."""
    conflicts: float | None
    """Share of runs on whose side of the group's mean component and outcome disagree, among those on which both take
    sides. None if there are none."""
    variance_share: float | None
    """Its share of the variance within groups, each component taken by its weight. None if nothing varies."""
    nulls: float
    """Share of runs for which it failed."""
    informative: int
    """Groups in which both it and the outcome differ."""

    @property
    def misleading(self) -> bool:
        """Whether it counts, and pulls against the outcome."""
        return self.weight != 0 and self.correlation is not None and self.correlation < 0


def diagnose(marks: Sequence[Marks], weights: Mapping[str, float], outcome: str) -> list[ComponentDiagnosis]:
    """Return the diagnosis of every component, the outcome included.

    Args:
        marks: What the components said of each run.
        weights: How much each component can move the total; a negative one turns the component round.
        outcome: Name of the component that is the outcome.
    """
    names = list(dict.fromkeys(name for each in marks for name in each.values))
    variances = {name: weights.get(name, 0.0) ** 2 * _variance(marks, name) for name in names}
    total = math.fsum(variances.values())
    return [
        ComponentDiagnosis(
            name=name,
            weight=weights.get(name, 0.0),
            variance_share=variances[name] / total if total > 0 else None,
            nulls=sum(each.values.get(name) is None for each in marks) / len(marks),
            **_agreement(_deviations(marks, name, outcome), math.copysign(1.0, weights.get(name, 0.0))),
        )
        for name in names
    ]


def _groups(marks: Sequence[Marks], *names: str) -> list[list[tuple[float, ...]]]:
    """Return the values of some components by group, of the runs that have all of them."""
    groups: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for each in marks:
        values = tuple(value for name in names if (value := each.values.get(name)) is not None)
        if len(values) == len(names):
            groups[each.group].append(values)
    return list(groups.values())


def _deviations(marks: Sequence[Marks], name: str, outcome: str) -> list[list[tuple[float, float]]]:
    """Return how component and outcome of each run differ from the means of its group, by group."""
    found = []
    for group in _groups(marks, name, outcome):
        means = [math.fsum(column) / len(group) for column in zip(*group, strict=True)]
        found.append([(row[0] - means[0], row[1] - means[1]) for row in group])
    return found


def _variance(marks: Sequence[Marks], name: str) -> float:
    rows = [row[0] for group in _deviations(marks, name, name) for row in group]
    return math.fsum(each * each for each in rows) / len(rows) if rows else 0.0


def _agreement(groups: Sequence[Sequence[tuple[float, float]]], sign: float) -> dict[str, float | int | None]:
    rows = [(sign * mine, theirs) for group in groups for mine, theirs in group]
    sides = [mine * theirs > 0 for mine, theirs in rows if abs(mine) > _SAME and abs(theirs) > _SAME]
    spread = math.sqrt(math.fsum(mine**2 for mine, _ in rows) * math.fsum(theirs**2 for _, theirs in rows))
    both = math.fsum(mine * theirs for mine, theirs in rows)
    varied = [all(max(abs(row[column]) for row in group) > _SAME for column in (0, 1)) for group in groups]
    return {
        "correlation": both / spread if spread > _SAME else None,
        "conflicts": 1 - sum(sides) / len(sides) if sides else None,
        "informative": sum(varied),
    }
