"""Key performance indicators: 38 of them, for any quarter of an hour of the past, computed when somebody asks.

A value has two parts: what physics and process make of the network as it was (its base), and scatter that is a hash of
cell, indicator and time. Neither depends on what happened later, so history never changes. Counters follow 3GPP TS
28.552 (NR) and TS 32.425 (LTE), success ratios TS 28.554 and TS 32.450.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from importlib import resources
from typing import Literal

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from telegym.envs.base_station.noise import mix, normals
from telegym.envs.base_station.objects import Cell
from telegym.envs.base_station.physics.spectrum import LAYERS, roots_conflict
from telegym.envs.base_station.physics.uplink import preamble_success, uplink_efficiency, uplink_sinr_db
from telegym.envs.base_station.physics.voice import mean_opinion_score
from telegym.envs.base_station.radio import USER_RATE_MBPS, Hour, LayerHour, asleep, external, hour, layer_hour, serves
from telegym.envs.base_station.region import Region
from telegym.envs.base_station.view import CellView, Epoch, View

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
]

Array = NDArray[np.float64]
Table = Mapping[str, dict[str, Array]]
"""Base values: by layer, then by indicator, an entry for each cell."""

BIN_S = 900
"""Length of a reporting period."""
ONE_BRANCH = 0.45
"""Share of the interference of a single branch, in dB, that is left after branches are combined."""
STORM_PCT = 30.0
"""Processor load when every tracking-area update fails and is tried again."""
UNPAGED = 0.15
"""Share of calls to users that are not found because the tracking area is wrong all around."""
_SESSION_S = 40.0
_KEPT_VIEWS = 64


class Kpi(BaseModel):
    """What an indicator means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    """What it is."""
    unit: str
    """Its unit."""
    noise: Literal["state", "count", "ratio", "share", "scale", "level"]
    """How it scatters."""
    spread: float
    """How much."""
    digits: int
    """Digits shown."""


@cache
def _kpis() -> dict[str, Kpi]:
    text = resources.files("telegym.envs.base_station").joinpath("kpis.yaml").read_text(encoding="utf-8")
    return {name: Kpi.model_validate(data) for name, data in yaml.safe_load(text).items()}


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
    tag = cell_id.split("-")[1]
    row = region.cells_of[tag].index(cell_id)
    known = _kpis()
    ratios = any(known[name].noise == "ratio" for name in names)
    wanted = (*names, "rrc_setup_attempts") if ratios else tuple(names)
    base = _base_rows(region, epochs, tag, row, wanted, first, count)
    keys = [_phase(region.archetype, region.seed, cell_id, name) for name in names]
    noise = _noise(keys, first, count)
    scattered = [_scatter(name, base[index], base[-1], noise[index]) for index, name in enumerate(names)]
    if _alone(epochs, first, count) is epochs[0].view:
        return np.array(scattered), base[: len(names)]
    return np.array(scattered), _rows_of_view(region, epochs[0].view, tag, row, names, first, count)


def layer_bins(region: Region, epochs: Sequence[Epoch], tag: str, name: str, first: int, count: int) -> Array:
    """Return an indicator of all cells of a layer, cells x periods; arguments as for `cell_bins`."""
    base = _base_cells(region, epochs, tag, name, first, count)
    ratio = _kpis()[name].noise == "ratio"
    tries = _base_cells(region, epochs, tag, "rrc_setup_attempts", first, count) if ratio else base
    keys = [_phase(region.archetype, region.seed, cell_id, name) for cell_id in region.cells_of[tag]]
    return _scatter(name, base, tries, _noise(keys, first, count))


def expected_bins(region: Region, view: View, cell_id: str, name: str, first: int, count: int) -> Array:
    """Return what an indicator would be on average had a view held all the time."""
    found: Array = expected(region, view, cell_id, (name,), first, count)[0]
    return found


def expected(region: Region, view: View, cell_id: str, names: Sequence[str], first: int, count: int) -> Array:
    """Return what several indicators would be on average had a view held all the time, indicators x periods."""
    tag = cell_id.split("-")[1]
    row = region.cells_of[tag].index(cell_id)
    return _rows_of_view(region, view, tag, row, names, first, count)


def _alone(epochs: Sequence[Epoch], first: int, count: int) -> View | None:
    """Return the view that holds in all periods; None if there are several."""
    place = max(bisect_right(epochs, first * BIN_S, key=lambda epoch: epoch.start_s) - 1, 0)
    following = epochs[place + 1].start_s if place + 1 < len(epochs) else None
    return epochs[place].view if following is None or following >= (first + count) * BIN_S else None


def _rows_of_view(
    region: Region, view: View, tag: str, row: int, names: Sequence[str], first: int, count: int
) -> Array:
    """Return base values of one cell under one view, indicators x periods."""
    columns, widths = [], []
    index, end = first, first + count
    while index < end:
        following = min((index // 4 + 1) * 4, end)
        values = table(region, view, index // 4 % 168)[tag]
        columns.append([values[name][row] for name in names])
        widths.append(following - index)
        index = following
    return np.repeat(np.array(columns).T, widths, axis=1)


def _stretches(epochs: Sequence[Epoch], first: int, count: int) -> list[tuple[int, int, list[tuple[int, int]]]]:
    """Return successive stretches of periods with the same base: hour of the week, periods, and epochs with shares."""
    starts = [epoch.start_s for epoch in epochs]
    found: list[tuple[int, int, list[tuple[int, int]]]] = []
    index = 0
    while index < count:
        begin = (first + index) * BIN_S
        width = min(4 - (first + index) % 4, count - index)
        shares = _shares(starts, begin, begin + width * BIN_S)
        if len(shares) > 1 and width > 1:
            width = 1
            shares = _shares(starts, begin, begin + BIN_S)
        found.append((begin // 3600 % 168, width, shares))
        index += width
    return found


def _base_rows(
    region: Region, epochs: Sequence[Epoch], tag: str, row: int, names: Sequence[str], first: int, count: int
) -> Array:
    """Return base values of one cell, indicators x periods."""
    view = _alone(epochs, first, count)
    if view is not None:
        return _rows_of_view(region, view, tag, row, names, first, count)
    columns, widths = [], []
    for how, width, shares in _stretches(epochs, first, count):
        if len(shares) == 1:
            values = table(region, epochs[shares[0][0]].view, how)[tag]
            columns.append([values[name][row] for name in names])
        else:
            tables = [(table(region, epochs[place].view, how)[tag], seconds) for place, seconds in shares]
            columns.append([_weighted([(values[name][row], part) for values, part in tables]) for name in names])
        widths.append(width)
    return np.repeat(np.array(columns).T, widths, axis=1)


def _base_cells(region: Region, epochs: Sequence[Epoch], tag: str, name: str, first: int, count: int) -> Array:
    """Return base values of all cells of a layer, cells x periods."""
    columns, widths = [], []
    for how, width, shares in _stretches(epochs, first, count):
        parts = [(table(region, epochs[place].view, how)[tag][name], seconds) for place, seconds in shares]
        columns.append(parts[0][0] if len(parts) == 1 else _weighted_cells(parts))
        widths.append(width)
    return np.repeat(np.array(columns).T, widths, axis=1)


def _weighted(parts: list[tuple[float, int]]) -> float:
    """Return the mean of values over time; times without a value do not count."""
    known = [(value, seconds) for value, seconds in parts if value == value]
    total = sum(seconds for _, seconds in known)
    return sum(value * seconds for value, seconds in known) / total if total else float("nan")


def _weighted_cells(parts: Sequence[tuple[Array, int]]) -> Array:
    """Return the means of the values of all cells over time."""
    rows = zip(*(values.tolist() for values, _ in parts), strict=True)
    seconds = [part for _, part in parts]
    return np.array([_weighted(list(zip(row, seconds, strict=True))) for row in rows])


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
def _phase(region_key: str, seed: int, cell_id: str, name: str) -> int:
    return mix(seed, region_key, cell_id, name)


@cache
def _table_of_normals() -> Array:
    return normals(0, "scatter of indicators", 16_384)


def _noise(keys: Sequence[int], first: int, count: int) -> Array:
    """Return unit noise with a fast and an hourly part, by random access; keys x periods."""
    periods = np.arange(first, first + count, dtype=np.int64)
    low = np.array([key & 0xFFFFFFFF for key in keys], dtype=np.int64)[:, None]
    high = np.array([(key >> 7) & 0xFFFFFFFF for key in keys], dtype=np.int64)[:, None]
    fast = ((periods * 2_654_435_761 + low) >> 3) & 16_383
    slow = ((periods >> 2) * 40_503 + high) & 16_383
    values = _table_of_normals()
    result: Array = 0.8 * values[fast] + 0.6 * values[slow]
    return result


def _scatter(name: str, base: Array, tries: Array, noise: Array) -> Array:
    definition = _kpis()[name]
    spread = definition.spread
    if definition.noise == "state":
        return base
    if definition.noise == "level":
        return base + spread * noise
    if definition.noise == "ratio":
        chance = np.clip(base / 100.0, 0.0, 1.0)
        deviation = np.sqrt(np.maximum(chance * (1 - chance), 0.0) / np.maximum(tries, 30.0))
        return np.clip(base + 100.0 * deviation * noise, 0.0, 100.0)
    scaled = np.maximum(base * (1 + spread * noise), 0.0)
    return np.minimum(scaled, 100.0) if definition.noise == "share" else scaled


def users_now(region: Region, view: View, cell_id: str, hour_of_week: int) -> float:
    """Return the connected users of a cell, without scatter: what `rrc_users_mean` is in the tables."""
    seen, tag = view.cells[cell_id], cell_id.split("-")[1]
    if not (seen.on_air and serves(seen)):
        return 0.0
    offered = layer_hour(region, view, tag, hour_of_week).offered_mbps[region.cells_of[tag].index(cell_id)]
    return min(round(float(offered) / USER_RATE_MBPS[LAYERS[tag].rat], 9), float(seen.cell.max_connected_users))


def processor_load_now(region: Region, view: View, cell_id: str, hour_of_week: int) -> float:
    """Return the processor load of a cell's node as the cell sees it: what `cpu_load_pct` is in the tables."""
    seen, tag = view.cells[cell_id], cell_id.split("-")[1]
    if not seen.on_air:
        return 0.0
    load = layer_hour(region, view, tag, hour_of_week).solved.load[region.cells_of[tag].index(cell_id)]
    used = 0.0 if asleep(seen) or seen.muted else float(load)
    storm = STORM_PCT * float(_foreign(region, view, tag)[region.cells_of[tag].index(cell_id)])
    return round(min(max(22.0 + 35.0 * used + storm + view.nodes[seen.cell.node_id].cpu_extra_pct, 0.0), 100.0), 9)


def _built(region: Region, cell: Cell) -> Cell:
    built = region.records[cell.id]
    return built if isinstance(built, Cell) else cell


_FOREIGN: OrderedDict[tuple[int, str], tuple[View, Array]] = OrderedDict()


def _foreign(region: Region, view: View, tag: str) -> Array:
    """Return how much of what the users of each cell meet is in a tracking area that is not as built."""
    kept = _FOREIGN.get((id(view), tag))
    if kept is None:
        kept = _FOREIGN[id(view), tag] = (view, _wrong_areas(region, view, tag))
        while len(_FOREIGN) > 4 * _KEPT_VIEWS:
            _FOREIGN.popitem(last=False)
    return kept[1]


def _wrong_areas(region: Region, view: View, tag: str) -> Array:
    cells = [view.cells[name].cell for name in region.cells_of[tag]]
    wrong = np.array([cell.tac != _built(region, cell).tac for cell in cells], float)
    if not wrong.any():
        return np.zeros(len(cells))
    overlap = region.overlap[tag]
    share = (overlap @ wrong) / np.maximum(overlap.sum(axis=1), 1e-12)
    result: Array = np.where(wrong > 0, 0.35, 0.25 * share)
    return result


# --- base values ----------------------------------------------------------------------------------------

_TABLES: OrderedDict[int, tuple[View, dict[int, Table]]] = OrderedDict()


def table(region: Region, view: View, hour_of_week: int) -> Table:
    """Return the base values of all indicators in an hour of the week."""
    kept = _TABLES.get(id(view))
    if kept is None:
        kept = _TABLES[id(view)] = (view, {})
        while len(_TABLES) > _KEPT_VIEWS:
            _TABLES.popitem(last=False)
    if hour_of_week not in kept[1]:
        kept[1][hour_of_week] = _Table(region, view, hour(region, view, hour_of_week))
    return kept[1][hour_of_week]


class _Table(Mapping[str, dict[str, Array]]):
    """Base values by layer, worked out when somebody asks for a layer."""

    __slots__ = ("_known", "_region", "_state", "_view")

    def __init__(self, region: Region, view: View, state: Hour) -> None:
        self._region, self._view, self._state = region, view, state
        self._known: dict[str, dict[str, Array]] = {}

    def __getitem__(self, tag: str) -> dict[str, Array]:
        values = self._known.get(tag)
        if values is None:
            values = _layer_table(self._region, self._view, self._state, tag, self._state.layers[tag])
            self._known[tag] = values
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(self._state.layers)

    def __len__(self) -> int:
        return len(self._state.layers)


def _layer_table(region: Region, view: View, state: Hour, tag: str, layer: LayerHour) -> dict[str, Array]:
    cells = [view.cells[name] for name in region.cells_of[tag]]
    rows = _Rows(region, view, state, tag, layer, cells)
    values = {**rows.access(), **rows.mobility(), **rows.traffic(), **rows.quality(), **rows.surroundings()}
    silent = np.array([not cell.on_air for cell in cells])
    for name, value in values.items():
        if name not in ("cell_availability_pct", "power_kw", "complaints_per_hour", "backhaul_util_pct"):
            value[silent] = 0.0 if _kpis()[name].noise in ("count", "share") else np.nan
        values[name] = np.round(value, 9)
    return {name: values[name] for name in _kpis()}


def _quality_index(sinr_db: Array) -> Array:
    """Return the channel quality users report on average, 1 to 12, for a mean signal quality."""
    high = 9.4 + 2.5 * (1 - np.exp(-np.maximum(sinr_db - 6.0, 0.0) / 12.0))
    result: Array = np.clip(np.where(sinr_db < 6.0, 9.4 - 0.28 * (6.0 - sinr_db), high), 1.0, 12.0)
    return result


class _Rows:
    """Base values of one layer in one hour, an entry for each cell."""

    def __init__(
        self, region: Region, view: View, state: Hour, tag: str, layer: LayerHour, cells: list[CellView]
    ) -> None:
        self.region, self.view, self.state, self.tag, self.layer, self.cells = region, view, state, tag, layer, cells
        self.band = LAYERS[tag]
        self.nodes = [view.nodes[cell.cell.node_id] for cell in cells]
        self.serves = np.array([serves(cell) for cell in cells], float)
        self.load = np.where([asleep(cell) or cell.muted for cell in cells], 0.0, layer.solved.load)
        self.need = layer.solved.need
        self.iot = layer.uplink_dbm - layer.noise_dbm
        self.felt, self.heard = self._felt()
        self.foreign = _foreign(region, view, tag)
        self.collision, self.confusion = self._clashes()
        self.users = layer.offered_mbps / USER_RATE_MBPS[self.band.rat] * self.serves
        self.limit = np.array([cell.cell.max_connected_users for cell in cells], float)
        self.rejected = self._rejected()
        self.found = np.minimum(preamble_success(self.heard) / preamble_success(2.0), 1.0)
        ways = [state.sites[cell.cell.site_id] for cell in cells]
        self.share = np.array([way.share for way in ways])
        self.delay = np.array([way.delay_ms for way in ways])
        self.loss = np.array([way.loss for way in ways])
        self.plane = np.array([node.user_plane and node.up for node in self.nodes], float)

    def _felt(self) -> tuple[Array, Array]:
        """Return interference over noise as users' data suffer from it, and as signalling does.

        Combining branches takes out most of what only one of them hears. What disturbs some resource blocks only is in
        the way of data that are scheduled there, and less in that of signals at the edges of the carrier.
        """
        outside, share = np.zeros(len(self.cells)), 1e-6 * np.ones(len(self.cells))
        level = 10 ** ((self.layer.uplink_dbm - self.layer.branch_excess_db) / 10)
        for emitter, received in external(self.region, self.view, self.tag):
            power = np.minimum(10 ** (received / 10) / level, 1 - 1e-6)
            outside = np.maximum(outside, -10 * np.log10(1 - power))
            blocks = min((emitter.last_prb - emitter.first_prb + 1) / self.band.prbs, 1.0)
            share = np.maximum(share, np.where(power > 0.01, blocks, 0.0))
        clean = self.iot - self.layer.branch_excess_db - outside + ONE_BRANCH * self.layer.branch_excess_db
        return clean + share**0.5 * outside, clean + share**0.8 * outside

    def _rejected(self) -> Array:
        """Return the share of access attempts that admission refuses."""
        over = np.where(self.users > self.limit, 1 - self.limit / np.maximum(self.users, 1e-9), 0.0)
        crowded = np.clip((self.need - 1.1) * 0.06, 0.0, 0.3)
        result: Array = np.clip(over + crowded, 0.0, 0.98)
        return result

    def access(self) -> dict[str, Array]:
        """Access: attempts and success."""
        attempts = self.users * 900.0 / _SESSION_S
        false = self._false_preambles(attempts)
        control = np.array([node.control for node in self.nodes])
        signalling = 99.85 * np.clip(0.85 + 0.15 * control, 0, 1) * (control > 0)
        setup = 99.65 * self.found * (1 - self.rejected)
        return {
            "cell_availability_pct": 100.0 * np.array([cell.on_air for cell in self.cells], float),
            "rrc_setup_attempts": attempts,
            "rrc_setup_success_pct": setup,
            "sig_setup_success_pct": signalling,
            "erab_setup_success_pct": 99.75 * (1 - 0.3 * self.rejected) * np.where(control > 0, 1.0, 0.0),
            "rach_attempts": attempts * 1.08 + false,
            "rach_success_pct": 98.5
            * self.found
            * np.where(attempts > 0, attempts / (attempts + 0.93 * false + 1e-9), 1),
            "voice_setup_success_pct": 99.8 * self.found * (1 - 0.5 * self.rejected) * (1 - UNPAGED * self.foreign),
            "rrc_users_mean": np.minimum(self.users, self.limit),
            "tau_success_pct": 99.75 - 90.0 * self.foreign,
            "endc_setup_success_pct": self._endc(),
        }

    def _false_preambles(self, attempts: Array) -> Array:
        """Return preambles meant for neighbours that share roots with a cell."""
        records = [cell.cell for cell in self.cells]
        moved = [
            index
            for index, cell in enumerate(records)
            if cell.root_sequence_index != _built(self.region, cell).root_sequence_index
        ]
        false = np.zeros(len(records))
        for one in moved:
            for other, cell in enumerate(records):
                if (
                    other != one
                    and self.region.overlap[self.tag][one, other] + self.region.overlap[self.tag][other, one] > 0
                ):
                    mine = (records[one].root_sequence_index, records[one].root_sequences)
                    if roots_conflict(*mine, cell.root_sequence_index, cell.root_sequences):
                        false[one] += 1.6 * attempts[other]
                        false[other] += 1.6 * attempts[one]
        return false

    def _endc(self) -> Array:
        """Return how often NR is added; NaN where LTE has no NR beside it."""
        values = np.full(len(self.cells), np.nan)
        nr = [tag for tag in self.region.kind.layers if LAYERS[tag].rat == "NR"]
        if self.band.rat != "LTE" or not nr:
            return values
        for index, cell in enumerate(self.cells):
            site, _, sector = cell.cell.id.split("-")
            partner = f"{site}-{nr[-1]}-{sector}"
            listed = f"{cell.cell.id}>{partner}" in self.view.relations
            ready = listed and cell.cell.endc_allowed and serves(self.view.cells[partner])
            values[index] = 98.8 if ready else 0.0
        return values

    def mobility(self) -> dict[str, Array]:
        """Mobility: handovers and dropped connections."""
        missing = self._missing()
        collision, confusion = self.collision, self.confusion
        refused = self._refused()
        late_setting = np.array(
            [max(cell.cell.a3_offset_db - 3, 0) / 5 + max(cell.cell.ttt_ms - 320, 0) / 960 for cell in self.cells]
        )
        early_setting = np.array(
            [max(3 - cell.cell.a3_offset_db, 0) / 3 + max(320 - cell.cell.ttt_ms, 0) / 280 for cell in self.cells]
        )
        late = 0.3 + 70.0 * missing + 6.0 * late_setting
        success = np.clip(98.9 - 100.0 * (confusion + 0.5 * collision) - 95.0 * refused - 0.5 * (late - 0.3), 0, 100)
        excess = np.maximum(self.heard - 3.0, 0.0)
        drop = 0.22 + 0.10 * excess + 0.004 * np.maximum(6.0 - self.layer.sinr_db, 0) ** 2
        drop = drop + 12.0 * missing + 2.0 * collision + 0.35 * late_setting
        return {
            "ho_success_pct": success,
            "ho_prep_success_pct": 99.8 - 30.0 * confusion,
            "ho_too_late_pct": late,
            "ho_too_early_pct": 0.2 + 8.0 * early_setting + 20.0 * confusion,
            "ho_pingpong_pct": 1.0 + 14.0 * early_setting,
            "rrc_reestablishment_pct": 0.5 + 55.0 * missing + 22.0 * collision + 0.05 * excess,
            "erab_drop_pct": np.clip(drop, 0, 100),
            "voice_drop_pct": np.clip(0.16 + 0.8 * (drop - 0.22) + 25.0 * self.loss, 0, 100),
        }

    def _listed(self, relations: object) -> Array:
        listed = np.zeros((len(self.cells), len(self.cells)))
        place = {name: index for index, name in enumerate(self.region.cells_of[self.tag])}
        for relation in relations.values():  # type: ignore[attr-defined]
            if relation.is_ho_allowed and relation.source_id in place and relation.target_id in place:
                listed[place[relation.source_id], place[relation.target_id]] = 1.0
        return listed

    def _missing(self) -> Array:
        """Return the share of a cell's border towards cells it has no relation with, beyond what was planned."""
        if self.view.relations is self.region.relations:
            return np.zeros(len(self.cells))
        overlap = self.region.overlap[self.tag]
        lost = self._listed(self.region.relations) - self._listed(self.view.relations)
        mass = (overlap * np.maximum(lost, 0)).sum(axis=1) / np.maximum(overlap.sum(axis=1), 1e-12)
        result: Array = np.minimum(mass, 1.0)
        return result

    def _clashes(self) -> tuple[Array, Array]:
        """Return the share of a cell's border with a cell of the same id, and with two cells of one id."""
        pcis = np.array([cell.cell.pci for cell in self.cells])
        overlap = self.region.overlap[self.tag]
        mass = overlap / np.maximum(overlap.sum(axis=1, keepdims=True), 1e-12)
        same = (pcis[:, None] == pcis[None, :]) & ~np.eye(len(pcis), dtype=bool)
        if not same.any():
            return np.zeros(len(pcis)), np.zeros(len(pcis))
        both = same & ((mass + mass.T) > 0)
        collision = (np.maximum(mass, mass.T) * both).sum(axis=1)
        confusion = np.zeros(len(pcis))
        for one, other in zip(*np.nonzero(np.triu(same)), strict=True):
            confusion += np.minimum(mass[:, one], mass[:, other])
        return np.minimum(collision, 1.0), np.minimum(confusion, 1.0)

    def _refused(self) -> Array:
        """Return the share of a cell's border towards cells that radiate but let nobody in."""
        shut = np.array([cell.on_air and not cell.muted and not cell.access_ok for cell in self.cells], float)
        overlap = self.region.overlap[self.tag]
        result: Array = (overlap @ shut) / np.maximum(overlap.sum(axis=1), 1e-12)
        return np.where(shut > 0, 0.0, result)

    def traffic(self) -> dict[str, Array]:
        """Traffic: load, throughput, volume."""
        # What is lost on the fronthaul is sent again and slows senders down; two cells of one id blur each other.
        errors = np.array([cell.bit_errors for cell in self.cells])
        clear = (1 - errors) ** 2 * (1 - 0.5 * self.collision)
        throughput = (
            self.layer.rate_mbps * (1 - 0.75 * self.load) / np.maximum(self.need, 1.0) * self.share * self.plane * clear
        )
        served = self.layer.offered_mbps / np.maximum(self.need, 1.0) * self.share * self.plane * self.serves
        ratio = uplink_efficiency(self._uplink_sinr())
        share = 0.26 if self.band.tdd else 1.0
        uplink = ratio * self.band.bandwidth_mhz * share * (1 - 0.6 * self.load) * 0.35 * self.share * self.plane
        uplink = uplink * (1 - errors) ** 2
        reduced = self.load * np.where(self.share < 0.999, self.share, 1.0)
        return {
            "prb_util_dl_pct": 100.0 * reduced,
            "prb_util_ul_pct": 100.0 * np.clip(0.6 * self.load * 10 ** ((self.felt - 1.5) / 25), 0, 1),
            "dl_user_throughput_mbps": np.where(self.serves > 0, throughput, 0.0),
            "ul_user_throughput_mbps": np.where(self.serves > 0, uplink, 0.0),
            "dl_volume_gb": served * 900 / 8e3,
            "packet_loss_dl_pct": np.clip(0.01 + 100.0 * self.loss, 0, 100),
            "latency_dl_ms": self.delay + 8.0 + 14.0 * self.load**3,
        }

    def _uplink_sinr(self) -> Array:
        return uplink_sinr_db(self.felt, self.layer.distance_p90_m / (0.62 * self.region.layout.spacing_m))

    def quality(self) -> dict[str, Array]:
        """Quality of the air interface."""
        sinr = self.layer.sinr_db
        branches = np.array([max(cell.branches, 0.0) for cell in self.cells])
        branches = branches**0.8 * np.array([cell.rank for cell in self.cells])
        base_rank = 1.55 if self.band.rat == "LTE" else 2.6
        offset = np.array([max(cell.frequency_ppm - 0.05, 0) for cell in self.cells])
        errors = np.array([cell.bit_errors for cell in self.cells])
        uplink = self._uplink_sinr()
        mos = [
            mean_opinion_score(delay + 60.0, loss)
            for delay, loss in zip(self.delay.tolist(), self.loss.tolist(), strict=True)
        ]
        return {
            "ul_rssi_prb_dbm": self.layer.uplink_dbm,
            "ul_sinr_db": uplink,
            "cqi_mean": np.maximum(_quality_index(sinr) - 4.0 * self.collision, 1.0),
            "rank_mean": np.clip(base_rank * branches * np.clip(0.85 + 0.015 * sinr, 0.7, 1.15), 1, 4),
            "dl_bler_pct": np.clip(9.8 + 120 * offset + 100 * errors + 0.15 * np.maximum(6 - sinr, 0), 0, 100),
            "ul_bler_pct": np.clip(9.8 + 1.2 * np.maximum(6 - uplink, 0), 0, 100),
            "voice_mos": np.array(mos),
            "ta_p90_m": self.layer.distance_p90_m,
        }

    def surroundings(self) -> dict[str, Array]:
        """Processors, transport, power, complaints."""
        extra = np.array([node.cpu_extra_pct for node in self.nodes])
        busiest = [max((self.state.links[link].utilisation for link in node.links), default=0.0) for node in self.nodes]
        idle, full = (0.42, 0.98) if self.band.power_dbm > 50 else (0.18, 0.42)
        radiating = np.array([cell.on_air and not asleep(cell) for cell in self.cells], float)
        muted = np.array([cell.muted for cell in self.cells], float)
        lost = self.layer.unserved + (1 - np.minimum(1 / np.maximum(self.need, 1.0), 1.0))
        return {
            "cpu_load_pct": np.clip(22.0 + 35.0 * self.load + STORM_PCT * self.foreign + extra, 0, 100),
            "backhaul_util_pct": 100.0 * np.array(busiest),
            "power_kw": radiating * (idle + (full - idle) * self.load) * (1 - 0.45 * muted),
            "complaints_per_hour": 0.15 + 0.02 * self.users * np.clip(lost, 0, 1),
        }
