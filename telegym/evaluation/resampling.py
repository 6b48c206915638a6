"""Figures of a scored run with their uncertainty: kappa, partial correlation, calibration error and the like.

Runs of one task resemble each other, so tasks are resampled, not runs (the cluster bootstrap of Field and Welsh, 2007).
Every figure is a function of sums over observations; a resample of tasks is then one row of a product of matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from telegym.evaluation.statistics import Estimate, wilson_interval
from telegym.rewards.grm.calibration import reliability

__all__ = [
    "TaskBootstrap",
    "calibration_rows",
    "calibration_statistic",
    "cohens_kappa",
    "confusion_rows",
    "correlation_rows",
    "kappa_statistic",
    "partial_correlation",
    "partial_correlation_statistic",
    "ratio",
]

Array = npt.NDArray[np.float64]
Statistic = Callable[[Array], Array]
"""From sums, one row a resample, to the figure of each; nan where it is not defined."""

_CHUNK = 250
_TINY = 1e-12


class TaskBootstrap:
    """Resamples tasks, the same resamples for every figure.

    Args:
        tasks: The task of each run.
        seed: Of the resamples.
        resamples: How many.
        confidence: Probability with which such intervals hold the true value.
    """

    def __init__(
        self, tasks: Sequence[str], *, seed: int = 0, resamples: int = 2_000, confidence: float = 0.95
    ) -> None:
        places = {task: place for place, task in enumerate(dict.fromkeys(tasks))}
        self.count = len(places)
        """How many tasks there are."""
        self._task = np.asarray([places[task] for task in tasks], dtype=np.intp)
        self._confidence = confidence
        shares = np.full(self.count, 1 / max(1, self.count))
        rng = np.random.default_rng(seed)
        self._draws = rng.multinomial(self.count, shares, size=resamples).astype(np.uint16)

    def estimate(
        self, rows: npt.ArrayLike, runs: Sequence[int], statistic: Statistic, *, share: bool = False
    ) -> Estimate:
        """Return a figure with a percentile interval.

        Args:
            rows: What is summed, one row an observation.
            runs: The run of each observation.
            statistic: The figure, from sums.
            share: Whether it is a share, 0 to 1: if all resamples agree, its interval allows for the share of other
                tasks that as many alike tasks leave possible (Wilson). Of other figures nothing is said then.
        """
        values = np.asarray(rows, dtype=np.float64)
        if not len(values):
            return Estimate(value=None, method="bootstrap", confidence=self._confidence)
        owners = self._task[np.asarray(runs, dtype=np.intp)]
        sums = np.zeros((self.count, values.shape[1]))
        np.add.at(sums, owners, values)
        value = float(statistic(sums.sum(axis=0, keepdims=True))[0])
        if not np.isfinite(value):
            return Estimate(value=None, n=len(values), method="bootstrap", confidence=self._confidence)
        low, high = self._interval(value, sums, statistic, len(np.unique(owners)), share)
        return Estimate(value=value, low=low, high=high, n=len(values), method="bootstrap", confidence=self._confidence)

    def _interval(
        self, value: float, sums: Array, statistic: Statistic, tasks: int, share: bool
    ) -> tuple[float, float] | tuple[None, None]:
        if tasks < 2:
            return None, None
        chunks = range(0, len(self._draws), _CHUNK)
        drawn = np.concatenate([statistic(self._draws[start : start + _CHUNK] @ sums) for start in chunks])
        known = drawn[np.isfinite(drawn)]
        if 2 * len(known) < len(drawn):
            return None, None
        tail = 0.5 - self._confidence / 2
        low, high = np.quantile(known, [tail, 1 - tail]).tolist()
        if high - low > _TINY:
            return low, high
        return wilson_interval(min(1.0, max(0.0, value)), tasks, self._confidence) if share else (None, None)


def ratio(sums: Array) -> Array:
    """Return the second column over the first: a mean, where the first counts."""
    return _over(sums[:, 1], sums[:, 0])


def _over(top: Array, bottom: Array) -> Array:
    known = np.abs(bottom) > _TINY
    return np.where(known, top / np.where(known, bottom, 1.0), np.nan)


# --- agreement ------------------------------------------------------------------------------------------


def confusion_rows(first: npt.ArrayLike, second: npt.ArrayLike) -> Array:
    """Return for each item of which of four kinds it is: both say yes, only the first, only the second, neither."""
    one, two = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    return np.stack([one & two, one & ~two, ~one & two, ~one & ~two], axis=1).astype(np.float64)


def kappa_statistic(sums: Array) -> Array:
    """Return Cohen's kappa (1960), (observed - expected) / (1 - expected), of tables as rows of four counts.

    It is not defined where both always say the same one thing: agreement is then certain by chance alone.
    """
    both, first, second, neither = sums.T
    total = sums.sum(axis=1)
    observed = _over(both + neither, total)
    expected = _over((both + first) * (both + second) + (neither + first) * (neither + second), total**2)
    return _over(observed - expected, 1 - expected)


def cohens_kappa(first: npt.ArrayLike, second: npt.ArrayLike) -> float | None:
    """Return how much two agree beyond chance, -1 to 1; None if both always say the same one thing.

    Args:
        first: What one says of each item: yes or no.
        second: What the other says.
    """
    return _scalar(kappa_statistic(confusion_rows(first, second).sum(axis=0, keepdims=True)))


def _scalar(found: Array) -> float | None:
    return float(found[0]) if np.isfinite(found[0]) else None


# --- length -----------------------------------------------------------------------------------------------


def correlation_rows(first: npt.ArrayLike, second: npt.ArrayLike, given: npt.ArrayLike) -> Array:
    """Return what has to be summed for a partial correlation; values are centred first, for the sake of rounding."""
    columns = [np.asarray(each, dtype=np.float64) for each in (first, second, given)]
    x, y, z = (each - each.mean() if len(each) else each for each in columns)
    return np.stack([np.ones_like(x), x, y, z, x * x, y * y, z * z, x * y, x * z, y * z], axis=1)


def partial_correlation_statistic(sums: Array) -> Array:
    """Return (r_xy - r_xz r_yz) / sqrt((1 - r_xz^2) (1 - r_yz^2)); the plain r_xy where z never differs."""
    count = np.where(sums[:, 0] > 0, sums[:, 0], np.nan)
    x, y, z, xx, yy, zz, xy, xz, yz = (sums[:, 1:] / count[:, None]).T
    spread_x, spread_y, spread_z = xx - x * x, yy - y * y, zz - z * z
    between = _correlation(xy - x * y, spread_x, spread_y)
    with_x = np.nan_to_num(_correlation(xz - x * z, spread_x, spread_z))
    with_y = np.nan_to_num(_correlation(yz - y * z, spread_y, spread_z))
    left = np.clip(1 - with_x**2, 0, None) * np.clip(1 - with_y**2, 0, None)
    return _over(between - with_x * with_y, np.sqrt(np.where(left > 1e-9, left, 0.0)))


def _correlation(covariance: Array, first: Array, second: Array) -> Array:
    known = (first > _TINY) & (second > _TINY)
    return np.where(known, covariance / np.sqrt(np.where(known, first * second, 1.0)), np.nan)


def partial_correlation(first: npt.ArrayLike, second: npt.ArrayLike, given: npt.ArrayLike) -> float | None:
    """Return the correlation of two quantities that is left when a third is accounted for in both, -1 to 1.

    None if one of them does not differ, or only as the third does.
    """
    return _scalar(partial_correlation_statistic(correlation_rows(first, second, given).sum(axis=0, keepdims=True)))


# --- calibration ------------------------------------------------------------------------------------------


def calibration_rows(probabilities: npt.ArrayLike, labels: npt.ArrayLike, bins: int = 15) -> Array:
    """Return what has to be summed for the calibration error: items, probability and label, each by bin.

    The bins of equal mass are those of all items, in every resample.
    """
    values, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    counts = [row.count for row in reliability(values, truth, bins)]
    place = np.empty(len(values), dtype=np.intp)
    place[np.argsort(values, kind="stable")] = np.repeat(np.arange(len(counts)), counts)
    chosen = np.eye(len(counts))[place]
    return np.concatenate([chosen, chosen * values[:, None], chosen * truth[:, None]], axis=1)


def calibration_statistic(sums: Array) -> Array:
    """Return the expected calibration error: the mean distance of probability and frequency, weighted by items."""
    counts, said, true = np.split(sums, 3, axis=1)
    return _over(np.abs(said - true).sum(axis=1), counts.sum(axis=1))
