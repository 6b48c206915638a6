"""Questions about carriers, levels and neighbours."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station import kpi
from telegym.envs.base_station.kpi import BIN_S
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice, integer, shuffled
from telegym.envs.base_station.objects import Cell, Rat, Site
from telegym.envs.base_station.physics import propagation, spectrum
from telegym.envs.base_station.physics.spectrum import LAYERS
from telegym.envs.base_station.players.steps import Call, Steps
from telegym.envs.base_station.questions.expected import Expected, one, pair, quantity
from telegym.envs.base_station.questions.reading import Answer, Unanswerable, calculate, fields, look, table
from telegym.envs.base_station.questions.template import Slots, Template
from telegym.tools.base_station.query.configuration import handovers

__all__ = ["TEMPLATES"]


def cells_by_layer(network: Network, seed: int) -> Iterator[Cell]:
    """Yield cells in random order, every layer as likely as the others."""
    layers = shuffled(sorted(network.region.cells_of), seed, "layers")
    orders = {tag: shuffled(network.region.cells_of[tag], seed, "cells", tag) for tag in layers}
    for place in range(max(map(len, orders.values()))):
        yield from (network.get(Cell, orders[tag][place]) for tag in layers if place < len(orders[tag]))


def frequency_mhz(cell: Cell) -> float | None:
    """Return the downlink frequency of a cell's carrier number; None if it belongs to no band."""
    try:
        return (spectrum.earfcn_to_mhz if cell.rat is Rat.LTE else spectrum.nr_arfcn_to_mhz)(cell.arfcn_dl)
    except ValueError:
        return None


def _named(network: Network, seed: int) -> Iterator[Slots]:
    yield from ({"cell": cell.id} for cell in cells_by_layer(network, seed))


def _find_frequency(cell_id: str) -> Steps[float]:
    config = fields((yield from look("get_config", element_id=cell_id, parameters=["arfcn_dl"])))
    number = int(config["arfcn_dl"])
    about = fields((yield from look("get_element_info", element_id=cell_id)))
    if about["rat"] == "LTE":
        found = yield from calculate("earfcn_to_mhz", earfcn=number)
    else:
        found = yield from calculate("nr_arfcn_to_mhz", arfcn=number)
    return float(found["frequency_mhz"])


# --- Q08 frequency ----------------------------------------------------------------------------------------


def _frequency(network: Network, slots: Slots) -> Expected | None:
    mhz = frequency_mhz(network.get(Cell, slots["cell"]))
    return None if mhz is None else quantity(mhz, "MHz", absolute=0.1)


def _find_carrier(slots: Slots) -> Steps[Answer]:
    mhz = yield from _find_frequency(slots["cell"])
    return Answer(f"{mhz:.1f}", "MHz")


# --- Q09 noise floor --------------------------------------------------------------------------------------


def _noise_subjects(network: Network, seed: int) -> Iterator[Slots]:
    for slots in _named(network, seed):
        yield {**slots, "noise_figure_db": integer(3, 12, seed, "noise figure", slots["cell"]) / 2}


def _noise_floor(network: Network, slots: Slots) -> Expected:
    width = 1e3 * LAYERS[network.get(Cell, slots["cell"]).layer].prb_khz
    return quantity(spectrum.noise_floor_dbm(width, slots["noise_figure_db"]), "dBm", absolute=0.1)


def _find_noise_floor(slots: Slots) -> Steps[Answer]:
    about = fields((yield from look("get_element_info", element_id=slots["cell"])))
    width = 12 * float(about["subcarrier_khz"]) / 1e3
    found = yield from calculate("noise_floor", bandwidth_mhz=width, noise_figure_db=slots["noise_figure_db"])
    return Answer(found["noise_floor_dbm"], "dBm")


# --- Q10 expected level -----------------------------------------------------------------------------------


def _level_subjects(network: Network, seed: int) -> Iterator[Slots]:
    for slots in _named(network, seed):
        yield {**slots, "distance_m": 50 * integer(6, 30, seed, "distance", slots["cell"])}


def _level(network: Network, slots: Slots) -> Expected | None:
    cell = network.get(Cell, slots["cell"])
    mhz = frequency_mhz(cell)
    if mhz is None:
        return None
    loss = float(propagation.uma_nlos(slots["distance_m"], mhz, cell.height_m, 1.5))
    layer = LAYERS[cell.layer]
    element_dbm = cell.max_tx_power_dbm - 10 * math.log10(12 * layer.prbs)
    return quantity(element_dbm + layer.gain_dbi - loss, "dBm", absolute=0.5)


def _find_level(slots: Slots) -> Steps[Answer]:
    name = slots["cell"]
    mhz = yield from _find_frequency(name)
    power = fields((yield from look("get_config", element_id=name, parameters=["max_tx_power_dbm"])))
    about = fields((yield from look("get_element_info", element_id=name)))
    height = float(about["antenna_height_m"])
    path = yield from calculate(
        "path_loss_uma", distance_m=slots["distance_m"], frequency_mhz=mhz, station_height_m=height
    )
    found = yield from calculate(
        "rsrp",
        tx_power_dbm=float(power["max_tx_power_dbm"]),
        resource_blocks=int(about["resource_blocks"]),
        path_loss_db=float(path["non_line_of_sight_db"]),
        antenna_gain_dbi=float(about["gain_dbi"]),
    )
    return Answer(found["rsrp_dbm"], "dBm")


# --- Q11 COST 231 -----------------------------------------------------------------------------------------


def _cost_subjects(network: Network, seed: int) -> Iterator[Slots]:
    yield {
        "distance_km": integer(10, 60, seed, "distance") / 10,
        "frequency_mhz": choice((1747.5, 1842.5, 1880.0, 1950.0), seed, "frequency"),
        "height_m": 5 * integer(6, 14, seed, "height"),
        "metropolitan": integer(0, 1, seed, "metropolitan"),
    }


def _cost(network: Network, slots: Slots) -> Expected:
    loss = propagation.cost231_hata(
        1e3 * slots["distance_km"], slots["frequency_mhz"], slots["height_m"], metropolitan=bool(slots["metropolitan"])
    )
    return quantity(float(loss), "dB", absolute=0.2)


def _find_cost(slots: Slots) -> Steps[Answer]:
    found = yield from calculate(
        "path_loss_cost231",
        distance_m=1e3 * slots["distance_km"],
        frequency_mhz=slots["frequency_mhz"],
        station_height_m=slots["height_m"],
        metropolitan=slots["metropolitan"],
    )
    return Answer(found["path_loss_db"], "dB")


# --- Q15 peak rate ----------------------------------------------------------------------------------------


def _rate_slots(cell: Cell, seed: int) -> Slots:
    layers = choice((1, 2, 4, 8), seed, "layers", cell.id)
    return {"cell": cell.id, "layers": layers, "qam": choice((16, 64, 256), seed, "modulation", cell.id)}


def _rate_subjects(network: Network, seed: int) -> Iterator[Slots]:
    yield from (_rate_slots(cell, seed) for cell in cells_by_layer(network, seed) if cell.rat is Rat.NR)


def _rateless(network: Network, seed: int) -> Iterator[Slots]:
    yield from (_rate_slots(cell, seed) for cell in cells_by_layer(network, seed) if cell.rat is Rat.LTE)


def _rate(network: Network, slots: Slots) -> Expected | None:
    cell = network.get(Cell, slots["cell"])
    spacing = LAYERS[cell.layer].subcarrier_khz
    try:
        blocks = spectrum.resource_blocks("NR", cell.bandwidth_mhz, spacing)
    except ValueError:
        return None
    bits = round(math.log2(slots["qam"]))
    return quantity(spectrum.nr_peak_rate_mbps(blocks, spacing, slots["layers"], bits), "Mbit/s", relative=0.01)


def _find_rate(slots: Slots) -> Steps[Answer]:
    about = fields((yield from look("get_element_info", element_id=slots["cell"])))
    if about["rat"] != "NR":
        raise Unanswerable(f"{slots['cell']} is no NR cell")
    config = fields((yield from look("get_config", element_id=slots["cell"], parameters=["bandwidth_mhz"])))
    found = yield from calculate(
        "nr_peak_rate",
        bandwidth_mhz=float(config["bandwidth_mhz"]),
        subcarrier_khz=float(about["subcarrier_khz"]),
        layers=slots["layers"],
        modulation_bits=round(math.log2(slots["qam"])),
    )
    return Answer(found["peak_rate_mbps"], "Mbit/s")


# --- Q05 the same physical cell id twice ------------------------------------------------------------------


def _distance_km(network: Network, one_id: str, other_id: str) -> float:
    here, there = (network.get(Site, network.get(Cell, name).site_id) for name in (one_id, other_id))
    return math.hypot(here.x_m - there.x_m, here.y_m - there.y_m) / 1e3


def _with_identity(network: Network, layer: str, pci: int) -> list[Cell]:
    cells = (network.get(Cell, name) for name in network.region.cells_of[layer])
    return [cell for cell in cells if cell.pci == pci]


def _heard_at(network: Network, site_id: str, layer: str) -> set[str]:
    """Return the cells of a layer at a site, and their listed neighbours."""
    own = {cell.id for cell in network.at_site(Cell, site_id) if cell.layer == layer}
    return own | {relation.target_id for relation in network.relations.values() if relation.source_id in own}


def _twin_subjects(network: Network, seed: int) -> Iterator[Slots]:
    for layer, names in network.region.cells_of.items():
        identities = [network.get(Cell, name).pci for name in names]
        for pci in sorted({pci for pci in identities if identities.count(pci) == 2}):
            first, second = (cell.id for cell in _with_identity(network, layer, pci))
            limit = next((limit for limit in (3, 10, 30) if _distance_km(network, first, second) < 0.95 * limit), None)
            sites = [site.id for site in network.all(Site) if {first, second} <= _heard_at(network, site.id, layer)]
            if limit is not None:
                order = shuffled(sites, seed, "site", pci)
                yield from ({"pci": pci, "layer": layer, "site": site, "limit_km": limit} for site in order)


def _twinless(network: Network, seed: int) -> Iterator[Slots]:
    for cell in cells_by_layer(network, seed):
        if len(_with_identity(network, cell.layer, cell.pci)) == 1:
            yield {"pci": cell.pci, "layer": cell.layer, "site": cell.site_id, "limit_km": 3}


def _twins(network: Network, slots: Slots) -> Expected | None:
    cells = _with_identity(network, slots["layer"], slots["pci"])
    if len(cells) != 2 or cells[0].arfcn_dl != cells[1].arfcn_dl:
        return None
    return pair(cells[0].id, cells[1].id)


def _find_twins(slots: Slots) -> Steps[Answer]:
    listed = yield from look("list_elements", element_type="cell", parent_id=slots["site"])
    found: dict[str, None] = {}
    for row in table(listed, "element_id"):
        if f"-{slots['layer']}-" not in row["element_id"]:
            continue
        text = yield from look("get_neighbour_relations", cell_id=row["element_id"])
        own = fields(text)
        known = {row["element_id"]: own["pci"]} | {item["target"]: item["pci"] for item in table(text, "target")}
        same = [name for name, pci in known.items() if pci == str(slots["pci"])]
        found |= dict.fromkeys(name for name in same if f"-{slots['layer']}-" in name)
    if len(found) != 2:
        raise Unanswerable(f"{len(found)} cells have this identity")
    return Answer(", ".join(found))


# --- Q19 interference -------------------------------------------------------------------------------------

FOLLOWS_LOAD = 0.5
"""Correlation from which interference is said to follow a cell's own load."""
RISE_DB, CLEAR_DB, CLEAR_CORRELATION = 3.0, 1.0, 0.08
"""What makes an answer clear: rise of the worst cell, distance to the next one, distance to the limit above."""


def _uplink(network: Network, cell_id: str, hours: int) -> tuple[float, float] | None:
    """Return how far the uplink level lies above the reference, and its correlation with load; None off the air."""
    first, length = network.now // BIN_S - 4 * hours, 4 * hours
    names = ("ul_rssi_prb_dbm", "prb_util_dl_pct")
    levels, loads = kpi.bins(network.region, network.epochs, cell_id, names, first, length)
    known = ~np.isnan(levels)
    if not known.any():
        return None
    usual = kpi.expected(network.region, network.epochs[0].view, cell_id, names[:1], first, length)[0]
    rise = round(float(levels[known].mean()), 1) - round(float(usual.mean()), 1)
    steady = known.sum() < 4 or float(levels[known].std()) < 1e-6 or float(loads[known].std()) < 1e-6
    return rise, 0.0 if steady else float(np.corrcoef(levels[known], loads[known])[0, 1])


def _interference_subjects(network: Network, seed: int) -> Iterator[Slots]:
    """Yield sites with windows that hold enough periods for a correlation, the shortest first."""
    for site in shuffled(list(network.all(Site)), seed, "site"):
        yield from ({"site": site.id, "hours": hours} for hours in (2, 3, 4, 6, 12, 24))


def _most_disturbed(network: Network, slots: Slots) -> Expected | None:
    network.settle()
    cells = network.at_site(Cell, slots["site"])
    levels = {cell.id: found for cell in cells if (found := _uplink(network, cell.id, slots["hours"])) is not None}
    high = [item for item in levels.values() if item[0] > RISE_DB - CLEAR_DB]
    if not high or any(abs(correlation - FOLLOWS_LOAD) < CLEAR_CORRELATION for _, correlation in high):
        return None
    rises = sorted(
        ((rise, name) for name, (rise, correlation) in levels.items() if correlation < FOLLOWS_LOAD), reverse=True
    )
    clear = len(rises) > 1 and rises[0][0] >= RISE_DB and rises[0][0] - rises[1][0] >= CLEAR_DB
    return one(rises[0][1]) if clear else None


def _find_most_disturbed(slots: Slots) -> Steps[Answer]:
    listed = yield from look("list_elements", element_type="cell", parent_id=slots["site"])
    best, answer = -math.inf, ""
    for row in table(listed, "element_id"):
        reply = yield Call("get_interference_report", {"cell_id": row["element_id"], "hours": slots["hours"]})
        if reply.error:
            continue
        report = fields(reply.text)
        follows = report["correlation_with_dl_load"]
        rise = float(report["mean_dbm"]) - float(report["reference_dbm"])
        if (follows == "n/a" or float(follows) < FOLLOWS_LOAD) and rise > best:
            best, answer = rise, row["element_id"]
    return Answer(answer)


# --- Q22 handover failures --------------------------------------------------------------------------------


def _handover_subjects(network: Network, seed: int) -> Iterator[Slots]:
    """Yield first the cells that border on one that is not in service, or whose identity another one has."""
    cells = list(cells_by_layer(network, seed))
    odd = {cell.id for cell in cells if cell.id in network.altered or not works.in_service(network, cell.id)}
    beside = {item.source_id for item in network.relations.values() if item.target_id in odd} - odd
    order = [cell.id for cell in cells if cell.id in beside][:20] + [cell.id for cell in cells][:20]
    yield from ({"cell": name, "hours": 24} for name in dict.fromkeys(order))


def _worst_relation(network: Network, slots: Slots) -> Expected | None:
    network.settle()
    source = network.get(Cell, slots["cell"])
    failures = sorted(
        (
            (item.attempts * (1 - item.success_pct / 100), item.target_id)
            for item in handovers(network, source, slots["hours"])
            if item.success_pct is not None
        ),
        reverse=True,
    )
    clear = len(failures) > 1 and failures[0][0] >= 5 and failures[0][0] >= 1.5 * failures[1][0]
    return one(failures[0][1]) if clear else None


def _find_worst_relation(slots: Slots) -> Steps[Answer]:
    text = yield from look("get_neighbour_relations", cell_id=slots["cell"], hours=slots["hours"])
    failures = {
        row["target"]: int(row["ho_att"]) * (1 - float(row["ho_success_pct"]) / 100)
        for row in table(text, "target")
        if row["ho_success_pct"] != "-"
    }
    return Answer(max(failures, key=lambda name: failures[name]))


TEMPLATES = (
    Template(
        "Q05",
        2,
        _twin_subjects,
        _twins,
        _find_twins,
        needs="two cells of a carrier with the same physical cell id (collision, confusion)",
        special=True,
        lacking=_twinless,
    ),
    Template("Q08", 0, _named, _frequency, _find_carrier, unknown="cell"),
    Template("Q09", 1, _noise_subjects, _noise_floor, _find_noise_floor, unknown="cell"),
    Template("Q10", 1, _level_subjects, _level, _find_level, unknown="cell"),
    Template("Q11", 0, _cost_subjects, _cost, _find_cost),
    Template(
        "Q15",
        1,
        _rate_subjects,
        _rate,
        _find_rate,
        needs="NR carriers (none in R1)",
        unknown="cell",
        lacking=_rateless,
    ),
    Template(
        "Q19",
        2,
        _interference_subjects,
        _most_disturbed,
        _find_most_disturbed,
        needs="uplink interference at one cell",
        special=True,
        horizon_min=20,
        unknown="site",
    ),
    Template("Q22", 1, _handover_subjects, _worst_relation, _find_worst_relation, unknown="cell"),
)
