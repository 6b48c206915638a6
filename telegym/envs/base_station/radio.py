"""Radio performance of a whole network in one hour: who serves whom, how busy everybody is, what the uplink hears.

Computed from a region, a view and an hour of the week, and from nothing else; results are kept as long as a view is in
use, so forks of a network share them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from telegym.envs.base_station.memory import KEPT_REGIONS, Latest, Recent
from telegym.envs.base_station.noise import mix, normals
from telegym.envs.base_station.objects import Emitter
from telegym.envs.base_station.physics.load import TDD_DOWNLINK, Coverage, LayerLoad, LayerRadio, cover, solve_all
from telegym.envs.base_station.physics.spectrum import LAYERS, noise_floor_dbm
from telegym.envs.base_station.physics.traffic import AREAS, demand_factors, typical_hour
from telegym.envs.base_station.physics.transport import LinkLoad, LinkLoads, link_loads
from telegym.envs.base_station.physics.uplink import add_dbm, noise_dbm, slot_overlap
from telegym.envs.base_station.region import Region, build_region
from telegym.envs.base_station.region.radio_plan import POINTS_PER_SECTOR
from telegym.envs.base_station.view import CellView, View

__all__ = [
    "BUSY_LOAD",
    "USER_RATE_MBPS",
    "Hour",
    "LayerHour",
    "SiteTransport",
    "busiest",
    "busy_demand_mbps",
    "demand_mbps",
    "external",
    "hour",
    "hours",
    "layer_hour",
]

Array = NDArray[np.float64]

BUSY_LOAD = 0.45
"""Mean load of a layer's cells in the busiest weekday hour, for which networks are planned."""
USER_RATE_MBPS = {"LTE": 0.3, "NR": 2.0}
"""What a user asks for on average, by technology."""
MOVING, SENT_AWAY = 0.45, 1.0
"""Share of the users of a cell that go over to other carriers of their sector, where there are any.

First when it is out of service, then when it sleeps: it sends its users away before it does. The others find the same
carrier at another site. Users of NR may go over to LTE, and ask for less then.
"""
USER_NOISE_FIGURE_DB = 7.0
"""Noise figure of a user's receiver."""
_REFUSED_DB = -300.0
_NO_SIGNAL_DBM = -118.0
_ROOM = 1 << 24
_ROOM_FOR_NETWORKS = 1 << 20
_LATEST_KEPT = 256
_VIEW_ROOM, _HOUR_ROOM, _NETWORK_ROOM = 4000, 500, 500
_NARROW = 1e-7
_LEAST_MBPS, _MIDDLE_MBPS, _MOST_MBPS = 0.1, 14.0, 2000.0
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


class SiteTransport(NamedTuple):
    """The way of a site's traffic in one hour."""

    share: float
    """Share of the traffic that gets through, 0-1."""
    delay_ms: float
    """One-way delay."""
    loss: float
    """Share of packets lost, 0-1."""


class Hour:
    """A network in one hour.

    Args:
        layers: Layers, by band.
        lines: The transport network.
        place: Which of its situations this hour is.
    """

    __slots__ = ("_lines", "_links", "_place", "_sites", "layers")

    def __init__(self, layers: dict[str, LayerHour], lines: Lines, place: int) -> None:
        self.layers = layers
        self._lines, self._place = lines, place
        self._links: dict[str, LinkLoad] | None = None
        self._sites: dict[str, SiteTransport] | None = None

    @property
    def links(self) -> dict[str, LinkLoad]:
        """Transport links."""
        if self._links is None:
            rows = (part[self._place].tolist() for part in self._lines.loads)
            self._links = dict(zip(self._lines.links, map(LinkLoad, *rows), strict=True))
        return self._links

    @property
    def sites(self) -> dict[str, SiteTransport]:
        """The way of each site's traffic."""
        if self._sites is None:
            rows = (part[self._place].tolist() for part in self._lines.ways)
            self._sites = dict(zip(self._lines.sites, map(SiteTransport, *rows), strict=True))
        return self._sites

    @property
    def utilisation(self) -> Array:
        """Utilisation of links, in the order of the view's, and 0 at the end."""
        found: Array = self._lines.utilisation[self._place]
        return found

    @property
    def ways(self) -> tuple[Array, Array, Array]:
        """Share of traffic that gets through, delay in ms and loss, in the order of the region's sites."""
        share, delay, loss = self._lines.ways
        return share[self._place], delay[self._place], loss[self._place]


@lru_cache(maxsize=512)
def _healthy_demand(archetype: str, seed: int, layer: str) -> Array:
    """Return the busy-hour demand of each test point so that a healthy layer's mean load is `BUSY_LOAD`."""
    region = build_region(archetype, seed)
    cells = len(region.cells_of[layer])
    uneven = np.exp(np.clip(_UNEVENNESS * normals(mix(seed, archetype, "demand"), layer, cells), -0.4, 0.4))
    shape = np.repeat(uneven, POINTS_PER_SECTOR) / POINTS_PER_SECTOR
    radio = _layer_radio(layer, region.layers[layer].rsrp_dbm, np.zeros(cells), np.ones(cells), np.zeros(cells))
    coverage, scale = cover(radio), _MIDDLE_MBPS
    for _ in range(3):
        scale = _scale(coverage, shape, scale)
        solved = solve_all(coverage, (scale * shape)[None, :])[0]
        # Where a cell would be overloaded, operators have found another way to serve its users.
        shape = shape * np.minimum(_HIGHEST_PLANNED_LOAD / np.maximum(solved.need, 1e-9), 1.0)[solved.serving]
    result: Array = np.round(scale * shape, 9)
    return result


def _scale(coverage: Coverage, shape: Array, near: float) -> float:
    """Return the demand of a cell, in Mbit/s, at which the mean load is as planned: 24 steps of bisection.

    Mean load grows with demand. So most steps need no solution: false position first finds a narrow interval with the
    crossing in it, and the answer to every question beside that interval is known.
    """
    low, high = _LEAST_MBPS, _MOST_MBPS
    below, above = _crossing(lambda demand: _mean_load(coverage, shape, demand) - BUSY_LOAD, low, high, near)
    for _ in range(24):
        middle = float(np.sqrt(low * high))
        small = middle <= below or (middle < above and _mean_load(coverage, shape, middle) < BUSY_LOAD)
        low, high = (middle, high) if small else (low, middle)
    return low


def _mean_load(coverage: Coverage, shape: Array, demand: float) -> float:
    return float(solve_all(coverage, demand * shape[None, :])[0].load.mean())


def _crossing(function: Callable[[float], float], low: float, high: float, near: float) -> tuple[float, float]:
    """Return an interval that is 1e-7 wide, relatively, in which a growing function crosses zero.

    False position on a logarithmic scale, with the Illinois rule (Dowell and Jarratt, 1971).

    Args:
        function: The function; negative at `low`, positive at `high`.
        low: Lower end.
        high: Upper end.
        near: Where the crossing may be.
    """
    a, b = math.log(low), math.log(high)
    at_a, at_b, side = -BUSY_LOAD, 1.0 - BUSY_LOAD, 0
    guess = math.log(near)
    while b - a > _NARROW:
        value = function(math.exp(guess))
        if value < 0:
            at_b *= 0.5 if side < 0 else 1.0
            a, at_a, side = guess, value, -1
        else:
            at_a *= 0.5 if side > 0 else 1.0
            b, at_b, side = guess, value, 1
        guess = (a * at_b - b * at_a) / (at_b - at_a)
        # A little farther than where it seems to be, so that both ends come near.
        guess = min(max(guess - 0.3 * _NARROW * side, a + 0.2 * _NARROW), b - 0.2 * _NARROW)
    return math.exp(a), math.exp(b)


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


# --- what is kept -----------------------------------------------------------------------------------------


class _Kept:
    """What was computed for a view."""

    __slots__ = ("__weakref__", "closed", "hours", "layers", "moves", "network", "view")

    def __init__(self, region: Region, view: View) -> None:
        # Held so that nothing else gets its identity, by which this is found again.
        self.view = view
        self.network = _network(region, view)
        key = (region.archetype, region.seed)
        self.closed = _closed(view, _LATEST_VIEWS.get(key))
        _LATEST_VIEWS.put(key, self)
        self.moves = _moves(region, view, self.closed)
        self.hours: dict[int, Hour] = {}
        self.layers: dict[str, _Layer] = {}


_VIEWS: Recent[int, _Kept] = Recent(_ROOM)
"""What was computed for views; each takes the room of the layers and hours that were computed for it first."""
_NETWORKS: Recent[tuple[object, ...], _Network] = Recent(_ROOM_FOR_NETWORKS)
_LAYERS: WeakValueDictionary[tuple[object, ...], _Layer] = WeakValueDictionary()
"""Layers of the views that are kept."""
_LATEST: Latest[tuple[str, int, str], _Layer] = Latest(_LATEST_KEPT)
_LATEST_VIEWS: Latest[tuple[str, int], _Kept] = Latest(_LATEST_KEPT)


def _kept(region: Region, view: View) -> _Kept:
    return _VIEWS.get(id(view), lambda: _Kept(region, view), _VIEW_ROOM)


def hour(region: Region, view: View, hour_of_week: int) -> Hour:
    """Return a network's performance in an hour of the week, Monday 0 h being 0."""
    found = _kept(region, view).hours.get(typical_hour(hour_of_week))
    return hours(region, view, (hour_of_week,))[0] if found is None else found


def hours(region: Region, view: View, hours_of_week: Sequence[int]) -> list[Hour]:
    """Return a network's performance in several hours of the week: faster than one after the other."""
    kept = _kept(region, view)
    wanted = [typical_hour(item) for item in hours_of_week]
    missing = tuple(dict.fromkeys(item for item in wanted if item not in kept.hours))
    if missing:
        layers = {tag: _layer_hours(region, view, tag, missing) for tag in region.kind.layers}
        lines = kept.network.lines(layers, {tag: layer.serves for tag, layer in kept.layers.items()})
        for place, item in enumerate(missing):
            kept.hours[item] = Hour({tag: parts[place] for tag, parts in layers.items()}, lines, place)
        _VIEWS.grow(id(view), _HOUR_ROOM * len(missing))
    return [kept.hours[item] for item in wanted]


def layer_hour(region: Region, view: View, tag: str, hour_of_week: int) -> LayerHour:
    """Return the performance of one layer in an hour of the week.

    It does not depend on other layers, but for users that go over from cells that let nobody in.
    """
    wanted = typical_hour(hour_of_week)
    layer = _kept(region, view).layers.get(tag)
    found = None if layer is None else layer.hours.get(wanted)
    return _layer_hours(region, view, tag, (wanted,))[0] if found is None else found


def _layer_hours(region: Region, view: View, tag: str, wanted: tuple[int, ...]) -> list[LayerHour]:
    layer = _layer_of(region, view, tag)
    missing = [item for item in wanted if item not in layer.hours]
    if missing:
        layer.hours.update(zip(missing, layer.solve(missing), strict=True))
        _VIEWS.grow(id(view), layer.room * len(missing))
    return [layer.hours[item] for item in wanted]


def _layer_of(region: Region, view: View, tag: str) -> _Layer:
    layers = _kept(region, view).layers
    layer = layers.get(tag)
    if layer is None:
        layer = layers[tag] = _layer(region, view, tag)
    return layer


def _layer(region: Region, view: View, tag: str) -> _Layer:
    """Return what is known of a layer: the same for views in which it has the same cells, emitters and users."""
    cells = _cell_views(region, view, tag)
    emitters = tuple(emitter for emitter in view.emitters.values() if tag in emitter.layers)
    moves = _kept(region, view).moves.get(tag, ())
    key = (region.archetype, region.seed, tag, len(emitters), *map(id, emitters), *map(id, cells), moves)
    layer = _LAYERS.get(key)
    if layer is None:
        other = _LATEST.get((region.archetype, region.seed, tag))
        layer = _LAYERS[key] = _Layer(region, tag, cells, emitters, moves, other)
        _VIEWS.grow(id(view), 2 * len(cells) * len(region.points.home))
    _LATEST.put((region.archetype, region.seed, tag), layer)
    return layer


# --- users that go over to other carriers -----------------------------------------------------------------

Moves: TypeAlias = tuple[tuple[int, float], ...]
"""Rows of cells with the factor on the demand of their area, for those where it is not 1."""


@lru_cache(maxsize=1024)
def _sector_users(archetype: str, seed: int, tag: str) -> tuple[float, ...]:
    """Return how many users the area of each cell of a layer has in the busiest weekday hour."""
    demand = _healthy_demand(archetype, seed, tag).reshape(-1, POINTS_PER_SECTOR).sum(axis=1)
    return tuple((demand / USER_RATE_MBPS[LAYERS[tag].rat]).round(9).tolist())


def _room(tag: str) -> float:
    """Return how many users a carrier has room for, as a measure beside other carriers."""
    band = LAYERS[tag]
    share = TDD_DOWNLINK if band.tdd else 1.0
    return band.bandwidth_mhz * band.efficiency * share / USER_RATE_MBPS[band.rat]


def _closed(view: View, other: _Kept | None) -> tuple[str, ...]:
    """Return the cells that users cannot get into, in their order; another view of the region may tell of most."""
    if other is None:
        return tuple(name for name, seen in view.cells.items() if not serves(seen))
    pairs = zip(view.cells.items(), other.view.cells.values(), strict=True)
    changed = {name: serves(seen) for (name, seen), was in pairs if seen is not was}
    found = {name for name in other.closed if name not in changed}
    found.update(name for name, open_ in changed.items() if not open_)
    return tuple(name for name in view.cells if name in found) if found else ()


def _moves(region: Region, view: View, closed: tuple[str, ...]) -> dict[str, Moves]:
    """Return what users that go over to other carriers of their sector change, by layer."""
    factors: dict[str, dict[int, float]] = {}
    for name in closed:
        site, tag, sector = name.split("-")
        beside = [f"{site}-{other}-{sector}" for other in region.kind.layers if _may_go(tag, other)]
        open_ = [other for other in beside if other in view.cells and serves(view.cells[other])]
        if open_:
            _move(region, view, name, open_, factors)
    return {tag: tuple((row, round(rows[row], 9)) for row in sorted(rows)) for tag, rows in factors.items()}


def _may_go(tag: str, other: str) -> bool:
    return tag != other and (LAYERS[tag].rat == "NR" or LAYERS[other].rat == "LTE")


def _move(region: Region, view: View, name: str, takers: list[str], factors: dict[str, dict[int, float]]) -> None:
    """Add what the users of one cell change at the cells that take them."""

    def users(cell: str) -> tuple[str, int, float]:
        tag = cell.split("-")[1]
        row = region.cells_of[tag].index(cell)
        return tag, row, _sector_users(region.archetype, region.seed, tag)[row] * view.cells[cell].cell.demand_factor

    tag, row, moving = users(name)
    share = SENT_AWAY if asleep(view.cells[name]) else MOVING
    factors.setdefault(tag, {})[row] = 1.0 - share
    rooms = {taker: _room(taker.split("-")[1]) for taker in takers}
    for taker in takers:
        other, place, own = users(taker)
        more = share * moving * rooms[taker] / sum(rooms.values()) / max(own, 1e-9)
        known = factors.setdefault(other, {})
        known[place] = known.get(place, 1.0) + more


# --- a layer ----------------------------------------------------------------------------------------------


class _Traits(NamedTuple):
    """What the radio performance of a layer depends on of a cell; as columns, of all its cells."""

    serves: Any
    """Whether users can get in."""
    off: Any
    """Whether nothing is radiated."""
    bias_db: Any
    """Offset for choosing it."""
    tilt_deg: Any
    """Tilt, mechanical and electrical."""
    turned_deg: Any
    """How far the antenna is turned away from its planned direction."""
    power_dbm: Any
    """Power of the carrier."""
    capability: Any
    """Capacity left, 0-1."""
    extra_load: Any
    """Artificial load, 0-1."""
    demand_factor: Any
    """Factor on the demand of its area."""
    pim_dbm: Any
    """Intermodulation at full load."""
    phase_us: Any
    """Phase of its clock; 0 if nothing is radiated."""
    azimuth_deg: Any
    """Direction."""


def _traits(seen: CellView) -> _Traits:
    cell, radiates, open_ = seen.cell, _radiates(seen), serves(seen)
    return _Traits(
        serves=open_,
        off=not radiates,
        bias_db=cell.cio_db if open_ else _REFUSED_DB,
        tilt_deg=seen.tilt_deg + cell.mechanical_tilt_deg,
        turned_deg=(seen.azimuth_deg - cell.azimuth_deg + 180.0) % 360.0 - 180.0,
        power_dbm=cell.max_tx_power_dbm + seen.power_offset_db,
        capability=seen.capability,
        extra_load=1.0 if cell.ocns_enabled and seen.on_air else 0.0,
        demand_factor=cell.demand_factor,
        pim_dbm=-300.0 if seen.pim_dbm is None else seen.pim_dbm,
        phase_us=seen.phase_us if radiates else 0.0,
        azimuth_deg=seen.azimuth_deg,
    )


class _Layer:
    """A layer as it is in one view or in several: what does not depend on the hour, and the hours computed so far.

    It is made from another one of the same region, if there is one: what is the same in both is taken from there.
    """

    __slots__ = (
        *("__weakref__", "areas", "asked", "cells", "coverage", "distances", "emitters", "hours", "outside_dbm"),
        "overlap_sum",
        *("region", "room", "serves", "tag", "traits"),
    )

    def __init__(
        self,
        region: Region,
        tag: str,
        cells: list[CellView],
        emitters: tuple[Emitter, ...],
        moves: Moves,
        other: _Layer | None,
    ) -> None:
        self.region, self.tag = region, tag
        self.traits: Array
        # Held so that nothing else gets their identities, by which layers are found again.
        self.cells, self.emitters = cells, emitters
        self.hours: dict[int, LayerHour] = {}
        self.asked: Array = np.ones(len(cells) * POINTS_PER_SECTOR)
        for row, factor in moves:
            self.asked[row * POINTS_PER_SECTOR : (row + 1) * POINTS_PER_SECTOR] = factor
        rows = [row for row, cell in enumerate(cells) if other is None or cell is not other.cells[row]]
        table: Array = np.empty((len(_Traits._fields), len(cells))) if other is None else other.traits.copy()
        if rows:
            table[:, rows] = np.array([_traits(cells[row]) for row in rows], float).T
        self.traits = table
        traits = _Traits(*table)
        self.serves = traits.serves > 0
        levels, power = _levels(region, tag, traits, rows, other)
        radio = _layer_radio(tag, levels, traits.bias_db, traits.capability, traits.extra_load)
        self.coverage: Coverage = cover(radio, power, None if other is None else (other.coverage, rows))
        self.distances = _distances(region, tag, self.coverage.serving, other)
        self.outside_dbm = add_dbm(np.full(len(cells), -300.0), *_heard(region, tag, traits.azimuth_deg, emitters))
        self.areas = _areas(region)[tag]
        self.overlap_sum = np.maximum(region.overlap[tag].sum(axis=1), 1e-12)
        self.room = 2 * len(region.points.home) + 9 * len(cells)

    def solve(self, hours_of_week: Sequence[int]) -> list[LayerHour]:
        """Return the layer's performance in several hours."""
        demand = self.demand(hours_of_week) * self.asked
        solved = solve_all(self.coverage, demand)
        sinr, need, load = (np.array([getattr(one, name) for one in solved]) for name in ("sinr_db", "need", "load"))
        serving, cells = self.coverage.serving, len(self.cells)
        offered = _summed(serving, demand, cells)
        quality = _summed(serving, demand * sinr, cells)
        lost = np.where(self.coverage.level_dbm < _NO_SIGNAL_DBM, demand, 0.0)
        home = self.region.points.home
        uplink, excess = self._uplink(load)
        columns = (
            solved,
            offered,
            np.where(offered > 0, quality / np.maximum(offered, 1e-12), 0.0),
            offered / np.maximum(need, 1e-12),
            uplink,
            excess,
            _summed(home, lost, cells) / np.maximum(_summed(home, demand, cells), 1e-12),
        )
        noise = noise_dbm(LAYERS[self.tag].prb_khz)
        return [
            LayerHour(one, mbps, sinr_db, rate, self.distances, noise, uplink_dbm, excess_db, unserved)
            for one, mbps, sinr_db, rate, uplink_dbm, excess_db, unserved in zip(*columns, strict=True)
        ]

    def demand(self, hours_of_week: Sequence[int]) -> Array:
        """Return the demand of each test point, hours x points, in Mbit/s."""
        factors = demand_factors()[np.array(hours_of_week)][:, self.areas] * _Traits(*self.traits).demand_factor
        result: Array = busy_demand_mbps(self.region, self.tag) * np.repeat(factors, POINTS_PER_SECTOR, axis=1)
        return result

    def _uplink(self, loads: Array) -> tuple[Array, Array]:
        """Return interference and noise of each cell, and how much one branch hears more, hours x cells."""
        overlap = self.region.overlap[self.tag]
        # One by one: sums over cells must not depend on how many hours are computed together.
        near = np.array([overlap @ load for load in loads])
        around = near / self.overlap_sum
        base = noise_dbm(LAYERS[self.tag].prb_khz) + 4.0 * around
        both = add_dbm(base, self.outside_dbm, self._time_division(loads))
        one_branch = add_dbm(both, _Traits(*self.traits).pim_dbm + 25.0 * np.log10(loads))
        return np.round(one_branch, 9), np.round(one_branch - both, 9)

    def _time_division(self, loads: Array) -> Array:
        """Return what downlinks out of step give the uplink of their neighbours."""
        count, phases = len(self.cells), _Traits(*self.traits).phase_us
        if not LAYERS[self.tag].tdd or np.ptp(phases) <= 1.5:
            return np.full(count, -300.0)
        overlap = slot_overlap(phases[:, None] - phases[None, :])
        key = mix(self.region.seed, self.region.archetype, "coupling")
        coupling = (118.0 + 6.0 * normals(key, self.tag, count * count)).reshape(count, count)
        near = self.region.overlap[self.tag] > 0
        found = []
        for load in loads:
            level = 28.6 - coupling + 10 * np.log10(np.maximum(overlap * load[None, :], 1e-30))
            found.append(np.where(near, 10 ** (level / 10), 0.0).sum(axis=1))
        result: Array = 10 * np.log10(np.maximum(np.array(found), 1e-30))
        return result


def _summed(places: NDArray[np.intp], values: Array, count: int) -> Array:
    """Return the sums of values by place, hours x places."""
    hours_count = len(values)
    where = places + count * np.arange(hours_count)[:, None]
    found = np.bincount(where.ravel(), values.ravel(), hours_count * count).astype(float, copy=False)
    return found.reshape(hours_count, count)


@lru_cache(maxsize=KEPT_REGIONS)
def _areas_of(archetype: str, seed: int) -> dict[str, NDArray[np.intp]]:
    region = build_region(archetype, seed)
    sites = {site.id: AREAS.index(site.area_type) for site in region.layout.sites}
    return {tag: np.array([sites[name.split("-")[0]] for name in names]) for tag, names in region.cells_of.items()}


def _areas(region: Region) -> dict[str, NDArray[np.intp]]:
    """Return the kind of area of each cell, by layer."""
    return _areas_of(region.archetype, region.seed)


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


@lru_cache(maxsize=64)
def _planned(archetype: str, seed: int, tag: str) -> tuple[Array, Array]:
    """Return the planned reference power at every point, in dBm and in mW."""
    levels = np.round(build_region(archetype, seed).layers[tag].rsrp_dbm, 9)
    return levels, 10 ** (levels / 10)


def _levels(region: Region, tag: str, traits: _Traits, rows: list[int], other: _Layer | None) -> tuple[Array, Array]:
    """Return the reference power at every point in dBm and in mW; minus 300 dBm from cells that do not radiate.

    Args:
        region: The region.
        tag: The band.
        traits: The layer's cells.
        rows: Cells that are not as in another layer, or all.
        other: That layer, if there is one.
    """
    plan = region.layers[tag]
    if other is None:
        levels, power = _planned(region.archetype, region.seed, tag)
        moved = (traits.tilt_deg != plan.tilts_deg) | (traits.turned_deg != 0.0) | (traits.power_dbm != plan.power_dbm)
        chosen = np.flatnonzero(moved | (traits.off > 0))
    else:
        levels, power = other.coverage.radio.rsrp_dbm, other.coverage.power_mw
        chosen = np.array(rows, dtype=np.intp)
    if len(chosen):
        tilts, turned, powers = traits.tilt_deg[chosen], traits.turned_deg[chosen], traits.power_dbm[chosen]
        changed = np.round(plan.levels(tilts, turned, powers, chosen), 9)
        changed[traits.off[chosen] > 0] = _REFUSED_DB
        levels, power = levels.copy(), power.copy()
        levels[chosen], power[chosen] = changed, 10 ** (changed / 10)
    return levels, power


def demand_mbps(region: Region, view: View, tag: str, hour_of_week: int) -> Array:
    """Return the demand of each test point on a layer in an hour of the week, in Mbit/s."""
    found: Array = _layer_of(region, view, tag).demand([hour_of_week])[0]
    return found


def _distances(region: Region, tag: str, serving: NDArray[np.intp], other: _Layer | None) -> Array:
    """Return the distance that nine of ten of a cell's users are within; 0 without users."""
    if other is not None and np.array_equal(serving, other.coverage.serving):
        return other.distances
    distance = region.layers[tag].distance_m[serving, np.arange(len(serving))]
    order = np.lexsort((distance, serving))
    sizes = np.bincount(serving, minlength=len(region.cells_of[tag]))
    ends = np.cumsum(sizes)
    places = np.maximum(ends - 1 - sizes // 10, 0)
    result: Array = np.where(sizes > 0, distance[order][np.minimum(places, len(order) - 1)], 0.0)
    return result


# --- interference from outside ----------------------------------------------------------------------------


def external(region: Region, view: View, tag: str) -> list[tuple[Emitter, Array]]:
    """Return the emitters outside the network in a band, and what each gives each cell of the layer.

    The level falls by 35 dB per decade of distance and with the antenna's pattern; dBm per resource block of the
    emitter's own, averaged over time.
    """
    emitters = [emitter for emitter in view.emitters.values() if tag in emitter.layers]
    azimuths = np.array([cell.azimuth_deg for cell in _cell_views(region, view, tag)])
    return list(zip(emitters, _heard(region, tag, azimuths, emitters), strict=True))


def _heard(region: Region, tag: str, azimuths_deg: Array, emitters: Sequence[Emitter]) -> list[Array]:
    """Return what each emitter gives each cell of a layer."""
    if not emitters:
        return []
    where = {site.id: (site.x_m, site.y_m) for site in region.layout.sites}
    x, y = np.array([where[name.split("-")[0]] for name in region.cells_of[tag]]).T
    found = []
    for emitter in emitters:
        dx, dy = emitter.x_m - x, emitter.y_m - y
        off = (np.degrees(np.arctan2(dx, dy)) - azimuths_deg + 180) % 360 - 180
        level = emitter.power_dbm - 35.0 * np.log10(np.maximum(np.hypot(dx, dy), 50.0) / 100.0)
        found.append(level - np.minimum(12 * (off / 65.0) ** 2, 20.0) + 10 * np.log10(max(emitter.duty, 1e-3)))
    return found


# --- transport ------------------------------------------------------------------------------------------


class Lines(NamedTuple):
    """The transport network in several situations; arrays are situations x links or sites."""

    links: tuple[str, ...]
    """Links."""
    sites: tuple[str, ...]
    """Sites."""
    loads: LinkLoads
    """How links cope."""
    utilisation: Array
    """Utilisation of links, and a column of zeros."""
    ways: tuple[Array, Array, Array]
    """For the way of each site: share of traffic that gets through, delay in ms, loss."""


def _network(region: Region, view: View) -> _Network:
    """Return the transport network of a view: the same for views in which nodes and links are the same."""
    links, nodes = tuple(view.links.values()), tuple(view.nodes.values())
    key = (region.archetype, region.seed, *map(id, links), *map(id, nodes))
    return _NETWORKS.get(key, lambda: _Network(region, view), _NETWORK_ROOM)


class _Network:
    """The transport network of a view: what does not depend on the hour."""

    __slots__ = ("ends", "links", "offers", "open", "settings", "sites", "views", "ways")

    def __init__(self, region: Region, view: View) -> None:
        # Held so that nothing else gets their identities, by which networks are found again.
        self.views = (*view.links.values(), *view.nodes.values())
        self.links, self.sites = tuple(view.links), tuple(site.id for site in region.layout.sites)
        links = {name: place for place, name in enumerate(self.links)}
        sites = {name: place for place, name in enumerate(self.sites)}
        cells = {tag: _cell_views(region, view, tag) for tag in region.kind.layers}
        self.offers = np.array([sites[cell.cell.site_id] for row in cells.values() for cell in row])
        """Site of each cell, layer by layer."""
        self.open = {
            tag: np.array([view.nodes[cell.cell.node_id].user_plane for cell in row]) for tag, row in cells.items()
        }
        """Whether traffic of a cell's node reaches the core."""
        ways = {cell.cell.site_id: view.nodes[cell.cell.node_id].links for cell in view.cells.values()}
        pairs = [(sites[site], links[link]) for site, way in ways.items() for link in way]
        self.ends = np.array(pairs, dtype=np.intp).reshape(-1, 2)
        """Sites and the links their traffic uses."""
        first: dict[str, tuple[str, ...]] = dict.fromkeys(self.sites, ())
        first.update(
            {cell.cell.site_id: view.nodes[cell.cell.node_id].links for cell in reversed(list(view.cells.values()))}
        )
        self.ways = _padded([first[site] for site in self.sites], links)
        """Links on the way of each site."""
        each = view.links.values()
        self.settings = (
            np.array([link.growth for link in each]),
            np.array([link.capacity_mbps if link.up else 0.0 for link in each]),
            np.array([link.delay_ms for link in each]),
            np.array([2.0 if link.microwave else 0.2 for link in each]),
        )
        """Growth, capacity, delay and queueing delay of links."""

    def lines(self, layers: dict[str, list[LayerHour]], serving: dict[str, NDArray[np.bool_]]) -> Lines:
        """Return how the network copes with what layers carry.

        Args:
            layers: Layers in several hours.
            serving: Which of their cells users can get into.
        """
        carried = []
        for tag, parts in layers.items():
            offered_mbps, need = np.array([(one.offered_mbps, one.solved.need) for one in parts]).swapaxes(0, 1)
            carried.append(np.where(serving[tag] & self.open[tag], offered_mbps / np.maximum(need, 1.0), 0.0))
        offered = _summed(self.offers, np.concatenate(carried, axis=1), len(self.sites))
        traffic = _summed(self.ends[:, 1], offered[:, self.ends[:, 0]], len(self.links))
        growth, capacity, delay, service = self.settings
        loads = link_loads(traffic * growth, capacity, delay, service)
        columns = [
            np.concatenate((part, np.full((len(part), 1), none)), axis=1)
            for part, none in zip(loads, (0.0, 0.0, 0.0, 1.0), strict=True)
        ]
        return Lines(self.links, self.sites, loads, columns[0], self._along(LinkLoads(*columns)))

    def _along(self, loads: LinkLoads) -> tuple[Array, Array, Array]:
        """Return share, delay and loss of the ways of sites."""
        situations = len(loads.share)
        share, passed = np.ones((situations, len(self.sites))), np.ones((situations, len(self.sites)))
        delay = np.full((situations, len(self.sites)), 4.0)
        for hop in self.ways.T:
            share = np.minimum(share, loads.share[:, hop])
            delay = delay + loads.delay_ms[:, hop]
            passed = passed * (1 - loads.loss[:, hop])
        return share, delay, 1 - passed


def _padded(ways: Sequence[tuple[str, ...]], links: dict[str, int]) -> NDArray[np.intp]:
    """Return ways as rows of places of links; what is missing at their ends is one place beyond all links."""
    longest = max(map(len, ways), default=0)
    rows = [[*(links[name] for name in way), *(len(links),) * (longest - len(way))] for way in ways]
    return np.array(rows, dtype=np.intp).reshape(len(ways), longest)


def busiest(view: View, ways: Sequence[tuple[str, ...]]) -> NDArray[np.intp]:
    """Return the links of ways as places in `Hour.utilisation`, padded with the place of the zero at its end."""
    return _padded(ways, {name: place for place, name in enumerate(view.links)})
