"""Antenna pattern of a sector, and how a tilt is planned (3GPP TR 36.814, table A.2.1.1-2)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["FLOOR_DB", "WIDTH_DEG", "pattern_gain_db", "planned_tilt_deg"]

Array = NDArray[np.float64]

WIDTH_DEG = 65.0
"""Half-power beam width, horizontal."""
FLOOR_DB = 30.0
"""Largest attenuation, of each plane and together."""


def pattern_gain_db(
    azimuth_off_deg: ArrayLike,
    elevation_deg: ArrayLike,
    tilt_deg: ArrayLike,
    *,
    horizontal_width_deg: float = WIDTH_DEG,
    vertical_width_deg: float = 8.0,
    floor_db: float = FLOOR_DB,
) -> Array:
    """Return the gain relative to the main direction, in dB; 0 at best, `-floor_db` at worst.

    Args:
        azimuth_off_deg: Angle from the antenna's direction, any sign and number of turns.
        elevation_deg: Angle below the horizon under which the antenna sees the user.
        tilt_deg: Mechanical and electrical tilt together, below the horizon.
        horizontal_width_deg: Half-power beam width, horizontal.
        vertical_width_deg: Half-power beam width, vertical.
        floor_db: Largest attenuation, of each plane and together.
    """
    off = (np.asarray(azimuth_off_deg, float) + 180.0) % 360.0 - 180.0
    horizontal = np.minimum(12 * (off / horizontal_width_deg) ** 2, floor_db)
    down = np.asarray(elevation_deg, float) - np.asarray(tilt_deg, float)
    vertical = np.minimum(12 * (down / vertical_width_deg) ** 2, floor_db)
    result: Array = -np.minimum(horizontal + vertical, floor_db)
    return result


def planned_tilt_deg(height_m: float, spacing_m: float) -> float:
    """Return the electrical tilt that looks at three quarters of the way to the next site, 2 to 10 degrees."""
    return min(max(math.degrees(math.atan(height_m / (0.75 * spacing_m))) + 1.5, 2.0), 10.0)
