"""Equipment of a site: power, cabinet, nodes, boards, radio units, fronthaul, antenna lines, clock."""

from __future__ import annotations

from dataclasses import dataclass, field

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

__all__ = ["CellPlan", "SiteEquipment", "equip"]

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


@dataclass(slots=True)
class SiteEquipment:
    """Everything at one site."""

    records: list[Record] = field(default_factory=list)
    """Records, in no particular order."""


def equip(kind: Archetype, site: Site, plans: list[CellPlan], dialect: str, seed: int) -> SiteEquipment:
    """Draw the equipment of a site that carries the cells of a plan."""
    number = site.id[1:]
    bits = mix(seed, "equipment", site.id)
    result = SiteEquipment()
    nodes = _nodes(kind, site, plans, dialect, seed)
    result.records += nodes
    units: list[RadioUnit] = []
    for node in nodes:
        mine = [plan for plan in plans if (plan.layer.rat == "LTE") == (node.kind == "eNB")]
        result.records += _boards(node, mine)
        for index, plan in enumerate(mine):
            board = f"{node.id}-B{2 + index // 6}"
            units.append(_radio_unit(site, node, board, plan, 1 + len(units)))
            result.records += _chain(kind, site, node, board, units[-1], plan, seed)
    result.records += units
    result.records.append(_power(kind, site, nodes, units, seed))
    air = (bits >> 5) % 100 < 40 or kind.environment == "rural"
    result.records.append(Cabinet(id=f"CAB-{number}", site_id=site.id, has_air_conditioner=air))
    result.records.append(_clock(kind, site, seed))
    return result


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
    suffix = "E" if lte else "G"
    licences = [
        Licence(
            f"LIC-{number}{suffix}-{index}",
            feature,
            capacity,
            min(capacity, used),
            (90 + (serial >> (8 * index)) % 600) * DAY_S,
        )
        for index, (feature, capacity, used) in enumerate(
            (
                (LicenceFeature.CARRIER, cells, cells),
                (LicenceFeature.MIMO_4X4, cells, cells),
                (LicenceFeature.QAM256, cells, cells),
                (LicenceFeature.CONNECTED_USERS, 400 * cells, 60 * cells),
            ),
            start=1,
        )
    ]
    certificate = Certificate(
        f"CERT-{number}{suffix}-1", f"CN={name.lower()}.ran", (60 + serial % 500) * DAY_S, auto_renew=True
    )
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
        licences=tuple(licences),
        certificates=(certificate,),
        software=version,
        fallback_software=_VERSIONS[0],
        packages=_VERSIONS,
        booted_s=-DAY_S * (5 + serial % 120),
        next_hop=f"10.{int(number)}.0.1",
        amf_ip="10.200.0.11" if lte else "10.200.0.21",
    )


def _boards(node: Node, plans: list[CellPlan]) -> list[Board]:
    baseband = -(-len(plans) // 6)
    boards = [Board(f"{node.id}-B1", node.id, 1, BoardKind.MAIN)]
    boards += [Board(f"{node.id}-B{2 + index}", node.id, 2 + index, BoardKind.BASEBAND) for index in range(baseband)]
    boards.append(Board(f"{node.id}-B{2 + baseband}", node.id, 2 + baseband, BoardKind.FAN))
    return boards


def _radio_unit(site: Site, node: Node, board: str, plan: CellPlan, feed: int) -> RadioUnit:
    number, layer = site.id[1:], plan.layer
    massive = layer.power_dbm > 50
    return RadioUnit(
        id=f"RU-{number}-{layer.name}-{plan.sector}",
        site_id=site.id,
        node_id=node.id,
        board_id=board,
        layer=layer.name,
        sector=plan.sector,
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
        found += [
            AntennaLine(
                f"ANT-{number}-{tag}-{'ABCDEFGH'[branch]}",
                unit.id,
                branch,
                round(1.08 + 0.01 * ((bits >> (8 * branch)) % 25), 2),
                0.5,
            )
            for branch in range(unit.branches)
        ]
    found.append(RetUnit(f"RET-{number}-{tag}", f"{site.id}-{tag}"))
    return found


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
    feeds = [(f"PWR-{number}-Q1", (f"PWR-{number}",)), (f"PWR-{number}-B1", tuple(node.id for node in nodes))]
    feeds += [(unit.breaker_id, (unit.id,)) for unit in units]
    has_generator = uniform(seed, "generator", site.id) < kind.generator_share
    return PowerSystem(
        id=f"PWR-{number}",
        site_id=site.id,
        rectifiers=tuple(Rectifier(module) for _ in range(needed + 1)),
        strings=tuple(BatteryString("LI" if lithium else "VRLA", each) for _ in range(strings)),
        breakers=tuple(Breaker(name, fed, remote, remote) for name, fed in feeds),
        generator=Generator(fuel_pct=float(integer(60, 95, seed, "fuel", site.id))) if has_generator else None,
        mobile_inlet=not has_generator and uniform(seed, "inlet", site.id) < 0.4,
    )


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
