"""Active tests: ping, link tests, standing wave ratio, intermodulation, spectrum, battery, service.

Tests that take time let it pass themselves: what they interrupt is interrupted for as long as they run.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from telegym.envs.base_station import dependencies, operations, power_model, radio
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import (
    AdministrativeState,
    AntennaLine,
    Cell,
    CorePeer,
    Emitter,
    FronthaulLink,
    GeneratorState,
    Node,
    RadioUnit,
    Record,
    Router,
    Site,
    TransportLink,
)
from telegym.envs.base_station.physics.battery import autonomy_h
from telegym.tools.base_station import _elements as elements
from telegym.tools.base_station import _measures as measures
from telegym.tools.base_station._errors import Code, not_found, refusal
from telegym.tools.base_station._format import Report, number
from telegym.tools.base_station.query.air import blocks_dbm, sectors_at
from telegym.tools.base_station.query.status import answering_unit, controlled_power

__all__ = [
    "run_battery_test",
    "run_cell_service_test",
    "run_link_test",
    "run_pim_test",
    "run_ping_test",
    "run_spectrum_scan",
    "run_vswr_test",
]

LINK_TEST_S, VSWR_TEST_S, PIM_TEST_S = 300, 180, 600
"""Duration of tests that interrupt or load what they test."""
BUSY_HOURS = (17, 23)
"""Hours of day in which batteries are not tested."""
_LETTERS = "ABCDEFGH"


# --- ping -------------------------------------------------------------------------------------------------


def run_ping_test(
    network: Network,
    report: Report,
    source_id: str,
    target_id: str,
    packet_size: int = 64,
    count: int = 20,
    dont_fragment: bool = True,
    trace_route: bool = False,
) -> Report:
    """Ping from a router or node to another router or node or to the core."""
    source, target = _endpoint(network, source_id, core=False), _endpoint(network, target_id, core=True)
    if not _reachable(network, source):
        raise refusal(Code.ELEMENT_UNREACHABLE, f"{source_id} does not answer its management system")
    hops, broken = _way(network, source, target)
    delay, loss, routers = 0.3, 0.0, []
    for name in hops:
        record = network.objects[name]
        if isinstance(record, TransportLink):
            load = measures.link_now(network, name)
            delay, loss = delay + 2 * load.delay_ms, 1 - (1 - loss) * (1 - load.loss) ** 2
        elif isinstance(record, Router):
            routers.append(record)
    narrow = next((item for item in routers if item.mtu < packet_size + 28), None)
    lost = broken is not None or (narrow is not None and dont_fragment)
    received = 0 if lost else round(count * (1 - loss))
    report.fields(source=source_id, target=target_id, bytes=packet_size, dont_fragment=dont_fragment)
    report.fields(sent=count, received=received, loss_pct=number(100 * (1 - received / count)))
    if received:
        rtt = delay + abs(measures.jitter(network, 0.05, source_id, target_id))
        report.fields(rtt_ms_min=number(0.93 * rtt, 2), rtt_ms_mean=number(rtt, 2), rtt_ms_max=number(1.3 * rtt, 2))
    elif broken is None and narrow is not None:
        report.fields(reply=f"packet too big, from {narrow.id}, mtu {narrow.mtu}")
    if trace_route:
        _trace(report, network, hops, broken)
    return report


def _endpoint(network: Network, name: str, *, core: bool) -> Record:
    record = network.objects.get(name)
    if isinstance(record, Router | Node) or (core and isinstance(record, CorePeer)):
        return record
    if record is not None and type(record) in elements.TYPES:
        kinds = "router, node or core node" if core else "router or node"
        raise refusal(Code.INVALID_ARGUMENT, f"{name} is a {elements.kind_name(record)}, not a {kinds}")
    kinds_known: list[type[Record]] = [Router, Node, *([CorePeer] if core else [])]
    known = [item.id for kind in kinds_known for item in network.all(kind)]
    raise not_found("element", name, known)


def _reachable(network: Network, record: Record) -> bool:
    if isinstance(record, Node):
        return dependencies.oam_reachable(network, record.id)
    return dependencies.router_reachable(network, record.id)


def _upwards(network: Network, record: Record) -> tuple[list[str], str | None]:
    """Return routers and links from an element to the core, and the first thing that lets nothing through."""
    site = network.index.site_of.get(record.id)
    if site is None:
        return [record.id], None if _alive(network, record) else record.id
    way = dependencies.path(network, site)
    steps = [way.routers[0]]
    for link, router in zip(way.links, way.routers[1:], strict=True):
        steps += [link, router]
    if isinstance(record, Node):
        service = dependencies.service(network, record.id)
        own = None if service.oam or service.user_plane or service.control else record.id
        return [record.id, *steps], own or way.broken_at
    return steps, way.broken_at


def _alive(network: Network, record: Record) -> bool:
    if isinstance(record, CorePeer):
        return record.up
    return dependencies.router_up(network, record.id)


def _way(network: Network, source: Record, target: Record) -> tuple[list[str], str | None]:
    """Return the way between two elements, and what breaks it; None if it works."""
    up, broken = _upwards(network, source)
    if target.id in up:
        part = up[: up.index(target.id) + 1]
        return part, broken if broken in part[1:] else None
    down, other = _upwards(network, target)
    if source.id in down:
        part = down[: down.index(source.id) + 1][::-1]
        return part, other if other in part[1:] else None
    meeting = next((name for name in up if name in down), None)
    steps = up + down[::-1]
    if meeting is not None:
        steps = up[: up.index(meeting)] + down[: down.index(meeting) + 1][::-1]
    blocked = broken if broken in steps else other if other in steps else None
    return steps, blocked or _misrouted(network, source, target) or _misrouted(network, target, source)


def _misrouted(network: Network, node: Record, other: Record) -> str | None:
    """Return the node or its router if traffic to the core is sent nowhere by their configuration."""
    if not isinstance(node, Node) or isinstance(other, Router):
        return None
    service = dependencies.service(network, node.id)
    if isinstance(other, CorePeer):
        plane = service.control if other.kind in ("MME", "AMF") else service.user_plane
        return None if plane else node.router_id
    return None if service.control or service.user_plane else node.router_id


def _trace(report: Report, network: Network, hops: list[str], broken: str | None) -> None:
    shown = [name for name in hops if not isinstance(network.objects[name], TransportLink)]
    rows = []
    for place, name in enumerate(shown, start=1):
        if broken is not None and _behind(hops, broken, name):
            rows.append((str(place), "*"))
            break
        rows.append((str(place), name))
    report.table(("hop", "answers"), rows)


def _behind(hops: list[str], broken: str, name: str) -> bool:
    return broken in hops and hops.index(name) >= hops.index(broken)


# --- links ------------------------------------------------------------------------------------------------


def run_link_test(network: Network, report: Report, link_id: str, test: str) -> Report:
    """Test a fronthaul or transport link; loops and bit-error tests interrupt it."""
    record = network.objects.get(link_id)
    if isinstance(record, FronthaulLink):
        return _test_fronthaul(network, report, record, test)
    if isinstance(record, TransportLink):
        return _test_transport(network, report, record, test)
    if record is not None and type(record) in elements.TYPES:
        raise refusal(Code.INVALID_ARGUMENT, f"{link_id} is a {elements.kind_name(record)}, not a link")
    raise not_found("link", link_id, [item.id for kind in (FronthaulLink, TransportLink) for item in network.all(kind)])


def _test_fronthaul(network: Network, report: Report, link: FronthaulLink, test: str) -> Report:
    unit = network.get(RadioUnit, link.ru_id)
    elements.reachable_node(network, unit.node_id)
    if link.under_test_until_s is not None:
        raise refusal(Code.RESOURCE_BUSY, f"{link.id} is under test")
    interrupts = test != "otdr"
    if interrupts:
        operations.interrupt_fronthaul(network, link, network.now + LINK_TEST_S)
    network.advance(LINK_TEST_S)
    if interrupts:
        operations.interrupt_fronthaul(network, link, None)
    link = network.get(FronthaulLink, link.id)
    report.fields(link=link.id, test=test, interrupted=interrupts)
    return _FRONTHAUL_TESTS[test](network, report, link)


def _loop_near(network: Network, report: Report, link: FronthaulLink) -> Report:
    sound = not link.near_sfp_failed and dependencies.board_works(network, link.board_id)
    return report.fields(result="PASS" if sound else "FAIL", loop_at=f"module at {link.board_id}")


def _loop_far(network: Network, report: Report, link: FronthaulLink) -> Report:
    lit = dependencies.fronthaul_rx_dbm(network, link) > link.loss_limit_dbm and not link.near_sfp_failed
    return report.fields(result="PASS" if lit else "FAIL", loop_at=f"module at {link.ru_id}")


def _bit_errors(network: Network, report: Report, link: FronthaulLink) -> Report:
    level = dependencies.fronthaul_rx_dbm(network, link)
    if level <= link.loss_limit_dbm or link.near_sfp_failed:
        return report.fields(result="NO_SYNC", errors="-")
    margin = level - link.loss_limit_dbm
    ratio = 1e-12 if margin > 3.5 else 10 ** (-12 + 3 * (3.5 - margin))
    return report.fields(result="PASS" if ratio < 1e-10 else "ERRORS", bit_error_ratio=f"{ratio:.0e}")


def _reflectometer(network: Network, report: Report, link: FronthaulLink) -> Report:
    report.fields(length_m=round(1000 * link.length_km))
    if link.extra_loss_db >= 0.5:
        return report.fields(event="loss", at_m=round(link.extra_loss_at_m), loss_db=number(link.extra_loss_db))
    return report.fields(event="none", end_to_end="continuous")


_FRONTHAUL_TESTS: dict[str, Callable[[Network, Report, FronthaulLink], Report]] = {
    "loopback_near": _loop_near,
    "loopback_far": _loop_far,
    "bert": _bit_errors,
    "otdr": _reflectometer,
}


def _test_transport(network: Network, report: Report, link: TransportLink, test: str) -> Report:
    microwave = link.kind.startswith("mw")
    if test == "otdr" and microwave:
        raise refusal(Code.INVALID_ARGUMENT, f"{link.id} is a microwave hop; a reflectometer needs fibre")
    up = dependencies.link_up(network, link.id)
    interrupts = test != "otdr" and up
    if interrupts:
        operations.interrupt_link(network, link, on=True)
    network.advance(LINK_TEST_S)
    if interrupts:
        operations.interrupt_link(network, link, on=False)
    link = network.get(TransportLink, link.id)
    report.fields(link=link.id, test=test, interrupted=interrupts)
    if test == "otdr":
        report.fields(length_km=link.length_km)
        if link.cut:
            return report.fields(event="break", at_km=number(link.cut_at_km, 2), measured_from=link.a_id)
        return report.fields(event="none", end_to_end="continuous")
    if test == "loopback_near":
        sound = _port_sound(network, link, link.a_id)
        return report.fields(result="PASS" if sound else "FAIL", loop_at=f"port of {link.a_id}")
    works = dependencies.link_up(network, link.id)
    if test == "loopback_far":
        return report.fields(result="PASS" if works else "FAIL", loop_at=f"port of {link.b_id}")
    ratio = 1e-12 if works and measures.link_now(network, link.id).loss < 0.01 else 1e-7
    return report.fields(result="PASS" if works else "NO_SYNC", bit_error_ratio=f"{ratio:.0e}" if works else "-")


def _port_sound(network: Network, link: TransportLink, router_id: str) -> bool:
    router = network.get(Router, router_id)
    ports = [port for port in router.ports if port.link_id == link.id]
    return dependencies.router_up(network, router_id) and not any(port.sfp_failed or port.hung for port in ports)


# --- antenna line -----------------------------------------------------------------------------------------


def run_vswr_test(network: Network, report: Report, ru_id: str, mode: str = "online") -> Report:
    """Measure the standing wave ratio of each branch: coarse in traffic, or precise with the cells locked."""
    unit = answering_unit(network, ru_id)
    cells = [network.get(Cell, name) for name in network.index.cells_of[unit.id]]
    if mode == "offline":
        live = [cell.id for cell in cells if cell.administrative_state is not AdministrativeState.LOCKED]
        if live:
            raise refusal(
                Code.PRECONDITION_FAILED, f"an offline test needs LOCKED cells; not LOCKED: {', '.join(live)}"
            )
    network.advance(VSWR_TEST_S)
    unit = network.get(RadioUnit, unit.id)
    lines = dependencies.lines_of(network, unit)
    report.fields(ru=unit.id, mode=mode, branches=unit.branches)
    if not lines:
        return report.fields(result="the antenna is part of the unit: no line to measure")
    if mode == "offline":
        rows = [(_LETTERS[line.branch], *_precise(network, line)) for line in lines]
        return report.table(("branch", "vswr", "fault_at_m"), rows)
    dead = set(unit.failed_branches) if not unit.failed else {line.branch for line in lines}
    rows_online = [
        (_LETTERS[line.branch], "n/a" if line.branch in dead else number(measures.online_vswr(network, line), 1))
        for line in lines
    ]
    return report.table(("branch", "vswr"), rows_online)


def _precise(network: Network, line: AntennaLine) -> tuple[str, str]:
    ratio = dependencies.true_vswr(network, line)
    return number(ratio, 2), number(line.fault_at_m) if ratio > 1.6 else "-"


def run_pim_test(network: Network, report: Report, ru_id: str) -> Report:
    """Load the downlink artificially and see whether the uplink's noise rises with it."""
    unit = answering_unit(network, ru_id)
    cells = [network.get(Cell, name) for name in network.index.cells_of[unit.id]]
    for cell in cells:
        if not dependencies.in_service(network, cell.id):
            raise refusal(Code.PRECONDITION_FAILED, f"{cell.id} is not on the air")
        load = 100 * measures.load_now(network, cell.id)
        if load >= 50:
            raise refusal(Code.PRECONDITION_FAILED, f"{cell.id} is busy: {load:.0f} % of its blocks are in use")
    before = [_branch_levels(network, unit, cell) for cell in cells]
    operations.load_artificially(network, cells, on=True)
    network.advance(PIM_TEST_S)
    present = [network.get(Cell, cell.id) for cell in cells]
    after = [_branch_levels(network, unit, cell) for cell in present]
    operations.load_artificially(network, present, on=False)
    report.fields(ru=unit.id, downlink_load_pct=100, duration_min=PIM_TEST_S // 60)
    rows = [
        (cell.id, _LETTERS[branch], number(low), number(high), number(high - low))
        for cell, lows, highs in zip(cells, before, after, strict=True)
        for branch, (low, high) in enumerate(zip(lows, highs, strict=True))
    ]
    return report.table(("cell", "branch", "before_dbm", "loaded_dbm", "rise_db"), rows)


def _branch_levels(network: Network, unit: RadioUnit, cell: Cell) -> list[float]:
    lines = {line.branch: line for line in dependencies.lines_of(network, unit)}
    return [measures.branch_rx_dbm(network, unit, cell, branch, lines.get(branch)) for branch in range(unit.branches)]


# --- spectrum ---------------------------------------------------------------------------------------------


def run_spectrum_scan(network: Network, report: Report, cell_id: str, duration_minutes: int = 10) -> Report:
    """Scan the uplink of a cell in the quiet part of the frame."""
    cell = network.get(Cell, cell_id)
    elements.reachable_node(network, cell.node_id)
    if not dependencies.in_service(network, cell.id):
        raise refusal(Code.PRECONDITION_FAILED, f"{cell.id} is off the air")
    heard = _listen(network, cell, 60 * duration_minutes)
    groups = blocks_dbm(network, cell)
    floor = sorted(level for _, _, level in groups)[len(groups) // 4]
    report.fields(cell=cell.id, duration_min=duration_minutes, floor_dbm=number(floor))
    peaks = []
    for emitter, level, share in heard:
        if level > floor - 3.0:
            width = (emitter.last_prb - emitter.first_prb + 1) * 0.18
            kind = "wideband" if width > 3 else "narrowband"
            duty = f"{100 * emitter.duty * share:.0f}"
            blocks = f"{emitter.first_prb}-{emitter.last_prb}"
            peaks.append((-level, kind, blocks, number(width, 2), number(level - 10 * math.log10(emitter.duty)), duty))
    peaks.sort()
    report.fields(peaks=len(peaks))
    if not peaks:
        return report
    columns = ("kind", "prbs", "width_mhz", "peak_dbm", "duty_pct")
    report.table(columns, [peak[1:] for peak in peaks])
    return report.fields(bearing_hint_deg=_bearing(network, cell))


def _listen(network: Network, cell: Cell, duration_s: int) -> list[tuple[Emitter, float, float]]:
    """Let time pass; return what was heard meanwhile: who, how loud at most, and for what share of the time."""
    tag, row = measures.row_of(network, cell.id)
    end, heard = network.now + duration_s, dict[str, tuple[Emitter, float, int]]()
    while network.now < end:
        view, begun = measures.view_now(network), network.now
        following = network.next_event_s()
        network.advance(min(following, end) - begun if following is not None and following > begun else end - begun)
        for emitter, levels in radio.external(network.region, view, tag):
            _, loudest, seconds = heard.get(emitter.id, (emitter, -math.inf, 0))
            loudest = max(loudest, float(levels[row]))
            heard[emitter.id] = (emitter, loudest, seconds + network.now - begun)
    return [(emitter, level, seconds / duration_s) for emitter, level, seconds in heard.values()]


def _bearing(network: Network, cell: Cell) -> str:
    """Return from where a signal comes, as the differences between the sectors of a site tell."""
    east = north = 0.0
    sectors = [item for item in sectors_at(network, cell) if dependencies.in_service(network, item.id)]
    levels = {item.id: max(level for _, _, level in blocks_dbm(network, item)) for item in sectors}
    if len(levels) < 2:
        return "unknown: other sectors are off the air"
    weakest = min(levels.values())
    for item in sectors:
        weight = 10 ** ((levels[item.id] - weakest) / 20) - 1.0
        east += weight * math.sin(math.radians(item.azimuth_deg))
        north += weight * math.cos(math.radians(item.azimuth_deg))
    if math.hypot(east, north) < 0.3:
        return "unknown: all sectors alike"
    return f"{math.degrees(math.atan2(east, north)) % 360:.0f} +-30"


# --- battery and service ----------------------------------------------------------------------------------


def run_battery_test(network: Network, report: Report, site_id: str, duration_minutes: int = 20) -> Report:
    """Let the battery carry the site for a while, and compute its health from how the charge falls."""
    power = controlled_power(network, site_id)
    charge = power_model.state_of_charge(power, network.now)
    hour = network.now % 86_400 // 3600
    if not power_model.mains_live(power):
        raise refusal(Code.PRECONDITION_FAILED, f"{site_id} has no mains")
    if power.generator is not None and power.generator.state is GeneratorState.RUNNING:
        raise refusal(Code.PRECONDITION_FAILED, f"the generator of {site_id} runs")
    if charge < 0.9:
        raise refusal(Code.PRECONDITION_FAILED, f"the battery of {site_id} is charged to {100 * charge:.0f} % only")
    if any(alarm.active and alarm.object_id.startswith(power.id) for alarm in network.alarms.values()):
        raise refusal(Code.PRECONDITION_FAILED, f"{site_id} has an active power alarm")
    if BUSY_HOURS[0] <= hour < BUSY_HOURS[1]:
        raise refusal(Code.PRECONDITION_FAILED, "batteries are not tested between 17 and 23 h")
    cells = power_model.battery(power)
    if cells is None:
        raise refusal(Code.PRECONDITION_FAILED, f"{site_id} has no battery string that answers")
    load = power_model.load_w(network, site_id)
    operations.discharge_battery(network, power, on=True)
    network.advance(60 * duration_minutes)
    operations.discharge_battery(network, power, on=False)
    strings = network.get(type(power), power.id).strings
    health = [f"{100 * string.soh:.0f}" if string.present else "missing" for string in strings]
    report.fields(site=site_id, duration_min=duration_minutes, load_kw=number(load / 1e3, 2))
    full = autonomy_h(load / 1e3, cells.capacity_ah, cells.soh, depth=1.0)
    return report.fields(health_pct=tuple(health), autonomy_at_this_load_min=round(60 * full))


def run_cell_service_test(network: Network, report: Report, cell_id: str, test: str = "attach") -> Report:
    """Let a test phone use a cell."""
    cell = network.get(Cell, cell_id)
    if not network.get(Site, cell.site_id).probe:
        raise refusal(Code.PRECONDITION_FAILED, f"no test phone in the area of {cell.site_id}")
    view = measures.view_now(network)
    seen = view.cells[cell.id]
    report.fields(cell=cell.id, test=test)
    heard = seen.on_air and not seen.muted and not dependencies.asleep(cell)
    if not heard:
        return report.fields(result="FAIL", cause="cell not found")
    if cell.cell_barred and test != "handover":
        return report.fields(result="FAIL", cause="cell barred")
    if not seen.access_ok:
        return report.fields(result="FAIL", cause="no answer to random access")
    return _SERVICE_TESTS[test](network, report, cell)


def _attach(network: Network, report: Report, cell: Cell) -> Report:
    rate = measures.indicator_now(network, cell.id, "rrc_setup_success_pct")
    if rate != rate or rate < 50:
        return report.fields(result="FAIL", cause="connection refused")
    return report.fields(result="PASS", attempts=10, successes=round(rate / 10))


def _data(name: str) -> Callable[[Network, Report, Cell], Report]:
    def test(network: Network, report: Report, cell: Cell) -> Report:
        plane = dependencies.service(network, cell.node_id).user_plane
        rate = measures.indicator_now(network, cell.id, name) if plane else 0.0
        if rate < 0.05:
            return report.fields(result="FAIL", cause="attached, but no data")
        return report.fields(result="PASS", throughput_mbps=number(rate, 2))

    return test


def _voice(network: Network, report: Report, cell: Cell) -> Report:
    score = measures.indicator_now(network, cell.id, "voice_mos")
    setup = measures.indicator_now(network, cell.id, "voice_setup_success_pct")
    return report.fields(result="PASS" if setup > 90 else "FAIL", setup_success_pct=number(setup), mos=number(score, 2))


def _handover(network: Network, report: Report, cell: Cell) -> Report:
    rate = measures.indicator_now(network, cell.id, "ho_success_pct")
    return report.fields(result="PASS" if rate > 90 else "FAIL", handovers=10, successes=round(rate / 10))


_SERVICE_TESTS: dict[str, Callable[[Network, Report, Cell], Report]] = {
    "attach": _attach,
    "data_dl": _data("dl_user_throughput_mbps"),
    "data_ul": _data("ul_user_throughput_mbps"),
    "voice": _voice,
    "handover": _handover,
}
