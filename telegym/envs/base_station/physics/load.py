"""Load of the cells of one layer: who serves where, at what rate, and how busy that makes everybody.

Users stand at test points. A cell's load is the time it needs to carry the demand of its points; its neighbours see
that load as interference, which lowers their rates, which raises their loads: a fixed point, reached in a few passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["Coverage", "LayerLoad", "LayerRadio", "cover", "solve", "solve_all"]

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

MIN_LOAD = 0.03
"""Load of a cell without users: signals that are always sent."""
PASSES = 4
"""Passes of the fixed point."""
_FIRST_LOAD = 0.3
_FEW = 3
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


@dataclass(frozen=True, slots=True)
class Coverage:
    """Who serves whom, and how strong everybody is heard: what does not depend on demand."""

    radio: LayerRadio
    """The layer."""
    serving: Indices
    """Serving cell of each point."""
    level_dbm: Array
    """Its received reference power."""
    power_mw: Array
    """Received reference powers, cells x points."""
    own_mw: Array
    """That of the serving cell."""
    scale_mbps: Array
    """Rate at each point for one bit/s/Hz."""
    first: tuple[Array, Array]
    """Signal quality and rate at each point before anything is known of loads."""


def cover(
    radio: LayerRadio, power_mw: Array | None = None, other: tuple[Coverage, Sequence[int]] | None = None
) -> Coverage:
    """Return who serves whom.

    Args:
        radio: The layer.
        power_mw: Its received powers, if they are known already.
        other: The layer as it was, and the rows of the cells that are different now.
    """
    cells, points = radio.rsrp_dbm.shape
    serving = _strongest(radio) if other is None or len(other[1]) > _FEW else _still_strongest(radio, *other)
    level: Array = radio.rsrp_dbm[serving, np.arange(points)]
    power: Array = 10 ** (radio.rsrp_dbm / 10) if power_mw is None else power_mw
    scale = (radio.bandwidth_mhz * radio.efficiency * radio.downlink_share * (1 - OVERHEAD))[serving]
    coverage = Coverage(radio, serving, level, power, 10 ** (level / 10), scale, (level, scale))
    return replace(coverage, first=_rates(coverage, np.full((1, cells), _FIRST_LOAD)))


def _strongest(radio: LayerRadio) -> Indices:
    """Return the first of the strongest cells at each point."""
    found: Indices = np.argmax(radio.rsrp_dbm + radio.bias_db[:, None], axis=0)
    return found


def _still_strongest(radio: LayerRadio, before: Coverage, rows: Sequence[int]) -> Indices:
    """Return the first of the strongest cells at each point, where only a few cells are different from before."""
    serving = before.serving.copy()
    best = before.level_dbm + before.radio.bias_db[serving]
    for row in rows:
        lost = np.flatnonzero(before.serving == row)
        levels = radio.rsrp_dbm[:, lost] + radio.bias_db[:, None]
        serving[lost] = np.argmax(levels, axis=0)
        best[lost] = levels[serving[lost], np.arange(len(lost))]
    for row in rows:
        level = radio.rsrp_dbm[row] + radio.bias_db[row]
        stronger = (level > best) | ((level == best) & (row < serving))
        serving[stronger], best[stronger] = row, level[stronger]
    return serving


def solve(radio: LayerRadio, demand_mbps: Array, passes: int = PASSES) -> LayerLoad:
    """Return the load of every cell.

    Args:
        radio: The layer.
        demand_mbps: Demand of each test point.
        passes: Passes of the fixed point.
    """
    return solve_all(cover(radio), demand_mbps[None, :], passes)[0]


def solve_all(coverage: Coverage, demands_mbps: Array, passes: int = PASSES) -> list[LayerLoad]:
    """Return the load of every cell for several demands at once; each is solved as it is when alone.

    Args:
        coverage: The layer.
        demands_mbps: Demand of each test point, situations x points.
        passes: Passes of the fixed point.
    """
    situations, cells = len(demands_mbps), len(coverage.power_mw)
    places = (coverage.serving + cells * np.arange(situations)[:, None]).ravel()

    def needs(rates: Array) -> Array:
        found = np.bincount(places, (demands_mbps / rates).ravel(), situations * cells).astype(float, copy=False)
        return found.reshape(situations, cells)

    sinr, rate = (np.broadcast_to(first, demands_mbps.shape) for first in coverage.first)
    need = needs(rate)
    for _ in range(passes - 1):
        sinr, rate = _rates(coverage, _loads(need, coverage.radio.extra_load))
        need = needs(rate)
    load = _loads(need, coverage.radio.extra_load)
    return [
        LayerLoad(coverage.serving, coverage.level_dbm, *parts) for parts in zip(sinr, rate, need, load, strict=True)
    ]


def _loads(need: Array, extra_load: Array) -> Array:
    result: Array = np.minimum(np.maximum(np.maximum(need, extra_load), MIN_LOAD), 1.0)
    return result


def _rates(coverage: Coverage, loads: Array) -> tuple[Array, Array]:
    """Return signal quality and rate at each point, situations x points."""
    serving, own = coverage.serving, coverage.own_mw
    heard = np.empty((len(loads), len(serving)))
    for load, row in zip(loads, heard, strict=True):
        # One by one: sums over cells must not depend on how many situations are solved together.
        np.matmul(load, coverage.power_mw, out=row)
    others = np.maximum(heard - loads[:, serving] * own, 0.0)
    noise = 10 ** (coverage.radio.noise_dbm / 10)
    sinr = 10 * np.log10(np.maximum(own, 1e-30) / (noise + others)) - coverage.radio.penalty_db[serving]
    return sinr, np.maximum(_efficiency(sinr) * coverage.scale_mbps, 1e-3)


def _efficiency(sinr_db: Array) -> Array:
    """Return bit/s/Hz of one spatial layer: Shannon's bound truncated (3GPP TR 36.942, annex A)."""
    value = np.minimum(0.6 * np.log2(1 + 10 ** (sinr_db / 10)), 4.4)
    result: Array = np.where(sinr_db < -10.0, 0.02, np.maximum(value, 0.02))
    return result
