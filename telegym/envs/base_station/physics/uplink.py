"""Uplink: interference added up per resource block, and what it does to users.

`IoT` is interference over thermal noise in dB.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from telegym.envs.base_station.physics.spectrum import noise_floor_dbm

__all__ = ["add_dbm", "noise_dbm", "preamble_success", "slot_overlap", "uplink_efficiency", "uplink_sinr_db"]

Array = NDArray[np.float64]

NOISE_FIGURE_DB = {"LTE": 2.5, "NR": 2.5}
"""Noise figure of a receiver."""


def noise_dbm(prb_khz: float, noise_figure_db: float = 2.5) -> float:
    """Return thermal noise in one resource block, the receiver's included."""
    return noise_floor_dbm(prb_khz * 1e3, noise_figure_db)


def add_dbm(*levels_dbm: ArrayLike) -> Array:
    """Return the level of powers added together; minus infinity stands for none."""
    total = sum(10 ** (np.asarray(level, float) / 10) for level in levels_dbm)
    result: Array = 10 * np.log10(np.maximum(total, 1e-30))
    return result


def uplink_sinr_db(iot_db: ArrayLike, relative_distance: ArrayLike) -> Array:
    """Return the mean signal-to-interference ratio of the uplink, -5 to 25 dB.

    Args:
        iot_db: Interference over thermal noise.
        relative_distance: Distance that nine of ten users are within, as a share of the planned radius.
    """
    far = 3.0 * (np.asarray(relative_distance, float) - 1.0)
    result: Array = np.clip(13.0 - np.asarray(iot_db, float) - np.clip(far, -3.0, 2.5), -5.0, 25.0)
    return result


def uplink_efficiency(sinr_db: ArrayLike) -> Array:
    """Return bit/s/Hz, `min(0.4 log2(1 + SINR), 2)` (3GPP TR 36.942, annex A)."""
    result: Array = np.minimum(0.4 * np.log2(1 + 10 ** (np.asarray(sinr_db, float) / 10)), 2.0)
    return result


def preamble_success(iot_db: ArrayLike) -> Array:
    """Return the share of random-access attempts that get through, falling where interference nears 12 dB."""
    result: Array = 1 / (1 + np.exp(-(12.0 - np.asarray(iot_db, float)) / 2.2))
    return result


def slot_overlap(phase_us: ArrayLike, guard_us: float = 1.5, slot_us: float = 10.0) -> Array:
    """Return the share of uplink symbols that a neighbour's downlink hits when clocks differ by a phase."""
    result: Array = np.clip((np.abs(np.asarray(phase_us, float)) - guard_us) / slot_us, 0.0, 1.0)
    return result
