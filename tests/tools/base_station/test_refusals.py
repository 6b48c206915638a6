"""Refusals: the code and the words, twelve seconds, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from telegym.core.messages import ToolCall
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import (
    BreakerState,
    ClockUnit,
    FronthaulLink,
    Node,
    PowerSystem,
    RadioUnit,
    RetUnit,
    Router,
)
from telegym.envs.base_station.process.records import Depot
from telegym.tools.base_station import definitions, toolkit
from tests.tools.base_station.worlds import MORNING_S, TICKET, refused, town

CELL, NODE, UNIT = "S004-L18-1", "ENB-004", "RU-004-L18-1"
Arrange = Callable[[Network], Any]


def _nothing(network: Network) -> None:
    pass


def _cut_off(network: Network) -> None:
    """No way from ENB-004 to its management system."""
    network.update(network.get(Node, NODE), oam_vlan_id=999)


def _dark(network: Network) -> None:
    power = network.get(PowerSystem, "PWR-004")
    network.update(power, mains_ok=False, soc=0.02)
    network.advance(6 * 3600)
    assert network.get(PowerSystem, "PWR-004").dark


def _no_light(network: Network) -> None:
    network.update(network.get(FronthaulLink, "FH-004-L18-1"), far_sfp_failed=True)


def _restarting(network: Network) -> None:
    network.update(network.get(RadioUnit, UNIT), restart_until_s=network.now + 600)


def _node_restarting(network: Network) -> None:
    network.update(network.get(Node, NODE), restart_until_s=network.now + 600)


def _jammed(network: Network) -> None:
    network.update(network.get(RetUnit, "RET-004-L18-1"), jammed=True)


def _no_time_server(network: Network) -> None:
    network.update(network.get(ClockUnit, "CLK-001"), ptp_lost=True)


def _secondary_down(network: Network) -> None:
    for name in network.region.transport.paths["S004"]["secondary"][-1:]:
        network.update(network.objects[name], cut=True)


def _no_mains(network: Network) -> None:
    network.update(network.get(PowerSystem, "PWR-004"), mains_ok=False)


def _no_mains_without_consequences(network: Network) -> None:
    _no_mains(network)
    network.advance(600)


def _flat(network: Network) -> None:
    network.update(network.get(PowerSystem, "PWR-004"), soc=0.5, soc_s=network.now)


def _no_parts(network: Network) -> None:
    depot = network.get(Depot, "DEPOT")
    network.update(depot, parts=tuple((name, 0) for name, _ in depot.parts))


def _diagnosed_twice(network: Network) -> None:
    for _ in range(2):
        toolkit().execute(
            network,
            _call("submit_diagnosis", ticket_id=TICKET, root_cause="cell_barred", element_id=CELL),
        )


def _call(name: str, **arguments: Any) -> ToolCall:
    return ToolCall(id="1", name=name, arguments=arguments)


def _router_dead(network: Network) -> None:
    network.update(network.get(Router, "CSR-004"), failed=True)


def _damaged(network: Network) -> None:
    network.set_breaker("PWR-004-F4", state=BreakerState.DAMAGED)


def _system_ticket(network: Network) -> None:
    ticket = network.objects[TICKET]
    network.add(replace(ticket, id="INC-10002", human=False, source="alarm_correlation"))  # type: ignore[call-arg]


Case = tuple[str, dict[str, Any], Arrange, str]
CASES: list[Case] = [
    ("list_alarms", {"scope_id": "S999"}, _nothing, "NOT_FOUND: no element S999"),
    ("list_alarms", {"limit": 51}, _nothing, "INVALID_ARGUMENT: list_alarms: limit: 51 is greater than the maximum"),
    ("get_alarm", {"alarm_id": "ALM-99999"}, _nothing, "NOT_FOUND: no alarm ALM-99999"),
    ("list_elements", {"parent_id": "ENB-999"}, _nothing, "NOT_FOUND: no element ENB-999. Did you mean"),
    ("get_element_info", {"element_id": "nowhere"}, _nothing, "NOT_FOUND: no element nowhere"),
    ("get_topology", {"element_id": "CSR-004", "layer": "radio"}, _nothing, "INVALID_ARGUMENT: CSR-004 is a router"),
    ("get_topology", {"element_id": "TL-9", "layer": "radio"}, _nothing, "NOT_FOUND"),
    ("get_topology", {"element_id": "AMF-1", "layer": "power"}, _nothing, "INVALID_ARGUMENT: AMF-1 is a core_node"),
    ("get_topology", {"element_id": "PWR-004", "layer": "fronthaul"}, _nothing, "INVALID_ARGUMENT"),
    ("get_topology", {"element_id": "PWR-004", "layer": "sync"}, _nothing, "INVALID_ARGUMENT"),
    ("get_cell_status", {"cell_id": "S004-L18-9"}, _nothing, "NOT_FOUND: no cell"),
    ("get_cell_status", {"cell_id": NODE}, _nothing, "INVALID_ARGUMENT: ENB-004 is a node, not a cell"),
    ("get_node_status", {"node_id": "ENB-44"}, _nothing, "NOT_FOUND: no node"),
    ("get_config", {"element_id": CELL, "parameters": ["colour"]}, _nothing, "INVALID_ARGUMENT: S004-L18-1 has no par"),
    ("get_config", {"element_id": "S004"}, _nothing, "INVALID_ARGUMENT: S004 is a site without parameters"),
    ("get_config_history", {"element_id": "CR-1"}, _nothing, "NOT_FOUND"),
    ("get_kpi", {"element_id": CELL, "kpis": ["throughput"]}, _nothing, "INVALID_ARGUMENT: no KPI throughput"),
    (
        "get_kpi",
        {"element_id": CELL, "kpis": ["cqi_mean"], "hours": 25, "granularity": "15min"},
        _nothing,
        "INVALID_ARGUMENT: 100 rows are more than 96",
    ),
    ("get_kpi", {"element_id": "AMF-1", "kpis": ["cqi_mean"]}, _nothing, "INVALID_ARGUMENT: AMF-1 carries no cells"),
    (
        "get_kpi",
        {"element_id": "TL-002-009", "kpis": ["cqi_mean"]},
        _nothing,
        "INVALID_ARGUMENT: cqi_mean is no KPI of",
    ),
    ("rank_cells", {"kpi": "rrc_setup_succes_pct"}, _nothing, "INVALID_ARGUMENT: no KPI rrc_setup_succes_pct. Did you"),
    ("rank_cells", {"kpi": "cqi_mean", "scope_id": "S77"}, _nothing, "NOT_FOUND"),
    ("get_neighbour_relations", {"cell_id": "S004"}, _nothing, "INVALID_ARGUMENT: S004 is a site, not a cell"),
    ("get_interference_report", {"cell_id": "S004-L99-1"}, _nothing, "NOT_FOUND"),
    ("get_logs", {"element_id": "XYZ"}, _nothing, "NOT_FOUND"),
    ("get_logs", {"element_id": "RU-004-L18-2"}, _cut_off, "ELEMENT_UNREACHABLE: RU-004-L18-2 does not answer, and"),
    ("get_transport_status", {"element_id": CELL}, _nothing, "INVALID_ARGUMENT: S004-L18-1 is a cell"),
    ("get_transport_status", {"element_id": "CSR-004-P77"}, _nothing, "NOT_FOUND: no port CSR-004-P77. Did you mean"),
    ("get_clock_status", {"node_id": "CLK-004"}, _nothing, "INVALID_ARGUMENT: CLK-004 is a clock unit, not a node"),
    ("get_power_status", {"site_id": "S099"}, _nothing, "NOT_FOUND: no site"),
    ("get_power_status", {"site_id": "X"}, _nothing, "INVALID_ARGUMENT: get_power_status: site_id: 'X' does not match"),
    ("get_power_status", {"site_id": "S004"}, _dark, "ELEMENT_UNREACHABLE: the power controller of S004"),
    ("get_fronthaul_status", {"ru_id": "RU-004-L18-7"}, _nothing, "NOT_FOUND: no radio unit"),
    ("get_antenna_status", {"ru_id": UNIT}, _no_light, "ELEMENT_UNREACHABLE: RU-004-L18-1 does not answer: link LOS"),
    ("get_licence_status", {"node_id": "S004"}, _nothing, "INVALID_ARGUMENT"),
    ("get_software_status", {"node_id": "ENB-999"}, _nothing, "NOT_FOUND"),
    ("get_user_experience_report", {"scope_id": "region"}, _nothing, "INVALID_ARGUMENT: region is no cell or site"),
    ("get_user_experience_report", {"scope_id": "S0"}, _nothing, "NOT_FOUND"),
    ("get_external_notices", {"scope_id": "S0"}, _nothing, "NOT_FOUND"),
    ("get_record", {"record_id": "INC-10003"}, _nothing, "NOT_FOUND: no record INC-10003. Did you mean 'INC-10001'"),
    ("get_record", {"record_id": CELL}, _nothing, "NOT_FOUND: no record S004-L18-1"),
    ("list_resources", {"resource_type": "spares", "part_type": "RU_L19"}, _nothing, "NOT_FOUND: no part type RU_L19"),
    ("list_resources", {"resource_type": "spares", "site_id": "S099"}, _nothing, "NOT_FOUND: no site"),
    ("search_knowledge_base", {"query": "  "}, _nothing, "INVALID_ARGUMENT: the query is empty"),
    ("run_ping_test", {"source_id": NODE, "target_id": "AMF-9"}, _nothing, "NOT_FOUND: no element AMF-9. Did you"),
    ("run_ping_test", {"source_id": "AMF-1", "target_id": NODE}, _nothing, "INVALID_ARGUMENT: AMF-1 is a core_node"),
    ("run_ping_test", {"source_id": NODE, "target_id": "AMF-1"}, _cut_off, "ELEMENT_UNREACHABLE: ENB-004"),
    (
        "run_link_test",
        {"link_id": "TL-002-009", "test": "otdr"},
        _nothing,
        "INVALID_ARGUMENT: TL-002-009 is a microwave",
    ),
    ("run_link_test", {"link_id": "TL-0", "test": "otdr"}, _nothing, "NOT_FOUND: no link TL-0"),
    (
        "run_link_test",
        {"link_id": CELL, "test": "otdr"},
        _nothing,
        "INVALID_ARGUMENT: S004-L18-1 is a cell, not a link",
    ),
    ("run_link_test", {"link_id": "FH-004-L18-1", "test": "bert"}, _cut_off, "ELEMENT_UNREACHABLE"),
    (
        "run_vswr_test",
        {"ru_id": UNIT, "mode": "offline"},
        _nothing,
        "PRECONDITION_FAILED: an offline test needs LOCKED",
    ),
    ("run_vswr_test", {"ru_id": UNIT}, _no_light, "ELEMENT_UNREACHABLE"),
    ("run_pim_test", {"ru_id": UNIT}, _no_light, "ELEMENT_UNREACHABLE"),
    ("run_spectrum_scan", {"cell_id": CELL}, _no_light, "PRECONDITION_FAILED: S004-L18-1 is off the air"),
    ("run_spectrum_scan", {"cell_id": CELL}, _cut_off, "ELEMENT_UNREACHABLE"),
    ("run_battery_test", {"site_id": "S004"}, _no_mains, "PRECONDITION_FAILED: S004 has no mains"),
    ("run_battery_test", {"site_id": "S004"}, _flat, "PRECONDITION_FAILED: the battery of S004 is charged to 50"),
    ("run_battery_test", {"site_id": "S004"}, _dark, "ELEMENT_UNREACHABLE"),
    ("run_cell_service_test", {"cell_id": CELL}, _nothing, "PRECONDITION_FAILED: no test phone in the area of S004"),
    (
        "set_admin_state",
        {"element_id": CELL, "state": "UNLOCKED", "reason": "x"},
        _nothing,
        "NO_CHANGE: S004-L18-1 is UNLOCKED",
    ),
    ("set_admin_state", {"element_id": NODE, "state": "LOCKED", "reason": "x"}, _nothing, "INVALID_ARGUMENT"),
    ("set_admin_state", {"element_id": CELL, "state": "LOCKED", "reason": "x"}, _cut_off, "ELEMENT_UNREACHABLE"),
    ("set_admin_state", {"element_id": CELL, "state": "LOCKED"}, _nothing, "INVALID_ARGUMENT: set_admin_state: "),
    ("reset_unit", {"unit_id": "RU-099-L18-1"}, _nothing, "NOT_FOUND: no element RU-099-L18-1"),
    ("reset_unit", {"unit_id": CELL}, _nothing, "INVALID_ARGUMENT: S004-L18-1 is a cell, not a board"),
    ("reset_unit", {"unit_id": UNIT}, _restarting, "RESOURCE_BUSY: RU-004-L18-1 is restarting until"),
    ("reset_unit", {"unit_id": UNIT}, _no_light, "ELEMENT_UNREACHABLE: RU-004-L18-1 does not answer: no light"),
    ("reset_unit", {"unit_id": UNIT}, _cut_off, "ELEMENT_UNREACHABLE"),
    ("reset_unit", {"unit_id": "ENB-004-B4"}, _nothing, "INVALID_ARGUMENT: ENB-004-B4 is a fan tray"),
    ("reset_unit", {"unit_id": "ENB-004-B2"}, _cut_off, "ELEMENT_UNREACHABLE"),
    ("reset_unit", {"unit_id": "CSR-004-P9"}, _nothing, "NOT_FOUND: no port CSR-004-P9"),
    ("reset_unit", {"unit_id": "CSR-004-P1", "mode": "power_cycle"}, _nothing, "PRECONDITION_FAILED: CSR-004-P1 has"),
    ("reset_unit", {"unit_id": "CSR-004-P1"}, _router_dead, "ELEMENT_UNREACHABLE: CSR-004 does not answer"),
    (
        "reset_unit",
        {"unit_id": "RU-001-L18-1", "mode": "power_cycle"},
        _nothing,
        "PRECONDITION_FAILED: the feed PWR-001-F4 of RU-001-L18-1 cannot be operated remotely",
    ),
    ("reset_node", {"node_id": NODE}, _cut_off, "ELEMENT_UNREACHABLE"),
    ("reset_node", {"node_id": NODE}, _node_restarting, "RESOURCE_BUSY"),
    (
        "set_parameter",
        {"element_id": CELL, "parameter": "pci", "value": "x"},
        _nothing,
        "INVALID_ARGUMENT: pci is a wh",
    ),
    (
        "set_parameter",
        {"element_id": CELL, "parameter": "pci", "value": "504"},
        _nothing,
        "INVALID_ARGUMENT: pci of S0",
    ),
    (
        "set_parameter",
        {"element_id": CELL, "parameter": "ttt_ms", "value": "321"},
        _nothing,
        "INVALID_ARGUMENT: ttt_ms ",
    ),
    (
        "set_parameter",
        {"element_id": CELL, "parameter": "cio_db", "value": "0.3"},
        _nothing,
        "INVALID_ARGUMENT: cio_db ",
    ),
    (
        "set_parameter",
        {"element_id": CELL, "parameter": "cell_barred", "value": "1"},
        _nothing,
        "INVALID_ARGUMENT: cell",
    ),
    (
        "set_parameter",
        {"element_id": CELL, "parameter": "mtu", "value": "1"},
        _nothing,
        "INVALID_ARGUMENT: S004-L18-1 h",
    ),
    (
        "set_parameter",
        {"element_id": CELL, "parameter": "electrical_tilt_deg", "value": "3"},
        _nothing,
        "INVALID_ARGUMENT: electrical_tilt_deg is not set with this tool",
    ),
    (
        "set_parameter",
        {"element_id": CELL, "parameter": "ttt_ms", "value": "320"},
        _nothing,
        "NO_CHANGE: ttt_ms of S004",
    ),
    ("set_parameter", {"element_id": CELL, "parameter": "ttt_ms", "value": "480"}, _cut_off, "ELEMENT_UNREACHABLE"),
    (
        "set_parameter",
        {"element_id": NODE, "parameter": "next_hop", "value": "10.4.0.999"},
        _nothing,
        "INVALID_ARGUMENT",
    ),
    ("set_antenna_tilt", {"cell_id": CELL}, _nothing, "INVALID_ARGUMENT: action set needs electrical_tilt_deg"),
    ("set_antenna_tilt", {"cell_id": CELL, "electrical_tilt_deg": 12}, _nothing, "INVALID_ARGUMENT: a step of 8.0"),
    (
        "set_antenna_tilt",
        {"cell_id": CELL, "electrical_tilt_deg": 15},
        _nothing,
        "INVALID_ARGUMENT: set_antenna_tilt: ",
    ),
    (
        "set_antenna_tilt",
        {"cell_id": CELL, "electrical_tilt_deg": 5},
        _jammed,
        "PRECONDITION_FAILED: RET-004-L18-1 rep",
    ),
    ("set_antenna_tilt", {"cell_id": CELL, "electrical_tilt_deg": 4}, _nothing, "NO_CHANGE"),
    ("set_antenna_tilt", {"cell_id": CELL, "electrical_tilt_deg": 5}, _no_light, "ELEMENT_UNREACHABLE"),
    (
        "set_neighbour_relation",
        {"action": "add", "source_cell_id": CELL, "target_cell_id": "S004-L18-2"},
        _nothing,
        "NO_CHANGE: S004-L18-1>S004-L18-2 exists",
    ),
    (
        "set_neighbour_relation",
        {"action": "remove", "source_cell_id": CELL, "target_cell_id": "S014-L26-2"},
        _nothing,
        "NO_CHANGE: there is no relation",
    ),
    (
        "set_neighbour_relation",
        {"action": "add", "source_cell_id": CELL, "target_cell_id": CELL},
        _nothing,
        "INVALID_ARGUMENT: a cell is no neighbour of itself",
    ),
    (
        "set_neighbour_relation",
        {"action": "modify", "source_cell_id": CELL, "target_cell_id": "S004-L18-2"},
        _cut_off,
        "ELEMENT_UNREACHABLE",
    ),
    ("rollback_config", {"element_id": CELL}, _nothing, "NO_CHANGE: S004-L18-1 is as in last_known_good"),
    ("rollback_config", {"element_id": CELL, "to_version": "V99"}, _nothing, "NOT_FOUND: no version V99"),
    ("rollback_config", {"element_id": "S004"}, _nothing, "INVALID_ARGUMENT: S004 is a site without parameters"),
    ("rollback_config", {"element_id": "PWR-004"}, _nothing, "INVALID_ARGUMENT"),
    (
        "switch_clock_source",
        {"node_id": "ENB-004", "source": "synce"},
        _nothing,
        "PRECONDITION_FAILED: synce is not pro",
    ),
    ("switch_clock_source", {"node_id": "ENB-001", "source": "gnss"}, _nothing, "NO_CHANGE: CLK-001 uses gnss"),
    (
        "switch_clock_source",
        {"node_id": "ENB-001", "source": "ptp"},
        _no_time_server,
        "PRECONDITION_FAILED: ptp is not",
    ),
    ("switch_clock_source", {"node_id": NODE, "source": "ptp"}, _cut_off, "ELEMENT_UNREACHABLE"),
    ("reroute_transport", {"element_id": "S004", "path": "primary"}, _nothing, "NO_CHANGE: S004 uses its primary path"),
    ("reroute_transport", {"element_id": CELL, "path": "primary"}, _nothing, "INVALID_ARGUMENT: S004-L18-1 is a cell"),
    ("reroute_transport", {"element_id": "S004", "path": "secondary"}, _secondary_down, "PRECONDITION_FAILED: the sec"),
    ("reroute_transport", {"element_id": "AMF-1", "path": "secondary"}, _nothing, "INVALID_ARGUMENT"),
    ("change_software", {"node_id": NODE, "action": "upgrade", "version": "99"}, _nothing, "NOT_FOUND: no version 99"),
    ("change_software", {"node_id": NODE, "action": "rollback", "version": "23.1.0"}, _nothing, "NOT_FOUND"),
    (
        "change_software",
        {"node_id": NODE, "action": "rollback", "version": "22.3.1"},
        _no_mains_without_consequences,
        "PRECONDITION_FAILED: S004 has no mains",
    ),
    ("activate_licence", {"node_id": NODE, "licence_id": "LIC-1"}, _nothing, "NOT_FOUND: no licence LIC-1"),
    (
        "activate_licence",
        {"node_id": NODE, "licence_id": "LIC-004E-1"},
        _nothing,
        "PRECONDITION_FAILED: LIC-004E-1 is ",
    ),
    ("renew_certificate", {"node_id": NODE, "certificate_id": "CERT-9"}, _nothing, "NOT_FOUND: no certificate CERT-9"),
    ("renew_certificate", {"node_id": NODE, "certificate_id": "CERT-004E-1"}, _cut_off, "ELEMENT_UNREACHABLE"),
    (
        "control_site_power",
        {"site_id": "S002", "action": "start_generator"},
        _nothing,
        "PRECONDITION_FAILED: S002 has no",
    ),
    (
        "control_site_power",
        {"site_id": "S004", "action": "stop_generator"},
        _nothing,
        "NO_CHANGE: the generator is OFF",
    ),
    (
        "control_site_power",
        {"site_id": "S004", "action": "battery_saver_off"},
        _nothing,
        "NO_CHANGE: the battery saver",
    ),
    (
        "control_site_power",
        {"site_id": "S004", "action": "reclose_breaker"},
        _nothing,
        "INVALID_ARGUMENT: action reclos",
    ),
    (
        "control_site_power",
        {"site_id": "S004", "action": "reclose_breaker", "breaker_id": "F99"},
        _nothing,
        "NOT_FOUND: no breaker F99",
    ),
    (
        "control_site_power",
        {"site_id": "S001", "action": "reclose_breaker", "breaker_id": "Q1"},
        _nothing,
        "PRECONDITION_FAILED: PWR-001-Q1 cannot be operated remotely",
    ),
    (
        "control_site_power",
        {"site_id": "S004", "action": "reclose_breaker", "breaker_id": "PWR-004-F4"},
        _damaged,
        "PRECONDITION_FAILED: PWR-004-F4 is damaged",
    ),
    ("control_site_power", {"site_id": "S004", "action": "battery_saver_on"}, _dark, "ELEMENT_UNREACHABLE"),
    (
        "activate_outage_compensation",
        {"failed_cell_id": CELL, "helper_cell_ids": ["S004-L18-2"]},
        _nothing,
        "PRECONDITION_FAILED: S004-L18-1 is in service",
    ),
    (
        "activate_outage_compensation",
        {"failed_cell_id": CELL, "helper_cell_ids": ["S004-L8-2"]},
        _no_light,
        "PRECONDITION_FAILED: S004-L8-2 is no other cell of band L18",
    ),
    (
        "activate_outage_compensation",
        {"failed_cell_id": CELL, "helper_cell_ids": [CELL]},
        _no_light,
        "PRECONDITION_FAILED",
    ),
    (
        "activate_outage_compensation",
        {"failed_cell_id": CELL, "helper_cell_ids": []},
        _nothing,
        "INVALID_ARGUMENT: acti",
    ),
    ("update_alarm", {"alarm_id": "ALM-00099", "action": "clear"}, _nothing, "NOT_FOUND: no alarm ALM-00099"),
    (
        "dispatch_technician",
        {"site_id": "S004", "task": "radio_hw", "ticket_id": "INC-1"},
        _nothing,
        "NOT_FOUND: no ticket",
    ),
    (
        "dispatch_technician",
        {"site_id": "S004", "task": "radio_hw", "ticket_id": TICKET, "spare_part_types": ["RU_X"]},
        _nothing,
        "NOT_FOUND: no part type 'RU_X'",
    ),
    (
        "dispatch_technician",
        {"site_id": "S004", "task": "radio_hw", "ticket_id": TICKET, "spare_part_types": ["MCB"]},
        _no_parts,
        "RESOURCE_BUSY: MCB is not in stock",
    ),
    ("instruct_technician", {"work_order_id": "WO-9", "action": "inspect"}, _nothing, "NOT_FOUND: no work order"),
    (
        "request_change_approval",
        {"element_ids": ["S004-X"], "change_type": "reset", "justification": "x"},
        _nothing,
        "NOT_FOUND: no element S004-X",
    ),
    (
        "request_change_approval",
        {"element_ids": [CELL], "change_type": "reset", "justification": " "},
        _nothing,
        "INVALID_ARGUMENT: the justification is empty",
    ),
    (
        "notify_stakeholders",
        {"audience": "noc", "ticket_id": "INC-1", "message": "x"},
        _nothing,
        "NOT_FOUND: no ticket",
    ),
    ("notify_stakeholders", {"audience": "noc", "ticket_id": TICKET, "message": " "}, _nothing, "INVALID_ARGUMENT"),
    ("ask_requester", {"ticket_id": "INC-1", "question": "start_time"}, _nothing, "NOT_FOUND"),
    (
        "ask_requester",
        {"ticket_id": "INC-10002", "question": "start_time"},
        _system_ticket,
        "PRECONDITION_FAILED: INC-1",
    ),
    ("update_ticket", {"ticket_id": TICKET}, _nothing, "INVALID_ARGUMENT: nothing to update"),
    ("update_ticket", {"ticket_id": "INC-1", "note": "x"}, _nothing, "NOT_FOUND"),
    (
        "escalate_ticket",
        {"ticket_id": TICKET, "target": "core_noc", "summary": "x", "element_ids": ["nope"]},
        _nothing,
        "NOT_FOUND: no element nope",
    ),
    (
        "escalate_ticket",
        {"ticket_id": "INC-1", "target": "core_noc", "summary": "x", "element_ids": [NODE]},
        _nothing,
        "NOT_FOUND: no ticket",
    ),
    ("wait", {"minutes": 0}, _nothing, "INVALID_ARGUMENT: wait: minutes: 0 is less than the minimum of 1"),
    ("wait", {"minutes": -5}, _nothing, "INVALID_ARGUMENT"),
    (
        "submit_diagnosis",
        {"ticket_id": TICKET, "root_cause": "magic", "element_id": CELL},
        _nothing,
        "INVALID_ARGUMENT",
    ),
    (
        "submit_diagnosis",
        {"ticket_id": TICKET, "root_cause": "cell_barred", "element_id": "S004-L18-7"},
        _nothing,
        "INVALID_ARGUMENT: no element 'S004-L18-7'",
    ),
    (
        "submit_diagnosis",
        {"ticket_id": TICKET, "root_cause": "cell_barred", "element_id": CELL, "additional_causes": ["tilt"]},
        _nothing,
        "INVALID_ARGUMENT: additional_causes are written code@element",
    ),
    (
        "submit_diagnosis",
        {"ticket_id": TICKET, "root_cause": "cell_barred", "element_id": CELL},
        _diagnosed_twice,
        "PRECONDITION_FAILED: 2 diagnoses were submitted",
    ),
    ("submit_answer", {"answer": "3"}, _nothing, "PRECONDITION_FAILED: this is no question task"),
    (
        "close_ticket",
        {"ticket_id": TICKET, "resolution": "fixed_remote", "summary": "x"},
        _nothing,
        "PRECONDITION_FAILED: no diagnosis was submitted",
    ),
    ("compute_radio_quantity", {"quantity": "pci_parts", "inputs": {}}, _nothing, "INVALID_ARGUMENT: pci_parts needs"),
]


@pytest.mark.parametrize(("name", "arguments", "arrange", "words"), CASES)
def test_refusals_cost_twelve_seconds_and_change_nothing(
    name: str, arguments: dict[str, Any], arrange: Arrange, words: str
) -> None:
    network = town()
    arrange(network)
    said = refused(network, name, **arguments)
    assert said.startswith(words)
    assert len(said) < 700


def test_every_tool_that_can_refuse_is_tested() -> None:
    assert set(definitions()) - {case[0] for case in CASES} == set()


def test_batteries_are_not_tested_in_the_evening() -> None:
    network = town(MORNING_S + 8 * 3600)
    assert refused(network, "run_battery_test", site_id="S004").endswith("not tested between 17 and 23 h")


def test_intermodulation_is_not_tested_on_a_busy_cell() -> None:
    network = town()
    busiest = "S001-N35-2"
    network.update(network.objects[busiest], demand_factor=4.0)
    assert "is busy" in refused(network, "run_pim_test", ru_id="RU-001-N35-2")


def test_unknown_tools_and_broken_calls_take_time_too() -> None:
    network = town()
    start = network.now
    kit = toolkit("core")
    outcome = kit.execute(network, _call("get_kpis"))
    assert "Did you mean 'get_kpi'" in outcome.content
    broken = ToolCall(id="2", name="get_kpi", parse_error="no JSON", raw="{")
    assert kit.execute(network, broken).minutes == 0.2
    assert network.now - start == 24


def test_a_refusal_takes_back_what_happened_in_the_time_of_the_call() -> None:
    """An event falls into the minute of the call: it happens once, at its own time."""
    network = town()
    network.update(network.get(RadioUnit, UNIT), restart_until_s=network.now + 600)
    network.settle()
    text = "PRECONDITION_FAILED: an offline test needs LOCKED cells"
    waiting = network.fork()
    assert refused(network, "run_vswr_test", ru_id="RU-004-L8-1", mode="offline").startswith(text)
    for other in (network, waiting):
        other.advance(200 if other is waiting else 188)
    assert network.state_hash() == waiting.state_hash()
