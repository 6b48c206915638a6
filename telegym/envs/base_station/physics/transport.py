"""Transport: queueing on a link, microwave hops in rain, adaptive modulation, fibre delay."""

from __future__ import annotations

import math
from typing import NamedTuple

__all__ = [
    "MODULATIONS",
    "LinkLoad",
    "fibre_delay_us",
    "link_load",
    "misalignment_loss_db",
    "modulation",
    "rain_attenuation_db_per_km",
]


class LinkLoad(NamedTuple):
    """How a link copes with what it is offered."""

    utilisation: float
    """Share of the capacity in use, at most 1."""
    delay_ms: float
    """Delay, queueing included."""
    loss: float
    """Share of packets lost, 0-1."""
    share: float
    """Share of the offered traffic that gets through, 0-1."""


def link_load(offered_mbps: float, capacity_mbps: float, delay_ms: float, service_ms: float = 0.2) -> LinkLoad:
    """Return utilisation, delay and loss of a link.

    Args:
        offered_mbps: Traffic offered.
        capacity_mbps: Capacity; 0 if the link is down.
        delay_ms: Delay without load.
        service_ms: Queueing delay scale: 0.2 ms on 10 Gbit/s up to 2 ms on microwave.
    """
    if capacity_mbps <= 0:
        return LinkLoad(1.0, delay_ms, 1.0, 0.0)
    load = offered_mbps / capacity_mbps
    delay = delay_ms + service_ms / (1 - min(load, 0.98))
    loss = 0.0 if load < 0.95 else max(1 - 1 / load, 0.0) + 0.002
    return LinkLoad(min(load, 1.0), delay, min(loss, 1.0), min(1.0, 1.0 / load) if load > 0 else 1.0)


_RAIN = {18.0: (0.0771, 1.0025), 23.0: (0.1286, 0.963), 80.0: (1.1668, 0.7065)}
"""Coefficients k and alpha by frequency in GHz (ITU-R P.838)."""


def rain_attenuation_db_per_km(rate_mm_h: float, frequency_ghz: float) -> float:
    """Return the attenuation of rain, `k R^alpha` (ITU-R P.838).

    Raises:
        ValueError: If the frequency is none of 18, 23 and 80 GHz.
    """
    if frequency_ghz not in _RAIN:
        raise ValueError(f"no rain coefficients for {frequency_ghz:g} GHz; known: 18, 23, 80")
    k, alpha = _RAIN[frequency_ghz]
    return k * math.pow(rate_mm_h, alpha)


class Modulation(NamedTuple):
    """A step of adaptive modulation."""

    name: str
    """Constellation."""
    threshold_dbm: float
    """Weakest received level."""
    share: float
    """Share of the hop's capacity."""


MODULATIONS = (
    Modulation("1024QAM", -60.0, 1.0),
    Modulation("256QAM", -66.0, 0.8),
    Modulation("64QAM", -72.0, 0.6),
    Modulation("16QAM", -78.0, 0.4),
    Modulation("QPSK", -84.0, 0.2),
)
"""Steps of adaptive modulation, the fastest first."""


def modulation(level_dbm: float) -> Modulation | None:
    """Return the fastest modulation a received level allows; None if the hop is down."""
    return next((step for step in MODULATIONS if level_dbm >= step.threshold_dbm), None)


def misalignment_loss_db(angle_deg: float, width_deg: float = 1.5) -> float:
    """Return the loss of a dish that points beside its peer, `12 (theta / theta_3dB)^2`, at most 30 dB."""
    return min(12 * (angle_deg / width_deg) ** 2, 30.0)


def fibre_delay_us(length_km: float) -> float:
    """Return the one-way delay of a fibre, 4.9 microseconds per kilometre."""
    return 4.9 * length_km
