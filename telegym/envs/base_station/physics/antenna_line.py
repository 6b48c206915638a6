"""The antenna line: mismatch, intermodulation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import permutations

__all__ = [
    "intermodulation_hits",
    "mismatch_loss_db",
    "passive_intermodulation_dbm",
    "reflection",
    "return_loss_db",
    "vswr_from_return_loss",
    "wet_vswr",
]


def reflection(vswr: float) -> float:
    """Return the magnitude of the reflection coefficient, `(v - 1) / (v + 1)`.

    Raises:
        ValueError: If the standing wave ratio is below 1.
    """
    if vswr < 1:
        raise ValueError(f"a standing wave ratio is at least 1, not {vswr:g}")
    return (vswr - 1) / (vswr + 1)


def return_loss_db(vswr: float) -> float:
    """Return the return loss; infinite for a perfect match."""
    gamma = reflection(vswr)
    return math.inf if gamma == 0 else -20 * math.log10(gamma)


def vswr_from_return_loss(loss_db: float) -> float:
    """Return the standing wave ratio that has a return loss."""
    gamma = 10 ** (-loss_db / 20)
    return (1 + gamma) / (1 - gamma)


def mismatch_loss_db(vswr: float) -> float:
    """Return the power lost by reflection, `-10 log10(1 - gamma^2)`."""
    return -10 * math.log10(1 - reflection(vswr) ** 2)


def wet_vswr(vswr: float, wetness: float) -> float:
    """Return the ratio of a connector that lets water in; `wetness` 0-1."""
    return vswr * (1 + 0.25 * wetness)


def passive_intermodulation_dbm(full_load_dbm: float, power_backoff_db: float) -> float:
    """Return intermodulation per resource block: it falls 2.5 dB for each dB less of downlink power."""
    return full_load_dbm - 2.5 * power_backoff_db


def intermodulation_hits(
    downlinks_mhz: Sequence[tuple[float, float]], uplinks_mhz: Iterable[tuple[float, float]]
) -> list[tuple[int, float, float]]:
    """Return which third and fifth order products of downlink carriers fall into uplink bands.

    Args:
        downlinks_mhz: Centre and bandwidth of every downlink carrier of the site.
        uplinks_mhz: Centre and bandwidth of every uplink band of the site.

    Returns:
        Order of the product, its centre, and the centre of the uplink it hits.
    """
    hits = []
    ups = list(uplinks_mhz)
    for (first, first_width), (second, second_width) in permutations(downlinks_mhz, 2):
        for order, m, n in ((3, 2, 1), (5, 3, 2)):
            centre, width = m * first - n * second, m * first_width + n * second_width
            hits += [(order, centre, up) for up, band in ups if abs(centre - up) < (width + band) / 2]
    return hits
