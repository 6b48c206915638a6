"""Transport: queueing on a link, microwave hops in rain, adaptive modulation, fibre delay."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MODULATIONS",
    "LinkLoad",
    "LinkLoads",
    "fibre_delay_us",
    "link_load",
    "link_loads",
    "misalignment_loss_db",
    "modulation",
    "rain_attenuation_db_per_km",
]

Array = NDArray[np.float64]


NEARLY_FULL, FILLING = 0.95, 0.15
"""Load from which the buffer of a link fills, and how much more fills it."""
BUFFER_MS = 60.0
"""Delay of a full buffer."""
LEAST_LOSS = 0.002
"""Share of packets lost when a link is just full."""
BACKED_OFF = 0.05
"""Share of the excess that is lost: most senders slow down as soon as they miss something."""


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


class LinkLoads(NamedTuple):
    """How links cope in several situations, situations x links; fields as of `LinkLoad`."""

    utilisation: Array
    """Share of the capacity in use."""
    delay_ms: Array
    """Delay."""
    loss: Array
    """Share of packets lost."""
    share: Array
    """Share of the traffic that gets through."""


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
    full = min(max((load - NEARLY_FULL) / FILLING, 0.0), 1.0)
    delay = delay_ms + service_ms / (1 - min(load, 0.98)) + BUFFER_MS * full
    loss = 0.0 if load < NEARLY_FULL else LEAST_LOSS + BACKED_OFF * max(1 - 1 / load, 0.0)
    return LinkLoad(min(load, 1.0), delay, loss, min(1.0, 1.0 / load) if load > 0 else 1.0)


def link_loads(offered_mbps: Array, capacity_mbps: Array, delay_ms: Array, service_ms: Array) -> LinkLoads:
    """Return what `link_load` does for many links in several situations, situations x links."""
    up = capacity_mbps > 0
    load = offered_mbps / np.where(up, capacity_mbps, 1.0)
    known = np.maximum(load, 1e-300)
    full = np.clip((load - NEARLY_FULL) / FILLING, 0.0, 1.0)
    delay = delay_ms + service_ms / (1 - np.minimum(load, 0.98)) + BUFFER_MS * full
    loss = np.where(load < NEARLY_FULL, 0.0, LEAST_LOSS + BACKED_OFF * np.maximum(1 - 1 / known, 0.0))
    return LinkLoads(
        utilisation=np.where(up, np.minimum(load, 1.0), 1.0),
        delay_ms=np.where(up, delay, delay_ms),
        loss=np.where(up, loss, 1.0),
        share=np.where(up, np.minimum(1.0, 1.0 / known), 0.0),
    )


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
