"""What holds for every tool: shape, length, time, determinism, state."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import BreakerState, RadioUnit
from telegym.envs.base_station.process.records import Question, WorkOrder, WorkState
from telegym.tools.base_station import definition, definitions
from telegym.tools.base_station._format import FULL, HARD_LIMIT, TERSE
from tests.tools.base_station.worlds import MORNING_S, TICKET, call, city, text, town

CELL, NODE, UNIT = "S004-L18-1", "ENB-004", "RU-004-L18-1"

Arrange = Callable[[Network], None]


def _nothing(network: Network) -> None:
    pass


def _lock(network: Network, cell: str) -> None:
    text(network, "set_admin_state", element_id=cell, state="LOCKED", reason="test")


def _locked(network: Network) -> None:
    _lock(network, CELL)


def _alarmed(network: Network) -> None:
    _locked(network)
    network.advance(60)


def _on_site(network: Network) -> None:
    text(network, "dispatch_technician", site_id="S004", task="inspection", ticket_id=TICKET)
    network.advance(6 * 3600)
    order = next(network.all(WorkOrder))
    assert order.state is WorkState.ON_SITE


def _diagnosed(network: Network) -> None:
    text(network, "submit_diagnosis", ticket_id=TICKET, root_cause="cell_barred", element_id=CELL)


def _asked(network: Network) -> None:
    network.add(Question("QUESTION", "How many cells has S004?"))


def _tripped(network: Network) -> None:
    network.set_breaker("PWR-004-F4", state=BreakerState.TRIPPED)


GOOD: dict[str, tuple[dict[str, Any], Arrange]] = {
    "list_alarms": ({"state": "all"}, _alarmed),
    "get_alarm": ({"alarm_id": "ALM-00001"}, _alarmed),
    "list_elements": ({"parent_id": "S004"}, _nothing),
    "get_element_info": ({"element_id": CELL}, _nothing),
    "get_topology": ({"element_id": CELL, "layer": "transport", "depth": 6}, _nothing),
    "get_cell_status": ({"cell_id": CELL}, _nothing),
    "get_node_status": ({"node_id": NODE}, _nothing),
    "get_config": ({"element_id": CELL}, _nothing),
    "get_config_history": ({"element_id": "S004"}, _locked),
    "get_kpi": ({"element_id": CELL, "kpis": ["prb_util_dl_pct", "erab_drop_pct"]}, _nothing),
    "rank_cells": ({"kpi": "prb_util_dl_pct", "limit": 20}, _nothing),
    "get_neighbour_relations": ({"cell_id": CELL}, _nothing),
    "get_interference_report": ({"cell_id": CELL}, _nothing),
    "get_logs": ({"element_id": "S004", "min_level": "DEBUG"}, _alarmed),
    "get_transport_status": ({"element_id": NODE}, _nothing),
    "get_clock_status": ({"node_id": NODE}, _nothing),
    "get_power_status": ({"site_id": "S004"}, _nothing),
    "get_fronthaul_status": ({"ru_id": UNIT}, _nothing),
    "get_antenna_status": ({"ru_id": UNIT}, _nothing),
    "get_licence_status": ({"node_id": NODE}, _nothing),
    "get_software_status": ({"node_id": NODE}, _nothing),
    "get_user_experience_report": ({"scope_id": "S004"}, _nothing),
    "get_external_notices": ({}, _nothing),
    "get_record": ({"record_id": TICKET}, _nothing),
    "list_resources": ({"resource_type": "technicians", "site_id": "S004"}, _nothing),
    "search_knowledge_base": ({"query": "standing wave ratio"}, _nothing),
    "run_ping_test": ({"source_id": NODE, "target_id": "MME-1", "trace_route": True}, _nothing),
    "run_link_test": ({"link_id": "FH-004-L18-1", "test": "bert"}, _nothing),
    "run_vswr_test": ({"ru_id": UNIT, "mode": "offline"}, _locked),
    "run_pim_test": ({"ru_id": "RU-004-L18-3"}, _nothing),
    "run_spectrum_scan": ({"cell_id": CELL, "duration_minutes": 5}, _nothing),
    "run_battery_test": ({"site_id": "S004"}, _nothing),
    "run_cell_service_test": ({"cell_id": "S001-L18-1", "test": "data_dl"}, _nothing),
    "set_admin_state": ({"element_id": CELL, "state": "LOCKED", "reason": "test"}, _nothing),
    "reset_unit": ({"unit_id": UNIT}, _nothing),
    "reset_node": ({"node_id": NODE}, _nothing),
    "set_parameter": ({"element_id": CELL, "parameter": "a3_offset_db", "value": "2.5"}, _nothing),
    "set_antenna_tilt": ({"cell_id": CELL, "electrical_tilt_deg": 5}, _nothing),
    "set_neighbour_relation": (
        {"action": "modify", "source_cell_id": CELL, "target_cell_id": "S004-L18-2"},
        _nothing,
    ),
    "rollback_config": ({"element_id": CELL}, _locked),
    "switch_clock_source": ({"node_id": "ENB-001", "source": "ptp"}, _nothing),
    "reroute_transport": ({"element_id": "S004", "path": "secondary"}, _nothing),
    "change_software": ({"node_id": NODE, "action": "upgrade", "version": "23.1.0"}, _nothing),
    "activate_licence": ({"node_id": NODE, "licence_id": "LIC-POOL-1"}, _nothing),
    "renew_certificate": ({"node_id": NODE, "certificate_id": "CERT-004E-1"}, _nothing),
    "control_site_power": ({"site_id": "S004", "action": "reclose_breaker", "breaker_id": "F4"}, _tripped),
    "activate_outage_compensation": (
        {"failed_cell_id": "S004-L8-1", "helper_cell_ids": ["S004-L8-2"]},
        lambda network: _lock(network, "S004-L8-1"),
    ),
    "update_alarm": ({"alarm_id": "ALM-00001", "action": "acknowledge", "comment": "seen"}, _alarmed),
    "dispatch_technician": (
        {"site_id": "S004", "task": "radio_hw", "ticket_id": TICKET, "spare_part_types": ["JUMPER_KIT"]},
        _nothing,
    ),
    "instruct_technician": ({"work_order_id": "WO-00012", "action": "inspect"}, _on_site),
    "request_change_approval": (
        {"element_ids": [CELL], "change_type": "reset", "justification": "no answer"},
        _nothing,
    ),
    "notify_stakeholders": ({"audience": "noc", "ticket_id": TICKET, "message": "outage"}, _nothing),
    "ask_requester": ({"ticket_id": TICKET, "question": "confirm_symptom"}, _nothing),
    "update_ticket": ({"ticket_id": TICKET, "priority": "P2", "note": "begun"}, _nothing),
    "escalate_ticket": (
        {"ticket_id": TICKET, "target": "core_noc", "summary": "no association", "element_ids": [NODE]},
        _nothing,
    ),
    "wait": ({"minutes": 30}, _nothing),
    "submit_diagnosis": ({"ticket_id": TICKET, "root_cause": "cell_barred", "element_id": CELL}, _nothing),
    "submit_answer": ({"answer": "15"}, _asked),
    "close_ticket": ({"ticket_id": TICKET, "resolution": "fixed_remote", "summary": "done"}, _diagnosed),
    "compute_radio_quantity": ({"quantity": "pci_parts", "inputs": {"pci": 137}}, _nothing),
}
"""A call of each tool that succeeds, and what must happen before."""


def ready(name: str) -> tuple[Network, dict[str, Any]]:
    """Return a network in which the good call of a tool succeeds, and its arguments."""
    arguments, arrange = GOOD[name]
    network = city() if name == "run_cell_service_test" else town()
    arrange(network)
    return network, arguments


def test_every_tool_has_a_good_call() -> None:
    assert set(GOOD) == set(definitions())


@pytest.mark.parametrize("name", list(GOOD))
def test_results_are_short_and_take_the_declared_time(name: str) -> None:
    network, arguments = ready(name)
    start = network.now
    outcome = call(network, name, **arguments)
    assert outcome.error is None, outcome.content
    assert 0 < len(outcome.content) <= (HARD_LIMIT if name in ("get_kpi", "get_user_experience_report") else FULL.limit)
    assert outcome.minutes == (network.now - start) / 60
    declared = definition(name).minutes
    assert outcome.minutes == declared if declared is not None else outcome.minutes > 0
    assert not any(line.endswith(" ") or "None" in line or "nan" in line for line in outcome.content.split("\n"))


@pytest.mark.parametrize("name", list(GOOD))
def test_terse_results_are_shorter(name: str) -> None:
    network, arguments = ready(name)
    full = call(network.fork(), name, **arguments).content
    terse = call(network, name, "terse", **arguments)
    assert terse.error is None
    assert 0 < len(terse.content) <= min(TERSE.limit, len(full) + 80)


@pytest.mark.parametrize("name", list(GOOD))
def test_the_same_call_gives_the_same_result_and_state(name: str) -> None:
    one, arguments = ready(name)
    other = one.fork()
    assert call(one, name, **arguments) == call(other, name, **arguments)
    assert one.state_hash() == other.state_hash()


@pytest.mark.parametrize("name", [name for name in GOOD if definition(name).risk == "read_only"])
def test_reading_changes_nothing(name: str) -> None:
    network, arguments = ready(name)
    waiting = network.fork()
    call(network, name, **arguments)
    waiting.advance(network.now - waiting.now)
    assert network.state_hash() == waiting.state_hash()


@pytest.mark.parametrize("name", [name for name in GOOD if definition(name).group in ("query", "compute")])
def test_a_read_repeated_at_once_gives_the_same_text_and_takes_its_time(name: str) -> None:
    network, arguments = ready(name)
    first = call(network, name, **arguments)
    revision = network.revision
    second = call(network, name, **arguments)
    if network.revision == revision:
        assert second == first


def test_a_repeated_read_is_answered_anew_after_a_change_and_after_five_minutes() -> None:
    network = town()
    before = text(network, "get_cell_status", cell_id=CELL)
    text(network, "set_admin_state", element_id=CELL, state="LOCKED", reason="test")
    assert text(network, "get_cell_status", cell_id=CELL) != before
    network = town(MORNING_S + 20)
    first = text(network, "get_antenna_status", ru_id=UNIT)
    network.advance(200)
    assert text(network, "get_antenna_status", ru_id=UNIT) == first
    network.advance(900)
    assert text(network, "get_antenna_status", ru_id=UNIT) != first


def test_defaults_given_explicitly_are_the_same_read() -> None:
    network = town()
    first = text(network, "get_config", element_id=CELL)
    assert len(network.reads) == 1
    assert text(network, "get_config", element_id=CELL, compare_to="none") == first
    assert len(network.reads) == 1


def test_forks_remember_answers() -> None:
    network = town()
    text(network, "get_fronthaul_status", ru_id=UNIT)
    copy = network.fork()
    assert copy.reads == network.reads
    text(copy, "get_fronthaul_status", ru_id="RU-004-L18-2")
    assert len(network.reads) == 1


def test_nothing_hidden_is_told() -> None:
    """Names of hidden fields, and codes of faults, appear in no reading."""
    network = town()
    unit = network.get(RadioUnit, UNIT)
    network.update(unit, hang=True)
    network.update(network.get(RadioUnit, "RU-004-L18-2"), muted=True)
    network.advance(600)
    words = ["hang", "muted", "failed_branches", "disconnected", "soh", "intruded", "demand_factor"]
    codes = set(definition("submit_diagnosis").parameters["root_cause"]["enum"]) - {"cell_barred"}  # a parameter, too
    for name in GOOD:
        if definition(name).group != "query":
            continue
        arguments, _ = GOOD[name]
        content = call(network, name, **arguments).content.lower()
        assert not [word for word in [*words, *codes] if re.search(rf"\b{word}\b", content)], name
