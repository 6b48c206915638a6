"""Demand over the day and the week."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["AREAS", "DAY", "WEEK", "AreaType", "demand_factor", "demand_factors", "typical_hour"]

AreaType = Literal["residential", "business", "road", "leisure"]
Array = NDArray[np.float64]

DAY: dict[AreaType, tuple[float, ...]] = {
    "residential": (
        *(0.35, 0.25, 0.18, 0.14, 0.13, 0.17, 0.30, 0.52, 0.68, 0.74, 0.78, 0.82),
        *(0.86, 0.85, 0.84, 0.86, 0.90, 0.95, 0.98, 1.00, 0.99, 0.92, 0.76, 0.55),
    ),
    "business": (
        *(0.15, 0.11, 0.09, 0.08, 0.09, 0.14, 0.32, 0.58, 0.82, 0.95, 0.98, 1.00),
        *(0.97, 0.96, 0.97, 0.95, 0.92, 0.84, 0.66, 0.50, 0.40, 0.33, 0.26, 0.20),
    ),
    "road": (
        *(0.18, 0.13, 0.10, 0.10, 0.14, 0.30, 0.62, 0.94, 0.98, 0.80, 0.72, 0.72),
        *(0.75, 0.76, 0.78, 0.84, 0.94, 1.00, 0.95, 0.78, 0.60, 0.46, 0.36, 0.26),
    ),
    "leisure": (
        *(0.40, 0.30, 0.22, 0.16, 0.13, 0.14, 0.20, 0.30, 0.42, 0.54, 0.64, 0.72),
        *(0.80, 0.82, 0.82, 0.84, 0.86, 0.90, 0.95, 0.99, 1.00, 0.96, 0.82, 0.58),
    ),
}
"""Demand in each hour of the day, as a share of the busiest."""
WEEK = (1.0, 1.0, 1.0, 1.0, 1.05, 0.95, 0.85)
"""Factor on the demand from Monday to Sunday."""
AREAS: tuple[AreaType, ...] = ("residential", "business", "road", "leisure")
"""Kinds of areas."""
_EQUAL_DAYS = 4


def demand_factor(area: AreaType, hour_of_week: int) -> float:
    """Return the demand in an hour of the week, Monday 0 h being 0, as a share of the busiest weekday hour."""
    return DAY[area][hour_of_week % 24] * WEEK[hour_of_week // 24 % 7]


@lru_cache(maxsize=1)
def demand_factors() -> Array:
    """Return the demand in each hour of the week in each kind of area, 168 x `AREAS`."""
    return np.array([[demand_factor(area, hour) for area in AREAS] for hour in range(168)])


def typical_hour(hour_of_week: int) -> int:
    """Return the first hour of the week with the same demand: the days from Monday to Thursday are alike."""
    return hour_of_week % 24 if hour_of_week < 24 * _EQUAL_DAYS else hour_of_week
