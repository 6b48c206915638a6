"""Radio performance of a whole network in one hour: who serves whom, how busy everybody is, what the uplink hears.

Computed from a region, a view and an hour of the week, and from nothing else; results are kept as long as a view is in
use, so forks of a network share them.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from telegym.envs.base_station.noise import mix, normals
from telegym.envs.base_station.objects import Emitter
from telegym.envs.base_station.physics.load import TDD_DOWNLINK, LayerLoad, LayerRadio, solve
from telegym.envs.base_station.physics.spectrum import LAYERS, noise_floor_dbm
from telegym.envs.base_station.physics.traffic import demand_factor
from telegym.envs.base_station.physics.transport import LinkLoad, link_load
from telegym.envs.base_station.physics.uplink import add_dbm, noise_dbm, slot_overlap
from telegym.envs.base_station.region import Region, build_region
from telegym.envs.base_station.region.radio_plan import POINTS_PER_SECTOR
from telegym.envs.base_station.view import CellView, View

__all__ = [
    "BUSY_LOAD",
    "Hour",
    "LayerHour",
    "SiteTransport",
    "busy_demand_mbps",
    "demand_mbps",
    "external",
    "hour",
    "layer_hour",
]

Array = NDArray[np.float64]

BUSY_LOAD = 0.45
"""Mean load of a layer's cells in the busiest weekday hour, for which networks are planned."""
USER_NOISE_FIGURE_DB = 7.0
"""Noise figure of a user's receiver."""
_REFUSED_DB = -300.0
_KEPT_VIEWS = 64
_KEPT_LAYERS = 256
_UNEVENNESS = 0.22
_HIGHEST_PLANNED_LOAD = 0.68


@dataclass(frozen=True, slots=True)
class LayerHour:
    """One layer in one hour; arrays have an entry for each cell, in the order of `Region.cells_of`."""

    solved: LayerLoad
    """Serving cells, levels and loads."""
    offered_mbps: Array
    """Demand of the users a cell serves."""
    sinr_db: Array
    """Mean signal quality of its users."""
    rate_mbps: Array
    """Rate of a lone user, harmonic mean over its users."""
    distance_p90_m: Array
    """Distance that nine of ten of its users are within; 0 without users."""
    noise_dbm: float
    """Thermal noise of a resource block in the uplink."""
    uplink_dbm: Array
    """Noise and interference of a resource block in the uplink."""
    branch_excess_db: Array
    """How much more the worst branch hears than the others."""
    unserved: Array
    """Share of demand of the cell's own area that finds no signal, 0-1."""


@dataclass(frozen=True, slots=True)
class SiteTransport:
    """The way of a site's traffic in one hour."""

    share: float
    """Share of the traffic that gets through, 0-1."""
    delay_ms: float
    """One-way delay."""
    loss: float
    """Share of packets lost, 0-1."""


@dataclass(frozen=True, slots=True)
class Hour:
    """A network in one hour."""

    layers: dict[str, LayerHour]
    """By band."""
    links: dict[str, LinkLoad]
    """Transport links."""
    sites: dict[str, SiteTransport]
    """By site."""


@lru_cache(maxsize=512)
def _healthy_demand(archetype: str, seed: int, layer: str) -> Array:
    """Return the busy-hour demand of each test point so that a healthy layer's mean load is `BUSY_LOAD`."""
    region = build_region(archetype, seed)
    plan = region.layers[layer]
    cells = len(region.cells_of[layer])
    uneven = np.exp(np.clip(_UNEVENNESS * normals(mix(seed, archetype, "demand"), layer, cells), -0.4, 0.4))
    shape = np.repeat(uneven, POINTS_PER_SECTOR) / POINTS_PER_SECTOR
    radio = _layer_radio(layer, plan.rsrp_dbm, np.zeros(cells), np.ones(cells), np.zeros(cells))
    for _ in range(3):
        scale = _scale(radio, shape)
        solved = solve(radio, scale * shape)
        # Where a cell would be overloaded, operators have found another way to serve its users.
        shape = shape * np.minimum(_HIGHEST_PLANNED_LOAD / np.maximum(solved.need, 1e-9), 1.0)[solved.serving]
    result: Array = np.round(scale * shape, 9)
    return result


def _scale(radio: LayerRadio, shape: Array) -> float:
    """Return the demand of a cell, in Mbit/s, at which the mean load is as planned."""
    low, high = 0.1, 2000.0
    for _ in range(24):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if solve(radio, middle * shape).load.mean() < BUSY_LOAD else (low, middle)
    return low


def busy_demand_mbps(region: Region, layer: str) -> Array:
    """Return the demand of each test point in the busiest weekday hour, in Mbit/s."""
    return _healthy_demand(region.archetype, region.seed, layer)


def _layer_radio(layer: str, rsrp_dbm: Array, bias_db: Array, capability: Array, extra: Array) -> LayerRadio:
    band = LAYERS[layer]
    cells = len(bias_db)
    return LayerRadio(
        rsrp_dbm=rsrp_dbm,
        bias_db=bias_db,
        bandwidth_mhz=np.full(cells, band.bandwidth_mhz),
        efficiency=band.efficiency * np.maximum(capability, 0.05),
        noise_dbm=noise_floor_dbm(band.subcarrier_khz * 1e3, USER_NOISE_FIGURE_DB),
        downlink_share=TDD_DOWNLINK if band.tdd else 1.0,
        extra_load=extra,
        penalty_db=np.zeros(cells),
    )


class _Layer:
    """A layer as it is in one view or in several: what was computed for it."""

    __slots__ = ("cells", "emitters", "hours", "levels")

    def __init__(self, cells: list[CellView], emitters: tuple[Emitter, ...], levels: Array) -> None:
        self.cells = cells
        # Held so that nothing else gets their identities, by which layers are found again.
        self.emitters = emitters
        self.levels = levels
        self.hours: dict[int, LayerHour] = {}


class _Kept:
    """What was computed for a view."""

    __slots__ = ("hours", "layers", "view")

    def __init__(self, view: View) -> None:
        self.view = view
        self.hours: dict[int, Hour] = {}
        self.layers: dict[str, _Layer] = {}


_HOURS: OrderedDict[int, _Kept] = OrderedDict()
_LAYERS: OrderedDict[tuple[object, ...], _Layer] = OrderedDict()


def _kept(view: View) -> _Kept:
    kept = _HOURS.get(id(view))
    if kept is None:
        kept = _HOURS[id(view)] = _Kept(view)
        while len(_HOURS) > _KEPT_VIEWS:
            _HOURS.popitem(last=False)
    else:
        _HOURS.move_to_end(id(view))
    return kept


def hour(region: Region, view: View, hour_of_week: int) -> Hour:
    """Return a network's performance in an hour of the week, Monday 0 h being 0."""
    hours = _kept(view).hours
    if hour_of_week not in hours:
        hours[hour_of_week] = _compute(region, view, hour_of_week)
    return hours[hour_of_week]


def layer_hour(region: Region, view: View, tag: str, hour_of_week: int) -> LayerHour:
    """Return the performance of one layer in an hour of the week; it does not depend on other layers."""
    layers = _kept(view).layers
    layer = layers.get(tag)
    if layer is None:
        layer = layers[tag] = _layer(region, view, tag)
    if hour_of_week not in layer.hours:
        layer.hours[hour_of_week] = _layer_hour(region, view, tag, hour_of_week, layer)
    return layer.hours[hour_of_week]


def _layer(region: Region, view: View, tag: str) -> _Layer:
    """Return what is known of a layer: the same for views in which its cells and all emitters are the same."""
    cells = _cell_views(region, view, tag)
    emitters = tuple(view.emitters.values())
    key = (region.archetype, region.seed, tag, len(emitters), *map(id, emitters), *map(id, cells))
    layer = _LAYERS.get(key)
    if layer is None:
        layer = _LAYERS[key] = _Layer(cells, emitters, _levels(region, tag, cells))
        while len(_LAYERS) > _KEPT_LAYERS:
            _LAYERS.popitem(last=False)
    else:
        _LAYERS.move_to_end(key)
    return layer


def _compute(region: Region, view: View, hour_of_week: int) -> Hour:
    layers = {tag: layer_hour(region, view, tag, hour_of_week) for tag in region.kind.layers}
    offered = _site_traffic(region, view, layers)
    links = _links(region, view, offered)
    return Hour(layers, links, {site: _site_transport(view, site, links) for site in offered})


def _cell_views(region: Region, view: View, tag: str) -> list[CellView]:
    return [view.cells[name] for name in region.cells_of[tag]]


def _radiates(cell: CellView) -> bool:
    return cell.on_air and not cell.muted and not asleep(cell)


def asleep(cell: CellView) -> bool:
    """Return whether a cell sleeps to save energy and cannot wake."""
    return cell.cell.es_enabled and cell.cell.es_wake_threshold_pct >= 100


def serves(cell: CellView) -> bool:
    """Return whether users can get into a cell by themselves."""
    planned_carrier = cell.cell.arfcn_dl == LAYERS[cell.cell.layer].arfcn
    return _radiates(cell) and cell.access_ok and not cell.cell.cell_barred and planned_carrier


def _levels(region: Region, tag: str, cells: list[CellView]) -> Array:
    """Return the reference power at every point; minus 300 dBm from cells that do not radiate."""
    plan = region.layers[tag]
    tilts = np.array([cell.tilt_deg + cell.cell.mechanical_tilt_deg for cell in cells])
    turned = np.array([(cell.azimuth_deg - cell.cell.azimuth_deg + 180.0) % 360.0 - 180.0 for cell in cells])
    powers = np.array([cell.cell.max_tx_power_dbm + cell.power_offset_db for cell in cells])
    other = np.flatnonzero((tilts != plan.tilts_deg) | (turned != 0.0) | (powers != plan.power_dbm))
    result = np.round(plan.rsrp_dbm, 9)
    if len(other):
        result[other] = np.round(plan.levels(tilts[other], turned[other], powers[other], other), 9)
    result[[not _radiates(cell) for cell in cells]] = _REFUSED_DB
    return result


def _layer_hour(region: Region, view: View, tag: str, hour_of_week: int, layer: _Layer) -> LayerHour:
    cells = layer.cells
    bias = np.array([cell.cell.cio_db if serves(cell) else _REFUSED_DB for cell in cells])
    extra = np.array([1.0 if cell.cell.ocns_enabled and cell.on_air else 0.0 for cell in cells])
    capability = np.array([cell.capability for cell in cells])
    demand = _demand(region, cells, tag, hour_of_week)
    solved = solve(_layer_radio(tag, layer.levels, bias, capability, extra), demand)
    count = len(cells)
    offered = np.bincount(solved.serving, weights=demand, minlength=count).astype(float)
    uplink, excess = _uplink(region, view, tag, solved, cells)
    return LayerHour(
        solved=solved,
        offered_mbps=offered,
        sinr_db=_mean(solved.serving, solved.sinr_db, demand, count),
        rate_mbps=offered / np.maximum(solved.need, 1e-12),
        distance_p90_m=_distances(region, tag, solved, count),
        noise_dbm=noise_dbm(LAYERS[tag].prb_khz),
        uplink_dbm=uplink,
        branch_excess_db=excess,
        unserved=_unserved(region, solved, demand, count),
    )


def _demand(region: Region, cells: list[CellView], tag: str, hour_of_week: int) -> Array:
    sites = {site.id: demand_factor(site.area_type, hour_of_week) for site in region.layout.sites}
    factors = np.array([sites[cell.cell.site_id] * cell.cell.demand_factor for cell in cells])
    result: Array = busy_demand_mbps(region, tag) * np.repeat(factors, POINTS_PER_SECTOR)
    return result


def demand_mbps(region: Region, view: View, tag: str, hour_of_week: int) -> Array:
    """Return the demand of each test point on a layer in an hour of the week, in Mbit/s."""
    return _demand(region, _cell_views(region, view, tag), tag, hour_of_week)


def _mean(serving: NDArray[np.intp], values: Array, weights: Array, count: int) -> Array:
    total = np.bincount(serving, weights=weights, minlength=count)
    summed = np.bincount(serving, weights=weights * values, minlength=count)
    result: Array = np.where(total > 0, summed / np.maximum(total, 1e-12), 0.0)
    return result


def _distances(region: Region, tag: str, solved: LayerLoad, count: int) -> Array:
    columns = np.arange(len(solved.serving))
    distance = region.layers[tag].distance_m[solved.serving, columns]
    order = np.lexsort((distance, solved.serving))
    sizes = np.bincount(solved.serving, minlength=count)
    ends = np.cumsum(sizes)
    places = np.maximum(ends - 1 - sizes // 10, 0)
    result: Array = np.where(sizes > 0, distance[order][np.minimum(places, len(order) - 1)], 0.0)
    return result


def _unserved(region: Region, solved: LayerLoad, demand: Array, count: int) -> Array:
    """Return which share of the demand of each cell's area is below -118 dBm."""
    lost = np.where(solved.level_dbm < -118.0, demand, 0.0)
    home = region.points.home
    total = np.bincount(home, weights=demand, minlength=count)
    result: Array = np.bincount(home, weights=lost, minlength=count) / np.maximum(total, 1e-12)
    return result


# --- uplink ---------------------------------------------------------------------------------------------


def _uplink(region: Region, view: View, tag: str, solved: LayerLoad, cells: list[CellView]) -> tuple[Array, Array]:
    """Return interference and noise of each cell, and how much one branch hears more."""
    noise = noise_dbm(LAYERS[tag].prb_khz)
    overlap = region.overlap[tag]
    around = (overlap @ solved.load) / np.maximum(overlap.sum(axis=1), 1e-12)
    base = noise + 4.0 * around
    outside = add_dbm(np.full(len(cells), -300.0), *_emitters(region, view, tag))
    both = add_dbm(base, outside, _time_division(region, tag, solved, cells))
    pim = np.array([cell.pim_dbm if cell.pim_dbm is not None else -300.0 for cell in cells])
    one_branch = add_dbm(both, pim + 25.0 * np.log10(solved.load))
    return np.round(one_branch, 9), np.round(one_branch - both, 9)


def _emitters(region: Region, view: View, tag: str) -> list[Array]:
    """Return what each emitter outside the network gives each cell."""
    return [level for _, level in external(region, view, tag)]


def external(region: Region, view: View, tag: str) -> list[tuple[Emitter, Array]]:
    """Return the emitters outside the network in a band, and what each gives each cell of the layer.

    The level falls by 35 dB per decade of distance and with the antenna's pattern; dBm per resource block of the
    emitter's own, averaged over time.
    """
    where = {site.id: site for site in region.layout.sites}
    cells = _cell_views(region, view, tag) if view.emitters else []
    found = []
    for emitter in view.emitters.values():
        if tag not in emitter.layers:
            continue
        dx = np.array([emitter.x_m - where[cell.cell.site_id].x_m for cell in cells])
        dy = np.array([emitter.y_m - where[cell.cell.site_id].y_m for cell in cells])
        off = (np.degrees(np.arctan2(dx, dy)) - np.array([cell.azimuth_deg for cell in cells]) + 180) % 360 - 180
        level = emitter.power_dbm - 35.0 * np.log10(np.maximum(np.hypot(dx, dy), 50.0) / 100.0)
        level = level - np.minimum(12 * (off / 65.0) ** 2, 20.0) + 10 * np.log10(max(emitter.duty, 1e-3))
        found.append((emitter, level))
    return found


def _time_division(region: Region, tag: str, solved: LayerLoad, cells: list[CellView]) -> Array:
    """Return what downlinks out of step give the uplink of their neighbours."""
    quiet: Array = np.full(len(cells), -300.0)
    phases = np.array([cell.phase_us if _radiates(cell) else 0.0 for cell in cells])
    if not LAYERS[tag].tdd or np.ptp(phases) <= 1.5:
        return quiet
    overlap = slot_overlap(phases[:, None] - phases[None, :])
    count = len(cells)
    coupling = 118.0 + 6.0 * normals(mix(region.seed, region.archetype, "coupling"), tag, count * count)
    near = region.overlap[tag] > 0
    level = 28.6 - coupling.reshape(count, count) + 10 * np.log10(np.maximum(overlap * solved.load[None, :], 1e-30))
    power = np.where(near, 10 ** (level / 10), 0.0).sum(axis=1)
    result: Array = 10 * np.log10(np.maximum(power, 1e-30))
    return result


# --- transport ------------------------------------------------------------------------------------------


def _site_traffic(region: Region, view: View, layers: dict[str, LayerHour]) -> dict[str, float]:
    """Return the traffic of each site in Mbit/s: what its cells carry."""
    found = dict.fromkeys((site.id for site in region.layout.sites), 0.0)
    for tag, layer in layers.items():
        carried = layer.offered_mbps / np.maximum(layer.solved.need, 1.0)
        for name, value in zip(region.cells_of[tag], carried.tolist(), strict=True):
            cell = view.cells[name]
            if serves(cell) and view.nodes[cell.cell.node_id].user_plane:
                found[cell.cell.site_id] += value
    return found


def _ways(view: View) -> dict[str, tuple[str, ...]]:
    return {view_cell.cell.site_id: view.nodes[view_cell.cell.node_id].links for view_cell in view.cells.values()}


def _links(region: Region, view: View, offered: dict[str, float]) -> dict[str, LinkLoad]:
    traffic = dict.fromkeys(view.links, 0.0)
    for site, way in _ways(view).items():
        for link in way:
            traffic[link] += offered[site]
    return {
        name: link_load(
            traffic[name] * link.growth,
            link.capacity_mbps if link.up else 0.0,
            link.delay_ms,
            2.0 if link.microwave else 0.2,
        )
        for name, link in view.links.items()
    }


def _site_transport(view: View, site: str, links: dict[str, LinkLoad]) -> SiteTransport:
    way = next((view.nodes[c.cell.node_id].links for c in view.cells.values() if c.cell.site_id == site), ())
    share, delay, passed = 1.0, 4.0, 1.0
    for name in way:
        link = links[name]
        share, delay, passed = min(share, link.share), delay + link.delay_ms, passed * (1 - link.loss)
    return SiteTransport(share, delay, 1 - passed)
