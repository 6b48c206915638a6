"""Configuration: `get_config`, `get_config_history`, `get_neighbour_relations`."""

from __future__ import annotations

import math
from typing import NamedTuple

from telegym.envs.base_station import dependencies
from telegym.envs.base_station.kpi import cell_bins
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import integer
from telegym.envs.base_station.objects import Board, Cell, ClockUnit, Node, RadioUnit, Record, Relation, Router, Site
from telegym.envs.base_station.parameters import last_known_good, parameters_of, planned_value, text_of
from telegym.tools.base_station import _elements as elements
from telegym.tools.base_station import _measures as measures
from telegym.tools.base_station._errors import Code, refusal
from telegym.tools.base_station._format import Report, cell, minute, number

__all__ = ["Handovers", "get_config", "get_config_history", "get_neighbour_relations", "handovers"]

Row = tuple[str, ...]


# --- get_config -------------------------------------------------------------------------------------------


def get_config(
    network: Network,
    report: Report,
    element_id: str,
    parameters: list[str] | None = None,
    compare_to: str = "none",
) -> Report:
    """Answer with an element's configuration, or with where it differs from the plan or the weekly baseline."""
    record = elements.element(network, element_id)
    known = parameters_of(record)
    if not known:
        raise refusal(Code.INVALID_ARGUMENT, f"{element_id} is a {elements.kind_name(record)} without parameters")
    for name in parameters or ():
        if name not in known:
            raise refusal(
                Code.INVALID_ARGUMENT, f"{element_id} has no parameter {name[:60]}. It has {', '.join(known)}"
            )
    wanted = parameters or list(known)
    report.fields(element=element_id, verified=_verified(network, record), compare_to=compare_to)
    if compare_to == "none":
        for name in wanted:
            report.line(f"{name}: {_shown(getattr(record, known[name].attribute))}")
        return report
    rows = _differences(network, record, wanted, compare_to)
    report.fields(compared=len(wanted), different=len(rows))
    return report.table(("parameter", "present", compare_to), rows) if rows else report


def _shown(value: object) -> str:
    return text_of(value) or "-"


def _verified(network: Network, record: Record) -> bool:
    """Return whether the element itself answered; else the values are those of the database."""
    if isinstance(record, Cell | Board | RadioUnit):
        return dependencies.oam_reachable(network, record.node_id)
    if isinstance(record, Node):
        return dependencies.oam_reachable(network, record.id)
    if isinstance(record, ClockUnit):
        return any(dependencies.oam_reachable(network, node.id) for node in network.at_site(Node, record.site_id))
    return not isinstance(record, Router) or dependencies.router_up(network, record.id)


def _differences(network: Network, record: Record, names: list[str], compare_to: str) -> list[Row]:
    known = parameters_of(record)
    good = last_known_good(network, record) if compare_to == "last_known_good" else {}
    rows: list[Row] = []
    for name in names:
        present = getattr(record, known[name].attribute)
        base = good.get(name, present) if compare_to != "planned" else planned_value(network, record, known[name])
        if base != present:
            rows.append((name, cell(_shown(present)), cell(_shown(base))))
    return rows


# --- get_config_history -----------------------------------------------------------------------------------


def get_config_history(network: Network, report: Report, element_id: str, hours: int = 168) -> Report:
    """Answer with the change log of an element and of what is part of it, newest first."""
    names = _part_of(network, element_id)
    since = network.now - 3600 * hours
    found = [
        (number_, change)
        for number_, change in enumerate(network.changes, start=1)
        if change.time_s >= since and (names is None or _concerns(change.element_id, names))
    ]
    report.fields(element=element_id, changes=len(found))
    rows = [
        (
            f"V{index}",
            minute(change.time_s),
            change.element_id,
            change.parameter,
            cell(change.old or "-"),
            cell(change.new or "-"),
            change.user,
            change.change_id or "-",
        )
        for index, change in reversed(found)
    ]
    columns = ("version", "time", "element_id", "parameter", "old", "new", "user", "reference")
    return report.table(columns, rows, details=1) if rows else report


def _concerns(changed: str, names: set[str]) -> bool:
    return changed in names or changed.partition(">")[0] in names


def _part_of(network: Network, element_id: str) -> set[str] | None:
    """Return the ids of an element and of all that is part of it; None for everything."""
    if element_id == elements.REGION:
        return None
    record = elements.element(network, element_id)
    if isinstance(record, Cell):
        return {record.id, f"RET-{record.id[1:]}"}
    names = {record.id}
    if isinstance(record, Site):
        return names | set(network.index.at_site[record.id])
    if isinstance(record, Node | Board | RadioUnit):
        names |= {item.id for item in elements.cells_in(network, record.id)}
    return names


# --- get_neighbour_relations ------------------------------------------------------------------------------


class Handovers(NamedTuple):
    """Handovers of a cell to one neighbour."""

    target_id: str
    """The neighbour."""
    attempts: int
    """How many were tried; 0 where they are not allowed."""
    success_pct: float | None
    """How many of them succeeded, in per cent as shown; None if there were none."""


def handovers(network: Network, source: Cell, hours: int) -> list[Handovers]:
    """Return what became of a cell's handovers to its neighbours, the busiest first."""
    relations = [item for item in network.relations.values() if item.source_id == source.id]
    weights = {item.target_id: _weight(network, source, item.target_id) for item in relations}
    total = sum(weights.values()) + sum(share for _, share in _unlisted(network, source, set(weights)))
    attempts = _handover_attempts(network, source, hours)
    found = []
    for item in sorted(relations, key=lambda item: (-weights[item.target_id], item.target_id)):
        tried = round(attempts * weights[item.target_id] / total) if total and item.is_ho_allowed else 0
        success = _relation_success(network, source, item, network.get(Cell, item.target_id)) if tried else None
        found.append(Handovers(item.target_id, tried, None if success is None else round(success, 1)))
    return found


def get_neighbour_relations(network: Network, report: Report, cell_id: str, hours: int = 24) -> Report:
    """Answer with the neighbours of a cell, the busiest first, and with cells that users hear but nobody listed."""
    source = network.get(Cell, cell_id)
    found = handovers(network, source, hours)
    report.fields(cell=source.id, pci=source.pci, arfcn=source.arfcn_dl, relations=len(found), hours=hours)
    columns = ("target", "ho_att", "ho_success_pct", "pci", "arfcn", "distance_m", "ho_allowed", "ext_pci")
    rows = [_relation_row(network, source, item) for item in found]
    _unknown(network, report, source, hours)
    return report.table(columns, rows, details=2)


def _relation_row(network: Network, source: Cell, tried: Handovers) -> Row:
    target = network.get(Cell, tried.target_id)
    relation = network.relations[f"{source.id}>{target.id}"]
    return (
        target.id,
        str(tried.attempts),
        "-" if tried.success_pct is None else number(tried.success_pct),
        str(target.pci),
        str(target.arfcn_dl),
        f"{_distance_m(network, source, target):.0f}",
        "yes" if relation.is_ho_allowed else "no",
        str(relation.ext_pci) if relation.ext_pci is not None else "-",
    )


def _distance_m(network: Network, one: Cell, other: Cell) -> float:
    here, there = network.get(Site, one.site_id), network.get(Site, other.site_id)
    return math.hypot(here.x_m - there.x_m, here.y_m - there.y_m)


def _weight(network: Network, source: Cell, target_id: str) -> float:
    """Return how much of a cell's area borders on another cell."""
    tag, row = measures.row_of(network, source.id)
    other, column = measures.row_of(network, target_id)
    return float(network.region.overlap[tag][row, column]) if other == tag else 0.02


def _handover_attempts(network: Network, source: Cell, hours: int) -> float:
    """Return how many handovers a cell tried: about one in twelve connections moves on."""
    last = network.now // 900
    tried = cell_bins(network.region, network.epochs, source.id, "rrc_setup_attempts", last - 4 * hours, 4 * hours)
    return float(sum(value for value in tried.tolist() if value == value)) / 12.0


def _relation_success(network: Network, source: Cell, item: Relation, target: Cell) -> float:
    """Return how many of a relation's handovers succeed.

    A target that is not in service, or that another neighbour's identity is mistaken for, takes none.
    """
    view = measures.view_now(network)
    there = view.cells[target.id]
    base = 98.9 + measures.jitter(network, 0.3, source.id, target.id)
    if not (there.on_air and there.access_ok and not there.muted):
        return 0.0
    if item.ext_pci is not None or item.ext_tac is not None:
        return 12.0
    if target.pci == source.pci and target.arfcn_dl == source.arfcn_dl:
        return 1.5
    if target.arfcn_dl != network.region.records[target.id].arfcn_dl:  # type: ignore[attr-defined]
        return 0.0
    twins = [
        name
        for name in (other.target_id for other in network.relations.values() if other.source_id == source.id)
        if name != target.id and _same_identity(network.get(Cell, name), target)
    ]
    if twins:
        strongest = max(_weight(network, source, name) for name in twins)
        return 97.0 if _weight(network, source, target.id) >= strongest else 3.0
    return min(base, 100.0)


def _same_identity(one: Cell, other: Cell) -> bool:
    return one.pci == other.pci and one.arfcn_dl == other.arfcn_dl


def _unlisted(network: Network, source: Cell, listed: set[str]) -> list[tuple[Cell, float]]:
    """Return cells of the layer that a cell borders on without a relation, the closest first."""
    tag, row = measures.row_of(network, source.id)
    overlap = network.region.overlap[tag][row].tolist()
    built = {relation.target_id for relation in network.region.relations.values() if relation.source_id == source.id}
    found = [
        (network.get(Cell, name), share)
        for name, share in zip(network.region.cells_of[tag], overlap, strict=True)
        if share > 0 and name != source.id and name not in listed and name in built
    ]
    return sorted(found, key=lambda item: (-item[1], item[0].id))


def _unknown(network: Network, report: Report, source: Cell, hours: int) -> None:
    """Tell which identities users report that no relation leads to."""
    listed = {item.target_id for item in network.relations.values() if item.source_id == source.id}
    missing = _unlisted(network, source, listed)
    total = sum(_weight(network, source, name) for name in listed) + sum(share for _, share in missing)
    attempts = _handover_attempts(network, source, hours)
    rows = []
    for target, share in missing:
        if not dependencies.in_service(network, target.id):
            continue
        count = round(attempts * share / total * 1.3) if total else 0
        if count:
            distance = _distance_m(network, source, target) + integer(-40, 40, network.seed, source.id, target.id)
            rows.append((str(target.pci), str(target.arfcn_dl), str(count), f"{max(distance, 0):.0f}"))
    if rows:
        report.table(("unknown_pci", "arfcn", "detections", "distance_estimate_m"), rows)
    else:
        report.fields(unknown_pcis="none")
