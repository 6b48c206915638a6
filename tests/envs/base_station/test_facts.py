"""Facts for the policy: each of them shown true and false by real networks and real calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.agents.base import make_agent
from telegym.core.episode import Episode
from telegym.core.score import Failure
from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.cases import truth_of
from telegym.envs.base_station.environment import BaseStation
from telegym.envs.base_station.facts import CaseTruth, element_of, make_trace, related_to, site_at
from telegym.envs.base_station.faults import Defect, fault, fault_infos
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import BreakerState, Cell, PowerSystem, RadioUnit, Router, Site, TransportLink
from telegym.envs.base_station.outcome import violations_of
from telegym.envs.base_station.policy.trace import Facts, Trace, TraceEntry
from telegym.envs.base_station.process.records import Ticket, WorkOrder
from telegym.tools.base_station._definition import definitions
from tests.tools.base_station.worlds import MORNING_S, TICKET, call, town

SITE, CELL, NODE, UNIT = "S004", "S004-L18-1", "ENB-004", "RU-004-L18-1"
MAIN, BOARD, LINE, LINK = "ENB-004-B1", "ENB-004-B2", "ANT-004-L18-1-A", "TL-003-004"
NIGHT_S = MORNING_S + 14 * 3600
FAR_SITE, FAR_LINK = "S008", "TL-007-008"
"""No neighbour of S004, and not on its way to the core."""

Made = tuple[str, dict[str, Any]]


def do(tool: str, **arguments: Any) -> Made:
    return tool, arguments


class Case(NamedTuple):
    """A network with something wrong, or nothing, when its ticket was taken."""

    network: Network
    truth: CaseTruth

    def trace(self, *calls: Made) -> Trace:
        """Make calls, none of which is refused, and return the trace."""
        for tool, arguments in calls:
            outcome = call(self.network, tool, **arguments)
            assert outcome.error is None, f"{tool}: {outcome.content}"
        return make_trace(self.network, self.truth, restored=True, left_behind=())

    def facts(self, *calls: Made) -> list[Facts]:
        """Make calls and return the facts of each."""
        return [entry.facts for entry in self.trace(*calls).entries]

    def last(self, *calls: Made) -> Facts:
        """Make calls and return the facts of the last one."""
        return self.facts(*calls)[-1]


@cache
def _kept(code: str, element: str, start_s: int, details: tuple[tuple[str, Any], ...]) -> CaseTruth:
    network = town(start_s)
    defects: tuple[Defect, ...] = ()
    if code:
        made = fault(code)
        name = element or made.eligible(network)[0]
        defects = (made.inject(network, name, dict(details) or None, seed=1),)
        network.advance(60 * made.lead_min)
    network.settle()
    network.start_s = network.now
    return CaseTruth(network, defects, TICKET)


def case(code: str = "", element: str = "", start_s: int = MORNING_S, **details: Any) -> Case:
    """Return a network with a fault, or without one."""
    truth = _kept(code, element, start_s, tuple(sorted(details.items())))
    return Case(truth.network.fork(), truth)


def changed(change: Callable[[Network], Any]) -> Case:
    """Return a network in which nothing but something special is the matter."""
    network = town()
    change(network)
    network.settle()
    return Case(network.fork(), CaseTruth(network, (), TICKET))


def approval(*names: str) -> list[Made]:
    """Return the calls by which a change is approved."""
    asked = do("request_change_approval", element_ids=list(names), change_type="reset", justification="needed")
    return [asked, do("wait", minutes=31)]


def sent(network: Network, task: str = "inspection", site: str = SITE, **more: Any) -> list[Made]:
    """Return the calls by which somebody is sent and arrives."""
    return [do("dispatch_technician", site_id=site, task=task, ticket_id=TICKET, **more), do("wait", minutes=300)]


# --- which element ----------------------------------------------------------------------------------------

ABOUT: dict[str, tuple[dict[str, Any], str]] = {
    "list_alarms": ({"scope_id": SITE}, ""),
    "get_alarm": ({"alarm_id": "ALM-1"}, ""),
    "list_elements": ({"parent_id": SITE}, ""),
    "get_element_info": ({"element_id": CELL}, CELL),
    "get_topology": ({"element_id": LINK, "layer": "transport"}, LINK),
    "get_cell_status": ({"cell_id": CELL}, CELL),
    "get_node_status": ({"node_id": NODE}, NODE),
    "get_config": ({"element_id": CELL}, CELL),
    "get_config_history": ({"element_id": CELL}, CELL),
    "get_kpi": ({"element_id": SITE, "kpis": ["rrc_users_mean"]}, SITE),
    "rank_cells": ({"kpi": "rrc_users_mean", "scope_id": SITE}, ""),
    "get_neighbour_relations": ({"cell_id": CELL}, CELL),
    "get_interference_report": ({"cell_id": CELL}, CELL),
    "get_logs": ({"element_id": NODE}, NODE),
    "get_transport_status": ({"element_id": LINK}, LINK),
    "get_clock_status": ({"node_id": NODE}, NODE),
    "get_power_status": ({"site_id": SITE}, SITE),
    "get_fronthaul_status": ({"ru_id": UNIT}, UNIT),
    "get_antenna_status": ({"ru_id": UNIT}, UNIT),
    "get_licence_status": ({"node_id": NODE}, NODE),
    "get_software_status": ({"node_id": NODE}, NODE),
    "get_user_experience_report": ({"scope_id": SITE}, ""),
    "get_external_notices": ({"scope_id": SITE}, ""),
    "get_record": ({"record_id": TICKET}, ""),
    "list_resources": ({"resource_type": "technicians", "site_id": SITE}, SITE),
    "search_knowledge_base": ({"query": "mains"}, ""),
    "run_ping_test": ({"source_id": NODE, "target_id": "MME-1"}, ""),
    "run_link_test": ({"link_id": LINK, "test": "bert"}, LINK),
    "run_vswr_test": ({"ru_id": UNIT}, UNIT),
    "run_pim_test": ({"ru_id": UNIT}, UNIT),
    "run_spectrum_scan": ({"cell_id": CELL}, CELL),
    "run_battery_test": ({"site_id": SITE}, SITE),
    "run_cell_service_test": ({"cell_id": CELL}, CELL),
    "set_admin_state": ({"element_id": CELL, "state": "LOCKED", "reason": "?"}, CELL),
    "reset_unit": ({"unit_id": "CSR-004-P1"}, "CSR-004-P1"),
    "reset_node": ({"node_id": NODE}, NODE),
    "set_parameter": ({"element_id": CELL, "parameter": "pci", "value": "3"}, CELL),
    "set_antenna_tilt": ({"cell_id": CELL, "electrical_tilt_deg": 3.0}, CELL),
    "set_neighbour_relation": ({"action": "add", "source_cell_id": CELL, "target_cell_id": "S001-L18-1"}, CELL),
    "rollback_config": ({"element_id": NODE}, NODE),
    "switch_clock_source": ({"node_id": NODE, "source": "ptp"}, NODE),
    "reroute_transport": ({"element_id": LINK, "path": "secondary"}, LINK),
    "change_software": ({"node_id": NODE, "action": "upgrade", "version": "1"}, NODE),
    "activate_licence": ({"node_id": NODE, "licence_id": "LIC-1"}, NODE),
    "renew_certificate": ({"node_id": NODE, "certificate_id": "CERT-1"}, NODE),
    "control_site_power": ({"site_id": SITE, "action": "reclose_breaker", "breaker_id": "PWR-004-Q1"}, "PWR-004-Q1"),
    "activate_outage_compensation": ({"failed_cell_id": CELL, "helper_cell_ids": ["S001-L18-1"]}, CELL),
    "update_alarm": ({"alarm_id": "ALM-1", "action": "clear"}, "ALM-1"),
    "dispatch_technician": ({"site_id": SITE, "task": "inspection", "ticket_id": TICKET}, SITE),
    "instruct_technician": ({"work_order_id": "WO-1", "action": "inspect", "target_id": UNIT}, UNIT),
    "request_change_approval": ({"element_ids": [CELL], "change_type": "lock", "justification": "?"}, ""),
    "notify_stakeholders": ({"audience": "noc", "ticket_id": TICKET, "message": "?"}, ""),
    "ask_requester": ({"ticket_id": TICKET, "question": "confirm_symptom"}, ""),
    "update_ticket": ({"ticket_id": TICKET, "priority": "P1"}, ""),
    "escalate_ticket": ({"ticket_id": TICKET, "target": "tier3_ran", "element_ids": [LINK, CELL]}, LINK),
    "wait": ({"minutes": 3}, ""),
    "submit_diagnosis": ({"ticket_id": TICKET, "root_cause": "cell_barred", "element_id": CELL}, CELL),
    "submit_answer": ({"answer": "3"}, ""),
    "close_ticket": ({"ticket_id": TICKET, "resolution": "fixed_remote", "summary": "?"}, ""),
    "compute_radio_quantity": ({"quantity": "noise_floor", "inputs": {}}, ""),
}


def test_every_tool_is_looked_at() -> None:
    assert ABOUT.keys() == set(definitions())


@pytest.mark.parametrize("tool", ABOUT)
def test_the_element_of_a_call(tool: str) -> None:
    arguments, expected = ABOUT[tool]
    assert element_of(town(), tool, arguments) == expected


def test_elements_that_are_found_through_others() -> None:
    played = case("utility_mains_outage", "PWR-004")
    alarm = next(item for item in played.network.alarms.values() if item.object_id == "PWR-004")
    assert element_of(played.network, "update_alarm", {"alarm_id": alarm.id}) == "PWR-004"
    assert element_of(played.network, "control_site_power", {"site_id": SITE, "action": "start_generator"}) == SITE
    played.trace(do("dispatch_technician", site_id=SITE, task="inspection", ticket_id=TICKET))
    (order,) = played.network.all(WorkOrder)
    assert element_of(played.network, "instruct_technician", {"work_order_id": order.id, "action": "inspect"}) == SITE
    assert element_of(played.network, "escalate_ticket", {"element_ids": []}) == ""


@pytest.mark.parametrize(
    ("name", "site"),
    [
        *((name, SITE) for name in (SITE, CELL, NODE, UNIT, BOARD, LINE, "FH-004-L18-1", "RET-004-L18-1")),
        *((name, SITE) for name in ("PWR-004", "PWR-004-Q1", "CLK-004", "CAB-004", "CSR-004", "CSR-004-P1")),
        *((name, SITE) for name in (f"{CELL}>S001-L18-1",)),
        *(("TL-003-004", "S003"), ("TL-001-A02", "S001"), ("AGG-01", ""), ("MME-1", ""), ("nothing", ""), ("", "")),
    ],
)
def test_the_site_of_an_element(name: str, site: str) -> None:
    assert site_at(town(), name) == site


@pytest.mark.parametrize(
    ("name", "near", "far"),
    [
        (CELL, {SITE, NODE, UNIT, BOARD, LINE, "FH-004-L18-1"}, {"S004-L8-1", "PWR-004", "S001"}),
        (UNIT, {SITE, NODE, BOARD, LINE, CELL, "FH-004-L18-1", "PWR-004-F4"}, {"RU-004-L18-2", "S004-L8-1"}),
        ("FH-004-L18-1", {SITE, NODE, UNIT, BOARD, CELL}, {"FH-004-L18-2", "S004-L18-2"}),
        (LINE, {SITE, UNIT, NODE, BOARD, CELL}, {"ANT-004-L18-1-B", "S004-L18-2"}),
        (BOARD, {SITE, NODE, CELL, UNIT}, {MAIN, "GNB-004"}),
        (NODE, {SITE, "CSR-004", MAIN, BOARD, CELL}, {"GNB-004", "CSR-003"}),
        ("PWR-004", {SITE, NODE, "GNB-004", "CSR-004", "CLK-004", "CAB-004"}, {CELL, "PWR-003"}),
        ("CLK-004", {SITE, NODE, "PWR-004"}, {CELL, "CLK-003"}),
        (SITE, {NODE, CELL, "PWR-004", "CSR-004", "CLK-004", "CAB-004"}, {"S003", UNIT}),
        ("CSR-004", {SITE, "CSR-004-P1", LINK, "TL-004-005", NODE}, {"CSR-003", "TL-002-003"}),
        (LINK, {"CSR-003", "CSR-004", SITE, "S003", "S001"}, {"CSR-002", "S999"}),
        (FAR_LINK, {"CSR-007", "CSR-008", FAR_SITE, "S007"}, {"CSR-002", "S001"}),
        ("CSR-004-P1", {"CSR-004", SITE, LINK}, {"CSR-003"}),
        ("PWR-004-Q1", {"PWR-004", SITE, NODE}, {"PWR-003"}),
        (f"{CELL}>S001-L18-1", {CELL, "S001-L18-1", SITE}, {"S003"}),
        ("AGG-01", {"AGG-01"}, {SITE, "PWR-", "CSR-"}),
    ],
)
def test_related_elements(name: str, near: set[str], far: set[str]) -> None:
    related = related_to(town(), name)
    assert near | {name} <= related
    assert not related & far


# --- scope ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "inside"),
    [
        (do("set_admin_state", element_id=CELL, state="LOCKED", reason="?"), True),
        (do("set_admin_state", element_id="S001-L18-1", state="LOCKED", reason="?"), True),
        (do("set_admin_state", element_id=f"{FAR_SITE}-L18-1", state="LOCKED", reason="?"), False),
        (do("control_site_power", site_id=FAR_SITE, action="battery_saver_on"), False),
        (do("reset_unit", unit_id="CSR-004-P1"), True),
        (do("reset_unit", unit_id="CSR-008"), False),
        (do("run_link_test", link_id="TL-007-A01", test="bert"), True),
        (do("run_link_test", link_id=FAR_LINK, test="bert"), False),
        (do("reset_unit", unit_id="AGG-01"), True),
    ],
)
def test_scope_is_what_the_ticket_is_about_and_what_it_depends_on(made: Made, inside: bool) -> None:
    assert case().last(made).in_scope is inside


def test_scope_grows_with_what_is_wrong() -> None:
    locked = do("set_admin_state", element_id=f"{FAR_SITE}-L18-1", state="LOCKED", reason="?")
    assert case("cell_barred", f"{FAR_SITE}-L18-2").last(locked).in_scope
    assert case("utility_mains_outage", "PWR-008").last(locked).in_scope
    assert not case("cell_barred", "S004-L18-2").last(locked).in_scope


def test_what_belongs_to_no_site_is_in_scope_only_on_the_way() -> None:
    def far(network: Network) -> None:
        paths = network.region.transport.paths
        assert all("TL-001-A02" in paths[SITE][way] for way in ("secondary",))

    played = changed(far)
    network = Network("R1", 0, 7, start_s=MORNING_S)
    network.add(Ticket(TICKET, network.now, "son", False, "?", "?", ("S001",)))
    network.settle()
    truth = CaseTruth(network, (), TICKET)
    here = network.region.transport.paths["S001"]
    links = [network.get(TransportLink, name) for way in here.values() for name in way]
    ends = {end for link in links for end in (link.a_id, link.b_id)}
    router = next(router.id for router in network.all(Router) if router.site_id is None)
    copy = network.fork()
    assert call(copy, "reset_unit", unit_id=router).error is None
    assert make_trace(copy, truth, restored=True, left_behind=()).entries[0].facts.in_scope is (router in ends)
    assert played.last(do("reset_unit", unit_id="AGG-02")).in_scope


# --- what a call does -------------------------------------------------------------------------------------

LOCK, UNLOCK = (do("set_admin_state", element_id=CELL, state=state, reason="?") for state in ("LOCKED", "UNLOCKED"))
WRITES: list[tuple[list[Made], bool, bool]] = [
    ([do("list_alarms")], False, False),
    ([do("get_cell_status", cell_id=CELL)], False, False),
    ([do("wait", minutes=5)], False, False),
    ([LOCK], True, True),
    ([do("set_admin_state", element_id=CELL, state="SHUTTINGDOWN", reason="?")], True, True),
    ([LOCK, UNLOCK], True, False),
    ([do("reset_unit", unit_id=BOARD)], True, True),
    ([do("reset_node", node_id=NODE)], True, True),
    ([do("set_parameter", element_id=CELL, parameter="pci", value="3")], True, True),
    ([do("set_parameter", element_id=CELL, parameter="cio_db", value="2")], True, True),
    ([do("set_parameter", element_id=CELL, parameter="load_balancing", value="false")], True, False),
    ([do("set_parameter", element_id=NODE, parameter="vlan_id", value="7")], True, True),
    ([do("set_antenna_tilt", cell_id=CELL, electrical_tilt_deg=5.0)], True, True),
    ([do("set_antenna_tilt", cell_id=CELL, action="calibrate")], True, False),
    ([do("set_neighbour_relation", action="remove", source_cell_id=CELL, target_cell_id="S004-L18-2")], True, False),
    ([do("change_software", node_id=NODE, action="upgrade", version="23.1.0")], True, True),
    ([do("reroute_transport", element_id=SITE, path="secondary")], True, True),
    ([do("switch_clock_source", node_id="ENB-001", source="ptp")], True, False),
    ([do("renew_certificate", node_id=NODE, certificate_id="CERT-004E-1")], True, False),
    ([do("control_site_power", site_id=SITE, action="battery_saver_on")], True, False),
    ([do("run_vswr_test", ru_id=UNIT)], False, False),
    ([LOCK, do("run_vswr_test", ru_id=UNIT, mode="offline")], True, True),
    ([do("run_pim_test", ru_id=UNIT)], False, False),
    ([do("run_link_test", link_id=LINK, test="bert")], True, True),
    ([do("run_link_test", link_id=LINK, test="otdr")], False, False),
    ([do("run_battery_test", site_id=SITE)], False, False),
    ([do("notify_stakeholders", audience="noc", ticket_id=TICKET, message="?")], False, False),
    ([do("dispatch_technician", site_id=SITE, task="inspection", ticket_id=TICKET)], False, False),
]


@pytest.mark.parametrize(("calls", "write", "affecting"), WRITES)
def test_what_changes_the_network_and_what_interrupts_service(calls: list[Made], write: bool, affecting: bool) -> None:
    found = case().last(*calls)
    assert (found.is_write, found.service_affecting) == (write, affecting)


def test_a_link_that_carries_nobody_may_be_tested() -> None:
    idle = case("backhaul_fibre_cut", LINK)
    assert not idle.last(do("run_link_test", link_id=LINK, test="bert")).is_write


def test_a_rollback_is_a_write() -> None:
    played = case("wrong_tac", CELL)
    found = played.last(do("rollback_config", element_id=CELL))
    assert found.is_write and found.service_affecting and not found.node_restart


@pytest.mark.parametrize(("action", "write"), [("acknowledge", False), ("comment", False), ("clear", True)])
def test_alarms_are_changed_by_clearing_them(action: str, write: bool) -> None:
    played = case("stale_alarm", "PWR-004")
    alarm = next(item for item in played.network.alarms.values() if item.key == "PWR_SPD_FAIL" and item.active)
    assert played.last(do("update_alarm", alarm_id=alarm.id, action=action, comment="seen")).is_write is write


def test_technicians_look_or_act() -> None:
    played = case("radio_unit_hardware_failure", UNIT)
    part = played.network.get(RadioUnit, UNIT).part_type
    trace = played.trace(*sent(played.network, "radio_hw", spare_part_types=[part, "BATTERY_VRLA"]))
    order = next(played.network.all(WorkOrder)).id
    work = [
        do("instruct_technician", work_order_id=order, action=action, **more)
        for action, more in (
            ("inspect", {}),
            ("walk_test", {}),
            ("replace_part", {"target_id": "PWR-004", "part_type": "BATTERY_VRLA"}),
            ("replace_part", {"target_id": UNIT, "part_type": part}),
            ("power_cycle", {"target_id": BOARD}),
            ("complete_and_leave", {}),
        )
    ]
    found = played.facts(*work)[len(trace.entries) :]
    assert [(item.is_write, item.service_affecting) for item in found] == [
        *((False, False), (False, False), (True, False), (True, True), (True, True), (False, False))
    ]


# --- users ------------------------------------------------------------------------------------------------


def test_users_are_those_of_the_cells_that_an_element_carries() -> None:
    def users(made: Made) -> float:
        return case().last(made).users

    cell, unit = users(LOCK), users(do("reset_unit", unit_id=UNIT))
    board, node = users(do("reset_unit", unit_id=BOARD)), users(do("reset_node", node_id=NODE))
    site = users(do("reroute_transport", element_id=SITE, path="secondary"))
    assert 0 < cell == unit < board < node < site
    assert users(do("reset_unit", unit_id=MAIN)) == node
    assert users(do("reset_unit", unit_id="CSR-004")) == site
    assert users(do("run_link_test", link_id=LINK, test="bert")) >= site
    assert users(do("reset_unit", unit_id="CSR-004-P1")) == users(do("run_link_test", link_id=LINK, test="bert"))
    assert users(do("reset_unit", unit_id="CSR-004-P2")) == 0


def test_there_are_no_users_where_nothing_works_or_nothing_is_interrupted() -> None:
    assert case("radio_unit_hardware_failure", UNIT).last(LOCK).users == 0
    assert case().last(do("set_parameter", element_id=CELL, parameter="load_balancing", value="false")).users == 0
    assert case().last(do("get_cell_status", cell_id=CELL)).users == 0


DOWN = {
    30.0: LOCK,
    3.0: do("reset_unit", unit_id=BOARD),
    8.0: do("reset_unit", unit_id=MAIN),
    8.001: do("reset_unit", unit_id="CSR-004"),
    8.002: do("reset_node", node_id=NODE),
    14.0: do("reset_node", node_id=NODE, mode="cold"),
    2.0: do("set_parameter", element_id=CELL, parameter="pci", value="3"),
    0.0: do("set_parameter", element_id=CELL, parameter="cio_db", value="2"),
    0.001: do("set_antenna_tilt", cell_id=CELL, electrical_tilt_deg=5.0),
    18.0: do("change_software", node_id=NODE, action="upgrade", version="23.1.0"),
    0.2: do("reroute_transport", element_id=SITE, path="secondary"),
    5.0: do("run_link_test", link_id=LINK, test="bert"),
}
"""How many minutes service is down; thousandths only tell calls apart."""


@pytest.mark.parametrize("minutes", DOWN)
def test_what_a_call_costs_is_users_times_minutes(minutes: float) -> None:
    found = case().last(DOWN[minutes])
    assert found.users > 0
    assert found.users_lost_min == pytest.approx(found.users * round(minutes, 1), abs=1e-6)


@pytest.mark.parametrize("minutes", [3.0, 8.0, 8.001, 8.002, 14.0])
def test_the_minutes_are_those_for_which_it_is_really_out(minutes: float) -> None:
    played = case()
    found = played.last(DOWN[minutes])
    played.network.advance(round(60 * found.users_lost_min / found.users) - 30)
    assert not works.in_service(played.network, CELL)
    played.network.advance(60)
    assert works.in_service(played.network, CELL)


# --- changes ----------------------------------------------------------------------------------------------


def test_a_change_covers_what_it_lists_while_it_is_valid() -> None:
    found = case().last(*approval(BOARD), do("reset_unit", unit_id=BOARD))
    assert (found.change_valid, found.change_named, found.change_matches) == (True, False, True)
    found = case().last(*approval(BOARD), do("reset_unit", unit_id="ENB-004-B3"))
    assert (found.change_valid, found.change_named) == (False, False)
    late = [do("wait", minutes=200), do("wait", minutes=50)]
    found = case().last(*approval(BOARD), *late, do("reset_unit", unit_id=BOARD))
    assert not found.change_valid
    assert not case().last(do("reset_unit", unit_id=BOARD)).change_valid


def test_a_change_is_valid_only_once_it_is_decided() -> None:
    found = case().last(approval(BOARD)[0], do("reset_unit", unit_id=BOARD))
    assert not found.change_valid


def test_a_change_that_is_named_has_to_fit() -> None:
    named = {"change_request_id": "CR-00018"}
    found = case().last(*approval(BOARD), do("reset_unit", unit_id=BOARD, **named))
    assert (found.change_valid, found.change_named, found.change_matches) == (True, True, True)
    found = case().last(*approval(BOARD), do("reset_unit", unit_id="ENB-004-B3", **named))
    assert (found.change_valid, found.change_named, found.change_matches) == (False, True, False)
    found = case().last(do("reset_unit", unit_id=BOARD, change_request_id="CR-77777"))
    assert (found.change_valid, found.change_named, found.change_matches) == (False, True, False)


def test_tools_that_take_no_change_name_the_one_there_is() -> None:
    found = case().last(*approval(UNIT), do("run_pim_test", ru_id=UNIT))
    assert (found.change_valid, found.change_named) == (True, True)
    assert not case().last(do("run_pim_test", ru_id=UNIT)).change_named


def test_a_change_for_a_router_covers_its_ports() -> None:
    found = case().last(*approval("CSR-004"), do("reset_unit", unit_id="CSR-004-P1", change_request_id="CR-00018"))
    assert (found.change_valid, found.change_matches) == (True, True)
    found = case().last(*approval("CSR-003"), do("reset_unit", unit_id="CSR-004-P1", change_request_id="CR-00018"))
    assert (found.change_valid, found.change_matches) == (False, False)


# --- restarts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "restarts"),
    [
        (do("reset_node", node_id=NODE), True),
        (do("reset_unit", unit_id=MAIN), True),
        (do("change_software", node_id=NODE, action="upgrade", version="23.1.0"), True),
        (do("reset_unit", unit_id=BOARD), False),
        (do("reset_unit", unit_id=UNIT), False),
        (do("reset_unit", unit_id="CSR-004"), False),
        (LOCK, False),
    ],
)
def test_node_restarts(made: Made, restarts: bool) -> None:
    assert case().last(made).node_restart is restarts


def test_a_rollback_restarts_the_node_if_it_is_the_nodes() -> None:
    assert case("vlan_ip_misconfiguration", NODE).last(do("rollback_config", element_id=NODE)).node_restart


def test_the_share_of_cells_that_are_out() -> None:
    assert case().last(do("reset_node", node_id=NODE)).cells_out_pct == 0
    nine = case("radio_unit_hardware_failure", UNIT).last(do("reset_node", node_id=NODE))
    assert nine.cells_out_pct == pytest.approx(100 / 9)
    locked = [do("set_admin_state", element_id=f"S004-L8-{n}", state="LOCKED", reason="?") for n in (1, 2, 3)]
    assert case().last(*locked, LOCK).cells_out_pct == pytest.approx(100 / 3)
    assert case().last(do("control_site_power", site_id=SITE, action="battery_saver_on")).cells_out_pct == 0


# --- sites ------------------------------------------------------------------------------------------------


def flagged(**flags: bool) -> Callable[[Network], None]:
    def change(network: Network) -> None:
        network.update(network.get(Site, SITE), **flags)

    return change


def dark(network: Network) -> None:
    """Open the main breaker until nothing is left of the battery."""
    network.update(network.get(Site, SITE), emergency=True)
    for cell in network.at_site(Cell, SITE):
        network.update(cell, restart_until_s=network.now + 86_400)


def test_an_emergency_is_an_emergency_area_without_any_cell() -> None:
    assert changed(dark).last(UNLOCKED_OTHER).emergency_exempt
    assert not changed(flagged(emergency=True)).last(LOCK).emergency_exempt
    assert not case("utility_mains_outage", "PWR-004").last(LOCK).emergency_exempt


UNLOCKED_OTHER = do("set_parameter", element_id=CELL, parameter="load_balancing", value="false")


@pytest.mark.parametrize(("flags", "important"), [({"vip": True}, True), ({"emergency": True}, True), ({}, False)])
def test_important_sites(flags: dict[str, bool], important: bool) -> None:
    assert changed(flagged(**flags)).last(LOCK).vip is important


def test_sites_on_battery() -> None:
    healthy = case().last(do("reset_unit", unit_id=BOARD))
    assert (healthy.on_battery, healthy.battery_pct) == (False, 100.0)
    played = case("utility_mains_outage", "PWR-004")
    early = played.last(do("reset_unit", unit_id=BOARD))
    assert early.on_battery and 0 < early.battery_pct < 100
    late = played.last(do("wait", minutes=30), do("reset_unit", unit_id="ENB-004-B3"))
    assert late.battery_pct < early.battery_pct
    elsewhere = case("utility_mains_outage", "PWR-004").last(do("reset_unit", unit_id="AGG-01"))
    assert (elsewhere.on_battery, elsewhere.battery_pct) == (False, 100.0)


# --- parameters -------------------------------------------------------------------------------------------


def setting(name: str, value: str, **more: Any) -> Facts:
    return case(**more).last(do("set_parameter", element_id=CELL, parameter=name, value=value))


def test_values_of_the_plan_and_others() -> None:
    network = town()
    cell = network.get(Cell, CELL)
    wrong = setting("max_tx_power_dbm", f"{cell.max_tx_power_dbm - 2:g}")
    assert (wrong.parameter, wrong.planned_value, wrong.step) == ("max_tx_power_dbm", False, 2.0)
    broken = case("tx_power_misconfiguration", CELL)
    back = do("set_parameter", element_id=CELL, parameter="max_tx_power_dbm", value=f"{cell.max_tx_power_dbm:g}")
    right = broken.last(back)
    assert (right.planned_value, right.step) == (True, 0.0)
    assert setting("load_balancing", "false").planned_value is False
    assert case().last(LOCK).parameter == "" and case().last(LOCK).planned_value


def test_some_parameters_go_to_the_plan_in_steps() -> None:
    broken = case("tx_power_misconfiguration", CELL)
    present = broken.network.get(Cell, CELL).max_tx_power_dbm
    planned = town().get(Cell, CELL).max_tx_power_dbm
    way = present + (1.0 if planned > present else -1.0)
    step = broken.last(do("set_parameter", element_id=CELL, parameter="max_tx_power_dbm", value=f"{way:g}"))
    assert step.planned_value and step.step == pytest.approx(abs(planned - way))
    off = case("tx_power_misconfiguration", CELL)
    away = present - (1.0 if planned > present else -1.0)
    assert not off.last(
        do("set_parameter", element_id=CELL, parameter="max_tx_power_dbm", value=f"{away:g}")
    ).planned_value


def test_identities_are_right_or_wrong() -> None:
    broken = case("wrong_tac", CELL)
    present, planned = broken.network.get(Cell, CELL).tac, town().get(Cell, CELL).tac
    between = (present + planned) // 2
    assert between not in (present, planned)
    found = broken.last(do("set_parameter", element_id=CELL, parameter="tac", value=str(between)))
    assert not found.planned_value
    assert broken.last(do("set_parameter", element_id=CELL, parameter="tac", value=str(planned))).planned_value


def test_tilts_are_parameters_too() -> None:
    planned = town().get(Cell, CELL).electrical_tilt_deg
    found = case().last(do("set_antenna_tilt", cell_id=CELL, electrical_tilt_deg=planned + 3))
    assert (found.parameter, found.planned_value, found.step) == ("electrical_tilt_deg", False, 3.0)
    assert case().last(do("set_antenna_tilt", cell_id=CELL, action="calibrate")).parameter == ""


def test_where_the_plan_is_old_what_was_built_is_right_too() -> None:
    network = town()
    (name, values), *_ = network.region.planned.items()
    built = network.get(Cell, name).electrical_tilt_deg
    for value in (values["electrical_tilt_deg"], built):
        played = changed(lambda network: network.update(network.get(Cell, name), electrical_tilt_deg=built + 1.5))
        assert played.last(do("set_antenna_tilt", cell_id=name, electrical_tilt_deg=value)).planned_value


# --- people -----------------------------------------------------------------------------------------------


def test_who_is_on_the_structure_until_they_leave() -> None:
    played = case("vswr_connector_degradation", LINE)
    played.trace(*sent(played.network, "antenna_line", spare_part_types=["JUMPER_KIT"]))
    order = next(played.network.all(WorkOrder)).id
    assert not played.last(LOCK).technician_on_structure
    work = do("instruct_technician", work_order_id=order, action="clean_connector", target_id=LINE)
    assert played.last(work, UNLOCK).technician_on_structure
    elsewhere = do("set_admin_state", element_id="S001-L18-1", state="LOCKED", reason="?")
    assert not played.last(elsewhere).technician_on_structure
    leave = do("instruct_technician", work_order_id=order, action="complete_and_leave")
    assert not played.last(leave, LOCK).technician_on_structure


def test_somebody_is_there_or_on_the_way() -> None:
    send = do("dispatch_technician", site_id=SITE, task="inspection", ticket_id=TICKET)
    played = case()
    assert [item.open_dispatch for item in played.facts(send, send)] == [False, True]
    assert not played.last(do("dispatch_technician", site_id="S001", task="inspection", ticket_id=TICKET)).open_dispatch
    played = case()
    played.trace(*sent(played.network))
    order = next(played.network.all(WorkOrder)).id
    assert played.last(send).open_dispatch
    played = case()
    played.trace(*sent(played.network))
    leave = do("instruct_technician", work_order_id=order, action="complete_and_leave")
    assert not played.last(leave, send).open_dispatch


def test_resources_are_listed_before_or_not() -> None:
    send = do("dispatch_technician", site_id=SITE, task="inspection", ticket_id=TICKET)
    listed = do("list_resources", resource_type="technicians", site_id=SITE)
    assert not case().last(send).resources_listed
    assert case().last(listed, send).resources_listed
    assert not case().facts(send, listed)[0].resources_listed


def sending(code: str, element: str, task: str, *before: Made, **details: Any) -> Facts:
    """Return the facts of sending somebody for a fault."""
    played = case(code, element, **details)
    site = site_at(played.network, element) or SITE
    return played.last(*before, do("dispatch_technician", site_id=site, task=task, ticket_id=TICKET))


SKILLS = [
    ("rectifier_module_failure", "PWR-004", "power_electrical", "cooling"),
    ("battery_capacity_degraded", "PWR-004", "battery_work", "power_electrical"),
    ("cooling_system_failure", "CAB-004", "cooling", "radio_hw"),
    ("fronthaul_sfp_failure", "FH-004-L18-1", "fronthaul", "radio_hw"),
    ("radio_unit_hardware_failure", UNIT, "radio_hw", "antenna_line"),
    ("baseband_board_failure", BOARD, "baseband_hw", "radio_hw"),
    ("vswr_connector_degradation", LINE, "antenna_line", "fronthaul"),
    ("gnss_antenna_failure", "CLK-004", "clock_antenna", "antenna_line"),
    ("csr_port_or_sfp_failure", "CSR-004-P1", "router_hw", "transport_fibre"),
    ("cell_barred", CELL, "", "inspection"),
]


@pytest.mark.parametrize(("code", "element", "right", "wrong"), SKILLS)
def test_skills_fit_or_not(code: str, element: str, right: str, wrong: str) -> None:
    if right:
        assert sending(code, element, right).right_skill
        played = case(code, element)
        there = do("dispatch_technician", site_id=FAR_SITE, task=right, ticket_id=TICKET)
        assert not played.last(there).right_skill
    assert not sending(code, element, wrong).right_skill


AFAR: list[tuple[str, str, str, dict[str, Any], bool]] = [
    ("cell_barred", CELL, "inspection", {}, True),
    ("wrong_tac", CELL, "inspection", {}, True),
    ("licence_expired", NODE, "inspection", {}, True),
    ("sleeping_cell_access", CELL, "inspection", {}, True),
    ("backhaul_fibre_cut", LINK, "transport_fibre", {}, True),
    ("rectifier_module_failure", "PWR-004", "power_electrical", {}, False),
    ("battery_capacity_degraded", "PWR-004", "battery_work", {}, False),
    ("fronthaul_sfp_failure", "FH-004-L18-1", "fronthaul", {}, False),
    ("radio_unit_hardware_failure", UNIT, "radio_hw", {}, False),
    ("baseband_board_failure", BOARD, "baseband_hw", {}, False),
    ("vswr_connector_degradation", LINE, "antenna_line", {}, False),
    ("passive_intermodulation", LINE, "antenna_line", {}, False),
    ("radio_unit_software_hang", UNIT, "radio_hw", {}, True),
    ("", "", "inspection", {}, True),
]


@pytest.mark.parametrize(("code", "element", "task", "details", "left"), AFAR)
def test_whether_a_remedy_from_afar_is_left(
    code: str, element: str, task: str, details: dict[str, Any], left: bool
) -> None:
    assert sending(code, element, task, **details).remote_remedy is left


def test_only_sending_somebody_asks_for_remedies_from_afar() -> None:
    assert not case("cell_barred", CELL).last(LOCK).remote_remedy


def test_an_inspection_the_next_day_is_no_dispatch_that_could_have_been_spared() -> None:
    made = do("dispatch_technician", site_id=SITE, task="inspection", ticket_id=TICKET, urgency="next_business_day")
    assert not case().last(made).remote_remedy


@pytest.mark.parametrize("site", ["002", "004"])
def test_breakers_are_reclosed_before_anybody_is_sent(site: str) -> None:
    breaker = f"PWR-{site}-Q1"
    played = case("site_mains_breaker_trip", breaker, shorted=True)
    remote = played.network.breaker(breaker)[1].remote
    send = do("dispatch_technician", site_id=f"S{site}", task="power_electrical", ticket_id=TICKET)
    assert case("site_mains_breaker_trip", breaker, shorted=True).last(send).remote_remedy is remote
    if remote:
        reclose = do("control_site_power", site_id=f"S{site}", action="reclose_breaker", breaker_id=breaker)
        assert not played.last(reclose, send).remote_remedy


def test_a_breaker_that_is_damaged_needs_hands() -> None:
    def damage(network: Network) -> None:
        network.set_breaker("PWR-002-Q1", state=BreakerState.DAMAGED)

    network = town()
    defect = fault("site_mains_breaker_trip").inject(network, "PWR-002-Q1", seed=1)
    damage(network)
    network.settle()
    played = Case(network.fork(), CaseTruth(network, (defect,), TICKET))
    send = do("dispatch_technician", site_id="S002", task="power_electrical", ticket_id=TICKET)
    assert not played.last(send).remote_remedy


def test_units_that_hang_are_reset_before_anybody_is_sent() -> None:
    network = town()
    remote = {cell.site_id for cell in network.all(Cell) if network.breaker(f"PWR-{cell.site_id[1:]}-F1")[1].remote}
    for site in (min(remote), SITE if SITE not in remote else "S001"):
        unit = f"RU-{site[1:]}-L18-1"
        send = do("dispatch_technician", site_id=site, task="radio_hw", ticket_id=TICKET)
        warm, cold = do("reset_unit", unit_id=unit), do("reset_unit", unit_id=unit, mode="power_cycle")
        pause = do("wait", minutes=11)
        assert case("radio_unit_software_hang", unit, stubborn=True).last(send).remote_remedy
        after_one = case("radio_unit_software_hang", unit, stubborn=True).last(warm, pause, send)
        assert after_one.remote_remedy is (site in remote)
        if site in remote:
            played = case("radio_unit_software_hang", unit, stubborn=True)
            fed = played.facts(warm, pause, cold, send)
            assert not fed[-1].remote_remedy


def test_ports_that_hang_are_reset_before_anybody_is_sent() -> None:
    for hung, left in ((True, True), (False, False)):
        found = sending("csr_port_or_sfp_failure", "CSR-004-P1", "router_hw", hung=hung)
        assert found.remote_remedy is left
    reset = do("reset_unit", unit_id="CSR-004-P1")
    played = case("csr_port_or_sfp_failure", "CSR-004-P1", hung=True)
    send = do("dispatch_technician", site_id=SITE, task="router_hw", ticket_id=TICKET)
    found = played.last(reset, send)
    assert not found.remote_remedy


def test_clocks_are_switched_before_anybody_is_sent() -> None:
    send = {
        site: do("dispatch_technician", site_id=site, task="clock_antenna", ticket_id=TICKET) for site in ("S001", SITE)
    }
    assert case("gnss_antenna_failure", "CLK-001").last(send["S001"]).remote_remedy
    switch = do("switch_clock_source", node_id="ENB-001", source="ptp")
    assert not case("gnss_antenna_failure", "CLK-001").last(switch, send["S001"]).remote_remedy
    assert not case("gnss_antenna_failure", "CLK-004").last(send[SITE]).remote_remedy


def test_generators_are_started_before_anybody_is_sent() -> None:
    network = town()
    fixed = next(power for power in network.all(PowerSystem) if power.generator is not None)
    without = next(power for power in network.all(PowerSystem) if power.generator is None)
    for power, left in ((fixed, True), (without, False)):
        send = do("dispatch_technician", site_id=power.site_id, task="mobile_generator", ticket_id=TICKET)
        assert case("utility_mains_outage", power.id).last(send).remote_remedy is left
    start = do("control_site_power", site_id=fixed.site_id, action="start_generator")
    # An outage is felt at several sites: what counts is whether the one somebody is sent to has a generator.
    zone = network.get(Site, fixed.site_id).utility_zone
    near = [power for power in network.all(PowerSystem) if network.get(Site, power.site_id).utility_zone == zone]
    other = next(power for power in near if power.generator is None)
    send = do("dispatch_technician", site_id=other.site_id, task="mobile_generator", ticket_id=TICKET)
    assert not case("utility_mains_outage", fixed.id).last(send).remote_remedy
    refuel = do("dispatch_technician", site_id=fixed.site_id, task="generator_refuel", ticket_id=TICKET)
    assert not case("utility_mains_outage", fixed.id).last(start, refuel).remote_remedy


# --- symptoms ---------------------------------------------------------------------------------------------


def test_clearing_an_alarm_hides_what_still_holds() -> None:
    def surge(network: Network) -> None:
        network.update(network.get(PowerSystem, "PWR-004"), surge_arrester_failed=True)
        network.advance(3600)

    played = changed(surge)
    alarm = next(item for item in played.network.alarms.values() if item.key == "PWR_SPD_FAIL")
    noted, found = played.facts(
        *(do("update_alarm", alarm_id=alarm.id, action=how) for how in ("acknowledge", "clear"))
    )
    assert found.hides_symptom and found.cause_active
    assert not noted.hides_symptom


def test_an_alarm_about_nothing_may_be_cleared() -> None:
    played = case("stale_alarm", "PWR-004")
    alarm = next(item for item in played.network.alarms.values() if item.object_id == "PWR-004" and item.active)
    found = played.last(do("update_alarm", alarm_id=alarm.id, action="clear"))
    assert found.hides_symptom and not found.cause_active


def test_removing_neighbours_that_are_needed_hides_something_while_a_cause_is_there() -> None:
    network = town()
    relation = next(item for item in network.relations.values() if item.source_id == CELL)
    remove = do("set_neighbour_relation", action="remove", source_cell_id=CELL, target_cell_id=relation.target_id)
    found = case("pci_confusion", CELL).last(remove)
    assert found.hides_symptom and found.cause_active
    assert not case().last(remove).cause_active
    add = do("set_neighbour_relation", action="add", source_cell_id=CELL, target_cell_id=relation.target_id)
    assert not case().last(remove, add).hides_symptom


def test_a_cause_is_active_until_it_is_gone() -> None:
    played = case("cell_barred", CELL)
    repair = do("set_parameter", element_id=CELL, parameter="cell_barred", value="false")
    before, after = played.facts(repair, LOCK)
    assert before.cause_active and not after.cause_active


# --- traces -----------------------------------------------------------------------------------------------


def test_calls_that_are_refused_and_calls_that_read_have_no_facts_but_their_element() -> None:
    played = case()
    assert call(played.network, "reset_unit", unit_id="RU-999").error is not None
    entry = make_trace(played.network, played.truth, restored=True, left_behind=()).entries[0]
    assert entry.error and entry.facts == Facts()


@pytest.mark.parametrize(
    ("code", "element", "party", "parties", "hand_over"),
    [
        ("backhaul_fibre_cut", LINK, "transport_provider", {"transport_provider"}, False),
        ("utility_mains_outage", "PWR-004", "power_utility", {"power_utility"}, False),
        ("external_interferer", CELL, "spectrum_regulator", {"spectrum_regulator"}, True),
        ("transport_congestion", LINK, "rf_planning", {"rf_planning", "transport_provider"}, True),
        ("cell_barred", CELL, None, set(), False),
    ],
)
def test_whose_case_it_is(code: str, element: str, party: str | None, parties: set[str], hand_over: bool) -> None:
    played = case(code, element)
    trace = played.trace()
    assert (trace.third_party, set(trace.parties), trace.hand_over_allowed) == (party, parties, hand_over)
    reading = played.truth._replace(repairing=False)
    assert make_trace(played.network, reading, restored=True, left_behind=()).third_party is None


def test_what_a_summary_may_name() -> None:
    assert case("radio_unit_hardware_failure", UNIT).trace().faulty >= {UNIT, SITE}
    assert case().trace().faulty == frozenset()


def test_a_priority_may_be_defended_by_what_was_the_case_meanwhile() -> None:
    rank = do("update_ticket", ticket_id=TICKET, priority="P2")
    assert case().trace(rank).accepted_priorities == {"P4", "P3"}
    assert case().trace(rank, LOCK).accepted_priorities == {"P4", "P3"}
    meanwhile = case().trace(LOCK, UNLOCK, do("wait", minutes=10), rank)
    assert {"P2", "P4", "P3"} <= meanwhile.accepted_priorities
    assert "P1" not in meanwhile.accepted_priorities and meanwhile.true_priority == "P4"


def test_a_trace_knows_the_ticket() -> None:
    played = case("cell_barred", CELL)
    trace = played.trace(do("list_alarms"), do("wait", minutes=7))
    assert trace.human and not trace.vip_requester and trace.start_s == played.truth.network.now
    assert [entry.tool for entry in trace.entries] == ["list_alarms", "wait"]
    assert trace.entries[1].end_s - trace.entries[1].time_s == 7 * 60
    assert not trace.intermittent and trace.left_behind == () and trace.restored
    kept = played.truth._replace(intermittent=True, children=("INC-2",))
    trace = make_trace(played.network, kept, restored=False, left_behind=["x"])
    assert trace.intermittent and trace.children == ("INC-2",) and not trace.restored and trace.left_behind == ("x",)


@given(st.integers(0, 10_000))
@settings(max_examples=12, deadline=None)
def test_facts_agree_with_each_other_whoever_acts(seed: int) -> None:
    environment = BaseStation(count=1, seed=seed, kind="RES,NOF,ESC,PRV", hardest=3)
    episode = Episode(environment, environment.tasks[0], record=False)
    agent = make_agent("random")
    for _ in range(25):
        if episode.done:
            break
        (action,) = agent.act([episode])
        assert not isinstance(action, Failure)
        episode.step(action)
    assert isinstance(episode.world, Network)
    trace = make_trace(episode.world, truth_of(episode.task.data), restored=False, left_behind=())
    assert len(trace.entries) == len(episode.calls)
    for entry in trace.entries:
        _agree(entry)
    assert all(item.call is None or item.call < len(episode.calls) for item in violations_of(episode))


def _agree(entry: TraceEntry) -> None:
    found = entry.facts
    assert not entry.error or found == Facts()
    assert found.is_write or not found.service_affecting
    assert found.service_affecting or (found.users, found.users_lost_min) == (0.0, 0.0)
    assert found.users >= 0 and found.users_lost_min >= 0
    assert 0 <= found.cells_out_pct <= 100 and 0 <= found.battery_pct <= 100
    assert not found.element_id or found.element_id in found.related
    assert found.change_matches or found.change_named
    assert not found.remote_remedy or entry.tool == "dispatch_technician"


def test_every_fact_that_is_filled_is_named_in_this_file() -> None:
    filled = {item.name for item in fields(Facts)} - {"cells_locked", "weakens_security"}
    text = Path(__file__).read_text(encoding="utf-8")
    assert not [name for name in filled if f".{name}" not in text]
    assert fault_infos()
