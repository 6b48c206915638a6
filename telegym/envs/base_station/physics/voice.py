"""Voice quality (a short form of the E-model, ITU-T G.107), and Erlang's formulas."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["erlang_b", "erlang_c", "mean_opinion_score", "mean_opinion_scores", "rating"]

Array = NDArray[np.float64]


def rating(delay_ms: float, loss: float) -> float:
    """Return the transmission rating R, 0-93.2.

    Args:
        delay_ms: One-way delay.
        loss: Share of packets lost, 0-1.
    """
    delay = 0.024 * delay_ms + 0.11 * max(delay_ms - 177.3, 0.0)
    return min(max(93.2 - delay - 30.0 * math.log1p(15.0 * loss), 0.0), 100.0)


def mean_opinion_score(delay_ms: float, loss: float) -> float:
    """Return the mean opinion score, 1 to 4.5 (G.107, annex B)."""
    r = rating(delay_ms, loss)
    return min(max(1 + 0.035 * r + 7e-6 * r * (r - 60) * (100 - r), 1.0), 4.5)


def mean_opinion_scores(delay_ms: Array, loss: Array) -> Array:
    """Return what `mean_opinion_score` does for many delays and losses."""
    lossy = np.zeros(loss.shape)
    # One by one where packets are lost at all, which is rare: libraries of arrays round logarithms differently.
    for place in zip(*np.nonzero(loss), strict=True):
        lossy[place] = math.log1p(15.0 * float(loss[place]))
    delay = 0.024 * delay_ms + 0.11 * np.maximum(delay_ms - 177.3, 0.0)
    r = np.minimum(np.maximum(93.2 - delay - 30.0 * lossy, 0.0), 100.0)
    score: Array = 1 + 0.035 * r + 7e-6 * r * (r - 60) * (100 - r)
    return np.minimum(np.maximum(score, 1.0), 4.5)


def erlang_b(traffic: float, circuits: int) -> float:
    """Return the probability that a call is blocked.

    Args:
        traffic: Offered traffic in Erlang.
        circuits: Circuits.
    """
    blocked = 1.0
    for used in range(1, circuits + 1):
        blocked = traffic * blocked / (used + traffic * blocked)
    return blocked


def erlang_c(traffic: float, circuits: int) -> float:
    """Return the probability that a call waits; 1 if the circuits cannot carry the traffic."""
    if traffic >= circuits:
        return 1.0
    blocked = erlang_b(traffic, circuits)
    return blocked / (1 - (traffic / circuits) * (1 - blocked))
