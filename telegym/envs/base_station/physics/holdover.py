"""Holdover: how the phase of a clock runs away once its reference is lost (ITU-T G.810, time interval error)."""

from __future__ import annotations

import math

__all__ = ["PHASE_LIMIT_US", "phase_us", "seconds_to_phase"]

PHASE_LIMIT_US = 1.5
"""Largest phase error of a time-division cell (ITU-T G.8271, class 4)."""


def phase_us(elapsed_s: float, offset: float, ageing_per_s: float, start_us: float = 0.0) -> float:
    """Return the phase error in microseconds: `start + y t + D t^2 / 2`.

    Args:
        elapsed_s: Time in holdover.
        offset: Fractional frequency error `y` at its beginning.
        ageing_per_s: Growth `D` of that error per second.
        start_us: Phase error at its beginning.
    """
    return start_us + 1e6 * (offset * elapsed_s + 0.5 * ageing_per_s * elapsed_s**2)


def seconds_to_phase(limit_us: float, offset: float, ageing_per_s: float, start_us: float = 0.0) -> float:
    """Return after how many seconds the phase error reaches a limit; 0 if it already has."""
    rest = (limit_us - start_us) * 1e-6
    if rest <= 0:
        return 0.0
    if ageing_per_s == 0:
        return rest / offset
    return (-offset + math.sqrt(offset**2 + 2 * ageing_per_s * rest)) / ageing_per_s
