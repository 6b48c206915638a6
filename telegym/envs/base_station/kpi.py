"""Key performance indicators: 38 of them, for any quarter of an hour of the past, computed when somebody asks.

A value has two parts: what physics and process make of the network as it was (its base), and scatter that is a hash of
cell, indicator and time. Neither depends on what happened later, so history never changes. Counters follow 3GPP TS
28.552 (NR) and TS 32.425 (LTE), success ratios TS 28.554 and TS 32.450.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from importlib import resources
from typing import Literal, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from telegym.envs.base_station import radio
from telegym.envs.base_station.base_values import GROUPS, STORM_PCT, LayerView, base_values, foreign_share
from telegym.envs.base_station.memory import Recent
from telegym.envs.base_station.noise import mix, normals
from telegym.envs.base_station.physics.spectrum import LAYERS
from telegym.envs.base_station.physics.traffic import typical_hour
from telegym.envs.base_station.radio import USER_RATE_MBPS, asleep, layer_hour, serves
from telegym.envs.base_station.region import Region, build_region
from telegym.envs.base_station.view import Epoch, View

__all__ = [
    "BIN_S",
    "Kpi",
    "bins",
    "bins_and_expected",
    "cell_bins",
    "expected",
    "expected_bins",
    "kpi",
    "kpi_names",
    "layer_bins",
    "processor_load_now",
    "table",
    "users_now",
    "value_now",
]

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Noise = Literal["state", "count", "ratio", "share", "scale", "level"]
Table = Mapping[str, Mapping[str, Array]]
"""Base values: by layer, then by indicator, an entry for each cell."""

BIN_S = 900
"""Length of a reporting period."""
_TRIES = ("rrc_setup_attempts",)
_STORED = tuple(name for group in GROUPS.values() for name in group)
"""Indicators in the order in which base values are stored: group by group."""
_ALL = (1 << len(GROUPS)) - 1
_ROOM = 1 << 23
_VIEW_ROOM, _LAYER_ROOM = 4000, 40


class Kpi(BaseModel):
    """What an indicator means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    """What it is."""
    unit: str
    """Its unit."""
    noise: Noise
    """How it scatters."""
    spread: float
    """How much."""
    digits: int
    """Digits shown."""


@cache
def _kpis() -> dict[str, Kpi]:
    text = resources.files("telegym.envs.base_station").joinpath("kpis.yaml").read_text(encoding="utf-8")
    return {name: Kpi.model_validate(data) for name, data in yaml.safe_load(text).items()}


@cache
def kpi_names() -> tuple[str, ...]:
    """Return the names of all indicators."""
    return tuple(_kpis())


def kpi(name: str) -> Kpi:
    """Return what an indicator means.

    Raises:
        KeyError: If there is none of this name.
    """
    return _kpis()[name]


# --- values of a period ---------------------------------------------------------------------------------


def cell_bins(region: Region, epochs: Sequence[Epoch], cell_id: str, name: str, first: int, count: int) -> Array:
    """Return the values of a cell's indicator in successive reporting periods; NaN where it has none.

    Args:
        region: The region.
        epochs: Views with the second from which they held, in order; the first also holds before it began.
        cell_id: The cell.
        name: The indicator.
        first: First period, counted from second 0 of week 0; may be negative.
        count: Periods.
    """
    found: Array = bins(region, epochs, cell_id, (name,), first, count)[0]
    return found


def bins(region: Region, epochs: Sequence[Epoch], cell_id: str, names: Sequence[str], first: int, count: int) -> Array:
    """Return the values of several indicators of a cell, indicators x periods; arguments as for `cell_bins`."""
    return bins_and_expected(region, epochs, cell_id, names, first, count)[0]


def bins_and_expected(
    region: Region, epochs: Sequence[Epoch], cell_id: str, names: Sequence[str], first: int, count: int
) -> tuple[Array, Array]:
    """Return several indicators of a cell, and what they would be on average had the first view held all the time."""
    tag, row = _place(region, cell_id)
    wanted = tuple(names)
    columns, groups = _with_tries(wanted)

    def pick(values: Array, places: Places | int) -> Array:
        found: Array = values[places, row][..., columns]
        return found

    need = _Need(pick, groups)
    everything = _base(region, epochs, tag, need, first, count)
    base = everything[: len(wanted)]
    noise = _noise(_phases(region.archetype, region.seed, (cell_id,), wanted), first, count)
    scattered = _scattered(wanted, base, everything[-1], noise)
    if _alone(epochs, first, count) is epochs[0].view:
        return scattered, base
    return scattered, _held(region, epochs[0].view, tag, need, first, count)[: len(wanted)]


@lru_cache(maxsize=16_384)
def _place_of(archetype: str, seed: int, cell_id: str) -> tuple[str, int]:
    tag = cell_id.split("-")[1]
    return tag, build_region(archetype, seed).cells_of[tag].index(cell_id)


def _place(region: Region, cell_id: str) -> tuple[str, int]:
    """Return the layer of a cell, and its row."""
    return _place_of(region.archetype, region.seed, cell_id)


@lru_cache(maxsize=1024)
def _columns(names: tuple[str, ...]) -> NDArray[np.intp]:
    """Return the places of indicators in base values."""
    return np.array([_STORED.index(name) for name in names], dtype=np.intp)


@lru_cache(maxsize=1024)
def _groups(names: tuple[str, ...]) -> int:
    """Return the groups that indicators belong to, a bit for each."""
    return sum(1 << place for place, group in enumerate(GROUPS.values()) if not set(group).isdisjoint(names))


@lru_cache(maxsize=1024)
def _with_tries(names: tuple[str, ...]) -> tuple[NDArray[np.intp], int]:
    """Return the places and groups of indicators, and of the attempts at the end where one of them is a ratio."""
    more = _TRIES if any(_kpis()[name].noise == "ratio" for name in names) else ()
    return _columns((*names, *more)), _groups((*names, *more))


def layer_bins(region: Region, epochs: Sequence[Epoch], tag: str, name: str, first: int, count: int) -> Array:
    """Return an indicator of all cells of a layer, cells x periods; arguments as for `cell_bins`."""

    def base_of(indicator: str) -> Array:
        column = int(_columns((indicator,))[0])
        need = _Need(lambda values, places: values[places, :, column], _groups((indicator,)))
        return _base(region, epochs, tag, need, first, count)

    base = base_of(name)
    tries = base_of(_TRIES[0]) if _kpis()[name].noise == "ratio" else base
    noise = _noise(_phases(region.archetype, region.seed, region.cells_of[tag], (name,)), first, count)
    return _scatter(_kinds((name,))[0], base, tries, noise)


def expected_bins(region: Region, view: View, cell_id: str, name: str, first: int, count: int) -> Array:
    """Return what an indicator would be on average had a view held all the time."""
    found: Array = expected(region, view, cell_id, (name,), first, count)[0]
    return found


def expected(region: Region, view: View, cell_id: str, names: Sequence[str], first: int, count: int) -> Array:
    """Return what several indicators would be on average had a view held all the time, indicators x periods."""
    tag, row = _place(region, cell_id)
    columns = _columns(tuple(names))
    need = _Need(lambda values, places: values[places, row][..., columns], _groups(tuple(names)))
    return _held(region, view, tag, need, first, count)


def _alone(epochs: Sequence[Epoch], first: int, count: int) -> View | None:
    """Return the view that holds in all periods; None if there are several."""
    place = max(bisect_right(epochs, first * BIN_S, key=lambda epoch: epoch.start_s) - 1, 0)
    following = epochs[place + 1].start_s if place + 1 < len(epochs) else None
    return epochs[place].view if following is None or following >= (first + count) * BIN_S else None


Places = NDArray[np.intp]
Pick = Callable[[Array, Places | int], Array]
"""Takes what is wanted out of base values, hours x cells x indicators, at places of hours: something for each."""


class _Need(NamedTuple):
    """What is wanted of base values."""

    pick: Pick
    """Takes it out of them."""
    groups: int
    """Which groups of indicators it is in, a bit for each."""


@lru_cache(maxsize=1024)
def _span(first: int, count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the hours that periods are in, and how many periods are in each."""
    begin, end = first // 4, (first + count - 1) // 4 + 1
    widths = np.full(end - begin, 4)
    widths[0] -= first - 4 * begin
    widths[-1] -= 4 * end - first - count
    return np.arange(begin, end), widths


def _held(region: Region, view: View, tag: str, need: _Need, first: int, count: int) -> Array:
    """Return base values under one view, whatever is picked x periods."""
    hours, widths = _span(first, count)
    return need.pick(*_hours(region, view, tag, hours, need.groups)).T.repeat(widths, axis=1)


def _base(region: Region, epochs: Sequence[Epoch], tag: str, need: _Need, first: int, count: int) -> Array:
    """Return base values, whatever is picked x periods; periods with several epochs have the mean over time."""
    view = _alone(epochs, first, count)
    if view is not None:
        return _held(region, view, tag, need, first, count)
    starts = [epoch.start_s for epoch in epochs]
    parts, period, end = [], first, first + count
    while period < end:
        shares = _shares(starts, period * BIN_S, (period + 1) * BIN_S)
        place = shares[0][0]
        if len(shares) > 1:
            views = [(epochs[share].view, seconds) for share, seconds in shares]
            parts.append(_weighted(region, views, tag, need, period))
            period += 1
        else:
            until = min(end, starts[place + 1] // BIN_S if place + 1 < len(starts) else end)
            parts.append(_held(region, epochs[place].view, tag, need, period, until - period))
            period = until
    return np.concatenate(parts, axis=1)


def _weighted(region: Region, views: Sequence[tuple[View, int]], tag: str, need: _Need, period: int) -> Array:
    """Return the mean of values over the seconds that views held; times without a value do not count."""
    values = [(need.pick(*_hour(region, view, tag, period // 4, need.groups)), seconds) for view, seconds in views]
    summed, total = values[0][0] * values[0][1], sum([seconds for _, seconds in views])
    for value, seconds in values[1:]:
        summed = summed + value * seconds
    if np.isnan(summed.sum()):
        return _weighted_known(values)
    # A zero is never negative.
    result: Array = (summed + 0.0) / total
    return result[:, None]


def _weighted_known(values: Sequence[tuple[Array, int]]) -> Array:
    """Return the mean of those values that are known; NaN where none is."""
    summed, total = np.zeros(len(values[0][0])), np.zeros(len(values[0][0]))
    for value, seconds in values:
        known = value == value
        summed = summed + np.where(known, value * seconds, 0.0)
        total = total + np.where(known, seconds, 0)
    result: Array = np.where(total > 0, summed / np.maximum(total, 1), np.nan)
    return result[:, None]


def _shares(starts: Sequence[int], begin: int, end: int) -> list[tuple[int, int]]:
    """Return which epochs cover a period, and for how many seconds; the first also holds before it began."""
    place = max(bisect_right(starts, begin) - 1, 0)
    found = []
    while place + 1 < len(starts) and starts[place + 1] < end:
        found.append((place, starts[place + 1] - begin))
        begin = starts[place + 1]
        place += 1
    found.append((place, end - begin))
    return [share for share in found if share[1] > 0]


@lru_cache(maxsize=4096)
def _phases(archetype: str, seed: int, cells: tuple[str, ...], names: tuple[str, ...]) -> Integers:
    """Return where in the noise the indicators of cells begin: the fast part, then the hourly part, in columns."""
    keys = [mix(seed, archetype, cell, name) for cell in cells for name in names]
    fast, slow = [key & 0xFFFFFFFF for key in keys], [(key >> 7) & 0xFFFFFFFF for key in keys]
    return np.array([fast, slow], dtype=np.int64)[:, :, None]


@cache
def _table_of_normals() -> Array:
    """Return the fast part of noise, then the hourly part."""
    values = normals(0, "scatter of indicators", _TURNS)
    return np.concatenate((0.8 * values, 0.6 * values))


@lru_cache(maxsize=1024)
def _steps(first: int, count: int) -> Integers:
    """Return how far noise has gone on in each period: the fast part, then the hourly part."""
    periods = np.arange(first, first + count, dtype=np.int64)
    return np.array([periods * 2_654_435_761, (periods >> 2) * 40_503])[:, None, :]


_TURNS = 16_384
"""Values after which noise begins again."""
_SHIFTS = np.array([3, 0], dtype=np.int64)[:, None, None]
_BEGINNINGS = np.array([0, _TURNS], dtype=np.int64)[:, None, None]


def _noise(phases: Integers, first: int, count: int) -> Array:
    """Return unit noise with a fast and an hourly part, by random access; phases x periods."""
    places = (((_steps(first, count) + phases) >> _SHIFTS) & (_TURNS - 1)) + _BEGINNINGS
    fast, slow = _table_of_normals().take(places)
    result: Array = fast + slow
    return result


class _Scatter(NamedTuple):
    """Indicators that scatter in one way."""

    kind: Noise
    """How: `count` and `scale` are the same as `share`, with no upper bound."""
    rows: NDArray[np.intp]
    """Which of the indicators."""
    spread: Array
    """How much, a column."""
    most: Array
    """Upper bound, a column."""


@lru_cache(maxsize=1024)
def _kinds(names: tuple[str, ...]) -> list[_Scatter]:
    """Return the kinds of scatter of indicators, with the rows that have each."""
    rows: dict[Noise, list[int]] = {}
    for row, name in enumerate(names):
        noise = _kpis()[name].noise
        rows.setdefault("share" if noise in ("count", "scale") else noise, []).append(row)
    found = []
    for kind, places in rows.items():
        known = [_kpis()[names[place]] for place in places]
        spread = np.array([[item.spread] for item in known])
        most = np.array([[100.0 if item.noise == "share" else np.inf] for item in known])
        found.append(_Scatter(kind, np.array(places, dtype=np.intp), spread, most))
    return found


def _scattered(names: tuple[str, ...], base: Array, tries: Array, noise: Array) -> Array:
    """Return indicators with their scatter, indicators x periods."""
    kinds = _kinds(names)
    if len(kinds) == 1:
        return _scatter(kinds[0], base, tries, noise)
    found = np.empty(base.shape)
    for kind in kinds:
        found[kind.rows] = _scatter(kind, base.take(kind.rows, 0), tries, noise.take(kind.rows, 0))
    return found


def _scatter(how: _Scatter, base: Array, tries: Array, noise: Array) -> Array:
    if how.kind == "state":
        return base
    if how.kind == "level":
        return base + how.spread * noise
    if how.kind == "ratio":
        chance = np.minimum(np.maximum(base / 100.0, 0.0), 1.0)
        deviation = np.sqrt(chance * (1 - chance) / np.maximum(tries, 30.0))
        ratio: Array = np.minimum(np.maximum(base + 100.0 * deviation * noise, 0.0), 100.0)
        # A zero is never negative.
        return ratio + 0.0
    scaled: Array = np.minimum(np.maximum(base * (1 + how.spread * noise), 0.0), how.most)
    return scaled


def users_now(region: Region, view: View, cell_id: str, hour_of_week: int) -> float:
    """Return the connected users of a cell, without scatter: what `rrc_users_mean` is in the tables."""
    seen, (tag, row) = view.cells[cell_id], _place(region, cell_id)
    if not (seen.on_air and serves(seen)):
        return 0.0
    offered = layer_hour(region, view, tag, hour_of_week).offered_mbps[row]
    return min(round(float(offered) / USER_RATE_MBPS[LAYERS[tag].rat], 9), float(seen.cell.max_connected_users))


def processor_load_now(region: Region, view: View, cell_id: str, hour_of_week: int) -> float:
    """Return the processor load of a cell's node as the cell sees it: what `cpu_load_pct` is in the tables."""
    seen, (tag, row) = view.cells[cell_id], _place(region, cell_id)
    if not seen.on_air:
        return 0.0
    load = layer_hour(region, view, tag, hour_of_week).solved.load.item(row)
    used = 0.0 if seen.muted or asleep(seen) else load
    known = _kept(view).foreign
    foreign = known[tag] if tag in known else _foreign_of(region, view, tag)
    storm = 0.0 if foreign is None else STORM_PCT * float(foreign[row])
    return round(min(max(22.0 + 35.0 * used + storm + view.nodes[seen.cell.node_id].cpu_extra_pct, 0.0), 100.0), 9)


# --- base values ----------------------------------------------------------------------------------------


class _Kept:
    """What was computed for a view."""

    __slots__ = ("foreign", "layers", "values", "view")

    def __init__(self, view: View) -> None:
        # Held so that nothing else gets its identity, by which this is found again.
        self.view = view
        self.layers: dict[str, LayerView] = {}
        self.values: dict[str, _Values] = {}
        self.foreign: dict[str, Array | None] = {}


class _Values:
    """Base values of a layer."""

    __slots__ = ("known", "values")

    def __init__(self, cells: int) -> None:
        # No memory is taken for what is never written.
        self.values: Array = np.empty((len(_distinct_hours()), cells, len(_STORED)))
        """Distinct hours x cells x indicators, in the order of their groups."""
        self.known = np.zeros(len(self.values), dtype=np.int64)
        """Which groups have been computed of each hour, a bit for each."""


@cache
def _distinct_hours() -> tuple[int, ...]:
    """Return the hours of the week that differ in demand."""
    return tuple(dict.fromkeys(map(typical_hour, range(168))))


@cache
def _places_of_hours() -> Places:
    """Return the place of each hour of the week among the distinct ones."""
    return np.array([_distinct_hours().index(typical_hour(hour)) for hour in range(168)])


@cache
def _place_of_hour(hour_of_week: int) -> int:
    return int(_places_of_hours()[hour_of_week])


_VIEWS: Recent[int, _Kept] = Recent(_ROOM)


def table(region: Region, view: View, hour_of_week: int) -> Table:
    """Return the base values of all indicators in an hour of the week."""
    return _Table(region, view, hour_of_week)


class _Table(Mapping[str, Mapping[str, Array]]):
    """Base values by layer, worked out when somebody asks for a layer."""

    __slots__ = ("_hour", "_region", "_view")

    def __init__(self, region: Region, view: View, hour_of_week: int) -> None:
        self._region, self._view, self._hour = region, view, hour_of_week

    def __getitem__(self, tag: str) -> Mapping[str, Array]:
        values, places = _hours(self._region, self._view, tag, np.array([self._hour]), _ALL)
        return dict(zip(kpi_names(), values[places[0]].T[_columns(kpi_names())], strict=True))

    def __iter__(self) -> Iterator[str]:
        return iter(self._region.kind.layers)

    def __len__(self) -> int:
        return len(self._region.kind.layers)


def value_now(region: Region, view: View, cell_id: str, name: str, hour_of_week: int) -> float:
    """Return the base value of one indicator of a cell in an hour of the week."""
    tag, row = _place(region, cell_id)
    values, place = _hour(region, view, tag, hour_of_week, _groups((name,)))
    return float(values[place, row, _columns((name,))[0]])


def _kept(view: View) -> _Kept:
    return _VIEWS.get(id(view), lambda: _Kept(view), _VIEW_ROOM)


def _layer_view(region: Region, view: View, tag: str) -> LayerView:
    """Return what indicators of a layer depend on beside the hour."""
    layers = _kept(view).layers
    if tag not in layers:
        layers[tag] = LayerView(region, view, tag)
        _VIEWS.grow(id(view), _LAYER_ROOM * len(region.cells_of[tag]))
    return layers[tag]


def _foreign_of(region: Region, view: View, tag: str) -> Array | None:
    """Return the share of cells' borders whose tracking area is not as built; None if that is nowhere."""
    known = _kept(view).foreign
    if tag not in known:
        known[tag] = foreign_share(region, view, tag)
    return known[tag]


def _hours(region: Region, view: View, tag: str, hours: NDArray[np.intp], groups: int) -> tuple[Array, Places]:
    """Return the base values of a layer, hours x cells x indicators, and the places of hours since week 0 in them.

    Only those of the groups that are asked for need be there.
    """
    kept = _kept(view)
    layer = kept.values.get(tag)
    if layer is None:
        layer = kept.values[tag] = _Values(len(region.cells_of[tag]))
    places = _places_of_hours()[hours % 168]
    if groups & ~int(np.bitwise_and.reduce(layer.known[places])):
        _compute(region, view, tag, layer, places, groups)
    return layer.values, places


def _hour(region: Region, view: View, tag: str, hour: int, groups: int) -> tuple[Array, int]:
    """Return what `_hours` does for one hour."""
    layer = _kept(view).values.get(tag)
    place = _place_of_hour(hour % 168)
    if layer is None or groups & ~int(layer.known[place]):
        return _hours(region, view, tag, np.array([hour]), groups)[0], place
    return layer.values, place


def _compute(region: Region, view: View, tag: str, layer: _Values, places: Places, groups: int) -> None:
    """Compute what is missing of groups of indicators in some hours."""
    missing = [place for place in dict.fromkeys(places.tolist()) if groups & ~int(layer.known[place])]
    lacking = groups & ~int(np.bitwise_and.reduce(layer.known[missing]))
    hours = radio.hours(region, view, [_distinct_hours()[place] for place in missing])
    names = [group for place, group in enumerate(GROUPS) if lacking >> place & 1]
    found = base_values(_layer_view(region, view, tag), hours, names)
    for name in names:
        begin = _STORED.index(GROUPS[name][0])
        values = _values(_layer_view(region, view, tag), {item: found[item] for item in GROUPS[name]}, len(missing))
        layer.values[missing, :, begin : begin + len(GROUPS[name])] = values
        _VIEWS.grow(id(view), values.size)
    layer.known[missing] |= lacking


_ALWAYS = frozenset({"cell_availability_pct", "power_kw", "complaints_per_hour", "backhaul_util_pct"})
"""Indicators that cells off the air have, too."""


def _values(layer: LayerView, values: Mapping[str, Array], hours: int) -> Array:
    """Return base values, hours x cells x indicators; cells off the air have no values, or none but zero."""
    found = np.empty((len(values), hours, len(layer.cells)))
    silent = layer.traits.on_air == 0
    dark = bool(silent.any())
    for place, (name, value) in enumerate(values.items()):
        found[place] = value
        if dark and name not in _ALWAYS:
            found[place, :, silent] = 0.0 if _kpis()[name].noise in ("count", "share") else np.nan
    return np.round(found, 9).transpose(1, 2, 0)
