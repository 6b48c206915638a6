"""Temperatures: a cabinet or unit approaches its steady state exponentially."""

from __future__ import annotations

import math

__all__ = [
    "BOARD_TAU_S",
    "CABINET_TAU_S",
    "HIGH_C",
    "SHUTDOWN_C",
    "THROTTLE_C",
    "ambient_c",
    "amplifier_temperature_c",
    "crossing_s",
    "relax",
]

CABINET_TAU_S = 35 * 60.0
"""Time constant of a cabinet."""
BOARD_TAU_S = 12 * 60.0
"""Time constant of a baseband unit."""
HIGH_C = 45.0
"""Alarm of a cabinet."""
THROTTLE_C = 55.0
"""The baseband unit reduces its load."""
SHUTDOWN_C = 65.0
"""The baseband unit switches itself off."""


def relax(start_c: float, target_c: float, elapsed_s: float, tau_s: float = CABINET_TAU_S) -> float:
    """Return the temperature after a time: Newton's law of cooling with a constant steady state."""
    return target_c + (start_c - target_c) * math.exp(-elapsed_s / tau_s)


def crossing_s(start_c: float, target_c: float, level_c: float, tau_s: float = CABINET_TAU_S) -> float | None:
    """Return after how many seconds a level is reached, or None if it never is."""
    span, rest = start_c - target_c, level_c - target_c
    if span == 0 or rest / span <= 0 or abs(rest) > abs(span):
        return None
    return tau_s * math.log(span / rest)


def ambient_c(hour: float, mean_c: float, swing_c: float) -> float:
    """Return the outside temperature: coldest at 4 h, warmest at 16 h."""
    return mean_c - swing_c * math.cos(2 * math.pi * (hour - 4.0) / 24.0)


def amplifier_temperature_c(outside_c: float, utilisation: float, hour: float, *, blocked_c: float = 0.0) -> float:
    """Return the temperature of a power amplifier: its losses, and up to 8 degrees of sun around 13 h.

    Args:
        outside_c: Outside temperature.
        utilisation: Share of resource blocks in use, 0-1.
        hour: Hour of day.
        blocked_c: What blocked cooling fins add at full load.
    """
    sun = 8.0 * max(math.cos(2 * math.pi * (hour - 13.0) / 24.0), 0.0)
    return outside_c + 28.0 + 18.0 * utilisation + sun + blocked_c * (0.5 + 0.5 * utilisation)
