"""What happens on the air: `get_interference_report` and `get_user_experience_report`."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from telegym.envs.base_station import dependencies, kpi, radio
from telegym.envs.base_station.engine import hour_of_week
from telegym.envs.base_station.kpi import BIN_S
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import Cell, RadioUnit, Site
from telegym.envs.base_station.physics.spectrum import LAYERS
from telegym.tools.base_station import _elements as elements
from telegym.tools.base_station import _measures as measures
from telegym.tools.base_station._errors import Code, refusal
from telegym.tools.base_station._format import Report, number

__all__ = ["blocks_dbm", "get_interference_report", "get_user_experience_report", "sectors_at"]

Array = NDArray[np.float64]

GROUPS = 10
"""Groups of resource blocks in a report."""
AFFECTED_DB = 4.0
"""Rise over the reference from which a neighbour counts as affected too."""
ENOUGH_SAMPLES = 30
"""Samples below which a report is of low confidence."""
_LETTERS = "ABCDEFGH"


# --- interference -----------------------------------------------------------------------------------------


def get_interference_report(network: Network, report: Report, cell_id: str, hours: int = 24) -> Report:
    """Answer with what the uplink of a cell hears: by resource block, branch and hour, and with whom it rises."""
    cell = network.get(Cell, cell_id)
    end = network.now // BIN_S
    first, count = end - 4 * hours, 4 * hours
    network.settle()
    names = ("ul_rssi_prb_dbm", "prb_util_dl_pct")
    levels, loads = kpi.bins(network.region, network.epochs, cell.id, names, first, count)
    known = ~np.isnan(levels)
    if not known.any():
        raise refusal(Code.PRECONDITION_FAILED, f"{cell.id} was not on the air in the last {hours} h: no data")
    usual = kpi.expected(network.region, network.epochs[0].view, cell.id, names[:1], first, count)[0]
    report.fields(
        cell=cell.id,
        hours=hours,
        mean_dbm=number(float(levels[known].mean())),
        reference_dbm=number(float(usual.mean())),
        max_dbm=number(float(levels[known].max())),
        correlation_with_dl_load=_correlation(levels[known], loads[known]),
    )
    if not network.epochs[-1].view.cells[cell.id].on_air:
        report.fields(now="off the air")
    else:
        _blocks(network, report, cell)
        _branches(network, report, cell)
    _profile(report, levels, first)
    return _company(network, report, cell, first, count)


def _correlation(levels: Array, loads: Array) -> str:
    if len(levels) < 4 or float(levels.std()) < 1e-6 or float(loads.std()) < 1e-6:
        return "n/a"
    return number(float(np.corrcoef(levels, loads)[0, 1]), 2)


def blocks_dbm(network: Network, cell: Cell) -> list[tuple[int, int, float]]:
    """Return the uplink level at this moment by group of resource blocks: first block, last block, level in dBm."""
    tag, row = measures.row_of(network, cell.id)
    view = measures.view_now(network)
    total = float(radio.layer_hour(network.region, view, tag, network.hour_of_week).uplink_dbm[row])
    outside = [
        (emitter, 10 ** (float(level[row]) / 10)) for emitter, level in radio.external(network.region, view, tag)
    ]
    inside = max(10 ** (total / 10) - sum(power for _, power in outside), 10 ** (total / 10) * 1e-3)
    blocks = LAYERS[cell.layer].prbs
    found = []
    for group in range(GROUPS):
        low, high = group * blocks // GROUPS, (group + 1) * blocks // GROUPS - 1
        power = inside + sum(part for item, part in outside if item.first_prb <= high and item.last_prb >= low)
        found.append((low, high, 10 * math.log10(power) + measures.jitter(network, 0.3, cell.id, "block", group)))
    return found


def _blocks(network: Network, report: Report, cell: Cell) -> None:
    groups = [f"{low}-{high}:{level:.0f}" for low, high, level in blocks_dbm(network, cell)]
    report.line(f"dbm_by_prb_group: {'|'.join(groups)}")


def _branches(network: Network, report: Report, cell: Cell) -> None:
    unit = network.get(RadioUnit, cell.ru_id)
    lines = {line.branch: line for line in dependencies.lines_of(network, unit)}
    levels = [measures.branch_rx_dbm(network, unit, cell, branch, lines.get(branch)) for branch in range(unit.branches)]
    shown = "|".join(f"{_LETTERS[branch]}:{level:.1f}" for branch, level in enumerate(levels))
    report.line(f"dbm_by_branch: {shown}  imbalance_db: {max(levels) - min(levels):.1f}")


def _profile(report: Report, levels: Array, first: int) -> None:
    """Tell the mean level by hour of day."""
    hours = (np.arange(first, first + len(levels)) // 4) % 24
    shown = []
    for hour in range(24):
        values = levels[(hours == hour) & ~np.isnan(levels)]
        if len(values):
            shown.append(f"{hour:02d}:{float(values.mean()):.0f}")
    if report.style.details:
        report.line(f"dbm_by_hour: {'|'.join(shown)}")


def _company(network: Network, report: Report, cell: Cell, first: int, count: int) -> Report:
    """Tell which cells of the layer nearby hear more than usual too."""
    tag = cell.layer
    levels = kpi.layer_bins(network.region, network.epochs, tag, "ul_rssi_prb_dbm", first, count)
    here = network.get(Site, cell.site_id)
    found = []
    for name, row in zip(network.region.cells_of[tag], levels, strict=True):
        other = network.get(Cell, name)
        known = row[~np.isnan(row)]
        if name == cell.id or not len(known):
            continue
        usual = kpi.expected(network.region, network.epochs[0].view, name, ("ul_rssi_prb_dbm",), first, 1)[0]
        rise = float(known.mean() - usual.mean())
        if rise > AFFECTED_DB:
            there = network.get(Site, other.site_id)
            found.append((-rise, name, math.hypot(here.x_m - there.x_m, here.y_m - there.y_m)))
    report.fields(neighbours_affected=len(found))
    rows = [(name, number(-rise), f"{distance:.0f}") for rise, name, distance in sorted(found)[:6]]
    return (
        report.table(("affected_cell", "rise_db", "distance_m"), rows, more=len(found) - len(rows)) if rows else report
    )


def sectors_at(network: Network, cell: Cell) -> list[Cell]:
    """Return the cells of the same layer at a cell's site."""
    return [item for item in network.at_site(Cell, cell.site_id) if item.layer == cell.layer]


# --- user experience --------------------------------------------------------------------------------------


def get_user_experience_report(network: Network, report: Report, scope_id: str, hours: int = 48) -> Report:
    """Answer with what phones reported from a cell or a site: levels, quality, distance, direction, complaints."""
    cells = elements.cells_in(network, scope_id)
    if scope_id == elements.REGION or not cells:
        raise refusal(Code.INVALID_ARGUMENT, f"{scope_id} is no cell or site")
    if len(cells) > 1:
        return _overview(network, report, scope_id, cells, hours)
    cell = cells[0]
    samples = _Samples(network, cell, hours)
    complaints = measures.indicator_now(network, cell.id, "complaints_per_hour")
    report.fields(cell=cell.id, pci=cell.pci, hours=hours, samples=samples.count, low_confidence=samples.count < 30)
    report.fields(complaints_per_hour=number(complaints, 2), no_signal_in_own_area_pct=number(samples.no_signal_pct))
    if not samples.count:
        return report
    report.line(f"rsrp_pct: {samples.shares(samples.level, (-118, -110, -100, -90), 'dBm')}")
    report.line(f"sinr_pct: {samples.shares(samples.sinr, (0, 6, 13), 'dB')}")
    report.fields(
        rsrp_median_dbm=number(samples.median(samples.level)),
        sinr_median_db=number(samples.median(samples.sinr)),
        distance_median_m=round(samples.median(samples.distance)),
        distance_p90_m=round(samples.quantile(samples.distance, 0.9)),
    )
    report.fields(planned_azimuth_deg=cell.azimuth_deg, mean_bearing_deg=round(samples.mean_bearing))
    return report.details(bearing_pct=samples.bearings())


def _overview(network: Network, report: Report, scope_id: str, cells: list[Cell], hours: int) -> Report:
    rows = []
    for cell in cells:
        samples = _Samples(network, cell, hours)
        complaints = measures.indicator_now(network, cell.id, "complaints_per_hour")
        shown = ("-", "-", "-", "-")
        if samples.count:
            shown = (
                number(samples.median(samples.level)),
                number(samples.median(samples.sinr)),
                str(round(samples.quantile(samples.distance, 0.9))),
                f"{samples.mean_bearing:.0f}",
            )
        rows.append((cell.id, str(samples.count), *shown, number(complaints, 2)))
    total = sum(int(row[1]) for row in rows)
    report.fields(scope=scope_id, hours=hours, samples=total, low_confidence=total < ENOUGH_SAMPLES)
    columns = ("cell", "samples", "rsrp_median", "sinr_median", "distance_p90_m", "mean_bearing", "complaints_per_hour")
    return report.long().table(columns, rows)


class _Samples:
    """What phones that a cell serves report, weighted by how many they are."""

    def __init__(self, network: Network, cell: Cell, hours: int) -> None:
        tag, row = measures.row_of(network, cell.id)
        view = measures.view_now(network)
        layer = radio.layer_hour(network.region, view, tag, hour_of_week(network.now))
        chosen = (layer.solved.serving == row) & (layer.solved.level_dbm > -130.0)
        demand = radio.busy_demand_mbps(network.region, tag)
        served = radio.serves(view.cells[cell.id])
        self.weights: Array = demand[chosen] if served else np.empty(0)
        self.level: Array = layer.solved.level_dbm[chosen]
        self.sinr: Array = layer.solved.sinr_db[chosen]
        self.distance: Array = network.region.layers[tag].distance_m[row][chosen]
        site = network.get(Site, cell.site_id)
        points = network.region.points
        east, north = points.x_m[chosen] - site.x_m, points.y_m[chosen] - site.y_m
        self.bearing: Array = np.degrees(np.arctan2(east, north)) % 360.0
        self.count = round(float(self.weights.sum()) * 6.0 * hours)
        self.no_signal_pct = 100.0 * float(layer.unserved[row])

    def quantile(self, values: Array, share: float) -> float:
        """Return the value that a share of the phones stays below."""
        order = np.argsort(values, kind="stable")
        total = np.cumsum(self.weights[order])
        place = min(int(np.searchsorted(total, share * total[-1])), len(values) - 1)
        return float(values[order][place])

    def median(self, values: Array) -> float:
        """Return the value that half of the phones stays below."""
        return self.quantile(values, 0.5)

    def shares(self, values: Array, edges: tuple[int, ...], unit: str) -> str:
        """Return the shares of phones between edges."""
        total = float(self.weights.sum())
        low, parts = -math.inf, []
        for high in (*edges, math.inf):
            share = float(self.weights[(values >= low) & (values < high)].sum()) / total
            name = f"<{high}" if low == -math.inf else f">={low}" if high == math.inf else f"{low}..{high}"
            parts.append(f"{name}:{100 * share:.0f}")
            low = high
        return f"{'|'.join(parts)} ({unit})"

    @property
    def mean_bearing(self) -> float:
        """Direction in which the phones are, on average."""
        angle = np.radians(self.bearing)
        east, north = float((self.weights * np.sin(angle)).sum()), float((self.weights * np.cos(angle)).sum())
        return math.degrees(math.atan2(east, north)) % 360.0

    def bearings(self) -> tuple[str, ...]:
        """Return the shares of phones by direction, in steps of 30 degrees; empty ones are left out."""
        total = float(self.weights.sum())
        shares = np.bincount((self.bearing // 30).astype(int) % 12, weights=self.weights, minlength=12) / total
        return tuple(f"{30 * index}:{100 * share:.0f}" for index, share in enumerate(shares.tolist()) if share > 0.005)
