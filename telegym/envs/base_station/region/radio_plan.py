"""Radio planning: path gains, identities, neighbours.

Users stand at test points, sixteen in the area of each sector. A layer's gain matrix has a row for every cell and a
column for every point; it holds everything but the antenna pattern, which depends on tilt and direction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telegym.envs.base_station.noise import integer, normals, uniforms
from telegym.envs.base_station.physics.antenna import FLOOR_DB, WIDTH_DEG, pattern_gain_db, planned_tilt_deg
from telegym.envs.base_station.physics.propagation import los_probability_uma, rma_losses, uma_losses
from telegym.envs.base_station.physics.spectrum import LAYERS, Layer
from telegym.envs.base_station.region.archetypes import Archetype
from telegym.envs.base_station.region.layout import Layout

__all__ = ["POINTS_PER_SECTOR", "LayerPlan", "Points", "identities", "neighbours", "plan_layers", "scatter"]

Array = NDArray[np.float64]

POINTS_PER_SECTOR = 16
"""Test points in the area of a sector."""
INDOOR_SHARE = 0.6
"""Share of users indoors."""
INDOOR_LOSS_DB = 12.0
"""What walls cost, 3 dB more or less."""
SHADOWING_DB = {"urban": 6.0, "suburban": 7.0, "rural": 6.0}
"""Standard deviation of slow fading."""
_WIDTH_DEG = {"LTE": 8.0, "NR": 7.0}
MAX_NEIGHBOURS = 16
"""Neighbours of a cell on its own layer."""


@dataclass(frozen=True, slots=True)
class Points:
    """Where users stand."""

    x_m: Array
    """Metres east."""
    y_m: Array
    """Metres north."""
    home: NDArray[np.intp]
    """Index of the sector area, `3 * site + sector`."""
    indoor_db: Array
    """Loss of walls; 0 outdoors."""


@dataclass(frozen=True)
class LayerPlan:
    """A layer of the region as planned."""

    layer: Layer
    """The band."""
    base_gain_db: Array
    """Gain without the pattern, cells x points: antenna gain minus path loss, shadowing and walls."""
    off_deg: Array
    """Angle between the planned direction and the point, cells x points."""
    down_deg: Array
    """Angle below the horizon, cells x points."""
    distance_m: Array
    """Distance on the ground, cells x points."""
    tilts_deg: Array
    """Planned electrical tilt of each cell."""
    rsrp_dbm: Array
    """Reference power at every point as planned, in dBm per resource element, cells x points."""

    @property
    def power_dbm(self) -> float:
        """Planned power of a carrier."""
        return self.layer.power_dbm

    def levels(
        self, tilts_deg: Array, turned_deg: Array, powers_dbm: Array, rows: NDArray[np.intp] | None = None
    ) -> Array:
        """Return the reference power at every point, in dBm per resource element.

        Args:
            tilts_deg: Tilt of each cell, mechanical and electrical.
            turned_deg: How far each antenna is turned away from its planned direction.
            powers_dbm: Power of each carrier.
            rows: Which cells these are; all by default.
        """
        chosen: Any = slice(None) if rows is None else rows
        pattern = pattern_gain_db(
            self.off_deg[chosen] - turned_deg[:, None],
            self.down_deg[chosen],
            tilts_deg[:, None],
            vertical_width_deg=_WIDTH_DEG[self.layer.rat],
        )
        per_element = powers_dbm - 10 * np.log10(12 * self.layer.prbs)
        result: Array = per_element[:, None] + self.base_gain_db[chosen] + pattern
        return result


def scatter(layout: Layout, seed: int) -> Points:
    """Draw the test points: evenly over the area of each sector, up to 0.62 of the site distance away."""
    sectors = 3 * len(layout.sites)
    count = sectors * POINTS_PER_SECTOR
    home = np.repeat(np.arange(sectors), POINTS_PER_SECTOR)
    bearing = np.array(layout.bearings_deg).ravel()[home] + 120.0 * (uniforms(seed, "angle", count) - 0.5)
    distance = layout.spacing_m * 0.62 * np.sqrt(0.004 + 0.996 * uniforms(seed, "distance", count))
    x = np.array([site.x_m for site in layout.sites])[home // 3] + distance * np.sin(np.radians(bearing))
    y = np.array([site.y_m for site in layout.sites])[home // 3] + distance * np.cos(np.radians(bearing))
    indoor = uniforms(seed, "indoor", count) < INDOOR_SHARE
    walls: Array = np.where(indoor, INDOOR_LOSS_DB + 3.0 * normals(seed, "walls", count), 0.0)
    rounded: Array = np.round(np.maximum(walls, 0.0), 6).astype(float)
    return Points(np.round(x, 3), np.round(y, 3), home, rounded)


@dataclass(frozen=True, slots=True)
class _Geometry:
    """What all layers have in common; one row for each site, or for each sector where directions matter."""

    distance_m: Array
    """Distance on the ground from sites to points."""
    heights_m: Array
    """Antenna heights, a column."""
    off_deg: Array
    """Angle between each sector's direction and the points."""
    down_deg: Array
    """Angle below the horizon, from sites."""
    tilts_deg: Array
    """Planned tilt at each site."""
    fading_db: Array
    """Shadowing, from sites."""
    sight: NDArray[np.bool_]
    """Whether a point is in line of sight of a site."""
    walls_db: Array
    """Loss of walls at each point."""


def plan_layers(kind: Archetype, layout: Layout, points: Points, seed: int) -> dict[str, LayerPlan]:
    """Compute gains and tilts of every layer of an archetype."""
    geometry = _geometry(kind, layout, points, seed)
    layers = [LAYERS[tag] for tag in kind.layers]
    losses = _losses(kind, geometry, [layer.frequency_mhz for layer in layers])
    down = np.repeat(geometry.down_deg, 3, axis=0)
    distance = np.repeat(np.round(geometry.distance_m, 3), 3, axis=0)
    tilts = np.repeat(geometry.tilts_deg, 3)
    patterns = _patterns(geometry, {layer.rat for layer in layers})
    plans = {}
    for layer, loss in zip(layers, losses, strict=True):
        by_site = layer.gain_dbi - loss - geometry.fading_db - geometry.walls_db[None, :]
        gain = np.repeat(np.round(by_site, 6), 3, axis=0)
        rsrp = _per_element_dbm(layer, layer.power_dbm) + gain + patterns[layer.rat]
        plans[layer.name] = LayerPlan(layer, gain, geometry.off_deg, down, distance, tilts, rsrp)
    return plans


def _geometry(kind: Archetype, layout: Layout, points: Points, seed: int) -> _Geometry:
    sites, count = len(layout.sites), len(points.x_m)
    dx = points.x_m[None, :] - np.array([[site.x_m] for site in layout.sites])
    dy = points.y_m[None, :] - np.array([[site.y_m] for site in layout.sites])
    distance = np.maximum(np.hypot(dx, dy), 10.0)
    heights = np.array(layout.heights_m)[:, None]
    common = normals(seed, "shadow", count)[None, :]
    own = normals(seed, "shadow of sites", sites * count).reshape(sites, count)
    bearing = np.degrees(np.arctan2(dx, dy))
    chance = uniforms(seed, "sight", sites * count).reshape(sites, count)
    likely = (
        np.exp(-np.maximum(distance - 10, 0) / 1000) if kind.environment == "rural" else los_probability_uma(distance)
    )
    return _Geometry(
        distance_m=distance,
        heights_m=heights,
        off_deg=np.round(np.repeat(bearing, 3, axis=0) - np.array(layout.bearings_deg).reshape(-1, 1), 6),
        down_deg=np.round(np.degrees(np.arctan2(heights - 1.5, distance)), 6),
        tilts_deg=np.array([round(planned_tilt_deg(height, layout.spacing_m) * 2) / 2 for height in layout.heights_m]),
        fading_db=SHADOWING_DB[kind.environment] * np.sqrt(0.5) * (common + own),
        sight=chance < likely,
        walls_db=points.indoor_db,
    )


def _losses(kind: Archetype, geometry: _Geometry, frequencies_mhz: list[float]) -> Iterator[Array]:
    """Yield the path loss of each frequency, sites x points, each path in line of sight or not."""
    rural = kind.environment == "rural"
    model = rma_losses if rural else uma_losses
    losses = model(geometry.distance_m, frequencies_mhz, geometry.heights_m)
    for frequency_mhz, (clear, blocked) in zip(frequencies_mhz, losses, strict=True):
        if kind.environment == "suburban":
            # Okumura's correction for suburbs, as Hata gives it: low houses, wide streets.
            blocked = blocked - (2 * np.log10(frequency_mhz / 28.0) ** 2 + 5.4)
        yield np.where(geometry.sight, clear, blocked if rural else np.maximum(blocked, clear))


def _patterns(geometry: _Geometry, rats: set[str]) -> dict[str, Array]:
    """Return the antenna pattern of each technology, cells x points, as planned."""
    off = (geometry.off_deg + 180.0) % 360.0 - 180.0
    across = np.minimum(12 * (off / WIDTH_DEG) ** 2, FLOOR_DB)
    found: dict[str, Array] = {}
    for rat in rats:
        down = geometry.down_deg - geometry.tilts_deg[:, None]
        along = np.minimum(12 * (down / _WIDTH_DEG[rat]) ** 2, FLOOR_DB)
        found[rat] = -np.minimum(across + np.repeat(along, 3, axis=0), FLOOR_DB)
    return found


def _per_element_dbm(layer: Layer, power_dbm: float) -> float:
    """Return the power of a resource element."""
    result: float = power_dbm - 10 * np.log10(12 * layer.prbs)
    return result


def identities(layout: Layout, layer: Layer, seed: int) -> tuple[list[int], list[int], int]:
    """Return the physical cell ids and root sequences of a layer's cells, and the roots each cell needs.

    A site takes three consecutive ids, so that its sectors differ modulo 3; no id is used twice in a region.
    """
    groups = 168 if layer.rat == "LTE" else 336
    first = integer(0, groups - 1, seed, "pci", layer.name)
    pcis = [3 * ((first + 7 * site) % groups) + sector for site in range(len(layout.sites)) for sector in range(3)]
    roots = 2 if layout.spacing_m < 1000 else 6 if layout.spacing_m < 2500 else 10
    start = integer(0, 837, seed, "root", layer.name)
    return pcis, [(start + roots * index) % 838 for index in range(len(pcis))], roots


def neighbours(plan: LayerPlan) -> Array:
    """Return how much two cells overlap, cells x cells: the mass of a cell's users near the other's border."""
    rsrp = plan.rsrp_dbm
    cells, count = rsrp.shape
    serving = np.argmax(rsrp, axis=0)
    best = rsrp[serving, np.arange(count)]
    closeness = np.clip(1.0 - (best[None, :] - rsrp) / 18.0, 0.0, 1.0) ** 2
    closeness[serving, np.arange(count)] = 0.0
    member = np.zeros((cells, count))
    member[serving, np.arange(count)] = 1.0
    result: Array = np.round(member @ closeness.T, 9)
    return result


def layer_of(name: str) -> Layer:
    """Return a band by its tag."""
    return LAYERS[name]
