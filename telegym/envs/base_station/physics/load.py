"""Load of the cells of one layer: who serves where, at what rate, and how busy that makes everybody.

Users stand at test points. A cell's load is the time it needs to carry the demand of its points; its neighbours see
that load as interference, which lowers their rates, which raises their loads: a fixed point, reached in a few passes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LayerLoad", "LayerRadio", "solve"]

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

MIN_LOAD = 0.03
"""Load of a cell without users: signals that are always sent."""
PASSES = 4
"""Passes of the fixed point."""
OVERHEAD = 0.14
"""Share of the carrier lost to signals and control."""
TDD_DOWNLINK = 0.74
"""Share of time for the downlink where both directions share a carrier."""


@dataclass(frozen=True, slots=True)
class LayerRadio:
    """A layer as it radiates: one row for each cell, one column for each test point."""

    rsrp_dbm: Array
    """Received reference power, cells x points; minus infinity for cells that are off the air."""
    bias_db: Array
    """Offset for choosing the serving cell, per cell."""
    bandwidth_mhz: Array
    """Usable bandwidth, per cell."""
    efficiency: Array
    """Spatial gain times capability, per cell."""
    noise_dbm: float
    """Noise of a user's receiver per resource element."""
    downlink_share: float
    """Share of time for the downlink."""
    extra_load: Array
    """Artificial load, per cell, 0-1."""
    penalty_db: Array
    """What a clash of reference signals costs, per point of the serving cell, in dB, per cell."""


@dataclass(frozen=True, slots=True)
class LayerLoad:
    """What came out."""

    serving: Indices
    """Serving cell of each point."""
    level_dbm: Array
    """Its received reference power at each point."""
    sinr_db: Array
    """Signal to interference and noise at each point."""
    rate_mbps: Array
    """Rate of a lone user at each point."""
    need: Array
    """Time share each cell needs to carry its demand; above 1 it is congested."""
    load: Array
    """Share of resource blocks in use, per cell."""


def solve(radio: LayerRadio, demand_mbps: Array, passes: int = PASSES) -> LayerLoad:
    """Return the load of every cell.

    Args:
        radio: The layer.
        demand_mbps: Demand of each test point.
        passes: Passes of the fixed point.
    """
    cells, points = radio.rsrp_dbm.shape
    serving = np.argmax(radio.rsrp_dbm + radio.bias_db[:, None], axis=0)
    level: Array = radio.rsrp_dbm[serving, np.arange(points)]
    power, own = 10 ** (radio.rsrp_dbm / 10), 10 ** (level / 10)
    noise = 10 ** (radio.noise_dbm / 10)
    scale = (radio.bandwidth_mhz * radio.efficiency * radio.downlink_share * (1 - OVERHEAD))[serving]

    def step(load: Array) -> tuple[Array, Array, Array]:
        others = np.maximum(load @ power - load[serving] * own, 0.0)
        sinr = 10 * np.log10(np.maximum(own, 1e-30) / (noise + others)) - radio.penalty_db[serving]
        rate = np.maximum(_efficiency(sinr) * scale, 1e-3)
        need: Array = np.bincount(serving, weights=demand_mbps / rate, minlength=cells).astype(float)
        return sinr, rate, need

    load: Array = np.full(cells, 0.3)
    for _ in range(passes):
        sinr, rate, need = step(load)
        load = np.clip(np.maximum(need, radio.extra_load), MIN_LOAD, 1.0)
    return LayerLoad(serving, level, sinr, rate, need, load)


def _efficiency(sinr_db: Array) -> Array:
    """Return bit/s/Hz of one spatial layer: Shannon's bound truncated (3GPP TR 36.942, annex A)."""
    value = np.minimum(0.6 * np.log2(1 + 10 ** (sinr_db / 10)), 4.4)
    result: Array = np.where(sinr_db < -10.0, 0.02, np.maximum(value, 0.02))
    return result
