"""Fronthaul, radio units, boards, antenna lines, clocks."""

from __future__ import annotations

import re

from telegym.envs.base_station.players.desk import Desk, fields, rows, site_of
from telegym.envs.base_station.players.remedies.registry import Remedy, register
from telegym.envs.base_station.players.steps import Steps

__all__: list[str] = []

APPROVAL_MIN = 230
"""Minutes for which an approval is relied on."""


def _unit_of(element: str) -> str:
    """Return the radio unit of a fronthaul link or antenna line."""
    if element.startswith("ANT-"):
        return f"RU-{element[4:].rpartition('-')[0]}"
    return f"RU-{element.partition('-')[2]}"


def _cell_of(element: str) -> str:
    """Return the cell of a radio unit, fronthaul link or antenna line, by the scheme of names."""
    return f"S{_unit_of(element)[3:]}"


def _look_at_unit(desk: Desk, element: str) -> Steps[str]:
    unit = _unit_of(element)
    seen = []
    for tool, arguments in (
        ("list_alarms", {"scope_id": site_of(element)}),
        ("get_element_info", {"element_id": unit}),
        ("get_fronthaul_status", {"ru_id": unit}),
        ("get_antenna_status", {"ru_id": unit}),
    ):
        seen.append((yield from desk.do(tool, **arguments)).text)
    return "\n".join(seen)


# --- fronthaul ------------------------------------------------------------------------------------------


def _optics(desk: Desk, element: str, seen: str) -> Steps[str]:
    part = "SFP_25G" if fields(seen).get("sfp_type", "").startswith("25G") else "SFP_10G"
    order = yield from desk.send(site_of(element), "fronthaul", [part])
    if order is None:
        return "monitoring_handed_over"
    yield from desk.instruct(order, "measure_optical", element)
    yield from desk.instruct(order, "replace_part", element, part)
    yield from desk.leave(order)
    return "fixed_on_site"


def _fibre(desk: Desk, element: str, seen: str) -> Steps[str]:
    order = yield from desk.send(site_of(element), "fronthaul", ["FIBRE_PATCH"])
    if order is None:
        return "monitoring_handed_over"
    found = yield from desk.instruct(order, "clean_connector", element)
    if "normal" not in found:
        yield from desk.instruct(order, "replace_part", element, "FIBRE_PATCH")
    yield from desk.leave(order)
    return "fixed_on_site"


# --- radio units and boards -----------------------------------------------------------------------------


def _unit_failed(desk: Desk, element: str, seen: str) -> Steps[str]:
    return (yield from _replace_unit(desk, element, seen, live=False))


def _branch_failed(desk: Desk, element: str, seen: str) -> Steps[str]:
    return (yield from _replace_unit(desk, element, seen, live=True))


def _replace_unit(desk: Desk, element: str, seen: str, *, live: bool) -> Steps[str]:
    part = fields(seen).get("spare_part", "")
    order = yield from desk.send(site_of(element), "radio_hw", [part])
    if order is None:
        return "monitoring_handed_over"
    if live:
        yield from desk.approve_soon([element], "reset", f"{element} is exchanged")
    yield from desk.instruct(order, "replace_part", element, part)
    yield from desk.leave(order)
    return "fixed_on_site"


def _unit_hangs(desk: Desk, element: str, seen: str) -> Steps[str]:
    cell = _cell_of(element)
    reply = yield from desk.act("reset_unit", unit_id=element)
    if not reply.error:
        yield from desk.wait(desk.constants.reset_pause_min + 1)
        if (yield from _serves(desk, cell)):
            return "fixed_remote"
    if desk.constants.max_resets > 1:
        reply = yield from desk.act("reset_unit", unit_id=element, mode="power_cycle")
        if not reply.error:
            yield from desk.wait(8)
            if (yield from _serves(desk, cell)):
                return "fixed_remote"
    order = yield from desk.send(site_of(element), "radio_hw", [])
    if order is None:
        return "monitoring_handed_over"
    yield from desk.instruct(order, "power_cycle", element)
    yield from desk.leave(order)
    return "fixed_on_site"


def _serves(desk: Desk, cell: str) -> Steps[bool]:
    status = yield from desk.do("get_cell_status", cell_id=cell)
    return fields(status.text).get("operational_state") == "ENABLED"


def _look_at_board(desk: Desk, element: str) -> Steps[str]:
    seen = []
    for tool, arguments in (
        ("list_alarms", {"scope_id": site_of(element)}),
        ("get_node_status", {"node_id": element.rpartition("-")[0]}),
        ("get_element_info", {"element_id": element}),
    ):
        seen.append((yield from desk.do(tool, **arguments)).text)
    return "\n".join(seen)


def _board(desk: Desk, element: str, seen: str) -> Steps[str]:
    if element.endswith("-B1"):
        return (yield from _main_boards(desk, site_of(element), seen))
    order = yield from desk.send(site_of(element), "baseband_hw", ["BB_BOARD"])
    if order is None:
        return "monitoring_handed_over"
    yield from desk.instruct(order, "replace_part", element, "BB_BOARD")
    yield from desk.leave(order)
    return "fixed_on_site"


def _look_at_site(desk: Desk, element: str) -> Steps[str]:
    site = site_of(element)
    alarms = yield from desk.do("list_alarms", scope_id=site)
    power = yield from desk.do("get_power_status", site_id=site)
    nodes = yield from desk.do("list_elements", element_type="node", parent_id=site)
    seen = f"{alarms.text}\n{power.text}\n{nodes.text}"
    for row in rows(nodes.text, "element_id"):
        seen += "\n" + (yield from desk.do("get_node_status", node_id=row["element_id"])).text
    return seen


def _main_boards(desk: Desk, element: str, seen: str) -> Steps[str]:
    site = site_of(element)
    nodes = rows((yield from desk.do("list_elements", element_type="node", parent_id=site)).text, "element_id")
    order = yield from desk.send(site, "baseband_hw", ["MAIN_BOARD"] * max(len(nodes), 1))
    if order is None:
        return "monitoring_handed_over"
    for row in nodes:
        yield from desk.instruct(order, "replace_part", f"{row['element_id']}-B1", "MAIN_BOARD")
    yield from desk.leave(order)
    return "fixed_on_site"


# --- antenna lines --------------------------------------------------------------------------------------


def _line(part: str, action: str, done: str, desk: Desk, element: str) -> Steps[str]:
    """Work at an antenna line: approval, visit, lock, work, leave, unlock."""
    site = site_of(element)
    status = yield from desk.do("get_antenna_status", ru_id=_unit_of(element))
    cells = fields(status.text).get("cell", _cell_of(element)).split("|")
    change = yield from desk.approve_soon(cells, "lock", f"work at {element}")
    approved = desk.elapsed
    order = yield from desk.send(site, "antenna_line", [part])
    if order is None:
        return "monitoring_handed_over"
    if desk.elapsed - approved > APPROVAL_MIN:
        change = yield from desk.approve_soon(cells, "lock", f"work at {element}")
    yield from desk.do("list_alarms", scope_id=site)
    for cell in cells:
        yield from desk.do("get_cell_status", cell_id=cell)
    locked = yield from desk.lock(cells, change)
    found = yield from desk.instruct(order, action, element)
    if done not in found:
        yield from desk.instruct(order, "replace_part", element, part)
    yield from desk.leave(order)
    yield from desk.unlock(locked)
    return "fixed_on_site"


def _connector(desk: Desk, element: str, seen: str) -> Steps[str]:
    return (yield from _line("JUMPER_KIT", "clean_connector", "dried", desk, element))


def _feeder(desk: Desk, element: str, seen: str) -> Steps[str]:
    return (yield from _line("FEEDER_KIT", "reseat_connector", "connected", desk, element))


def _joint(desk: Desk, element: str, seen: str) -> Steps[str]:
    return (yield from _line("JUMPER_KIT", "tighten_antenna_line", "tightened", desk, element))


def _look_at_line(desk: Desk, element: str) -> Steps[str]:
    seen = yield from _look_at_unit(desk, element)
    report = yield from desk.do("get_interference_report", cell_id=_cell_of(element))
    return f"{seen}\n{report.text}"


# --- clocks ---------------------------------------------------------------------------------------------


def _look_at_clock(desk: Desk, element: str) -> Steps[str]:
    site = site_of(element)
    alarms = yield from desk.do("list_alarms", scope_id=site)
    nodes = rows((yield from desk.do("list_elements", element_type="node", parent_id=site)).text, "element_id")
    seen = alarms.text
    for row in nodes:
        status = yield from desk.do("get_clock_status", node_id=row["element_id"])
        seen += f"\nnode_used: {row['element_id']}\n{status.text}"
        if not status.error:
            break
    info = yield from desk.do("get_element_info", element_id=element)
    return f"{seen}\n{info.text}"


def _gnss(desk: Desk, element: str, seen: str) -> Steps[str]:
    nodes = re.findall(r"node_used: (\S+)", seen)
    node = nodes[-1] if nodes else f"ENB-{element[4:]}"
    moved = False
    if "ptp" in fields(seen).get("provisioned", ""):
        reply = yield from desk.act("switch_clock_source", node_id=node, source="ptp")
        moved = not reply.error
    order = yield from desk.send(site_of(element), "clock_antenna", ["GNSS_ANT"])
    if order is None:
        return "workaround_in_place"
    yield from desk.instruct(order, "replace_part", element, "GNSS_ANT")
    yield from desk.leave(order)
    if moved:
        yield from desk.act("switch_clock_source", node_id=node, source="gnss")
    return "fixed_on_site"


register("fronthaul_sfp_failure", Remedy(_look_at_unit, _optics, _cell_of))
register("fronthaul_fibre_degradation", Remedy(_look_at_unit, _fibre, _cell_of))
register("radio_unit_hardware_failure", Remedy(_look_at_unit, _unit_failed, _cell_of))
register("radio_unit_software_hang", Remedy(_look_at_unit, _unit_hangs, _cell_of))
register("tx_branch_failure", Remedy(_look_at_unit, _branch_failed, _cell_of))
register("baseband_board_failure", Remedy(_look_at_board, _board))
register("outage_spillover", Remedy(_look_at_site, _main_boards))
register("vswr_connector_degradation", Remedy(_look_at_unit, _connector, _cell_of))
register("feeder_disconnected", Remedy(_look_at_unit, _feeder, _cell_of))
register("passive_intermodulation", Remedy(_look_at_line, _joint, _cell_of))
register("gnss_antenna_failure", Remedy(_look_at_clock, _gnss))
