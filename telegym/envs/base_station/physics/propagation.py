"""Path loss: 3GPP TR 38.901 urban macro and rural macro, COST 231 Hata, free space.

Functions take and return scalars or numpy arrays. Losses are in dB, distances in metres, frequencies in MHz.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "SPEED_OF_LIGHT",
    "cost231_hata",
    "free_space_loss",
    "los_probability_uma",
    "rma_los",
    "rma_losses",
    "rma_nlos",
    "uma_breakpoint",
    "uma_los",
    "uma_losses",
    "uma_nlos",
]

Array = NDArray[np.float64]

SPEED_OF_LIGHT = 299_792_458.0
"""Metres per second."""


def free_space_loss(distance_m: ArrayLike, frequency_mhz: float) -> Array:
    """Return the free-space loss (ITU-R P.525): `20 log10(4 pi d f / c)`."""
    d = np.asarray(distance_m, float)
    result: Array = 20 * np.log10(4 * np.pi * d * frequency_mhz * 1e6 / SPEED_OF_LIGHT)
    return result


def uma_breakpoint(frequency_mhz: float, station_m: ArrayLike, user_m: float = 1.5) -> Array:
    """Return the breakpoint distance of urban macro cells in metres (TR 38.901, table 7.4.1-1, note 1).

    Args:
        frequency_mhz: Carrier frequency.
        station_m: Height of the antenna.
        user_m: Height of the user.
    """
    result: Array = 4 * (np.asarray(station_m, float) - 1) * (user_m - 1) * frequency_mhz * 1e6 / SPEED_OF_LIGHT
    return result


def uma_losses(
    distance_m: ArrayLike, frequencies_mhz: Iterable[float], station_m: ArrayLike = 25.0, user_m: float = 1.5
) -> Iterator[tuple[Array, Array]]:
    """Yield the urban macro loss with and without line of sight for each frequency (TR 38.901, table 7.4.1-1).

    What depends on the geometry alone is computed once for all of them.

    Args:
        distance_m: Distance on the ground; below 10 m, 10 m is taken.
        frequencies_mhz: Carrier frequencies.
        station_m: Height of the antenna.
        user_m: Height of the user.
    """
    ground, height = np.maximum(np.asarray(distance_m, float), 10.0), np.asarray(station_m, float)
    decades = np.log10(np.hypot(ground, height - user_m))
    near, far, obstructed = 28.0 + 22 * decades, 28.0 + 40 * decades, 13.54 + 39.08 * decades
    for frequency_mhz in frequencies_mhz:
        breakpoint_m = uma_breakpoint(frequency_mhz, height, user_m)
        carrier = 20 * np.log10(frequency_mhz / 1e3)
        beyond = far + carrier - 9 * np.log10(breakpoint_m**2 + (height - user_m) ** 2)
        sight: Array = np.where(ground <= breakpoint_m, near + carrier, beyond)
        blocked: Array = np.maximum(sight, obstructed + carrier - 0.6 * (user_m - 1.5))
        yield sight, blocked


def uma_los(distance_m: ArrayLike, frequency_mhz: float, station_m: ArrayLike = 25.0, user_m: float = 1.5) -> Array:
    """Return the urban macro loss in line of sight; arguments as for `uma_losses`."""
    return next(uma_losses(distance_m, (frequency_mhz,), station_m, user_m))[0]


def uma_nlos(distance_m: ArrayLike, frequency_mhz: float, station_m: ArrayLike = 25.0, user_m: float = 1.5) -> Array:
    """Return the urban macro loss without line of sight; arguments as for `uma_losses`."""
    return next(uma_losses(distance_m, (frequency_mhz,), station_m, user_m))[1]


def los_probability_uma(distance_m: ArrayLike) -> Array:
    """Return the probability of line of sight in urban macro cells for users up to 13 m high (TR 38.901, 7.4.2)."""
    d = np.maximum(np.asarray(distance_m, float), 1e-9)
    result: Array = np.where(d <= 18, 1.0, 18 / d + np.exp(-d / 63) * (1 - 18 / d))
    return result


def rma_losses(
    distance_m: ArrayLike, frequencies_mhz: Iterable[float], station_m: ArrayLike = 35.0, user_m: float = 1.5
) -> Iterator[tuple[Array, Array]]:
    """Yield the rural macro loss with and without line of sight for each frequency (TR 38.901, table 7.4.1-1).

    Streets are 20 m wide, buildings 5 m high. What depends on the geometry alone is computed once for all frequencies.

    Args:
        distance_m: Distance on the ground; below 10 m, 10 m is taken.
        frequencies_mhz: Carrier frequencies.
        station_m: Height of the antenna.
        user_m: Height of the user.
    """
    ground, height = np.maximum(np.asarray(distance_m, float), 10.0), np.asarray(station_m, float)
    direct = np.hypot(ground, height - user_m)
    near = _rma_near(direct)
    obstructed = (
        161.04
        - 7.1 * np.log10(20.0)
        + 7.5 * np.log10(5.0)
        - (24.37 - 3.7 * (5.0 / height) ** 2) * np.log10(height)
        + (43.42 - 3.1 * np.log10(height)) * (np.log10(direct) - 3)
    )
    for frequency_mhz in frequencies_mhz:
        breakpoint_m = 2 * np.pi * height * user_m * frequency_mhz * 1e6 / SPEED_OF_LIGHT
        at_breakpoint = np.hypot(breakpoint_m, height - user_m)
        beyond = _rma_near(at_breakpoint)(frequency_mhz) + 40 * np.log10(direct / at_breakpoint)
        sight: Array = np.where(ground <= breakpoint_m, near(frequency_mhz), beyond)
        carrier = 20 * np.log10(frequency_mhz / 1e3)
        blocked: Array = np.maximum(sight, obstructed + carrier - (3.2 * np.log10(11.75 * user_m) ** 2 - 4.97))
        yield sight, blocked


def _rma_near(direct_m: Array) -> Callable[[float], Array]:
    """Return the loss in line of sight before the breakpoint, as a function of the frequency."""
    h = 5.0**1.72
    circle, slope = 40 * np.pi * direct_m, min(0.03 * h, 10) * np.log10(direct_m)
    linear = 0.002 * np.log10(5.0) * direct_m

    def loss(frequency_mhz: float) -> Array:
        result: Array = 20 * np.log10(circle * frequency_mhz / 3e3) + slope - min(0.044 * h, 14.77) + linear
        return result

    return loss


def rma_los(distance_m: ArrayLike, frequency_mhz: float, station_m: ArrayLike = 35.0, user_m: float = 1.5) -> Array:
    """Return the rural macro loss in line of sight; arguments as for `rma_losses`."""
    return next(rma_losses(distance_m, (frequency_mhz,), station_m, user_m))[0]


def rma_nlos(distance_m: ArrayLike, frequency_mhz: float, station_m: ArrayLike = 35.0, user_m: float = 1.5) -> Array:
    """Return the rural macro loss without line of sight; arguments as for `rma_losses`."""
    return next(rma_losses(distance_m, (frequency_mhz,), station_m, user_m))[1]


def cost231_hata(
    distance_m: ArrayLike,
    frequency_mhz: float,
    station_m: ArrayLike = 30.0,
    user_m: float = 1.5,
    *,
    metropolitan: bool = False,
) -> Array:
    """Return the COST 231 extension of the Hata model (COST 231 final report, 4.4.1).

    Valid for 1,500-2,000 MHz, antennas 30-200 m high and 1-20 km; the correction for the user's height is that of small
    and medium cities.

    Args:
        distance_m: Distance on the ground.
        frequency_mhz: Carrier frequency.
        station_m: Height of the antenna.
        user_m: Height of the user.
        metropolitan: Adds 3 dB for the centre of a large city.
    """
    d, height = np.asarray(distance_m, float) / 1e3, np.asarray(station_m, float)
    log_f = np.log10(frequency_mhz)
    user = (1.1 * log_f - 0.7) * user_m - (1.56 * log_f - 0.8)
    slope = 44.9 - 6.55 * np.log10(height)
    correction = 3.0 if metropolitan else 0.0
    result: Array = 46.3 + 33.9 * log_f - 13.82 * np.log10(height) - user + slope * np.log10(d) + correction
    return result
