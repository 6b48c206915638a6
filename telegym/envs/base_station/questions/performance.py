"""Questions about load, service and outages over time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station import kpi
from telegym.envs.base_station.engine import HOUR_S, MINUTE_S
from telegym.envs.base_station.kpi import BIN_S
from telegym.envs.base_station.network import ConfigChange, Network
from telegym.envs.base_station.noise import choice, shuffled
from telegym.envs.base_station.objects import AdministrativeState, Cell
from telegym.envs.base_station.players.steps import Steps
from telegym.envs.base_station.questions.expected import Expected, one, parts, quantity, yes_no
from telegym.envs.base_station.questions.power import clock_text, minutes_between, sites, summed
from telegym.envs.base_station.questions.reading import (
    Answer,
    Unanswerable,
    calculate,
    fields,
    look,
    series,
    table,
)
from telegym.envs.base_station.questions.template import Slots, Template

__all__ = ["TEMPLATES"]


# --- Q01 the busiest cell ---------------------------------------------------------------------------------

CLEAR_PCT = 0.3
"""How far the busiest cell must be ahead, in per cent of its resource blocks."""


def _site_subjects(network: Network, seed: int) -> Iterator[Slots]:
    yield from ({"site": site.id} for site in sites(network, seed))


def _mean_load(network: Network, cell_id: str) -> float | None:
    first = network.now // BIN_S - 96
    values = kpi.cell_bins(network.region, network.epochs, cell_id, "prb_util_dl_pct", first, 96)
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _busiest(network: Network, slots: Slots) -> Expected | None:
    network.settle()
    cells = network.at_site(Cell, slots["site"])
    loads = sorted(
        ((load, cell.id) for cell in cells if (load := _mean_load(network, cell.id)) is not None), reverse=True
    )
    return one(loads[0][1]) if len(loads) > 1 and loads[0][0] - loads[1][0] >= CLEAR_PCT else None


def _find_busiest(slots: Slots) -> Steps[Answer]:
    text = yield from look("rank_cells", kpi="prb_util_dl_pct", scope_id=slots["site"], hours=24, limit=1)
    return Answer(table(text, "rank")[0]["cell_id"])


# --- Q06 the cell without users ---------------------------------------------------------------------------

FEW_USERS = 1.0
"""Users that every other cell must have."""


def _working(network: Network, site_id: str) -> list[Cell]:
    """Return the cells of a site that are unlocked and enabled at nodes that answer."""
    cells = network.at_site(Cell, site_id)
    unlocked = [cell for cell in cells if cell.administrative_state is AdministrativeState.UNLOCKED]
    known = [cell for cell in unlocked if works.oam_reachable(network, cell.node_id)]
    return [cell for cell in known if works.cell_works(network, cell.id)]


def _users(network: Network, cell: Cell) -> float:
    return kpi.users_now(network.region, network.epochs[-1].view, cell.id, network.hour_of_week)


def _idle_subjects(network: Network, seed: int) -> Iterator[Slots]:
    network.settle()
    for site in sites(network, seed):
        if any(_users(network, cell) == 0 for cell in _working(network, site.id)):
            yield {"site": site.id}


def _all_busy(network: Network, seed: int) -> Iterator[Slots]:
    network.settle()
    for site in sites(network, seed):
        if all(_users(network, cell) >= FEW_USERS for cell in _working(network, site.id)):
            yield {"site": site.id}


def _idle(network: Network, slots: Slots) -> Expected | None:
    network.settle()
    users = {cell.id: _users(network, cell) for cell in _working(network, slots["site"])}
    none = [name for name, number in users.items() if number == 0]
    few = [name for name, number in users.items() if 0 < number < FEW_USERS]
    reachable = all(works.oam_reachable(network, cell.node_id) for cell in network.at_site(Cell, slots["site"]))
    return one(none[0]) if len(none) == 1 and not few and reachable else None


def _find_idle(slots: Slots) -> Steps[Answer]:
    listed = yield from look("list_elements", element_type="cell", parent_id=slots["site"])
    for row in table(listed, "element_id"):
        status = fields((yield from look("get_cell_status", cell_id=row["element_id"])))
        works_well = status["administrative_state"] == "UNLOCKED" and status["operational_state"] == "ENABLED"
        if works_well and status["rrc_users_now"] == "0":
            return Answer(row["element_id"])
    raise Unanswerable("every cell in use has users")


# --- Q07 minutes of outage --------------------------------------------------------------------------------

DAYS = 7


def _outage_min(network: Network, cell_id: str, first: int, length: int) -> float:
    values = kpi.cell_bins(network.region, network.epochs, cell_id, "cell_availability_pct", first, length)
    return float(np.nansum(100.0 - values)) / 100 * BIN_S / MINUTE_S


def _interrupted(network: Network, seed: int) -> Iterator[Slots]:
    network.settle()
    end = network.now // BIN_S
    first = ((end - 1) // 96 - DAYS + 1) * 96
    for cell in shuffled(list(network.all(Cell)), seed, "cell"):
        if len(network.epochs) > 1 and _outage_min(network, cell.id, end - 96, 96) >= 15:
            yield {"cell": cell.id, "start": clock_text(first * BIN_S), "end": clock_text(end * BIN_S)}


def _outage(network: Network, slots: Slots) -> Expected | None:
    network.settle()
    length = minutes_between(slots["start"], slots["end"]) * MINUTE_S // BIN_S
    end = next(end for end in range(network.now // BIN_S, 0, -1) if clock_text(end * BIN_S) == slots["end"])
    return quantity(_outage_min(network, slots["cell"], end - length, length), "min", absolute=5.0)


def _find_outage(slots: Slots) -> Steps[Answer]:
    kpis = ["cell_availability_pct"]
    text = yield from look("get_kpi", element_id=slots["cell"], kpis=kpis, hours=24 * DAYS, granularity="day")
    days, _ = series(text, kpis[0])
    minutes = 0.0
    for day, available in days.items():
        if minutes_between(day, slots["end"]) >= 1440:
            found = yield from calculate("availability_to_minutes", availability_pct=available, days=1)
            minutes += float(found["outage_min"])
    today: dict[str, float] = {}
    for offset in (0, 12):
        text = yield from look(
            "get_kpi", element_id=slots["cell"], kpis=kpis, hours=12, end_offset_hours=offset, granularity="15min"
        )
        today |= series(text, kpis[0])[0]
    for time, available in today.items():
        if 0 < minutes_between(time, slots["end"]) <= minutes_between(slots["start"], slots["end"]) % 1440:
            minutes += (100 - available) / 100 * 15
    return Answer(f"{minutes:.0f}", "min")


# --- Q24 a change and a drop ------------------------------------------------------------------------------

LOOK_BACK_H = 12
CLEAR_MIN = 4
"""How many minutes the two must lie apart."""


def _changes(network: Network, cell_id: str) -> list[ConfigChange]:
    since = network.now - LOOK_BACK_H * HOUR_S
    return [change for change in network.changes if change.element_id == cell_id and change.time_s >= since]


def _drop_s(network: Network, cell_id: str) -> int | None:
    """Return the end of the first period since which the traffic of a cell is below half of what is normal."""
    end, length = network.now // BIN_S, 4 * (LOOK_BACK_H - 1)
    first = end - length
    values, usual = kpi.bins_and_expected(network.region, network.epochs, cell_id, ("dl_volume_gb",), first, length)
    low = (np.nan_to_num(values[0]) < 0.5 * usual[0]).tolist()
    if not low[-1] or all(low) or low.index(True) == 0:
        return None
    start = low.index(True)
    shares = np.nan_to_num(values[0]) / np.maximum(usual[0], 1e-9)
    # A period in which the drop happens may lie close to the half.
    clear = all(low[start:]) and bool((np.abs(shares - 0.5) > 0.04).all())
    return (first + start + 1) * BIN_S if clear else None


def _drop_subjects(network: Network, seed: int) -> Iterator[Slots]:
    network.settle()
    changed = {change.element_id for change in network.changes if change.time_s >= network.now - LOOK_BACK_H * HOUR_S}
    for name in shuffled(sorted(changed), seed, "cell"):
        if isinstance(network.objects.get(name), Cell):
            yield {"cell": name, "asked": choice(("change", "drop"), seed, "asked", name)}


def _dropless(network: Network, seed: int) -> Iterator[Slots]:
    """Yield cells whose configuration nobody has changed."""
    changed = {change.element_id.partition(">")[0] for change in network.changes}
    for cell in shuffled(list(network.all(Cell)), seed, "cell"):
        if cell.id not in changed:
            yield {"cell": cell.id, "asked": choice(("change", "drop"), seed, "asked", cell.id)}


def _preceded(network: Network, slots: Slots) -> Expected | None:
    network.settle()
    changes, drop = _changes(network, slots["cell"]), _drop_s(network, slots["cell"])
    if len(changes) != 1 or drop is None:
        return None
    lead = (drop - changes[0].time_s // MINUTE_S * MINUTE_S) / MINUTE_S
    if abs(lead) < CLEAR_MIN:
        return None
    return parts(yes_no((lead > 0) == (slots["asked"] == "change")), quantity(abs(lead), "min", absolute=2.0))


def _find_preceded(slots: Slots) -> Steps[Answer]:
    history = yield from look("get_config_history", element_id=slots["cell"], hours=LOOK_BACK_H)
    changes = [row["time"] for row in table(history, "version") if row["element_id"] == slots["cell"]]
    if not changes:
        raise Unanswerable("nothing was changed")
    text = yield from look(
        "get_kpi", element_id=slots["cell"], kpis=["dl_volume_gb"], hours=LOOK_BACK_H - 1, granularity="15min"
    )
    values, usual = series(text, "dl_volume_gb")
    low = [time for time, value in values.items() if value < 0.5 * usual[time]]
    if not low:
        raise Unanswerable("there was no drop")
    lead = minutes_between(changes[0], low[0]) + BIN_S // MINUTE_S
    yes = (lead > 0) == (slots["asked"] == "change")
    return Answer(f"{'yes' if yes else 'no'}, {abs(lead)} min")


# --- Q28 missing users ------------------------------------------------------------------------------------


def _emptied(network: Network, seed: int) -> Iterator[Slots]:
    network.settle()
    start = network.now // BIN_S * BIN_S - BIN_S
    for site in sites(network, seed):
        if any(not works.in_service(network, cell.id) for cell in network.at_site(Cell, site.id)):
            yield {"site": site.id, "start": clock_text(start)}


def _missing(network: Network, slots: Slots) -> Expected | None:
    network.settle()
    last = network.now // BIN_S - 1
    place = next((place for place in range(last, last - 12, -1) if clock_text(place * BIN_S) == slots["start"]), None)
    if place is None:
        return None
    present, usual = summed(network, network.at_site(Cell, slots["site"]), "rrc_users_mean", place, 1)
    lost = usual - present
    return quantity(lost, "users", relative=0.1) if lost >= max(10.0, 0.15 * usual) else None


def _find_missing(slots: Slots) -> Steps[Answer]:
    text = yield from look("get_kpi", element_id=slots["site"], kpis=["rrc_users_mean"], hours=2, granularity="15min")
    values, usual = series(text, "rrc_users_mean")
    return Answer(f"{usual[slots['start']] - values[slots['start']]:.1f}", "users")


TEMPLATES = (
    Template("Q01", 0, _site_subjects, _busiest, _find_busiest, unknown="site"),
    Template(
        "Q06",
        2,
        _idle_subjects,
        _idle,
        _find_idle,
        needs="a cell that looks well and serves nobody (asleep, barred, access hung)",
        special=True,
        lacking=_all_busy,
    ),
    Template("Q07", 1, _interrupted, _outage, _find_outage, needs="a cell that was out", special=True, unknown="cell"),
    Template(
        "Q24",
        2,
        _drop_subjects,
        _preceded,
        _find_preceded,
        needs="a cell with one logged change and a drop of its traffic in the last hours",
        special=True,
        lacking=_dropless,
    ),
    Template("Q28", 1, _emptied, _missing, _find_missing, needs="a site with cells out of service", special=True),
)
