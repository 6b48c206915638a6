"""Faults compared with what they should look like: the same networks with and without a fault, at the same time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station import epochs, kpi, operations
from telegym.envs.base_station.engine import HOUR_S, MINUTE_S, hour_of_week
from telegym.envs.base_station.faults import Defect, fault
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice
from telegym.envs.base_station.objects import (
    AntennaLine,
    Board,
    Cabinet,
    Cell,
    FronthaulLink,
    Node,
    PowerSystem,
    RadioUnit,
    Router,
    TransportLink,
)
from telegym.envs.base_station.state import Alarm, Rumours

REGIONS = [("U1", 0), ("U2", 1), ("S1", 1), ("R1", 2), ("M1", 3), ("X3", 4)]
DRAWS = 3
NOON = 12 * HOUR_S
HOURS = 8
TOLERANCE = 0.4
HANDLERS = operations
"""Imported so that its events are handled."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExpectedAlarm(_Strict):
    """An alarm that must come; several keys with `|` between them stand for any of them."""

    key: str
    at: Literal["element", "units", "fronthaul", "cells", "nodes", "power", "modules", "routers", "ports", "cabinet"]
    within_min: int
    share: float = 1.0
    below: dict[str, float] = {}


class Shift(_Strict):
    """A change of an indicator."""

    kpi: str
    cells: str
    hours: tuple[int, int] | None = None
    moment: Literal["shed", "throttled", "overheated"] | None = None
    change: Literal["factor", "difference", "value"]
    stated: tuple[float, float]
    measured: float | None = None
    why: str = ""


class Signature(_Strict):
    """What a fault looks like."""

    reach: Literal["none", "border", "links", "radio"]
    details: dict[str, Any] = {}
    only: dict[str, int | str] = {}
    hours: int = HOURS
    alarms: tuple[ExpectedAlarm, ...] | None = None
    shifts: tuple[Shift, ...] = ()


class Case(NamedTuple):
    """A network with a fault, and the same one without it."""

    before: Network
    """With the fault, when it has just begun."""
    network: Network
    """With the fault, some hours later."""
    sound: Network
    """Without it, at the same time."""
    defect: Defect
    """The fault."""


@cache
def signatures() -> dict[str, Signature]:
    text = Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    return {name: Signature.model_validate(row) for name, row in yaml.safe_load(text).items()}


@cache
def cases(name: str) -> tuple[Case, ...]:
    """Return networks with a fault, over several archetypes and elements."""
    code, found = name.partition("/")[0], []
    for index, (archetype, region_seed) in enumerate(REGIONS):
        for draw in range(DRAWS):
            network = Network(archetype, region_seed, seed=7 + index, start_s=NOON, rumours=Rumours(0, 0, 0))
            options = [item for item in fault(code).eligible(network) if _fits(network, item, signatures()[name])]
            if options:
                found.append(_case(network, name, choice(options, index, code, draw), index + 10 * draw))
    return tuple(found)


def _fits(network: Network, element: str, signature: Signature) -> bool:
    if signature.only.get("environment", network.region.kind.environment) != network.region.kind.environment:
        return False
    if "branches" not in signature.only:
        return True
    line = network.get(AntennaLine, element)
    return network.get(RadioUnit, line.ru_id).branches == signature.only["branches"]


def _case(network: Network, name: str, element: str, seed: int) -> Case:
    cause, signature = fault(name.partition("/")[0]), signatures()[name]
    sound = network.fork()
    details = {**cause.sample(network, element, seed), **signature.details}
    defect = cause.inject(network, element, details)
    before = network.fork()
    for one in (network, sound):
        one.advance(signature.hours * HOUR_S)
    return Case(before, network, sound, defect)


# --- what belongs to an element ---------------------------------------------------------------------------


def site_of(network: Network, element: str) -> str:
    return network.index.site_of.get(element) or f"S{element[4:7]}"


def own_cells(network: Network, element: str) -> list[str]:
    """Return the cells that a fault at an element concerns itself."""
    record = network.objects.get(element)
    if isinstance(record, Cell):
        return [element]
    if isinstance(record, (AntennaLine, FronthaulLink)):
        return list(network.index.cells_of[record.ru_id])
    if isinstance(record, (RadioUnit, Board, Node)):
        return list(network.index.cells_of.get(element, ()))
    if isinstance(record, TransportLink):
        paths = network.region.transport.paths
        return [cell.id for cell in network.all(Cell) if element in paths[cell.site_id]["primary"]]
    if "-F" in element and element.startswith("PWR-"):
        _, breaker = network.breaker(element)
        return [cell for unit in breaker.feeds for cell in network.index.cells_of[unit]]
    return [cell.id for cell in network.at_site(Cell, site_of(network, element))]


def belonging(network: Network, element: str, what: str) -> set[str]:
    """Return the objects on which an alarm about an element may be raised."""
    cells = own_cells(network, element)
    units = {network.get(Cell, cell).ru_id for cell in cells}
    sites = {cell.partition("-")[0] for cell in cells}
    power = f"PWR-{site_of(network, element)[1:]}"
    link = network.objects.get(element)
    found: dict[str, set[str]] = {
        "element": {element},
        "units": units,
        "fronthaul": {network.index.fronthaul_of[unit] for unit in units},
        "cells": set(cells),
        "nodes": {node.id for site in sites for node in network.at_site(Node, site)},
        "power": {power},
        "modules": {f"{power}-R{number}" for number in range(1, 9)},
        "routers": {link.a_id, link.b_id} if isinstance(link, TransportLink) else set(),
        "ports": _ports(network, element),
        "cabinet": {f"CAB-{site[1:]}" for site in sites},
    }
    return found[what]


def _ports(network: Network, element: str) -> set[str]:
    """Return a port and the one at the other end of its link."""
    if not element.startswith("CSR-"):
        return set()
    _, port = network.port(element)
    routers = network.all(Router)
    return {element, *(p.id for r in routers for p in r.ports if p.link_id is not None and p.link_id == port.link_id)}


def alarms_on(case: Case, expected: ExpectedAlarm) -> list[Alarm]:
    names = belonging(case.network, case.defect.element_id, expected.at)
    keys = expected.key.split("|")
    return [alarm for alarm in case.network.alarms.values() if alarm.key in keys and alarm.object_id in names]


# --- cells ------------------------------------------------------------------------------------------------


def _by_layer(cells: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for cell in cells:
        found.setdefault(cell.split("-")[1], []).append(cell)
    return found


def _around(network: Network, cells: list[str]) -> list[str]:
    """Return cells of one layer that share a border with some, the longest border first."""
    tag = cells[0].split("-")[1]
    names, overlap = network.region.cells_of[tag], network.region.overlap[tag]
    rows = [names.index(cell) for cell in cells]
    weight = overlap[rows].sum(axis=0) + overlap[:, rows].sum(axis=1)
    order = np.argsort(-weight, kind="stable").tolist()
    return [names[row] for row in order if weight[row] > 0 and names[row] not in cells]


def _nearest(network: Network, cells: list[str]) -> list[str]:
    where = {site.id: site for site in network.region.layout.sites}
    here = where[cells[0].partition("-")[0]]

    def distance(name: str) -> tuple[float, str]:
        site = where[name.partition("-")[0]]
        return (round((site.x_m - here.x_m) ** 2 + (site.y_m - here.y_m) ** 2, 3), name)

    names = network.region.cells_of[cells[0].split("-")[1]]
    return sorted((name for name in names if name not in cells), key=distance)[:8]


def _changes(case: Case, cells: list[str], name: str) -> dict[str, float]:
    """Return how much an indicator of cells changes in the busy hour."""
    network, tag = case.network, cells[0].split("-")[1]
    rows = network.region.cells_of[tag]
    now = kpi.table(network.region, epochs.view_at(network, 18 * HOUR_S), 18)[tag][name]
    then = kpi.table(network.region, epochs.healthy_view(network), 18)[tag][name]
    return {cell: float(now[rows.index(cell)] - then[rows.index(cell)]) for cell in cells}


def _strongest(case: Case, cells: list[str]) -> list[str]:
    change = _changes(case, _around(case.network, cells), "prb_util_dl_pct")
    return sorted(change, key=lambda name: -change[name])[:3]


def _confused(case: Case, cells: list[str]) -> list[str]:
    change = _changes(case, _around(case.network, cells), "ho_success_pct")
    return sorted(change, key=lambda name: change[name])[:1]


_NEIGHBOURS: dict[str, Callable[[Case, list[str]], list[str]]] = {
    "near": lambda case, cells: _nearest(case.network, cells),
    "border": lambda case, cells: _around(case.network, cells)[:6],
    "helpers": _strongest,
    "source": _confused,
}


def chosen(case: Case, which: str) -> list[str]:
    """Return the cells that a shift is about."""
    network = case.network
    own = own_cells(network, case.defect.element_id)
    at_site = network.at_site(Cell, site_of(network, case.defect.element_id))
    if which in _NEIGHBOURS:
        return [name for cells in _by_layer(own).values() for name in _NEIGHBOURS[which](case, cells)]
    if which == "coverage":
        first, sectors = network.region.kind.layers[0], {cell.rpartition("-")[2] for cell in own}
        return [cell.id for cell in at_site if cell.layer == first and cell.id.rpartition("-")[2] in sectors]
    low = {cell.id: network.get(RadioUnit, cell.ru_id).low_priority for cell in at_site}
    found = {
        "own": own,
        "site": list(low),
        "tdd": [cell.id for cell in at_site if cell.tdd],
        "fdd": [cell.id for cell in at_site if not cell.tdd],
        "shed": [name for name, shed in low.items() if shed],
        "kept": [name for name, shed in low.items() if not shed],
    }
    return found[which]


# --- measuring --------------------------------------------------------------------------------------------


def measure(name: str, shift: Shift) -> list[float]:
    """Return a shift in each network that has the cells for it."""
    found = [_measured(case, shift) for case in cases(name)]
    return [value for value in found if value is not None]


def _measured(case: Case, shift: Shift) -> float | None:
    names = chosen(case, shift.cells)
    if not names:
        return None
    if shift.moment is not None:
        return _at_moment(case, shift, names)
    assert shift.hours is not None
    first, count = 4 * shift.hours[0], 4 * (shift.hours[1] - shift.hours[0])
    region = case.network.region
    values = [
        _mean([kpi.cell_bins(region, one.epochs, name, shift.kpi, first, count).mean() for name in names])
        for one in (case.sound, case.network)
    ]
    return None if None in values else _change(shift, *(value for value in values if value is not None))


def _mean(values: list[float]) -> float | None:
    """Return the mean of what cells have values for; None if none has."""
    known = [value for value in values if value == value]
    return float(np.mean(known)) if known else None


def _change(shift: Shift, then: float, now: float) -> float:
    return {"factor": now / then - 1 if then else 0.0, "difference": now - then, "value": now}[shift.change]


def _at_moment(case: Case, shift: Shift, names: list[str]) -> float | None:
    """Return a shift at the moment at which something has just happened; None if it never does."""
    network, site = case.before.fork(), site_of(case.before, case.defect.element_id)
    for _ in range(30 * 12):
        network.advance(5 * MINUTE_S)
        if _reached(network, site, str(shift.moment)):
            break
    else:
        return None
    hour = hour_of_week(network.now)
    values: list[float | None] = []
    for view in (epochs.healthy_view(network), network.epochs[-1].view):
        found = [kpi.expected_bins(network.region, view, name, shift.kpi, 4 * hour, 1)[0] for name in names]
        values.append(_mean(found))
    return None if None in values else _change(shift, *(value for value in values if value is not None))


def _reached(network: Network, site: str, moment: str) -> bool:
    power = network.get(PowerSystem, f"PWR-{site[1:]}")
    cabinet = network.get(Cabinet, f"CAB-{site[1:]}")
    return {
        "shed": power.low_load_shed and not power.dark,
        "throttled": cabinet.throttled and not cabinet.overheated,
        "overheated": cabinet.overheated,
    }[moment]


def allowed(shift: Shift) -> tuple[float, float]:
    """Return the range in which the median of a shift may be."""
    low, high = sorted(shift.stated) if shift.measured is None else (shift.measured, shift.measured)
    bounds = [low * (1 - TOLERANCE), low * (1 + TOLERANCE), high * (1 - TOLERANCE), high * (1 + TOLERANCE)]
    slack = 0.02 if shift.measured == 0.0 else 1e-9
    return (min(bounds) - slack, max(bounds) + slack)


# --- elsewhere --------------------------------------------------------------------------------------------


def tables(network: Network, hour: int = 18) -> dict[str, Mapping[str, NDArray[np.float64]]]:
    """Return all indicators of all cells in an hour, without scatter, in the present state."""
    network.settle()
    found = kpi.table(network.region, network.epochs[-1].view, hour)
    return {tag: found[tag] for tag in network.region.kind.layers}


def changed_cells(case: Case, names: tuple[str, ...] | None = None) -> set[str]:
    """Return the cells of which any indicator, or one of some, is not what it would be without the fault."""
    now, then = tables(case.before), tables(case.sound)
    found = set()
    for tag, values in now.items():
        for name in names or kpi.kpi_names():
            same = (values[name] == then[tag][name]) | (np.isnan(values[name]) & np.isnan(then[tag][name]))
            found |= {case.before.region.cells_of[tag][row] for row in np.flatnonzero(~same)}
    return found


def border(network: Network, cells: list[str], hops: int = 1) -> set[str]:
    """Return cells, those of the same nodes, and those that share a border with them, or with two hops with those."""
    found = set(cells)
    for group in _by_layer(cells).values():
        near = list(group)
        for _ in range(hops):
            near += _around(network, near)
        found |= set(near)
    nodes = {network.get(Cell, cell).node_id for cell in cells}
    return found | {cell.id for cell in network.all(Cell) if cell.node_id in nodes}


def dependants(network: Network, element: str) -> set[str]:
    """Return the sites that a fault at an element may concern in any way but through the air."""
    own = site_of(network, element)
    sites = {own} if own in network.index.at_site else set()
    sites |= {cell.partition("-")[0] for cell in own_cells(network, element)}
    if element.startswith("PWR-") and element.count("-") == 1:
        zone = network.region.records[own]
        sites |= {
            site.id for site in network.region.layout.sites if site.utility_zone == getattr(zone, "utility_zone", "")
        }
    for site in tuple(sites):
        sites |= set(network.index.behind.get(f"CSR-{site[1:]}", ()))
        for node in network.at_site(Node, site):
            sites |= {network.index.site_of[peer] for peer in node.peers}
    return sites


def is_out(network: Network) -> bool:
    return any(not works.in_service(network, cell.id) for cell in network.all(Cell))
