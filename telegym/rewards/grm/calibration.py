"""Calibration: from what a judge says to how often it is right when it says so.

Platt scaling fits a slope and an offset to the log-odds (Platt 1999), temperature scaling the slope alone (Guo et al.
2017), isotonic regression any rising step function (pool adjacent violators; wants a thousand items). How good a
calibration is: the expected calibration error over bins of equal mass, the Brier score, and a reliability table.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from telegym.core.errors import ConfigurationError

__all__ = ["Bin", "Calibration", "brier_score", "expected_calibration_error", "fit_calibration", "reliability"]

Array = npt.NDArray[np.float64]
_EDGE = 1e-6
_STEPS = 100


class Bin(BaseModel):
    """A row of a reliability table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int
    """Items."""
    predicted: float
    """Mean probability."""
    observed: float
    """Share of positive labels."""


class Calibration(BaseModel):
    """Turns a judge's probability into a calibrated one. It is stored as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["platt", "temperature", "isotonic"]
    """How it was fitted."""
    slope: float = 1.0
    """Factor of the log-odds."""
    offset: float = 0.0
    """Added to the scaled log-odds."""
    points: tuple[tuple[float, float], ...] = ()
    """For `isotonic`: probabilities before and after, rising; linear in between."""
    count: int = 0
    """Items it was fitted to."""
    ece_before: float = 0.0
    """Expected calibration error on these items before."""
    ece_after: float = 0.0
    """Expected calibration error on these items after."""
    brier_before: float = 0.0
    """Brier score on these items before."""
    brier_after: float = 0.0
    """Brier score on these items after."""
    table: tuple[Bin, ...] = ()
    """Reliability on these items before."""

    def __call__(self, probability: float) -> float:
        """Return the calibrated probability."""
        return float(self.apply(np.asarray([probability]))[0])

    def apply(self, probabilities: npt.ArrayLike) -> Array:
        """Return calibrated probabilities."""
        values = np.asarray(probabilities, dtype=np.float64)
        if self.kind == "isotonic":
            before, after = np.asarray(self.points).T
            return np.asarray(np.interp(values, before, after))
        return _sigmoid(self.slope * _log_odds(values) + self.offset)

    def write(self, path: str | Path) -> None:
        """Write it as JSON."""
        Path(path).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read what `write` wrote.

        Raises:
            ConfigurationError: If the file cannot be read or is no calibration.
        """
        try:
            return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValidationError) as error:
            raise ConfigurationError(f"{path}: not a calibration: {str(error).splitlines()[0]}") from error


def fit_calibration(
    probabilities: npt.ArrayLike, labels: npt.ArrayLike, kind: Literal["platt", "temperature", "isotonic"] = "platt"
) -> Calibration:
    """Fit a calibration on items kept for that, never on those it is reported on.

    Args:
        probabilities: What the judge said, 0 to 1.
        labels: What was so, 0 or 1; both have to occur.
        kind: How to fit.

    Raises:
        ConfigurationError: If the numbers do not fit.
    """
    values, truth = _checked(probabilities, labels)
    if truth.min() == truth.max():
        raise ConfigurationError("a calibration needs labels of both kinds")
    fitted = _FITS[kind](values, truth)
    after = fitted.apply(values)
    return fitted.model_copy(
        update={
            "count": len(values),
            "ece_before": expected_calibration_error(values, truth),
            "ece_after": expected_calibration_error(after, truth),
            "brier_before": brier_score(values, truth),
            "brier_after": brier_score(after, truth),
            "table": reliability(values, truth),
        }
    )


def reliability(probabilities: npt.ArrayLike, labels: npt.ArrayLike, bins: int = 15) -> tuple[Bin, ...]:
    """Return a reliability table with bins of equal mass, by rising probability.

    Equal probabilities are never split: items that cannot be told apart share a bin.
    """
    values, truth = _checked(probabilities, labels)
    order = np.argsort(values, kind="stable")
    values, truth = values[order], truth[order]
    starts = np.searchsorted(values, values[[len(values) * index // bins for index in range(bins)]], side="left")
    pieces = np.split(np.arange(len(values)), np.unique(starts)[1:])
    return tuple(
        Bin(count=len(piece), predicted=float(values[piece].mean()), observed=float(truth[piece].mean()))
        for piece in pieces
    )


def expected_calibration_error(probabilities: npt.ArrayLike, labels: npt.ArrayLike, bins: int = 15) -> float:
    """Return the mean distance of probability and frequency over bins of equal mass, weighted by their items."""
    table = reliability(probabilities, labels, bins)
    total = sum(row.count for row in table)
    return sum(row.count * abs(row.predicted - row.observed) for row in table) / total


def brier_score(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Return the mean squared distance of probabilities and labels: 0 is perfect, 0.25 is always saying one half."""
    values, truth = _checked(probabilities, labels)
    return float(np.mean((values - truth) ** 2))


def _checked(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[Array, Array]:
    values, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if values.ndim != 1 or values.shape != truth.shape or not len(values):
        raise ConfigurationError(f"{values.shape} probabilities do not fit {truth.shape} labels")
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        raise ConfigurationError("probabilities must be between 0 and 1")
    if not np.isin(truth, (0.0, 1.0)).all():
        raise ConfigurationError("labels must be 0 or 1")
    return values, truth


def _log_odds(values: Array) -> Array:
    clipped = np.clip(values, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def _sigmoid(values: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values, -500, 500))))


def logistic_weights(features: Array, targets: Array, penalty: float) -> Array:
    """Return the weights of a logistic regression, by Newton's method.

    Args:
        features: One row for each item.
        targets: Between 0 and 1.
        penalty: Factor of half the squared weights; keeps them finite where a feature separates the labels.
    """
    weights = np.zeros(features.shape[1])
    ridge = penalty * np.eye(features.shape[1])
    for _ in range(_STEPS):
        means = _sigmoid(features @ weights)
        gradient = features.T @ (means - targets) + ridge @ weights
        curvature = (features * (means * (1 - means))[:, None]).T @ features + ridge
        step = np.linalg.solve(curvature + 1e-12 * np.eye(len(weights)), gradient)
        # A full step from far away may overshoot; half of it, then, until the loss falls.
        size = 1.0
        while size > 1e-4 and _loss(features, targets, weights - size * step, penalty) > _loss(
            features, targets, weights, penalty
        ):
            size /= 2
        weights = weights - size * step
        if float(np.abs(size * step).max()) < 1e-10:
            break
    return weights


def _loss(features: Array, targets: Array, weights: Array, penalty: float) -> float:
    scores = features @ weights
    return float(np.sum(np.logaddexp(0.0, scores) - targets * scores) + 0.5 * penalty * weights @ weights)


def _platt(values: Array, truth: Array) -> Calibration:
    """Fit slope and offset to targets that are a little less than certain, as Platt has them."""
    positive, negative = truth.sum(), len(truth) - truth.sum()
    targets = np.where(truth == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))
    slope, offset = logistic_weights(np.stack([_log_odds(values), np.ones_like(values)], axis=1), targets, 1e-9)
    return Calibration(kind="platt", slope=float(slope), offset=float(offset))


def _temperature(values: Array, truth: Array) -> Calibration:
    (slope,) = logistic_weights(_log_odds(values)[:, None], truth, 1e-9)
    return Calibration(kind="temperature", slope=float(slope))


def _isotonic(values: Array, truth: Array) -> Calibration:
    """Pool adjacent violators; items of equal probability are one block from the start."""
    levels, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    means = np.bincount(places, weights=truth) / counts
    blocks: list[list[float]] = []
    for level, mean, count in zip(levels, means, counts, strict=True):
        blocks.append([float(level), float(level), float(mean), float(count)])
        while len(blocks) > 1 and blocks[-2][2] >= blocks[-1][2]:
            _, last, mean_after, count_after = blocks.pop()
            low, _, mean_before, count_before = blocks.pop()
            total = count_before + count_after
            blocks.append([low, last, (mean_before * count_before + mean_after * count_after) / total, total])
    points = [(place, block[2]) for block in blocks for place in _ends(block)]
    return Calibration(kind="isotonic", points=tuple(points))


def _ends(block: Sequence[float]) -> tuple[float, ...]:
    return (block[0],) if block[0] == block[1] else (block[0], block[1])


_FITS = {"platt": _platt, "temperature": _temperature, "isotonic": _isotonic}
