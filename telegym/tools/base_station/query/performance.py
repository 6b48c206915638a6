"""Key performance indicators: `get_kpi` and `rank_cells`.

Periods of 15 minutes are published when they end. Hours and days begin on the clock; the last one holds what has been
published of it. Counters are shown per period of 15 minutes in every granularity, so that rows can be compared.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from telegym.core.errors import did_you_mean
from telegym.envs.base_station import kpi, radio
from telegym.envs.base_station.kpi import BIN_S
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import mix, normals
from telegym.envs.base_station.objects import Cell, TransportLink
from telegym.envs.base_station.view import Epoch
from telegym.tools.base_station import _elements as elements
from telegym.tools.base_station import _measures as measures
from telegym.tools.base_station._errors import Code, refusal
from telegym.tools.base_station._format import Report, minute

__all__ = ["get_kpi", "rank_cells", "series_of", "shown"]

Array = NDArray[np.float64]

MAX_ROWS = 96
"""Most rows of a series."""
_PERIODS = {"15min": 1, "hour": 4, "day": 96}
_SUMMED = frozenset(
    {
        *("rrc_setup_attempts", "rrc_users_mean", "dl_volume_gb", "rach_attempts"),
        *("power_kw", "complaints_per_hour"),
    }
)
"""Indicators of a node or site that are the sums of those of its cells; others are means."""
LINK_KPIS = ("backhaul_util_pct", "packet_loss_dl_pct", "latency_dl_ms")
"""Indicators of a transport link."""


def known_kpi(name: str) -> str:
    """Return the name of an indicator.

    Raises:
        ToolError: If there is none of this name.
    """
    if name not in kpi.kpi_names():
        hint = did_you_mean(name[:60], kpi.kpi_names())
        raise refusal(Code.INVALID_ARGUMENT, f"no KPI {name[:60]}.{hint}".removesuffix("."))
    return name


def shown(name: str, value: float) -> str:
    """Return a value of an indicator with its digits; `-` where there is none."""
    return f"{value:.{kpi.kpi(name).digits}f}" if value == value else "-"


# --- get_kpi ----------------------------------------------------------------------------------------------


def get_kpi(
    network: Network,
    report: Report,
    element_id: str,
    kpis: list[str],
    hours: int = 24,
    end_offset_hours: int = 0,
    granularity: str = "hour",
) -> Report:
    """Answer with indicators over time, and what they are normally in the same hours."""
    names = list(dict.fromkeys(known_kpi(name) for name in kpis))
    width = _PERIODS[granularity]
    rows = max(1, -(-4 * hours // width))
    if rows > MAX_ROWS:
        raise refusal(Code.INVALID_ARGUMENT, f"{rows} rows are more than {MAX_ROWS}")
    end = network.now // BIN_S - 4 * end_offset_hours
    first = ((end - 1) // width - rows + 1) * width
    values, normal = series_of(network, element_id, names, first, end - first)
    both = _grouped(np.concatenate((values, normal)), width)
    present, usual = both[: len(names)], both[len(names) :]
    if not report.style.details:
        return _summary(report, element_id, names, present, usual)
    written = _rows_pattern(tuple(names), first, end, width) % tuple(present.T.ravel().tolist())
    return _series(report, names, _without_nan(written).split("\n"), _texts(names, usual))


@lru_cache(maxsize=1024)
def _rows_pattern(names: tuple[str, ...], first: int, end: int, width: int) -> str:
    """Return the format of a whole series: a line for each row, its time first."""
    columns = "".join([f",%.{kpi.kpi(name).digits}f" for name in names])
    return "\n".join([minute(BIN_S * start) + columns for start in range(first, end, width)])


def _without_nan(text: str) -> str:
    """Return numbers as text with `-` for none."""
    return text.replace("nan", "-") if "nan" in text else text


def _texts(names: Sequence[str], values: Array) -> list[str]:
    """Return values of indicators with their digits, for each indicator separated by `|`; `-` for none."""
    rows = zip(names, values.tolist(), strict=True)
    return [_without_nan(_pattern(name, len(row)) % tuple(row)) for name, row in rows]


@lru_cache(maxsize=4096)
def _pattern(name: str, count: int) -> str:
    """Return the format of several values of an indicator at once."""
    return "|".join([f"%.{kpi.kpi(name).digits}f"] * count)


def _series(report: Report, names: Sequence[str], lines: list[str], references: list[str]) -> Report:
    """Add as many of the last rows as there is room for, and the reference of the same rows."""
    room = report.long().room - len(",".join(names)) - 45
    kept, length = len(lines), sum(map(len, lines)) + len(lines) + sum(map(len, references)) + len(references)
    if length > room:
        columns = [text.split("|") for text in references]
        kept = _fitting(lines, columns, room)
        references = ["|".join(column[-kept:]) for column in columns]
    report.rows(("time", *names), lines[-kept:], more=len(lines) - kept, keep_last=True)
    return report.line(f"ref_4wk_same_hours,{','.join(references)}")


def _fitting(lines: list[str], references: list[list[str]], room: int) -> int:
    """Return how many of the last rows there is room for; at least one."""
    kept = 0
    for place in range(len(lines) - 1, -1, -1):
        room -= len(lines[place]) + 1 + sum([len(row[place]) + 1 for row in references])
        if room < 0:
            break
        kept += 1
    return max(kept, 1)


def _summary(report: Report, element_id: str, names: Sequence[str], values: Array, normal: Array) -> Report:
    """Tell a series in one row: its last value, its range, and what is normal."""
    report.fields(element=element_id, rows=values.shape[1])
    rows = []
    for name, row, usual in zip(names, values, normal, strict=True):
        known = row[~np.isnan(row)]
        parts = (row[-1], known.min(), known.mean(), known.max()) if len(known) else (np.nan,) * 4
        rows.append((name, *(shown(name, float(item)) for item in (*parts, _mean(usual)))))
    return report.table(("kpi", "last", "min", "mean", "max", "ref_4wk"), rows)


def _mean(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _grouped(values: Array, width: int) -> Array:
    """Return the means over groups of periods; the last group may hold fewer."""
    if width == 1:
        return values
    count = values.shape[1]
    whole = count // width * width
    means = _means(values[:, :whole].reshape(len(values), -1, width))
    if whole == count:
        return means
    return np.concatenate([means, _means(values[:, None, whole:])], axis=1)


def _means(groups: Array) -> Array:
    means: Array = _total(groups) / groups.shape[2]
    if np.isnan(means.sum()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # periods without any value
            means = np.nanmean(groups, axis=2)
    return means


def _total(groups: Array) -> Array:
    """Return the sums of groups; for an hour, four periods one after the other: faster, and the same everywhere."""
    if groups.shape[2] == 1:
        return groups[:, :, 0]
    if groups.shape[2] != 4:
        return np.asarray(groups.sum(axis=2))
    total: Array = groups[:, :, 0] + groups[:, :, 1] + groups[:, :, 2] + groups[:, :, 3]
    return total


def series_of(network: Network, element_id: str, names: Sequence[str], first: int, count: int) -> tuple[Array, Array]:
    """Return indicators of an element and what is normal, indicators x periods.

    Raises:
        ToolError: If there is no such element, or it has no such indicators.
    """
    network.settle()
    record = elements.element(network, element_id)
    if isinstance(record, Cell):
        return _cell_series(network, record.id, names, first, count)
    if isinstance(record, TransportLink):
        return _link_series(network, record.id, names, first, count)
    cells = elements.cells_in(network, element_id)
    if not cells:
        raise refusal(Code.INVALID_ARGUMENT, f"{element_id} carries no cells, so it has no KPIs")
    parts = [_cell_series(network, cell.id, names, first, count) for cell in cells]
    return _together(names, [one for one, _ in parts]), _together(names, [other for _, other in parts])


def _together(names: Sequence[str], parts: list[Array]) -> Array:
    """Return the sum or the mean of the indicators of several cells."""
    stack = np.array(parts)
    found = np.empty(stack.shape[1:])
    for index, name in enumerate(names):
        rows = stack[:, index]
        known = ~np.isnan(rows)
        total = np.where(known, rows, 0.0).sum(axis=0)
        counted = known.sum(axis=0)
        found[index] = total if name in _SUMMED else np.where(counted > 0, total / np.maximum(counted, 1), np.nan)
    return found


def _cell_series(network: Network, cell_id: str, names: Sequence[str], first: int, count: int) -> tuple[Array, Array]:
    return kpi.bins_and_expected(network.region, network.epochs, cell_id, names, first, count)


def _link_series(network: Network, link_id: str, names: Sequence[str], first: int, count: int) -> tuple[Array, Array]:
    for name in names:
        if name not in LINK_KPIS:
            raise refusal(Code.INVALID_ARGUMENT, f"{name} is no KPI of a link; these are {', '.join(LINK_KPIS)}")
    healthy = [Epoch(0, network.epochs[0].view)]
    base = _link_bins(network, network.epochs, link_id, first, count)
    normal = _link_bins(network, healthy, link_id, first, count)
    rows = [LINK_KPIS.index(name) for name in names]
    key = mix(network.region.seed, network.region.archetype, link_id)
    noise = [1.0 + 0.03 * normals(key, f"{name}/{first}", count) for name in names]
    return base[rows] * np.array(noise), normal[rows]


def _link_bins(network: Network, epochs: Sequence[Epoch], link_id: str, first: int, count: int) -> Array:
    """Return utilisation, loss and delay of a link in successive periods."""
    found = np.empty((len(LINK_KPIS), count))
    for index in range(count):
        begin = (first + index) * BIN_S
        place = max((n for n, epoch in enumerate(epochs) if epoch.start_s <= begin), default=0)
        load = radio.hour(network.region, epochs[place].view, begin // 3600 % 168).links[link_id]
        found[:, index] = 100.0 * load.utilisation, 100.0 * load.loss, load.delay_ms
    return found


# --- rank_cells -------------------------------------------------------------------------------------------


def rank_cells(
    network: Network,
    report: Report,
    kpi: str,
    scope_id: str = elements.REGION,
    hours: int = 24,
    aggregation: str = "mean",
    order: str = "desc",
    rat: str = "ANY",
    limit: int = 10,
) -> Report:
    """Answer with the cells of a scope in the order of an indicator."""
    name = known_kpi(kpi)
    cells = [cell for cell in elements.cells_in(network, scope_id) if rat in ("ANY", cell.rat.value)]
    end = network.now // BIN_S
    scores = _scores(network, cells, name, end - 4 * hours, 4 * hours, aggregation)
    sign = -1.0 if order == "desc" else 1.0
    ranked = sorted(((sign * score, cell) for cell, score in scores.items()))
    report.fields(
        kpi=name, aggregation=aggregation, hours=hours, cells=len(cells), without_value=len(cells) - len(scores)
    )
    rows = [
        (str(place), cell, shown(name, sign * score)) for place, (score, cell) in enumerate(ranked[:limit], start=1)
    ]
    return report.table(("rank", "cell_id", name), rows)


def _scores(
    network: Network, cells: list[Cell], name: str, first: int, count: int, aggregation: str
) -> dict[str, float]:
    """Return the aggregate of every cell that has a value."""
    network.settle()
    wanted: dict[str, list[str]] = {}
    for cell in cells:
        wanted.setdefault(cell.layer, []).append(cell.id)
    scores = {}
    for tag, names in wanted.items():
        values = kpi.layer_bins(network.region, network.epochs, tag, name, first, count)
        for cell_id in names:
            row = values[measures.row_of(network, cell_id)[1]]
            known = row[~np.isnan(row)]
            if len(known):
                scores[cell_id] = round(_AGGREGATES[aggregation](known), 9)
    return scores


def _busy_hour(values: Array) -> float:
    """Return the mean of the hour in which it is highest."""
    if len(values) < 4:
        return float(values.mean())
    return float(np.convolve(values, np.full(4, 0.25), "valid").max())


_AGGREGATES: dict[str, Callable[[Array], float]] = {
    "mean": lambda values: float(values.mean()),
    "max": lambda values: float(values.max()),
    "min": lambda values: float(values.min()),
    "busy_hour": _busy_hour,
}
