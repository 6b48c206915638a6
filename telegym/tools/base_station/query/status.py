"""How elements are: cells, nodes, clocks, power, fronthaul, antennas.

What a node tells is of this moment as long as the node answers; else it is what it told last, with its age.
"""

from __future__ import annotations

from telegym.envs.base_station import clock_model, dependencies, last_seen, power_model, thermal_model
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import (
    AdministrativeState,
    AntennaLine,
    Board,
    BoardKind,
    Cabinet,
    Cell,
    ClockSource,
    ClockState,
    ClockUnit,
    FronthaulLink,
    Node,
    PowerSystem,
    RadioUnit,
    Rat,
    RetUnit,
    Site,
)
from telegym.tools.base_station import _measures as measures
from telegym.tools.base_station._elements import reachable_node
from telegym.tools.base_station._errors import Code, refusal
from telegym.tools.base_station._format import Report, number, second

__all__ = [
    "get_antenna_status",
    "get_cell_status",
    "get_clock_status",
    "get_fronthaul_status",
    "get_node_status",
    "get_power_status",
]

_LETTERS = "ABCDEFGH"


def _as_known(network: Network, report: Report, node_id: str) -> Network:
    """Return the network as the management system knows a node, and tell how old that is if the node is lost.

    Raises:
        ToolError: If there is no such node, or nothing is known of it.
    """
    node = network.get(Node, node_id)
    known = last_seen.known_state(network, node.id)
    if known is None:
        raise refusal(Code.ELEMENT_UNREACHABLE, f"{node.id} does not answer, and nothing was kept of it")
    if known is not network:
        age = last_seen.age_min(network, known)
        report.fields(oam_state="LOST", snapshot_age_min=age, last_contact=second(known.now))
    return known


# --- cells and nodes --------------------------------------------------------------------------------------


def get_cell_status(network: Network, report: Report, cell_id: str) -> Report:
    """Answer with the states of a cell."""
    present = network
    network = _as_known(present, report, present.get(Cell, cell_id).node_id)
    cell = network.get(Cell, cell_id)
    status = dependencies.cell_status(network, cell.id)
    unit = network.get(RadioUnit, cell.ru_id)
    report.fields(cell=cell.id, node=cell.node_id, ru=cell.ru_id)
    report.fields(
        administrative_state=cell.administrative_state,
        operational_state=status.text,
        availability_status=status.availability,
    )
    if cell.rat is Rat.NR or cell.es_enabled:
        state = dependencies.cell_state(network, cell.id)
        report.fields(cell_state=state, energy_saving="sleeping" if state == "INACTIVE" else "awake")
    report.fields(
        barred=cell.cell_barred,
        active_tx_branches=f"{dependencies.active_branches(network, unit.id)}/{unit.branches}",
        rrc_users_now=round(measures.users_now(network, cell.id)),
    )
    if status.because is not None:
        report.fields(dependency_down=_waiting_for(network, cell, status.because))
    # Alarms are the management system's own knowledge, not the node's.
    active = sum(name in (cell.id, cell.ru_id) for _, name in present.open_alarms)
    return report.fields(active_alarms=active, **({"snapshot_age_min": 0} if network is present else {}))


def _waiting_for(network: Network, cell: Cell, name: str) -> str:
    """Return what a cell waits for, as its node knows it."""
    if name == cell.ru_id:
        return f"{name} ({_unit_link(network, network.get(RadioUnit, name))})"
    if name == cell.board_id or name.startswith("CLK"):
        return name
    return f"{'S1' if cell.rat is Rat.LTE else 'NG'} of {cell.node_id}"


def _unit_link(network: Network, unit: RadioUnit) -> str:
    """Return the state of the link to a radio unit: SYNCED, LOS, CM_DOWN or RESTARTING."""
    if not dependencies.fronthaul_synced(network, unit.id):
        return "LOS"
    if unit.restart_until_s is not None:
        return "RESTARTING"
    if unit.hang or unit.failed:
        return "CM_DOWN"
    return "LOCKED" if unit.administrative_state is AdministrativeState.LOCKED else "SYNCED"


def get_node_status(network: Network, report: Report, node_id: str) -> Report:
    """Answer with the states of a node, its boards and its links to the core and to neighbours."""
    present = network
    network = _as_known(present, report, node_id)
    node = network.get(Node, node_id)
    cells = [network.get(Cell, name) for name in network.index.cells_of.get(node.id, ())]
    loads = [measures.processor_load_now(network, cell.id) for cell in cells]
    report.fields(
        node=node.id,
        **({"oam_state": "CONNECTED"} if network is present else {}),
        software=node.software,
        uptime_h=number((network.now - node.booted_s) / 3600),
        cpu_load_pct=number(max(loads, default=20.0)),
    )
    service = dependencies.service(network, node.id)
    peers = [f"{peer}={_up(peer not in service.core_down)}" for peer in node.core_peers]
    interface = "s1" if node.kind == "eNB" else "ng"
    report.fields(**{f"{interface}_links": tuple(peers)}, ipsec=_up(service.tunnel))
    report.fields(x2_xn_links=len(node.peers), x2_xn_down=dependencies.peers_down(network, node.id))
    if node.cu_id is not None:
        report.fields(f1=f"{node.cu_id}={_up(service.midhaul)}")
    down = tuple(cell.id for cell in cells if not dependencies.in_service(network, cell.id))
    report.fields(cells=len(cells), cells_not_in_service=down)
    boards = [network.get(Board, name) for name in network.index.boards_of.get(node.id, ())]
    # All boards of a node are equally warm.
    heat = number(thermal_model.board_temperature_c(network, boards[0])) if boards else ""
    return report.table(
        ("board", "slot", "kind", "admin", "state", "temperature_c", "memory_pct"),
        [_board_row(network, board, heat) for board in boards],
        details=2,
    )


def _up(works: bool) -> str:
    return "UP" if works else "DOWN"


def _board_row(network: Network, board: Board, heat: str) -> tuple[str, ...]:
    if board.restart_until_s is not None:
        state = "RESTARTING"
    elif board.failed or board.fan_failed:
        state = "FAULT"
    else:
        state = "ENABLED" if dependencies.board_works(network, board.id) else "DISABLED"
    fan = board.kind is BoardKind.FAN
    reading = f"{0 if board.fan_failed else 3200} rpm" if fan else heat
    memory = "-" if fan else number(board.memory_pct)
    return board.id, str(board.slot), board.kind.value, board.administrative_state.value, state, reading, memory


# --- clock ------------------------------------------------------------------------------------------------


def get_clock_status(network: Network, report: Report, node_id: str) -> Report:
    """Answer with the synchronisation of a node."""
    network = _as_known(network, report, node_id)
    node = network.get(Node, node_id)
    clock = network.get(ClockUnit, f"CLK-{node.site_id[1:]}")
    report.fields(clock=clock.id, node=node.id, state=clock.state, source=clock.source)
    report.fields(provisioned=tuple(source.value for source in clock.provisioned))
    if ClockSource.GNSS in clock.provisioned:
        _satellites(network, report, clock)
    if ClockSource.PTP in clock.provisioned:
        usable = clock_model.available(network, clock, ClockSource.PTP)
        report.fields(ptp_state="OK" if usable else "LOST", ptp_clock_class=6 if usable else 187)
    drifting = clock.state is ClockState.HOLDOVER
    elapsed = network.now - clock.lost_s
    if drifting:
        report.fields(holdover_elapsed_h=number(elapsed / 3600, 2), holdover_limit_h=number(clock.holdover_limit_h))
    if clock.monitored:
        phase = clock_model.phase_error_us(network, clock) + measures.jitter(network, 0.02, clock.id)
        report.fields(phase_offset_us=number(phase, 2), limit_us=1.5)
    else:
        report.fields(phase_offset_us="no second reference")
    drift = clock.drift_per_s + clock.ageing_per_s2 * elapsed if drifting else 0.0
    return report.details(frequency_offset_ppb=number(1e9 * drift, 3))


def _satellites(network: Network, report: Report, clock: ClockUnit) -> None:
    current = {"ok": 25.0, "open": 0.0, "short": 72.0}[clock.antenna]
    received = clock.antenna == "ok" and not clock.jammed
    report.fields(
        satellites=clock.satellites if received else 0,
        cn0_dbhz=number(42.0 if received else (21.0 if clock.antenna == "ok" else 0.0)),
        antenna_current_ma=number(current + (measures.jitter(network, 0.4, clock.id, "ma") if current else 0.0)),
    )


# --- power ------------------------------------------------------------------------------------------------


def controlled_power(network: Network, site_id: str) -> PowerSystem:
    """Return the power system of a site whose controller answers.

    Raises:
        ToolError: If there is no such site, or its controller does not answer.
    """
    site = network.get(Site, site_id)
    power = network.get(PowerSystem, f"PWR-{site.id[1:]}")
    if not dependencies.power_controller_reachable(network, site.id):
        since = second(power.dark_s or 0)
        raise refusal(Code.ELEMENT_UNREACHABLE, f"the power controller of {site.id} is silent; dark since {since}")
    return power


def get_power_status(network: Network, report: Report, site_id: str) -> Report:
    """Answer with what the power controller of a site measures."""
    power = controlled_power(network, site_id)
    site = network.get(Site, site_id)
    mains = power_model.mains_live(power)
    voltage = 230.0 + measures.jitter(network, 1.5, power.id) if mains else 0.0
    report.fields(site=site.id, mains_voltage_v="|".join([f"{voltage:.0f}"] * 3))
    failed = tuple(f"{index}:0 A" for index, module in enumerate(power.rectifiers, start=1) if module.failed)
    working = len(power.rectifiers) - len(failed)
    report.fields(
        rectifiers=f"{working}/{len(power.rectifiers)} x {power.rectifiers[0].power_w:.0f} W",
        load_kw=number(power_model.load_w(network, site_id) / 1e3, 2),
        dc_bus_v=number(power_model.bus_v(network, power)),
    )
    if failed:
        report.fields(rectifiers_without_output=failed)
    _battery(network, report, power)
    _breakers(report, power)
    _generator(network, report, power)
    shed = power.low_load_shed or power.saver or power.dark
    report.fields(battery_saver="on" if power.saver else "off", low_priority_load="shed" if shed else "on")
    _cabinet(network, report, site)
    return report.details(surge_arrester="FAILED" if power.surge_arrester_failed else "OK")


def _battery(network: Network, report: Report, power: PowerSystem) -> None:
    """Tell what the battery's monitor shows: its autonomy assumes full health unless that was measured."""
    tested = [number(100 * string.tested_soh, 0) for string in power.strings if string.tested_soh is not None]
    report.fields(
        battery=f"{len(power.strings)} x {power.strings[0].capacity_ah:.0f} Ah {power.strings[0].kind}",
        soc_pct=number(100 * power_model.state_of_charge(power, network.now)),
        current_a=number(measures.battery_current_a(network, power)),
        autonomy_min=round(power_model.autonomy_min(network, power)),
        tested_health_pct=tuple(tested) or "never",
    )
    absent = tuple(index for index, string in enumerate(power.strings, start=1) if not string.present)
    if absent:
        report.fields(strings_at_0_v=absent)


def _breakers(report: Report, power: PowerSystem) -> None:
    """Tell which breakers are not closed; unmonitored feeds are told by what they feed."""
    open_ones = tuple(
        f"{item.id}={item.state.value}"
        for index, item in enumerate(power.breakers)
        if item.state.value != "CLOSED" and (item.monitored or index == 0)
    )
    unmonitored = sum(not item.monitored for item in power.breakers[1:])
    remote = sum(item.remote for item in power.breakers)
    report.fields(breakers_not_closed=open_ones or "none", not_monitored=unmonitored, remote_operable=remote)


def _generator(network: Network, report: Report, power: PowerSystem) -> None:
    generator = power.generator
    if generator is None:
        report.fields(generator="none", mobile_inlet=power.mobile_inlet)
        return
    report.fields(
        generator=generator.state,
        mobile=generator.mobile,
        fuel_pct=number(power_model.fuel_pct(generator, network.now), 0),
        start_battery_v=number(generator.start_battery_v),
    )


def _cabinet(network: Network, report: Report, site: Site) -> None:
    cabinet = network.get(Cabinet, f"CAB-{site.id[1:]}")
    inside = thermal_model.cabinet_temperature_c(network, site.id)
    shown = inside if site.sensor_fault != "temperature" else 61.0 + measures.jitter(network, 6.0, site.id, "sensor")
    door = cabinet.door_open or site.sensor_fault == "door"
    cooling = "FAULT" if cabinet.cooling_failed else "OK" if inside < 28 else "COOLING"
    report.fields(
        cabinet_temp_c=number(shown),
        outside_c=number(thermal_model.outside_c(network, site.id)),
        door="OPEN" if door else "CLOSED",
        **{"air_conditioner" if cabinet.has_air_conditioner else "fans": cooling},
    )
    report.details(
        smoke="ALARM" if cabinet.smoke or site.sensor_fault == "smoke" else "no",
        water="ALARM" if cabinet.flood or site.sensor_fault == "flood" else "no",
    )


# --- fronthaul and antenna --------------------------------------------------------------------------------


def get_fronthaul_status(network: Network, report: Report, ru_id: str) -> Report:
    """Answer with the optics of a radio unit's fronthaul link: the baseband end, and the far end if it answers."""
    network = _as_known(network, report, network.get(RadioUnit, ru_id).node_id)
    unit = network.get(RadioUnit, ru_id)
    link = network.get(FronthaulLink, f"FH-{unit.id[3:]}")
    synced = dependencies.fronthaul_synced(network, unit.id)
    near_tx = -40.0 if link.near_sfp_failed or not dependencies.board_works(network, link.board_id) else link.tx_dbm
    near_rx = dependencies.fronthaul_rx_dbm(network, link)
    report.fields(link=link.id, board=link.board_id, ru=unit.id, standard=f"{link.standard} {link.rate}")
    report.fields(link_state=_unit_link(network, unit), sfp_type=link.sfp_type, length_km=link.length_km)
    report.table(
        ("end", "tx_dbm", "rx_dbm"),
        [
            ("bbu", number(near_tx), number(_reading(network, near_rx, link.id, "near"))),
            ("ru", *_far_end(network, unit, link, synced)),
        ],
    )
    report.fields(design_rx_dbm=link.design_rx_dbm, rx_warning_dbm=-14.0, rx_loss_of_sync_dbm=link.loss_limit_dbm)
    margin = near_rx - link.loss_limit_dbm
    errors = 1e-12 if margin > 3.5 else 10 ** (-9 + (3.5 - max(margin, 0.0)))
    report.details(bit_error_rate=f"{errors:.0e}" if synced else "-")
    delay = 4.9 * link.length_km
    if link.standard == "eCPRI":
        report.details(delay_us=number(delay), window_margin_us=number(100.0 - delay))
    return report


def _reading(network: Network, level_dbm: float, *keys: str) -> float:
    return level_dbm if level_dbm <= -40.0 else level_dbm + measures.jitter(network, 0.1, *keys)


def _far_end(network: Network, unit: RadioUnit, link: FronthaulLink, synced: bool) -> tuple[str, str]:
    if not synced or unit.hang or unit.failed or unit.restart_until_s is not None:
        return "no answer", "no answer"
    received = dependencies.fronthaul_rx_dbm(network, link, "far")
    return number(link.tx_dbm), number(_reading(network, received, link.id, "far"))


def answering_unit(network: Network, ru_id: str) -> RadioUnit:
    """Return a radio unit that its node can read; one whose amplifiers are dead still answers.

    Raises:
        ToolError: If there is no such unit, or no answer from it.
    """
    unit = network.get(RadioUnit, ru_id)
    reachable_node(network, unit.node_id)
    return _answering(network, unit)


def _answering(network: Network, unit: RadioUnit) -> RadioUnit:
    if not dependencies.fronthaul_synced(network, unit.id) or unit.hang or unit.restart_until_s is not None:
        raise refusal(Code.ELEMENT_UNREACHABLE, f"{unit.id} does not answer: link {_unit_link(network, unit)}")
    return unit


def get_antenna_status(network: Network, report: Report, ru_id: str) -> Report:
    """Answer with what a radio unit measures at its antenna ports."""
    network = _as_known(network, report, network.get(RadioUnit, ru_id).node_id)
    unit = _answering(network, network.get(RadioUnit, ru_id))
    cell = network.get(Cell, f"{unit.site_id}-{unit.layer}-{unit.sector}")
    hot = measures.amplifier_c(network, unit)
    report.fields(ru=unit.id, cell=cell.id, configured_power_dbm=cell.max_tx_power_dbm, pa_temp_c=number(hot))
    lines = {line.branch: line for line in dependencies.lines_of(network, unit)}
    rows = [_branch_row(network, unit, cell, branch, lines.get(branch)) for branch in range(unit.branches)]
    report.table(("branch", "tx_power_w", "vswr", "rx_power_dbm"), rows)
    ret = network.get(RetUnit, f"RET-{unit.id[3:]}")
    state = "MOTOR_FAULT" if ret.jammed else "NOT_CALIBRATED" if ret.uncalibrated else "OK"
    report.fields(ret=state, electrical_tilt_deg=cell.electrical_tilt_deg)
    if lines:
        major, critical = dependencies.DIALECT_VSWR[network.get(Node, unit.node_id).dialect]
        report.details(vswr_major=major, vswr_critical=critical, ald_current_ma=number(38.0, 0))
    return report


def _branch_row(
    network: Network, unit: RadioUnit, cell: Cell, branch: int, line: AntennaLine | None
) -> tuple[str, str, str, str]:
    power = 0.0 if unit.failed else measures.branch_power_w(network, unit, cell, branch, line)
    received = measures.branch_rx_dbm(network, unit, cell, branch, line)
    dead = unit.failed or branch in unit.failed_branches
    vswr = "n/a" if line is None or dead else number(measures.online_vswr(network, line), 2)
    name = _LETTERS[branch] if line is not None else f"group {branch + 1}"
    return name, number(power, 2), vswr, number(received)
