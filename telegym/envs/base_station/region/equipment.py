"""Equipment of a site: power, cabinet, nodes, boards, radio units, fronthaul, antenna lines, clock."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from telegym.envs.base_station.noise import choice, integer, mix, uniform
from telegym.envs.base_station.objects import (
    AntennaLine,
    BatteryString,
    Board,
    BoardKind,
    Breaker,
    Cabinet,
    Cell,
    Certificate,
    ClockSource,
    ClockUnit,
    FronthaulLink,
    Generator,
    Licence,
    LicenceFeature,
    Node,
    PowerSystem,
    RadioUnit,
    Rat,
    Record,
    Rectifier,
    RetUnit,
    Site,
)
from telegym.envs.base_station.physics.spectrum import Layer
from telegym.envs.base_station.region.archetypes import Archetype

__all__ = ["CellPlan", "equip"]

DAY_S = 86_400
_VERSIONS = ("22.3.1", "22.3.4", "23.1.0")
_MODELS = {"A": "Aurora 5400", "B": "Borealis BX2", "C": "Cygnus C8"}


@dataclass(frozen=True, slots=True)
class CellPlan:
    """What planning decided for one cell."""

    layer: Layer
    """Its band."""
    sector: int
    """Its sector, from 1."""
    pci: int
    """Physical cell id."""
    root: int
    """First root sequence."""
    roots: int
    """Roots it needs."""
    tac: int
    """Tracking area."""
    tilt_deg: float
    """Electrical tilt."""
    azimuth_deg: float
    """Direction."""
    height_m: float
    """Height above ground."""


def equip(kind: Archetype, site: Site, plans: list[CellPlan], dialect: str, seed: int) -> list[Record]:
    """Draw the equipment of a site that carries the cells of a plan.

    Records that do not depend on the seed are made once, and are the same in all regions.
    """
    number = site.id[1:]
    bits = mix(seed, "equipment", site.id)
    nodes = _nodes(kind, site, plans, dialect, seed)
    records: list[Record] = [*nodes]
    units: list[RadioUnit] = []
    for node in nodes:
        mine = [plan for plan in plans if (plan.layer.rat == "LTE") == (node.kind == "eNB")]
        boards = _boards(node.id, len(mine))
        records += boards
        for index, plan in enumerate(mine):
            board = boards[1 + index // 6].id
            units.append(_radio_unit(site.id, node.id, board, plan.layer, plan.sector, 1 + len(units)))
            records += _chain(kind, site, node, board, units[-1], plan, seed)
    records += units
    records.append(_power(kind, site, nodes, units, seed))
    air = (bits >> 5) % 100 < 40 or kind.environment == "rural"
    records.append(Cabinet(id=f"CAB-{number}", site_id=site.id, has_air_conditioner=air))
    records.append(_clock(kind, site, seed))
    return records


def _nodes(kind: Archetype, site: Site, plans: list[CellPlan], dialect: str, seed: int) -> list[Node]:
    number = site.id[1:]
    found = []
    if any(plan.layer.rat == "LTE" for plan in plans):
        found.append(_node(site, f"ENB-{number}", "eNB", None, dialect, plans, seed))
    if any(plan.layer.rat == "NR" for plan in plans):
        name = f"DU-{number}" if kind.split else f"GNB-{number}"
        found.append(
            _node(site, name, "DU" if kind.split else "gNB", "CU-01" if kind.split else None, dialect, plans, seed)
        )
    return found


def _node(site: Site, name: str, what: str, cu: str | None, dialect: str, plans: list[CellPlan], seed: int) -> Node:
    number = site.id[1:]
    lte = what == "eNB"
    serial = mix(seed, "node", name)
    version = choice(_VERSIONS[1:], seed, "version")
    cells = sum((plan.layer.rat == "LTE") == lte for plan in plans)
    short = f"{number}{'E' if lte else 'G'}"
    certificate = Certificate(f"CERT-{short}-1", f"CN={name.lower()}.ran", (60 + serial % 500) * DAY_S, auto_renew=True)
    return Node(
        id=name,
        site_id=site.id,
        kind=what,  # type: ignore[arg-type]
        dialect=dialect,  # type: ignore[arg-type]
        model=_MODELS[dialect],
        router_id=f"CSR-{number}",
        core_peers=("MME-1", "MME-2") if lte else ("AMF-1", "AMF-2"),
        peers=(),
        cu_id=cu,
        licences=_licences(short, cells, serial),
        certificates=(certificate,),
        software=version,
        fallback_software=_VERSIONS[0],
        packages=_VERSIONS,
        booted_s=-DAY_S * (5 + serial % 120),
        next_hop=f"10.{int(number)}.0.1",
        amf_ip="10.200.0.11" if lte else "10.200.0.21",
    )


def _licences(node: str, cells: int, serial: int) -> tuple[Licence, ...]:
    """Return the licences of a node: three for each cell, and one for users."""
    wanted = (
        (LicenceFeature.CARRIER, cells, cells),
        (LicenceFeature.MIMO_4X4, cells, cells),
        (LicenceFeature.QAM256, cells, cells),
        (LicenceFeature.CONNECTED_USERS, 400 * cells, 60 * cells),
    )
    return tuple(
        Licence(
            f"LIC-{node}-{index}", feature, capacity, min(capacity, used), (90 + (serial >> (8 * index)) % 600) * DAY_S
        )
        for index, (feature, capacity, used) in enumerate(wanted, start=1)
    )


@lru_cache(maxsize=1024)
def _boards(node_id: str, cells: int) -> tuple[Board, ...]:
    baseband = -(-cells // 6)
    kinds = (BoardKind.MAIN, *(BoardKind.BASEBAND,) * baseband, BoardKind.FAN)
    return tuple(Board(f"{node_id}-B{slot}", node_id, slot, what) for slot, what in enumerate(kinds, start=1))


@lru_cache(maxsize=4096)
def _radio_unit(site_id: str, node_id: str, board: str, layer: Layer, sector: int, feed: int) -> RadioUnit:
    number = site_id[1:]
    massive = layer.power_dbm > 50
    return RadioUnit(
        id=f"RU-{number}-{layer.name}-{sector}",
        site_id=site_id,
        node_id=node_id,
        board_id=board,
        layer=layer.name,
        sector=sector,
        part_type=f"{'AAU' if massive else 'RU'}_{layer.name}",
        branches=layer.branches,
        transceivers="64T64R" if massive else f"{layer.branches}T{layer.branches}R",
        max_power_dbm=layer.power_dbm,
        breaker_id=f"PWR-{number}-F{feed}",
        low_priority=massive or layer.name in ("L26", "L21", "L23"),
    )


def _chain(
    kind: Archetype, site: Site, node: Node, board: str, unit: RadioUnit, plan: CellPlan, seed: int
) -> list[Record]:
    """Return fronthaul, antenna lines, tilt unit and cell of a radio unit."""
    number, tag = site.id[1:], f"{plan.layer.name}-{plan.sector}"
    low, high = kind.fronthaul_km
    fast = unit.max_power_dbm > 50
    chance = uniform(seed, "optics", unit.id)
    link = FronthaulLink(
        id=f"FH-{number}-{tag}",
        board_id=board,
        ru_id=unit.id,
        standard="eCPRI" if fast else "CPRI",
        rate="25GE" if fast else "10.1376G",
        sfp_type="25G-LR" if fast else "10G-LR",
        length_km=round(low + (high - low) * chance, 2),
        design_rx_dbm=round(-3.0 - 6.0 * uniform(seed, "light", unit.id), 1),
        tx_dbm=round(-2.0 + 2.5 * chance, 1),
        loss_limit_dbm=-16.0 if fast else -17.5,
    )
    found: list[Record] = [link, _cell(site, node, board, unit, plan)]
    if not fast:
        bits = mix(seed, "lines", unit.id)
        found += [_antenna_line(unit.id, branch, (bits >> (8 * branch)) % 25) for branch in range(unit.branches)]
    found.append(_tilt_unit(unit.id))
    return found


@lru_cache(maxsize=65_536)
def _antenna_line(unit_id: str, branch: int, mismatch: int) -> AntennaLine:
    name = f"ANT-{unit_id[3:]}-{'ABCDEFGH'[branch]}"
    return AntennaLine(name, unit_id, branch, round(1.08 + 0.01 * mismatch, 2), 0.5)


@lru_cache(maxsize=4096)
def _tilt_unit(unit_id: str) -> RetUnit:
    return RetUnit(f"RET-{unit_id[3:]}", f"S{unit_id[3:]}")


def _cell(site: Site, node: Node, board: str, unit: RadioUnit, plan: CellPlan) -> Cell:
    layer = plan.layer
    pattern = ("config 2 SSF 7" if layer.rat == "LTE" else "DDDSU 10:2:2") if layer.tdd else ""
    return Cell(
        id=f"{site.id}-{layer.name}-{plan.sector}",
        site_id=site.id,
        node_id=node.id,
        ru_id=unit.id,
        board_id=board,
        rat=Rat(layer.rat),
        layer=layer.name,
        sector=plan.sector,
        tdd=layer.tdd,
        height_m=plan.height_m,
        mechanical_tilt_deg=0.0,
        pci=plan.pci,
        tac=plan.tac,
        arfcn_dl=layer.arfcn,
        bandwidth_mhz=layer.bandwidth_mhz,
        root_sequence_index=plan.root,
        root_sequences=plan.roots,
        max_tx_power_dbm=layer.power_dbm,
        electrical_tilt_deg=plan.tilt_deg,
        azimuth_deg=plan.azimuth_deg,
        max_connected_users=400 if layer.rat == "LTE" else 800,
        es_enabled=layer.name in ("L26", "N35", "N26"),
        tdd_pattern=pattern,
    )


def _power(kind: Archetype, site: Site, nodes: list[Node], units: list[RadioUnit], seed: int) -> PowerSystem:
    number = site.id[1:]
    full_w = sum(980.0 if unit.max_power_dbm > 50 else 420.0 for unit in units) + 450.0 * len(nodes) + 600.0
    module = 3000.0 if full_w > 5000 else 2000.0
    needed = int(-(-full_w // (0.95 * module)))
    lithium = uniform(seed, "chemistry", site.id) < 0.4
    mean_w = 0.62 * full_w
    capacity = mean_w * site.design_autonomy_h / (0.8 * 48.0 * 0.92)
    strings = 1 if capacity <= 200 else 2 if capacity <= 500 else 3
    each = float(-(-round(capacity / strings) // 10) * 10)
    remote = uniform(seed, "remote", site.id) < 0.35
    has_generator = uniform(seed, "generator", site.id) < kind.generator_share
    return PowerSystem(
        id=f"PWR-{number}",
        site_id=site.id,
        rectifiers=tuple(Rectifier(module) for _ in range(needed + 1)),
        strings=tuple(BatteryString("LI" if lithium else "VRLA", each) for _ in range(strings)),
        breakers=_breakers(number, tuple(node.id for node in nodes), tuple(unit.id for unit in units), remote),
        generator=Generator(fuel_pct=float(integer(60, 95, seed, "fuel", site.id))) if has_generator else None,
        mobile_inlet=not has_generator and uniform(seed, "inlet", site.id) < 0.4,
    )


@lru_cache(maxsize=4096)
def _breakers(number: str, nodes: tuple[str, ...], units: tuple[str, ...], remote: bool) -> tuple[Breaker, ...]:
    feeds = [("Q1", (f"PWR-{number}",)), ("B1", nodes)]
    feeds += [(f"F{place}", (unit,)) for place, unit in enumerate(units, start=1)]
    return tuple(Breaker(f"PWR-{number}-{name}", fed, remote, remote) for name, fed in feeds)


def _clock(kind: Archetype, site: Site, seed: int) -> ClockUnit:
    satellites = uniform(seed, "gnss", site.id) < kind.gnss_share
    second = uniform(seed, "second", site.id) < 0.5
    sources = [ClockSource.GNSS, ClockSource.PTP] if satellites else [ClockSource.PTP, ClockSource.GNSS]
    provisioned = (*sources[: 2 if second else 1], ClockSource.FREE_RUN)
    return ClockUnit(
        id=f"CLK-{site.id[1:]}",
        site_id=site.id,
        provisioned=provisioned,
        source=sources[0],
        drift_per_s=2e-11 * 5 ** uniform(seed, "drift", site.id),
        ageing_per_s2=1e-15 * 5 ** uniform(seed, "ageing", site.id),
        holdover_limit_h=float(integer(4, 24, seed, "holdover", site.id)),
        satellites=integer(8, 16, seed, "satellites", site.id),
        monitored=second,
    )
