"""What alarms are about: conditions of the network, seen from inside, with the values that their texts carry.

Each function looks at the objects of one kind at one site and yields what is wrong with them. Nothing here knows of
time: how long a condition must hold before somebody hears of it is the business of alarms.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from telegym.envs.base_station import clock_model, power_model, thermal_model
from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.engine import DAY_S, follows, handles
from telegym.envs.base_station.noise import mix, uniform
from telegym.envs.base_station.objects import (
    AdministrativeState,
    AntennaLine,
    Board,
    BoardKind,
    BreakerState,
    Cabinet,
    Cell,
    ClockSource,
    ClockState,
    ClockUnit,
    FronthaulLink,
    GeneratorState,
    Node,
    PowerSystem,
    RadioUnit,
    RetUnit,
    Router,
    Site,
    TransportLink,
)
from telegym.envs.base_station.physics.holdover import PHASE_LIMIT_US
from telegym.envs.base_station.physics.transport import modulation
from telegym.envs.base_station.state import Severity, Trouble, Values

if TYPE_CHECKING:
    from telegym.envs.base_station.network import Network

__all__ = ["MANAGER", "NOTICE_S", "Finding", "chance", "findings_at", "findings_between"]

MANAGER = "manager"
"""Reporter of what management system and core see by themselves."""
NOTICE_S = 14 * DAY_S
"""How long before its end a licence or certificate is reported."""
WORN = 0.3
"""State of health below which some chargers notice."""
SENSOR_PERIOD_S, SENSOR_ON_S = 3600, 1200
"""How often a faulty sensor trips, and for how long."""
LOW_LIGHT_DBM = -14.0
"""Received light that is reported as low."""
BIT_ERROR_MARGIN_DB = 2.0
"""How near to loss of synchronisation bit errors begin."""
FADE_DB = 8.0
"""How far below its design a microwave hop is reported as low."""
FRONTHAUL_LIMIT_KM = 20.0
"""Longest fronthaul that keeps the receive window."""
HOT_BOARD_C = 75.0
"""Board temperature that is reported."""
FULL_MEMORY_PCT = 90.0
"""Memory in use that is reported."""
CPU_LIMIT_PCT = 45.0
"""Processor load beyond traffic that is reported."""
SUSPECT_DBM = -100.0
"""Intermodulation at full load that some units notice."""
SHORTFALL_DB = -2.5
"""What a radio unit lacks when its output power is reported."""


class Finding(NamedTuple):
    """A condition that holds."""

    key: str
    """Entry of the alarm dictionary."""
    object_id: str
    """Managed object."""
    reporter: str = MANAGER
    """Who reports it."""
    severity: Severity | None = None
    """Severity, if it is not that of the dictionary."""
    values: Values = ()
    """Measured values."""


Findings = Iterator[Finding]


def findings_at(network: Network, site_id: str) -> Findings:
    """Yield every condition that holds at a site. What a silent node would report is left out."""
    if works.sound(network, site_id):
        for node in network.at_site(Node, site_id):
            yield from _peers(network, node)
    elif works.sound_but_cells(network, site_id):
        yield from _findings_of_cells(network, site_id)
    else:
        yield from _findings_at(network, site_id)
    yield from (item for item in network.measured if network.index.site_of.get(item.object_id) == site_id)


def _findings_at(network: Network, site_id: str) -> Findings:
    yield from _power(network, site_id)
    yield from _cabinet(network, site_id)
    yield from _clock(network, site_id)
    for node in network.at_site(Node, site_id):
        yield from _reach(network, node)
        if works.node_up(network, node.id):
            yield from _node(network, node)
            yield from _boards(network, node)
            yield from _radio_units(network, node)
    yield from _cells(network, site_id)
    if any(name.startswith("TRB-") for name in network.altered):
        yield from _troubles(network, site_id)


def _findings_of_cells(network: Network, site_id: str) -> Findings:
    """Yield every condition that holds at a site where only settings of cells are not as built."""
    for node in network.at_site(Node, site_id):
        yield from _peers(network, node)
        yield from _radio_units(network, node)
    yield from _cells(network, site_id)


def findings_between(network: Network) -> Findings:
    """Yield every condition that holds on links and routers."""
    yield from (item for item in network.measured if item.object_id not in network.index.site_of)
    for link in network.all(TransportLink):
        yield from _link(network, link)
    for router in network.all(Router):
        yield from _router(network, router)


def chance(network: Network, share: float, *names: str | int) -> bool:
    """Return whether something is noticed that only a share of networks notice."""
    return uniform(network.seed, "whether it is noticed", *names) < share


def sensor_tripped(network: Network, site_id: str) -> bool:
    """Return whether a faulty sensor of a site would be tripped at present: for a third of the time."""
    return _sensor_phase(network, site_id) < SENSOR_ON_S


def _sensor_phase(network: Network, site_id: str) -> int:
    return (network.now + mix(network.seed, "sensor", site_id)) % SENSOR_PERIOD_S


@follows(25)
def plan_sensors(network: Network, sites: list[str]) -> None:
    """Plan when faulty sensors trip and recover."""
    for site_id in sites:
        if network.get(Site, site_id).sensor_fault is None:
            network.cancel("sensor.review", site_id)
            continue
        phase = _sensor_phase(network, site_id)
        left = (SENSOR_ON_S if phase < SENSOR_ON_S else SENSOR_PERIOD_S) - phase
        network.schedule(network.now + left, "sensor.review", site_id)


@handles("sensor.review")
def _review(network: Network, site_id: str) -> None:
    network.touch_site(site_id, stale=False)


def _troubles(network: Network, site_id: str) -> Findings:
    """Yield what is wrong with objects that have no field for it."""
    for trouble in network.all(Trouble):
        if trouble.site_id == site_id:
            by = _reporter(network, trouble.object_id, site_id)
            if ":" in by or works.node_up(network, by):
                yield Finding(trouble.key, trouble.object_id, by, values=trouble.values)


def _reporter(network: Network, object_id: str, site_id: str) -> str:
    """Return who would report something about an object at a site."""
    if object_id in network.index.boards_of:
        return object_id
    kind = object_id.partition("-")[0]
    if kind == "CLK":
        return f"clock:{site_id}"
    if kind == "CSR":
        return f"router:{object_id}"
    record = network.objects.get(object_id)
    if isinstance(record, RetUnit):
        record = network.objects.get(record.cell_id)
    if isinstance(record, (AntennaLine, FronthaulLink)):
        record = network.objects.get(record.ru_id)
    return record.node_id if isinstance(record, (Board, Cell, RadioUnit)) else f"power:{site_id}"


# --- power and environment ------------------------------------------------------------------------------


def _power(network: Network, site_id: str) -> Findings:
    power = network.get(PowerSystem, f"PWR-{site_id[1:]}")
    if power.id not in network.altered:
        return
    by = f"power:{site_id}"
    battery = power_model.battery(power)
    if not power_model.mains_live(power):
        key = "PWR_MAINS_FAIL" if battery else "PWR_MAINS_FAIL_NO_BACKUP"
        yield Finding(key, power.id, by, values=(("mains", "0 V"),))
    if power.soc_per_s < 0:
        voltage = f"{power_model.bus_v(network, power):.1f} V"
        yield Finding("PWR_BATT_DISCHARGING", power.id, by)
        if power_model.battery_low(network, power):
            yield Finding("PWR_BATT_LOW", power.id, by, values=(("bus", voltage),))
    if power.low_load_shed:
        yield Finding("PWR_LLVD_OPEN", power.id, by)
    if any(not string.present for string in power.strings):
        yield Finding("PWR_BATT_FAULT", power.id, by)
    weak = any(string.present and string.soh < WORN for string in power.strings)
    if power.charge_fault or (weak and chance(network, 0.3, "charge", power.id)):
        yield Finding("PWR_BATT_CHARGE_FAIL", power.id, by)
    if power.surge_arrester_failed:
        yield Finding("PWR_SPD_FAIL", power.id, by)
    yield from _rectifiers(network, power, by)
    yield from _generator(network, power, by)
    for breaker in power.breakers[1:]:
        if breaker.monitored and breaker.state is not BreakerState.CLOSED:
            yield Finding("PWR_DC_BREAKER_OPEN", breaker.id, by, values=(("state", breaker.state.value),))


def _rectifiers(network: Network, power: PowerSystem, by: str) -> Findings:
    failed = [number for number, module in enumerate(power.rectifiers, start=1) if module.failed]
    if not failed:
        return
    short = power_model.rectifier_w(power) < power_model.load_w(network, power.site_id)
    severity = Severity.MAJOR if short or len(failed) > 1 else None
    for number in failed:
        yield Finding("PWR_RECTIFIER_FAIL", f"{power.id}-R{number}", by, severity, (("output", "0 A"),))
    yield Finding("PWR_REDUNDANCY_LOST", power.id, by)


def _generator(network: Network, power: PowerSystem, by: str) -> Findings:
    generator = power.generator
    if generator is None:
        return
    if generator.state is GeneratorState.FAIL_START:
        yield Finding("PWR_GENSET_FAIL_START", power.id, by)
    fuel = power_model.fuel_pct(generator, network.now)
    if fuel <= power_model.LOW_FUEL_PCT:
        yield Finding("PWR_GENSET_LOW_FUEL", power.id, by, values=(("fuel", f"{fuel:.0f} %"),))


def _cabinet(network: Network, site_id: str) -> Findings:
    site = network.get(Site, site_id)
    cabinet = network.get(Cabinet, f"CAB-{site_id[1:]}")
    by, sensor = f"power:{site_id}", site.sensor_fault if sensor_tripped(network, site_id) else None
    if site_id in network.altered and site.intruded:
        yield Finding("ENV_INTRUSION", site_id, by)
    if sensor is None and cabinet.id not in network.altered:
        return
    if cabinet.hot or sensor == "temperature":
        shown = thermal_model.cabinet_temperature_c(network, site_id) + (40.0 if sensor == "temperature" else 0.0)
        yield Finding("ENV_HIGH_TEMP", cabinet.id, by, values=(("temperature", f"{shown:.0f} C"),))
    if cabinet.cooling_failed:
        yield Finding("ENV_COOLING_FAIL" if cabinet.has_air_conditioner else "ENV_FAN_FAIL", cabinet.id, by)
    for key, real, name in (
        ("ENV_DOOR_OPEN", cabinet.door_open, "door"),
        ("ENV_SMOKE", cabinet.smoke, "smoke"),
        ("ENV_FLOOD", cabinet.flood, "flood"),
    ):
        if real or sensor == name:
            yield Finding(key, cabinet.id, by)


def _clock(network: Network, site_id: str) -> Findings:
    clock = network.get(ClockUnit, f"CLK-{site_id[1:]}")
    by = f"clock:{site_id}"
    for source, key in ((ClockSource.GNSS, "CLK_GNSS_LOST"), (ClockSource.PTP, "CLK_PTP_LOST")):
        if source in clock.provisioned and not clock_model.available(network, clock, source):
            yield Finding(key, clock.id, by)
    if clock.id not in network.altered:
        return
    if clock.state is ClockState.HOLDOVER:
        yield Finding("CLK_HOLDOVER", clock.id, by)
    if clock.expired:
        yield Finding("CLK_HOLDOVER_EXPIRED", clock.id, by)
    elif clock.monitored and abs(clock.phase_us) > PHASE_LIMIT_US and clock.state is ClockState.LOCKED:
        yield Finding("CLK_PHASE_ERR", clock.id, by, values=(("phase", f"{clock.phase_us:.1f} us"),))


# --- transport ------------------------------------------------------------------------------------------


def _link(network: Network, link: TransportLink) -> Findings:
    by = f"link:{link.id}"
    if not works.link_up(network, link.id):
        yield Finding("TRN_LINK_LOS", link.id, by)
        return
    level = works.link_level_dbm(link)
    if level is None or link.design_rsl_dbm is None or link.id not in network.altered:
        return
    shown = (("level", f"{level:.1f} dBm"), ("design", f"{link.design_rsl_dbm:.1f} dBm"))
    if level <= link.design_rsl_dbm - FADE_DB:
        yield Finding("TRN_MW_RSL_LOW", link.id, by, values=shown)
    step = modulation(level)
    if step is not None and step.share < 1.0:
        yield Finding("TRN_MW_ACM_DOWNSHIFT", link.id, by, values=(("modulation", step.name),))


def _router(network: Network, router: Router) -> Findings:
    own = router.failed or router.hang or router.restart_until_s is not None
    if own:
        yield Finding("TRN_ROUTER_UNREACHABLE", router.id)
    if not works.router_up(network, router.id):
        return
    by = f"router:{router.id}"
    lost = False
    for port in router.ports:
        broken = port.sfp_failed or port.hung or port.restart_until_s is not None
        if port.link_id is not None and not works.link_up(network, port.link_id):
            broken = lost = True
        if broken:
            yield Finding("TRN_PORT_DOWN", port.id, by)
        if port.sfp_failed:
            yield Finding("TRN_SFP_FAULT", port.id, by, values=(("transmit", "-40.0 dBm"),))
    if lost:
        yield Finding("TRN_ROUTING_PEER_DOWN", router.id, by)


# --- nodes ----------------------------------------------------------------------------------------------


def _reach(network: Network, node: Node) -> Findings:
    """Yield what management system and core see of a node."""
    reached = works.service(network, node.id)
    if not reached.oam:
        yield Finding("NE_OAM_UNREACHABLE", node.id)
    if node.kind == "DU" and not reached.midhaul:
        yield Finding("CP_F1_FAULT", node.id)
    if reached.core_down:
        key = "CP_S1_FAULT" if node.kind == "eNB" else "CP_NG_FAULT"
        severity = Severity.MAJOR if reached.control else None
        yield Finding(key, node.id, MANAGER, severity, (("peers", " ".join(reached.core_down)),))


def _node(network: Network, node: Node) -> Findings:
    reached = works.service(network, node.id)
    wired = works.transport_up(network, node.site_id)
    if not reached.user_plane and reached.control:
        yield Finding("UP_PATH_FAIL", node.id, node.id)
    if not reached.tunnel and wired:
        yield Finding("SEC_IKE_FAIL", node.id, node.id)
    if reached.tunnel:
        yield from _peers(network, node)
    if node.id in network.altered:
        yield from _validity(network, node)


def _peers(network: Network, node: Node) -> Findings:
    if lost := works.peers_down(network, node.id):
        yield Finding("CP_X2_XN_FAULT", node.id, node.id, values=(("peers", " ".join(lost[:4])),))


def _validity(network: Network, node: Node) -> Findings:
    for certificate in node.certificates:
        if not certificate.auto_renew and certificate.expires_s <= network.now + NOTICE_S:
            key = "SEC_CERT_EXPIRED" if certificate.expires_s <= network.now else "SEC_CERT_EXPIRING"
            yield Finding(key, node.id, node.id, values=(("certificate", certificate.id),))
    for licence in node.licences:
        if licence.expires_s <= network.now + NOTICE_S:
            key = "LIC_EXPIRED" if licence.expires_s <= network.now else "LIC_EXPIRING"
            yield Finding(key, node.id, node.id, values=(("licence", licence.id), ("feature", licence.feature.value)))
        if licence.used > licence.capacity:
            yield Finding("LIC_CAPACITY", node.id, node.id, values=(("licence", licence.id),))


def _boards(network: Network, node: Node) -> Findings:
    warm = f"CAB-{node.site_id[1:]}" in network.altered
    for name in network.index.boards_of.get(node.id, ()):
        board = network.get(Board, name)
        if name not in network.altered and not warm:
            continue
        if board.failed or board.hang:
            yield Finding("BBU_BOARD_FAULT", name, node.id)
        if board.restart_until_s is not None:
            yield Finding("BBU_RESTART", name, node.id)
        if board.memory_pct >= FULL_MEMORY_PCT:
            yield Finding("BBU_MEM_HIGH", name, node.id, values=(("memory", f"{board.memory_pct:.0f} %"),))
        if board.fan_failed:
            yield Finding("ENV_FAN_FAIL", name, node.id)
        hot = thermal_model.board_temperature_c(network, board)
        if hot >= HOT_BOARD_C and board.kind is not BoardKind.FAN:
            yield Finding("BBU_OVER_TEMP", name, node.id, values=(("temperature", f"{hot:.0f} C"),))
    if node.cpu_extra_pct >= CPU_LIMIT_PCT:
        yield Finding("BBU_CPU_OVERLOAD", network.index.boards_of[node.id][0], node.id)


# --- radio ----------------------------------------------------------------------------------------------


def _radio_units(network: Network, node: Node) -> Findings:
    for board in network.index.boards_of.get(node.id, ()):
        if not works.board_works(network, board):
            continue
        for name in network.index.units_of.get(board, ()):
            if network.altered.isdisjoint(network.index.around_unit[name]) and works.fronthaul_synced(network, name):
                # As built, powered and lit: nothing is wrong with it.
                continue
            unit = network.get(RadioUnit, name)
            yield from _fronthaul(network, unit)
            yield from _unit(network, unit)


def _fronthaul(network: Network, unit: RadioUnit) -> Findings:
    link = network.get(FronthaulLink, network.index.fronthaul_of[unit.id])
    near = works.DARK if link.near_sfp_failed else works.fronthaul_rx_dbm(network, link, "near")
    if near <= link.loss_limit_dbm:
        yield Finding("FH_LINK_LOS", link.id, unit.node_id, values=(("receive", f"{near:.1f} dBm"),))
        return
    if link.id not in network.altered:
        return
    low = min(near, works.fronthaul_rx_dbm(network, link, "far"))
    if link.loss_limit_dbm < low < LOW_LIGHT_DBM:
        yield Finding("FH_OPT_POWER_LOW", link.id, unit.node_id, values=(("receive", f"{low:.1f} dBm"),))
        if low < link.loss_limit_dbm + BIT_ERROR_MARGIN_DB:
            yield Finding("FH_BER_HIGH", link.id, unit.node_id)
    if link.standard == "eCPRI" and link.length_km > FRONTHAUL_LIMIT_KM:
        yield Finding("FH_DELAY_ERR", link.id, unit.node_id, values=(("length", f"{link.length_km:.1f} km"),))


def _unit(network: Network, unit: RadioUnit) -> Findings:
    by = unit.node_id
    if not works.radio_unit_powered(network, unit.id):
        if chance(network, 0.5, "gasp", unit.id):
            yield Finding("RU_POWER_LOST", unit.id, by)
        yield Finding("RU_MAINT_LINK_FAIL", unit.id, by)
        return
    if not works.fronthaul_synced(network, unit.id) or unit.hang or unit.restart_until_s is not None:
        yield Finding("RU_MAINT_LINK_FAIL", unit.id, by)
        if unit.hang and chance(network, 0.4, "hang", unit.id, unit.serial):
            yield Finding("RU_SW_FAULT", unit.id, by)
        return
    if unit.failed:
        yield Finding("RU_HW_FAULT", unit.id, by)
        return
    if unit.over_temperature:
        yield Finding("RU_OVER_TEMP", unit.id, by)
    yield from _branches(network, unit)
    for cell in network.index.cells_of[unit.id]:
        name = network.index.tilt_unit_of.get(cell, "")
        if name in network.altered and network.get(RetUnit, name).jammed:
            yield Finding("ANT_RET_FAULT", name, by)


def _branches(network: Network, unit: RadioUnit) -> Findings:
    by = unit.node_id
    off = unit.branches - works.active_branches(network, unit.id)
    if off and unit.administrative_state is not AdministrativeState.LOCKED:
        yield Finding("RU_TX_BRANCH_FAIL", unit.id, by, values=(("branches off", str(off)),))
    elif works.power_offset_db(network, unit.id) <= SHORTFALL_DB:
        yield Finding("RU_TX_POWER_LOW", unit.id, by)
    lines = [
        network.get(AntennaLine, name) for name in network.index.lines_of.get(unit.id, ()) if name in network.altered
    ]
    if not lines:
        return
    major, critical = works.DIALECT_VSWR[network.get(Node, unit.node_id).dialect]
    worst = max(lines, key=lambda line: works.true_vswr(network, line))
    ratio = works.true_vswr(network, worst)
    if ratio >= major:
        limit = critical if ratio >= critical else major
        values = (("VSWR", f"{ratio:.2f}"), ("branch", "ABCDEFGH"[worst.branch]), ("threshold", f"{limit:.2f}"))
        yield Finding("ANT_VSWR_HIGH", unit.id, by, Severity.CRITICAL if ratio >= critical else None, values)
    levels = [works.intermodulation_dbm(network, line) for line in lines]
    if any(level is not None and level >= SUSPECT_DBM for level in levels) and chance(
        network, 0.4, "intermodulation", unit.id
    ):
        yield Finding("ANT_PIM_SUSPECT", network.index.cells_of[unit.id][0], by)


def _cells(network: Network, site_id: str) -> Findings:
    cells = network.at_site(Cell, site_id)
    open_ = [cell for cell in cells if cell.administrative_state is not AdministrativeState.LOCKED]
    out = [cell for cell in open_ if not works.cell_works(network, cell.id)]
    severity = Severity.CRITICAL if out and len(out) == len(cells) else None
    for cell in out:
        because = works.cell_status(network, cell.id).because
        yield Finding("CELL_UNAVAILABLE", cell.id, MANAGER, severity, (("waits for", because),) if because else ())
    for cell in cells:
        if not works.node_up(network, cell.node_id):
            continue
        if cell.administrative_state is AdministrativeState.LOCKED:
            yield Finding("CELL_LOCKED", cell.id, cell.node_id)
        elif cell.id not in {item.id for item in out} and _degraded(network, cell):
            yield Finding("CELL_DEGRADED", cell.id, cell.node_id)
        if cell.id in network.altered and _conflict(network, cell):
            yield Finding("CFG_PCI_CONFLICT", cell.id, cell.node_id, values=(("pci", str(cell.pci)),))


def _degraded(network: Network, cell: Cell) -> bool:
    return works.capability(network, cell.id) < 1.0 or works.power_offset_db(network, cell.ru_id) <= -0.5


def _conflict(network: Network, cell: Cell) -> bool:
    """Return whether a cell id that was changed collides, or confuses a neighbour, and whether that is noticed."""
    built = network.region.records[cell.id]
    if not isinstance(built, Cell) or built.pci == cell.pci:
        return False
    near = network.index.neighbours_of.get(cell.id, ())
    if any(network.get(Cell, name).pci == cell.pci for name in near):
        return chance(network, 0.6, "collision", cell.id)
    for name in near:
        others = network.index.neighbours_of.get(name, ())
        if any(other != cell.id and network.get(Cell, other).pci == cell.pci for other in others):
            return chance(network, 0.5, "confusion", cell.id)
    return False
