"""Combinations: how the values of several rewards become one.

One component is the outcome: what the environment itself says. Nothing but the outcome pays for a failed task, unless a
combination is told to (`pays_failures`, `rescue`): a judge that can be talked into something must not be worth more
than the work. All of them read a run's values after failures were dealt with; a run that lacks a value is not here.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from telegym.core.settings import Settings

__all__ = ["AnyCombination", "Batch", "Combination", "GateProduct", "Normalised", "Rescue", "Weighted", "within_groups"]

Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True)
class Batch:
    """Runs whose values are complete."""

    values: Sequence[Mapping[str, float]]
    """For each run: values of the components by name."""
    unsafe: Sequence[bool]
    """For each run: whether somebody was put at risk."""
    groups: Sequence[str]
    """For each run: the name of its group."""
    rescue: bool = False
    """Whether success is so rare at present that groups without any are rescued."""

    def __len__(self) -> int:
        return len(self.values)

    def column(self, name: str) -> list[float]:
        """Return the values of a component."""
        return [row[name] for row in self.values]


def within_groups(groups: Sequence[str]) -> Iterable[list[int]]:
    """Return the positions of the runs of each group, in order of first appearance."""
    found: dict[str, list[int]] = defaultdict(list)
    for position, group in enumerate(groups):
        found[group].append(position)
    return found.values()


class Rescue(Settings):
    """Pays runs of groups in which nobody succeeded for their quality, so that there is something to learn from."""

    beta: NonNegativeFloat = 0.1
    """What a failed run of quality 1 is worth; a success is worth about 1."""
    below: Share = 0.1
    """Only while the share of successes among recent runs is at most this."""
    window: PositiveInt = 512
    """How many recent runs that share is taken of, in whole batches."""


class Combination(Settings):
    """What all combinations share."""

    outcome: str | None = "outcome"
    """The component that is the outcome; None where nothing is gated by one."""
    unsafe_cost: NonNegativeFloat = 0.0
    """What an unsafe run loses."""

    @abstractmethod
    def weights(self) -> dict[str, float]:
        """Return the components that count, and how much each can move the total."""

    @abstractmethod
    def call_weights(self) -> dict[str, float]:
        """Return the weights with which values of single calls are averaged."""

    @abstractmethod
    def combine(self, batch: Batch) -> list[float]:
        """Return the value of each run, in order. It does not depend on the order."""

    def _harm(self, batch: Batch) -> list[float]:
        return [self.unsafe_cost * unsafe for unsafe in batch.unsafe]


class GateProduct(Combination):
    """R = O (alpha + (1 - alpha) Q) - unsafe_cost [unsafe] - sum of costs.

    O is the outcome, Q the mean of the quality components by their weights, kept within 0 and 1; Q is 1 if there are
    none. A failed task earns at most 0 however neat it looks, and a success by an unsafe way less than a clean one.
    """

    kind: Literal["gate_product"] = "gate_product"
    """Names the combination in a recipe."""
    outcome: str = "outcome"
    """The component that is the outcome, O."""
    quality: dict[str, NonNegativeFloat] = Field(default_factory=dict)
    """Weights of the components that say how well it was done; only their proportions matter."""
    alpha: Share = 0.7
    """What a success is worth at least."""
    unsafe_cost: NonNegativeFloat = 0.5
    """What an unsafe run loses."""
    costs: dict[str, NonNegativeFloat] = Field(default_factory=dict)
    """Components that only cost: what each lacks to 1, by its weight, is taken off; for example `{format: 0.1}`."""
    rescue: Rescue | None = None
    """Whether groups without any success are rescued: there R = beta Q, less costs."""

    def weights(self) -> dict[str, float]:
        """Return how much each component can move the total of a solved task."""
        total = math.fsum(self.quality.values()) or 1.0
        quality = {name: (1 - self.alpha) * weight / total for name, weight in self.quality.items() if weight}
        costs = {name: weight for name, weight in self.costs.items() if weight}
        return {self.outcome: self.alpha if quality else 1.0, **costs, **quality}

    def call_weights(self) -> dict[str, float]:
        """Return the weights of quality and costs."""
        return {name: weight for name, weight in self.weights().items() if name != self.outcome}

    def combine(self, batch: Batch) -> list[float]:
        """Return the value of each run."""
        quality = [self.quality_of(row) for row in batch.values]
        outcome = batch.column(self.outcome)
        gained = [o * (self.alpha + (1 - self.alpha) * q) for o, q in zip(outcome, quality, strict=True)]
        if self.rescue is not None and batch.rescue:
            for places in within_groups(batch.groups):
                if len(places) > 1 and all(outcome[place] <= 0 for place in places):
                    for place in places:
                        gained[place] = self.rescue.beta * quality[place]
        costs = [math.fsum(w * max(0.0, 1 - row[name]) for name, w in self.costs.items()) for row in batch.values]
        return [g - harm - cost for g, harm, cost in zip(gained, self._harm(batch), costs, strict=True)]

    def quality_of(self, row: Mapping[str, float]) -> float:
        """Return Q of a run, 0 to 1."""
        total = math.fsum(self.quality.values())
        if not total:
            return 1.0
        return _clipped(math.fsum(weight * row[name] for name, weight in self.quality.items() if weight) / total)


class _Sum(Combination):
    """What sums share."""

    parts: dict[str, float] = Field(default_factory=lambda: {"outcome": 1.0})
    """Weights of the components."""
    pays_failures: bool = False
    """Whether other components than the outcome may pay for a failed task."""

    def weights(self) -> dict[str, float]:
        """Return the weights, and the outcome's where it decides what others may pay."""
        gate = {} if self.outcome is None or self.pays_failures else {self.outcome: 0.0}
        return {**gate, **{name: weight for name, weight in self.parts.items() if weight}}

    def call_weights(self) -> dict[str, float]:
        """Return the positive weights."""
        return {name: weight for name, weight in self.parts.items() if weight > 0}

    def _earned(self, row: Mapping[str, float], name: str, weight: float) -> float:
        """Return what a component contributes; of what it would pay, as large a share as the task was solved."""
        part = weight * row[name]
        if self.outcome is None or name == self.outcome or self.pays_failures or part <= 0:
            return part
        return part * _clipped(row[self.outcome])


class Weighted(_Sum):
    """R = sum of weight times value, less unsafe_cost [unsafe]; for comparison with what is better.

    What other components than the outcome would pay is multiplied by the outcome, unless `pays_failures` is set.
    """

    kind: Literal["weighted"] = "weighted"
    """Names the combination in a recipe."""

    def combine(self, batch: Batch) -> list[float]:
        """Return the value of each run."""
        totals = [math.fsum(self._earned(row, name, w) for name, w in self.parts.items() if w) for row in batch.values]
        return [total - harm for total, harm in zip(totals, self._harm(batch), strict=True)]


class Normalised(_Sum):
    """Each component is normalised within the group, then they are summed by weight (GDPO, arXiv:2601.05242).

    A component that varies little in absolute terms weighs as much as one that varies a lot; of one that is equal
    within a group nothing is left. What other components than the outcome would pay is multiplied by the outcome first,
    unless `pays_failures` is set. Values are relative to the group: advantages rather than marks.
    """

    kind: Literal["normalised"] = "normalised"
    """Names the combination in a recipe."""
    epsilon: Annotated[float, Field(gt=0)] = 1e-4
    """Added to the standard deviation, which is taken with n - 1."""

    def combine(self, batch: Batch) -> list[float]:
        """Return the value of each run."""
        columns = []
        for name, weight in self.parts.items():
            if weight:
                raw = [self._earned(row, name, math.copysign(1.0, weight)) for row in batch.values]
                columns.append([abs(weight) * value for value in self._normalised(raw, batch.groups)])
        harm = self._harm(batch)
        return [math.fsum(column[row] for column in columns) - harm[row] for row in range(len(batch))]

    def _normalised(self, values: Sequence[float], groups: Sequence[str]) -> list[float]:
        result = [0.0] * len(values)
        for places in within_groups(groups):
            mean = math.fsum(values[place] for place in places) / len(places)
            square = math.fsum((values[place] - mean) ** 2 for place in places)
            spread = math.sqrt(square / (len(places) - 1)) if len(places) > 1 else 0.0
            for place in places:
                result[place] = (values[place] - mean) / (spread + self.epsilon)
        return result


AnyCombination = Annotated[GateProduct | Weighted | Normalised, Field(discriminator="kind")]
"""Any of the combinations, chosen by `kind`."""


def _clipped(value: float) -> float:
    return min(1.0, max(0.0, value))
