"""What actions do to the network, seen through the tools."""

from __future__ import annotations

from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import (
    AdministrativeState,
    BatteryString,
    Board,
    Cell,
    ClockSource,
    ClockUnit,
    FronthaulLink,
    GeneratorState,
    Node,
    PowerSystem,
    RadioUnit,
    Router,
    TransportLink,
)
from tests.tools.base_station.worlds import TICKET, rows, text, town, values

CELL, NODE, UNIT = "S004-L18-1", "ENB-004", "RU-004-L18-1"


def _status(network: Network, name: str = CELL) -> dict[str, str]:
    return values(text(network, "get_cell_status", cell_id=name))


def test_a_locked_cell_comes_back_two_minutes_after_it_is_unlocked() -> None:
    network = town()
    text(network, "set_admin_state", element_id=CELL, state="LOCKED", reason="test")
    assert _status(network)["rrc_users_now"] == "0"
    text(network, "set_admin_state", element_id=CELL, state="UNLOCKED", reason="test")
    assert _status(network)["availability_status"] == "OFF_LINE"
    network.advance(120)
    assert _status(network)["operational_state"] == "ENABLED"


def test_shutting_down_ends_locked() -> None:
    network = town()
    text(network, "set_admin_state", element_id=CELL, state="SHUTTINGDOWN", reason="test")
    assert network.get(Cell, CELL).administrative_state is AdministrativeState.SHUTTINGDOWN
    network.advance(300)
    assert network.get(Cell, CELL).administrative_state is AdministrativeState.LOCKED


def test_lock_and_unlock_cures_a_hung_process_of_the_cell_only() -> None:
    network = town()
    for on_board in (False, True):
        network.update(network.get(Cell, CELL), access_hung=True, access_hang_on_board=on_board)
        for state in ("LOCKED", "UNLOCKED"):
            text(network, "set_admin_state", element_id=CELL, state=state, reason="test")
        assert network.get(Cell, CELL).access_hung is on_board
    text(network, "reset_unit", unit_id=network.get(Cell, CELL).board_id)
    network.advance(180)
    assert not network.get(Cell, CELL).access_hung


def test_a_warm_reset_cures_a_hang_unless_it_needs_a_power_cycle() -> None:
    network = town()
    network.update(network.get(RadioUnit, UNIT), hang=True, hang_needs_power_cycle=True)
    text(network, "reset_unit", unit_id=UNIT)
    network.advance(180)
    assert network.get(RadioUnit, UNIT).hang
    text(network, "reset_unit", unit_id=UNIT, mode="power_cycle")
    network.advance(360)
    assert not network.get(RadioUnit, UNIT).hang


def test_a_hung_port_and_router_come_back() -> None:
    network = town()
    network.set_port("CSR-004-P1", hung=True)
    assert "ERR_DISABLED" in text(network, "get_transport_status", element_id="CSR-004-P1")
    text(network, "reset_unit", unit_id="CSR-004-P1")
    network.advance(180)
    assert "state: UP" in text(network, "get_transport_status", element_id="CSR-004-P1")
    network.update(network.get(Router, "AGG-01"), hang=True)
    text(network, "reset_unit", unit_id="AGG-01", mode="power_cycle")
    network.advance(480)
    assert not network.get(Router, "AGG-01").hang


def test_a_node_restart_frees_memory_and_takes_its_cells_down() -> None:
    network = town()
    board = network.get(Board, "ENB-004-B2")
    network.update(board, memory_pct=97.0)
    text(network, "reset_node", node_id=NODE)
    assert text(network, "get_cell_status", cell_id=CELL).startswith("oam_state: LOST  snapshot_age_min: 0")
    network.advance(600)
    assert network.get(Board, board.id).memory_pct == 45.0
    assert network.get(Node, NODE).booted_s > network.start_s


def test_parameters_of_class_s_restart_the_cell_others_do_not() -> None:
    network = town()
    text(network, "set_parameter", element_id=CELL, parameter="a3_offset_db", value="2")
    assert network.get(Cell, CELL).restart_until_s is None
    text(network, "set_parameter", element_id=CELL, parameter="tac", value="77")
    assert network.get(Cell, CELL).restart_until_s == network.now + 120


def test_rollback_takes_back_every_change_of_the_week_or_down_to_a_version() -> None:
    network = town()
    built = network.get(Cell, CELL)
    text(network, "set_parameter", element_id=CELL, parameter="a3_offset_db", value="1")
    text(network, "set_parameter", element_id=CELL, parameter="cio_db", value="2")
    network.advance(300)
    other = network.fork()
    text(other, "rollback_config", element_id=CELL, to_version="V2")
    assert (other.get(Cell, CELL).a3_offset_db, other.get(Cell, CELL).cio_db) == (1.0, built.cio_db)
    text(network, "rollback_config", element_id=CELL)
    network.advance(600)
    assert network.get(Cell, CELL) == built


def test_plan_and_baseline_show_what_was_changed() -> None:
    network = town()
    text(network, "set_parameter", element_id=CELL, parameter="q_rx_lev_min_dbm", value="-110")
    for base in ("planned", "last_known_good"):
        result = text(network, "get_config", element_id=CELL, compare_to=base)
        assert rows(result, "parameter") == [["q_rx_lev_min_dbm", "-110", "-124"]]
    history = rows(text(network, "get_config_history", element_id="S004"), "version")
    assert history[0][2:7] == [CELL, "q_rx_lev_min_dbm", "-124", "-110", "agent"]


def test_neighbours_removed_and_added_both_ways() -> None:
    network = town()
    pair = {"source_cell_id": CELL, "target_cell_id": "S004-L18-2"}
    text(network, "set_neighbour_relation", action="remove", **pair)
    assert f"{CELL}>S004-L18-2" not in network.relations
    assert "unknown_pci" in text(network, "get_neighbour_relations", cell_id=CELL)
    text(network, "set_neighbour_relation", action="add", **pair)
    assert network.changed_objects().keys() & network.relations.keys() == set()


def test_clock_and_path_are_switched() -> None:
    network = town()
    text(network, "switch_clock_source", node_id="ENB-001", source="ptp")
    assert network.get(ClockUnit, "CLK-001").source is ClockSource.PTP
    result = text(network, "reroute_transport", element_id="S004", path="secondary")
    assert values(result)["sites_moved"] == "S004"
    assert "path: secondary" in text(network, "get_transport_status", element_id="S004")


def test_software_licence_and_certificate() -> None:
    network = town()
    node = network.get(Node, NODE)
    expired = tuple(type(item)(item.id, item.subject, network.now - 60, False) for item in node.certificates)
    network.update(node, certificates=expired)
    assert "EXPIRED" in text(network, "get_software_status", node_id=NODE, section="certificates")
    text(network, "renew_certificate", node_id=NODE, certificate_id=expired[0].id)
    network.advance(180)
    assert "VALID" in text(network, "get_software_status", node_id=NODE, section="certificates")
    text(network, "activate_licence", node_id=NODE, licence_id="LIC-POOL-1")
    assert network.get(Node, NODE).licences[-1].id == "LIC-POOL-1"
    text(network, "change_software", node_id=NODE, action="upgrade", version="23.1.0")
    network.advance(1080)
    assert network.get(Node, NODE).software == "23.1.0"


def test_generator_and_battery_saver() -> None:
    network = town()
    network.update(network.get(PowerSystem, "PWR-004"), mains_ok=False)
    text(network, "control_site_power", site_id="S004", action="start_generator")
    network.advance(121)
    generator = network.get(PowerSystem, "PWR-004").generator
    assert generator is not None and generator.state is GeneratorState.RUNNING
    text(network, "control_site_power", site_id="S004", action="stop_generator")
    text(network, "control_site_power", site_id="S004", action="battery_saver_on")
    assert network.get(PowerSystem, "PWR-004").saver


def test_compensation_ends_when_the_failed_cell_is_back() -> None:
    network = town()
    text(network, "set_admin_state", element_id="S004-L8-1", state="LOCKED", reason="test")
    helper = network.get(Cell, "S004-L8-2")
    text(network, "activate_outage_compensation", failed_cell_id="S004-L8-1", helper_cell_ids=[helper.id])
    assert network.get(Cell, helper.id).max_tx_power_dbm == helper.max_tx_power_dbm + 1.5
    text(network, "set_admin_state", element_id="S004-L8-1", state="UNLOCKED", reason="test")
    network.advance(600)
    assert network.get(Cell, helper.id) == helper


def test_a_battery_test_measures_health_and_leaves_the_site_charging() -> None:
    network = town()
    power = network.get(PowerSystem, "PWR-004")
    strings = tuple(BatteryString(item.kind, item.capacity_ah, soh=0.4) for item in power.strings)
    network.update(power, strings=strings)
    assert values(text(network, "get_power_status", site_id="S004"))["tested_health_pct"] == "never"
    result = values(text(network, "run_battery_test", site_id="S004"))
    assert set(result["health_pct"].split("|")) == {"40"}
    network.settle()
    after = network.get(PowerSystem, "PWR-004")
    assert not after.under_test and after.soc_per_s >= 0


def test_optical_evidence() -> None:
    network = town()
    link = network.get(FronthaulLink, "FH-004-L18-1")
    network.update(link, extra_loss_db=6.0, extra_loss_at_m=31.0)
    result = values(text(network, "run_link_test", link_id=link.id, test="otdr"))
    assert (result["event"], result["at_m"], result["loss_db"]) == ("loss", "31", "6.0")
    fibre = network.get(TransportLink, network.region.transport.paths["S004"]["primary"][0])
    network.update(fibre, cut=True, cut_at_km=0.7)
    result = values(text(network, "run_link_test", link_id=fibre.id, test="otdr"))
    assert (result["event"], result["at_km"]) == ("break", "0.70")
    assert "state: DOWN" in text(network, "get_transport_status", element_id=fibre.id)


def test_small_packets_pass_where_large_ones_do_not() -> None:
    network = town()
    network.update(network.get(Router, "CSR-004"), mtu=1500)
    small = values(text(network, "run_ping_test", source_id=NODE, target_id="SGW-1"))
    large = values(text(network, "run_ping_test", source_id=NODE, target_id="SGW-1", packet_size=1600))
    assert (small["received"], large["received"]) == ("20", "0")
    assert "packet too big, from CSR-004" in large["reply"]


def test_waiting_stops_at_what_concerns_the_case() -> None:
    network = town()
    text(network, "request_change_approval", element_ids=[CELL], change_type="reset", justification="no answer")
    result = values(text(network, "wait", minutes=120))
    assert (result["waited_min"], result["stopped_early"]) == ("30", "true")
    assert values(text(network, "get_record", record_id="CR-00018"))["status"] == "APPROVED"


def test_waiting_twice_is_waiting_once() -> None:
    one, other = town(), town()
    for minutes in (17, 23):
        text(one, "wait", minutes=minutes)
    text(other, "wait", minutes=40)
    assert one.state_hash() == other.state_hash()


def test_the_requester_answers_after_minutes() -> None:
    network = town()
    result = text(network, "ask_requester", ticket_id=TICKET, question="confirm_symptom")
    assert "answer: Calls drop after a few seconds." in result
    text(network, "set_admin_state", element_id=CELL, state="LOCKED", reason="test")
    assert "answer: no" in text(network, "ask_requester", ticket_id=TICKET, question="confirm_restored")


def test_the_knowledge_base_explains_alarms_indicators_and_the_calculator() -> None:
    network = town()
    assert "[CALC-noise_floor]" in text(network, "search_knowledge_base", query="noise floor calculator", limit=1)
    assert "KPI-erab_drop_pct" in text(network, "search_knowledge_base", query="erab_drop_pct", limit=3)
    assert "Mains" in text(network, "search_knowledge_base", query="mains supply lost on battery")
    assert text(network, "search_knowledge_base", query="qqqq").startswith("passages: 0")
