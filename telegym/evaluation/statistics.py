"""Estimates with their uncertainty: success rates, differences, means over seeds, pass^k.

Trials of one task resemble each other, so a task, not a trial, is the unit: an interval over several trials of few
tasks is as wide as the few tasks make it. Failures of the infrastructure are no trials and never reach these functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

__all__ = ["Estimate", "bootstrap_difference", "mean_over_seeds", "pass_hat_k", "success_rate"]

DEFAULT_CONFIDENCE = 0.95
DEFAULT_RESAMPLES = 10_000
_CHUNK = 1_000

Trials = Mapping[str, Sequence[float]]
"""Values of the valid trials, by task."""


class Estimate(BaseModel):
    """A number and the interval it was measured to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float | None
    """The estimate, or None if there is nothing to estimate it from."""
    low: float | None = None
    """Lower end of the interval, or None if there is too little to tell."""
    high: float | None = None
    """Upper end of the interval."""
    n: int = 0
    """Observations behind it: trials, tasks or seeds, as the method says."""
    method: Literal["wilson", "wilson-clustered", "bootstrap", "t"] = "wilson"
    """How the interval was made."""
    confidence: float = DEFAULT_CONFIDENCE
    """Probability with which such intervals hold the true value."""

    def format(self, scale: float = 100.0, digits: int = 1, unit: str = "%") -> str:
        """Return for example `62.5% (48.4–74.8)`."""
        if self.value is None:
            return "–"
        text = f"{self.value * scale:.{digits}f}{unit}"
        if self.low is None or self.high is None:
            return text
        return f"{text} ({self.low * scale:.{digits}f}–{self.high * scale:.{digits}f})"


def success_rate(trials: Trials, confidence: float = DEFAULT_CONFIDENCE) -> Estimate:
    """Return the share of successes (values 1 and 0) with a Wilson score interval.

    With several trials a task, the number of trials is replaced by the number of independent ones that would vary as
    much: at least the number of tasks, at most the number of trials.
    """
    outcomes = [value for values in trials.values() for value in values]
    if not outcomes:
        return Estimate(value=None, confidence=confidence)
    clusters = [values for values in trials.values() if values]
    rate = math.fsum(outcomes) / len(outcomes)
    effective = _effective_size(clusters, rate, len(outcomes))
    low, high = wilson_interval(rate, effective, confidence)
    method: Literal["wilson", "wilson-clustered"] = "wilson" if len(clusters) == len(outcomes) else "wilson-clustered"
    return Estimate(value=rate, low=low, high=high, n=len(outcomes), method=method, confidence=confidence)


def _effective_size(clusters: Sequence[Sequence[float]], rate: float, trials: int) -> float:
    tasks = len(clusters)
    if tasks == trials:
        return trials
    if tasks < 2 or rate in (0.0, 1.0):
        return tasks
    residuals = [math.fsum(values) - rate * len(values) for values in clusters]
    variance = tasks / (tasks - 1) * math.fsum(residual**2 for residual in residuals) / trials**2
    return min(trials, max(tasks, rate * (1 - rate) / variance)) if variance > 0 else trials


def wilson_interval(rate: float, n: float, confidence: float = DEFAULT_CONFIDENCE) -> tuple[float, float]:
    """Return the Wilson score interval of a share `rate` among `n` independent observations."""
    z = normal_quantile(0.5 + confidence / 2)
    center = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return max(0.0, min(rate, center - half)), min(1.0, max(rate, center + half))


def bootstrap_difference(
    before: Trials,
    after: Trials,
    *,
    seed: int = 0,
    confidence: float = DEFAULT_CONFIDENCE,
    resamples: int = DEFAULT_RESAMPLES,
) -> Estimate:
    """Return how much the mean value rose, paired by task, with a percentile interval from resampling tasks.

    Only tasks with a valid trial on both sides count; `n` says how many they are. If all tasks differ by the same,
    resampling sees no uncertainty at all; the interval then allows for the share of other tasks that n alike tasks
    leave possible, by Wilson's interval.
    """
    differences = [
        math.fsum(after[task]) / len(after[task]) - math.fsum(values) / len(values)
        for task, values in before.items()
        if values and after.get(task)
    ]
    return _bootstrap(differences, seed, confidence, resamples)


def _bootstrap(values: Sequence[float], seed: int, confidence: float, resamples: int) -> Estimate:
    if not values:
        return Estimate(value=None, method="bootstrap", confidence=confidence)
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return Estimate(value=mean, n=1, method="bootstrap", confidence=confidence)
    if min(values) == max(values):
        _, unseen = wilson_interval(0.0, len(values), confidence)
        low, high = mean - unseen * (mean + 1), mean + unseen * (1 - mean)
        return Estimate(value=mean, low=low, high=high, n=len(values), method="bootstrap", confidence=confidence)
    rng = np.random.default_rng(seed)
    data = np.asarray(values, dtype=float)
    # In chunks, so that thousands of tasks do not need gigabytes.
    sizes = [min(_CHUNK, resamples - start) for start in range(0, resamples, _CHUNK)]
    means = [data[rng.integers(0, len(data), (size, len(data)))].mean(axis=1) for size in sizes]
    low, high = np.quantile(np.concatenate(means), [0.5 - confidence / 2, 0.5 + confidence / 2]).tolist()
    return Estimate(value=mean, low=low, high=high, n=len(values), method="bootstrap", confidence=confidence)


def mean_over_seeds(values: Sequence[float], confidence: float = DEFAULT_CONFIDENCE) -> Estimate:
    """Return the mean of one value per seed with a t interval; one seed alone has no interval."""
    n = len(values)
    if n == 0:
        return Estimate(value=None, method="t", confidence=confidence)
    mean = math.fsum(values) / n
    if n == 1:
        return Estimate(value=mean, n=1, method="t", confidence=confidence)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = t_quantile(0.5 + confidence / 2, n - 1) * deviation / math.sqrt(n)
    return Estimate(value=mean, low=mean - half, high=mean + half, n=n, method="t", confidence=confidence)


def pass_hat_k(trials: Trials, k: int) -> float | None:
    """Return pass^k: the probability that k trials of a task all succeed, averaged over tasks.

    For a task with c successes in n trials it is estimated without bias as C(c, k) / C(n, k). Tasks with fewer than k
    trials do not count; None if none is left.

    Raises:
        ValueError: If k is not positive.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    shares = [
        math.comb(sum(value >= 1.0 for value in values), k) / math.comb(len(values), k)
        for values in trials.values()
        if len(values) >= k
    ]
    return math.fsum(shares) / len(shares) if shares else None


def normal_quantile(probability: float) -> float:
    """Return the quantile of the standard normal distribution."""
    return _quantile(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)), probability)


def t_quantile(probability: float, degrees: int) -> float:
    """Return the quantile of Student's t distribution with a whole number of degrees of freedom."""
    return _quantile(lambda x: _t_cdf(x, degrees), probability)


def _t_cdf(x: float, degrees: int) -> float:
    """Abramowitz and Stegun, 26.7.3 and 26.7.4: finite sums for whole degrees of freedom."""
    theta = math.atan2(x, math.sqrt(degrees))
    cos2 = math.cos(theta) ** 2
    odd = degrees % 2
    term, total = 1.0, 1.0 if degrees >= 2 + odd else 0.0
    for index in range(1, (degrees - odd) // 2):
        term *= cos2 * (2 * index - 1 + odd) / (2 * index + odd)
        total += term
    sine = math.sin(theta)
    central = 2 / math.pi * (theta + sine * math.cos(theta) * total) if odd else sine * total
    return 0.5 + central / 2


def _quantile(cdf: Callable[[float], float], probability: float) -> float:
    """Invert a symmetric distribution function by bisection."""
    if not 0 < probability < 1:
        raise ValueError(f"a confidence lies between 0 and 1, which {2 * probability - 1:g} does not")
    if probability < 0.5:
        return -_quantile(cdf, 1 - probability)
    low, high = 0.0, 1.0
    while cdf(high) < probability:
        low, high = high, high * 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if cdf(middle) < probability else (low, middle)
    return (low + high) / 2
