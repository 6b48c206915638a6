"""Reward by probability: how likely the reasoning of a run makes the reference answer (RLPR, arXiv 2506.18254).

The reference answer takes the place of the run's own, and the policy says how probable each of its tokens is there. No
verifier is needed: an answer that the reasoning leads to is probable however it is worded. What the answer is worth
without any reasoning, under the first policy, is taken off, so that easy questions are not paid for being easy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Self, get_args

from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.score import Failure, Score
from telegym.rewards.base import Reward, Run, Signals
from telegym.rewards.format import Format

__all__ = ["Aggregation", "DeviationFilter", "ReferenceProbability", "aggregate"]

Aggregation = Literal["mean_prob", "geo", "mean_logp", "prod"]
"""How probabilities of tokens become one number; see `aggregate`."""


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _mean_log(probabilities: Sequence[float]) -> float:
    if min(probabilities) <= 0:
        return -math.inf
    return _mean([math.log(probability) for probability in probabilities])


_WAYS: dict[Aggregation, Callable[[Sequence[float]], float]] = {
    "mean_prob": _mean,
    "geo": lambda probabilities: math.exp(_mean_log(probabilities)),
    "mean_logp": _mean_log,
    "prod": lambda probabilities: math.prod(probabilities),
}


def aggregate(probabilities: Sequence[float], how: Aggregation = "mean_prob") -> float:
    """Return one number for the probabilities of an answer's tokens.

    The arithmetic mean is the paper's choice: one unlikely token of many, a synonym for example, costs little, while
    the product and its kin collapse. Of (0.01, 0.7, 0.9) and (0.05, 0.7, 0.9) the means are 0.537 and 0.550, the
    geometric means 0.185 and 0.316.

    Args:
        probabilities: Of each token, 0 to 1.
        how: `mean_prob`: arithmetic mean; `geo`: geometric mean; `mean_logp`: mean of the natural logarithms, at most 0
            and minus infinity if a probability is 0; `prod`: product.

    Raises:
        ConfigurationError: If `how` is unknown.
        ValueError: If there is no probability, or one is not from 0 to 1.
    """
    if how not in _WAYS:
        valid = get_args(Aggregation)
        raise ConfigurationError(f"no aggregation {how!r}; valid: {', '.join(valid)}.{did_you_mean(how, valid)}")
    if not probabilities:
        raise ValueError("there is no token to aggregate")
    wrong = next((value for value in probabilities if not 0 <= value <= 1), None)
    if wrong is not None:
        raise ValueError(f"a probability is {wrong}, but must be from 0 to 1")
    return _WAYS[how](probabilities)


class ReferenceProbability(Reward):
    """Probability of the reference answer given the reasoning, less the probability without it, within 0 and 1.

    Needs `run.signals` with `reference_probabilities` and, unless `baseline` is off, `baseline_probabilities`;
    `telegym.agents.signals` fills them from a model. A run without them has no value.

    Args:
        aggregation: How probabilities of tokens become one number; see `aggregate`.
        baseline: Whether the probability without the reasoning is taken off.
        clip: Whether the difference is kept within 0 and 1.
        format_share: Share of the value that the form of the run makes up, 0 to 1; the paper's is 0.1.
        tags: Tags that the form asks for; see `telegym.rewards.format.Format`.

    Raises:
        ConfigurationError: If the aggregation is unknown or the share is not from 0 to 1.
    """

    name = "reference_probability"

    needs_signals = True
    needs_references = True

    def __init__(
        self,
        aggregation: Aggregation = "mean_prob",
        *,
        baseline: bool = True,
        clip: bool = True,
        format_share: float = 0.0,
        tags: Sequence[str] = (),
    ) -> None:
        aggregate([1.0], aggregation)
        if not 0 <= format_share <= 1:
            raise ConfigurationError(f"format_share is {format_share}, but must be from 0 to 1")
        self.aggregation: Aggregation = aggregation
        self.baseline, self.clip, self.format_share = baseline, clip, format_share
        self.needs_baseline = baseline
        self._form = Format(tags) if format_share else None

    def score(self, runs: Sequence[Run]) -> list[Score]:
        """Return the value of each run; without the signals it is a failure of the infrastructure."""
        forms = self._form.score(runs) if self._form is not None else [None] * len(runs)
        return [self._score(run.signals, form) for run, form in zip(runs, forms, strict=True)]

    def _score(self, signals: Signals | None, form: Score | None) -> Score:
        missing = self._missing(signals)
        if missing is not None or signals is None:
            return Score(failure=Failure(party="infrastructure", message=f"no {missing}; see telegym.agents.signals"))
        reasoned = aggregate(signals.reference_probabilities, self.aggregation)
        components = {"with_reasoning": reasoned}
        value = reasoned
        if self.baseline:
            components["without_reasoning"] = aggregate(signals.baseline_probabilities, self.aggregation)
            value = _less(reasoned, components["without_reasoning"])
        if self.clip:
            value = min(1.0, max(0.0, value))
        if form is not None:
            if form.value is None:
                return form
            components["format"] = form.value
            value = (1 - self.format_share) * value + self.format_share * form.value
        if not math.isfinite(value):
            message = "a token of the reference answer has probability 0, so its logarithm is not finite"
            return Score(failure=Failure(party="infrastructure", message=message))
        return Score(value=value, components={name: part for name, part in components.items() if math.isfinite(part)})

    def _missing(self, signals: Signals | None) -> str | None:
        if signals is None:
            return "signals of the policy"
        if not signals.reference_probabilities:
            return "probabilities of the reference answer"
        if self.baseline and not signals.baseline_probabilities:
            return "probabilities of the reference answer without the reasoning"
        return None


def _less(reasoned: float, plain: float) -> float:
    """Return the difference; none where both are minus infinity."""
    return 0.0 if reasoned == plain else reasoned - plain


class DeviationFilter:
    """Leaves out prompts whose runs are all worth about the same (RLPR, section 3.3).

    A group is kept if the standard deviation of its rewards (of the population) is at least `beta` times an exponential
    moving average of the mean deviation of earlier steps. The average starts late, when rewards have settled.

    Args:
        beta: Share of the average that a group needs at least; 0 keeps all.
        decay: Weight of the past in the average, 0 to 1.
        starts: The step, from 1, whose deviations begin the average.
        filters: The step from which groups are left out; later than `starts`.

    Raises:
        ConfigurationError: If a number is out of its range.
    """

    def __init__(self, beta: float = 0.5, decay: float = 0.99, starts: int = 6, filters: int = 11) -> None:
        if beta < 0 or not 0 <= decay < 1:
            raise ConfigurationError(f"beta is {beta} and decay {decay}; valid: beta >= 0, 0 <= decay < 1")
        if not 1 <= starts < filters:
            raise ConfigurationError(f"starts is {starts} and filters {filters}; valid: 1 <= starts < filters")
        self.beta, self.decay, self.starts, self.filters = beta, decay, starts, filters
        self.steps = 0
        """Steps so far."""
        self.average: float | None = None
        """The moving average, or None before it starts."""

    def keep(self, groups: Sequence[Sequence[float]]) -> list[bool]:
        """Play one step: return whether each group is kept, then learn from all of them.

        Args:
            groups: Rewards of the runs of each group; a group of fewer than two runs deviates by 0.
        """
        kept = [self.keeps(group) for group in groups]
        self.steps += 1
        deviations = [_deviation(group) for group in groups]
        if deviations and self.steps >= self.starts:
            mean = _mean(deviations)
            self.average = mean if self.average is None else self.decay * self.average + (1 - self.decay) * mean
        return kept

    def keeps(self, group: Sequence[float]) -> bool:
        """Return whether a group of the next step will be kept; asking changes nothing."""
        if self.steps + 1 < self.filters or self.average is None:
            return True
        return _deviation(group) >= self.beta * self.average

    def state(self) -> dict[str, float | int | None]:
        """Return all of it as JSON values."""
        return {
            "beta": self.beta,
            "decay": self.decay,
            "starts": self.starts,
            "filters": self.filters,
            "steps": self.steps,
            "average": self.average,
        }

    @classmethod
    def restore(cls, state: Mapping[str, float | int | None]) -> Self:
        """Return a filter that goes on where another left off."""
        numbers = {name: state[name] or 0 for name in ("beta", "decay", "starts", "filters", "steps")}
        made = cls(numbers["beta"], numbers["decay"], int(numbers["starts"]), int(numbers["filters"]))
        made.steps, made.average = int(numbers["steps"]), state["average"]
        return made


def _deviation(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    mean = _mean(values)
    return math.sqrt(_mean([(value - mean) ** 2 for value in values]))
