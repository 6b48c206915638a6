"""Alarms: hold times to the second, severities, what waits while management is lost, and what vendors say."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path

import pytest

from telegym.core.errors import ToolError
from telegym.envs.base_station import alarms
from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.engine import HOUR_S
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import (
    AdministrativeState,
    AntennaLine,
    Board,
    BreakerState,
    Cabinet,
    Cell,
    Certificate,
    ClockUnit,
    CorePeer,
    FronthaulLink,
    Licence,
    Node,
    PowerSystem,
    RadioUnit,
    Record,
    RetUnit,
    Router,
    Site,
    TransportLink,
)
from telegym.envs.base_station.state import Alarm, Rumours, Severity, Trouble

HONEST = Rumours(0.0, 0.0, 0.0)


def network(archetype: str = "S1", seed: int = 1, world_seed: int = 1) -> Network:
    return Network(archetype, seed, world_seed, start_s=10 * HOUR_S, rumours=HONEST)


def active(world: Network) -> set[tuple[str, str]]:
    world.settle()
    return set(world.open_alarms)


def change(world: Network, kind: type[Record], name: str, **fields: object) -> None:
    world.update(world.get(kind, name), **fields)
    world.settle()


def one(world: Network, key: str) -> Alarm:
    (alarm,) = [alarm for alarm in world.alarms.values() if alarm.key == key]
    return alarm


def test_the_dictionary_is_complete() -> None:
    kinds = alarms.dictionary()
    assert len(kinds) == 82
    assert Counter(kind.manual for kind in kinds.values())[True] == 3
    for letter in "ABC":
        assert len({getattr(kind, letter) for kind in kinds.values()}) == 82
    assert all(kind.mistaken is None or kind.mistaken in kinds for kind in kinds.values())
    assert all(kind.raise_s >= 0 and kind.clear_s >= 0 for kind in kinds.values())


def test_a_healthy_network_has_no_alarms() -> None:
    for archetype in ("U1", "U2", "S1", "R1", "M1", "X1", "X2", "X3"):
        world = network(archetype)
        world.advance(26 * HOUR_S)
        assert not world.alarms and not world.conditions


HOLDS: list[tuple[str, type[Record], str, dict[str, object], dict[str, object]]] = [
    ("PWR_MAINS_FAIL", PowerSystem, "PWR-002", {"mains_ok": False}, {"mains_ok": True}),
    ("PWR_BATT_CHARGE_FAIL", PowerSystem, "PWR-002", {"charge_fault": True}, {"charge_fault": False}),
    ("ENV_DOOR_OPEN", Cabinet, "CAB-002", {"door_open": True}, {"door_open": False}),
    ("ENV_SMOKE", Cabinet, "CAB-002", {"smoke": True}, {"smoke": False}),
    ("ENV_FLOOD", Cabinet, "CAB-002", {"flood": True}, {"flood": False}),
    ("RU_HW_FAULT", RadioUnit, "RU-002-L18-1", {"failed": True}, {"failed": False}),
    ("RU_MAINT_LINK_FAIL", RadioUnit, "RU-002-L18-1", {"hang": True}, {"hang": False}),
    ("RU_TX_BRANCH_FAIL", RadioUnit, "RU-002-L18-1", {"failed_branches": (1,)}, {"failed_branches": ()}),
    ("FH_LINK_LOS", FronthaulLink, "FH-002-L18-1", {"far_sfp_failed": True}, {"far_sfp_failed": False}),
    ("FH_OPT_POWER_LOW", FronthaulLink, "FH-002-L18-1", {"extra_loss_db": 9.5}, {"extra_loss_db": 0.0}),
    ("BBU_BOARD_FAULT", Board, "ENB-002-B2", {"failed": True}, {"failed": False}),
    ("BBU_MEM_HIGH", Board, "ENB-002-B2", {"memory_pct": 95.0}, {"memory_pct": 45.0}),
    ("ANT_VSWR_HIGH", AntennaLine, "ANT-002-L18-1-B", {"vswr": 2.41}, {"vswr": 0.0}),
    ("ANT_RET_FAULT", RetUnit, "RET-002-L18-1", {"jammed": True}, {"jammed": False}),
    ("CELL_DEGRADED", RadioUnit, "RU-002-L18-1", {"failed_branches": (1,)}, {"failed_branches": ()}),
    ("CELL_UNAVAILABLE", RadioUnit, "RU-002-L18-1", {"failed": True}, {"failed": False}),
    ("CLK_GNSS_LOST", ClockUnit, "CLK-002", {"antenna": "open"}, {"antenna": "ok"}),
    ("UP_PATH_FAIL", Router, "CSR-002", {"next_hop": "10.9.9.9"}, {"next_hop": "10.2.0.1"}),
    ("CP_S1_FAULT", Node, "ENB-002", {"amf_ip": "10.9.9.9"}, {"amf_ip": "10.200.0.11"}),
    ("NE_OAM_UNREACHABLE", Node, "ENB-002", {"oam_vlan_id": 9}, {"oam_vlan_id": 200}),
]


@pytest.mark.parametrize(("key", "kind", "name", "broken", "sound"), HOLDS, ids=[case[0] for case in HOLDS])
def test_alarms_are_raised_and_cleared_in_the_very_second(
    key: str, kind: type[Record], name: str, broken: dict[str, object], sound: dict[str, object]
) -> None:
    world = network()
    rule = alarms.dictionary()[key]
    change(world, kind, name, **broken)
    world.advance(max(rule.raise_s - 1, 0))
    assert rule.raise_s == 0 or key not in {other for other, _ in active(world)}
    world.advance(1)
    alarm = next(item for item in world.alarms.values() if item.key == key)
    assert alarm.active and alarm.raised_s == world.now
    change(world, kind, name, **sound)
    world.advance(rule.clear_s - 1)
    assert world.alarms[alarm.id].active
    world.advance(1)
    assert world.alarms[alarm.id].cleared_s == world.now


def test_what_lasts_too_short_a_time_is_not_reported() -> None:
    world = network()
    for _ in range(5):
        change(world, RadioUnit, "RU-002-L18-1", failed=True)
        world.advance(29)
        change(world, RadioUnit, "RU-002-L18-1", failed=False)
        world.advance(29)
    assert not world.alarms and not world.conditions


def test_an_alarm_that_comes_and_goes_is_counted() -> None:
    world = network()
    for _ in range(3):
        change(world, Cabinet, "CAB-002", door_open=True)
        world.advance(60)
        change(world, Cabinet, "CAB-002", door_open=False)
        world.advance(60)
    assert len(world.alarms) == 3
    assert alarms.occurrences_24h(world, world.alarms["ALM-00003"]) == 3
    world.advance(25 * HOUR_S)
    assert alarms.occurrences_24h(world, world.alarms["ALM-00003"]) == 0


def test_a_faulty_sensor_trips_every_hour_for_a_third_of_it() -> None:
    world = network()
    change(world, Site, "S002", sensor_fault="flood")
    world.advance(24 * HOUR_S)
    found = [alarm for alarm in world.alarms.values() if alarm.key == "ENV_FLOOD"]
    assert 23 <= len(found) <= 25
    lasted = {alarm.cleared_s - alarm.raised_s for alarm in found[1:-1] if alarm.cleared_s is not None}
    assert lasted == {1200 - 10 + 60}
    change(world, Site, "S002", sensor_fault=None)
    world.advance(120)
    assert not active(world) and not world.agenda.pending() and world.changed_objects() == {}


def test_a_short_gap_does_not_clear_an_alarm() -> None:
    world = network()
    change(world, Cabinet, "CAB-002", door_open=True)
    world.advance(30)
    change(world, Cabinet, "CAB-002", door_open=False)
    world.advance(29)
    change(world, Cabinet, "CAB-002", door_open=True)
    world.advance(HOUR_S)
    assert one(world, "ENV_DOOR_OPEN").active


# --- severities -----------------------------------------------------------------------------------------


def test_cells_are_critical_when_the_whole_site_is_out() -> None:
    world = network()
    units = world.at_site(RadioUnit, "S002")
    for unit in units[:-1]:
        change(world, RadioUnit, unit.id, failed=True)
    world.advance(60)
    severities = {alarm.severity for alarm in world.alarms.values() if alarm.key == "CELL_UNAVAILABLE"}
    assert severities == {Severity.MAJOR}
    change(world, RadioUnit, units[-1].id, failed=True)
    world.advance(60)
    cells = [alarm for alarm in world.alarms.values() if alarm.key == "CELL_UNAVAILABLE"]
    assert {alarm.severity for alarm in cells} == {Severity.CRITICAL}
    assert sum(alarm.first_severity is Severity.MAJOR for alarm in cells) == len(units) - 1


def test_the_standing_wave_ratio_is_told_and_critical_above_the_limit() -> None:
    world = network()
    major, critical = works.DIALECT_VSWR[alarms.dialect_of(world)]
    change(world, AntennaLine, "ANT-002-L18-1-B", vswr=2.41)
    world.advance(60)
    alarm = one(world, "ANT_VSWR_HIGH")
    assert alarm.severity is Severity.MAJOR
    assert alarms.additional_text(alarm) == f"VSWR=2.41, branch=B, threshold={major:.2f}"
    change(world, AntennaLine, "ANT-002-L18-1-B", vswr=critical + 1)
    world.advance(60)
    assert one(world, "ANT_VSWR_HIGH").severity is Severity.CRITICAL
    assert ("RU_TX_BRANCH_FAIL", "RU-002-L18-1") in active(world)


def test_rectifiers_are_major_once_redundancy_is_used_up() -> None:
    world = network()
    power = world.get(PowerSystem, "PWR-002")
    first, second, *others = (dataclasses.replace(item, failed=True) for item in power.rectifiers)
    sound = power.rectifiers
    change(world, PowerSystem, "PWR-002", rectifiers=(first, *sound[1:]))
    world.advance(60)
    assert one(world, "PWR_RECTIFIER_FAIL").severity is Severity.MINOR
    assert one(world, "PWR_RECTIFIER_FAIL").object_id == "PWR-002-R1"
    assert ("PWR_REDUNDANCY_LOST", "PWR-002") in active(world)
    change(world, PowerSystem, "PWR-002", rectifiers=(first, second, *sound[2:]))
    world.advance(60)
    assert {world.alarms[name].severity for name in world.open_alarms.values()} >= {Severity.MAJOR}
    assert len(others) == len(sound) - 2


# --- management is lost ---------------------------------------------------------------------------------


def test_what_a_node_notices_out_of_reach_arrives_when_it_is_back() -> None:
    world = network()
    change(world, Node, "ENB-002", oam_vlan_id=9)
    world.advance(300)
    change(world, RadioUnit, "RU-002-L18-1", failed_branches=(1,))
    noticed = world.now + 60
    world.advance(600)
    assert ("RU_TX_BRANCH_FAIL", "RU-002-L18-1") not in active(world)
    change(world, Node, "ENB-002", oam_vlan_id=200)
    world.settle()
    alarm = one(world, "RU_TX_BRANCH_FAIL")
    assert alarm.active and alarm.raised_s == noticed
    assert not world.queued


def test_what_came_and_went_out_of_reach_is_history() -> None:
    world = network()
    change(world, Node, "ENB-002", oam_vlan_id=9)
    change(world, RadioUnit, "RU-002-L18-1", failed_branches=(1,))
    world.advance(600)
    change(world, RadioUnit, "RU-002-L18-1", failed_branches=())
    world.advance(600)
    change(world, Node, "ENB-002", oam_vlan_id=200)
    alarm = one(world, "RU_TX_BRANCH_FAIL")
    assert alarm.cleared_s is not None and alarm.cleared_s < world.now


def test_alarms_are_frozen_while_a_node_is_out_of_reach() -> None:
    world = network()
    change(world, RadioUnit, "RU-002-L18-1", failed_branches=(1,))
    world.advance(120)
    change(world, Node, "ENB-002", oam_vlan_id=9)
    change(world, RadioUnit, "RU-002-L18-1", failed_branches=())
    world.advance(HOUR_S)
    assert one(world, "RU_TX_BRANCH_FAIL").active
    change(world, Node, "ENB-002", oam_vlan_id=200)
    assert not one(world, "RU_TX_BRANCH_FAIL").active


def test_a_node_without_power_notices_nothing_new() -> None:
    world = network()
    change(world, RadioUnit, "RU-002-L18-1", failed_branches=(1,))
    world.advance(120)
    world.set_breaker("PWR-002-B1", state=BreakerState.OPEN)
    change(world, RadioUnit, "RU-002-L18-1", failed_branches=())
    change(world, RadioUnit, "RU-002-L18-2", failed_branches=(1,))
    world.advance(HOUR_S)
    found = active(world)
    assert ("RU_TX_BRANCH_FAIL", "RU-002-L18-1") in found and ("RU_TX_BRANCH_FAIL", "RU-002-L18-2") not in found
    assert {("NE_OAM_UNREACHABLE", "ENB-002"), ("CP_S1_FAULT", "ENB-002"), ("CELL_UNAVAILABLE", "S002-L18-1")} <= found


# --- transport and core ---------------------------------------------------------------------------------


def test_a_cut_link_floods_the_list_with_what_lies_behind_it() -> None:
    world = network("R1", 3)
    paths = world.region.transport.paths
    link = paths["S002"]["primary"][-1]
    behind = {site for site, ways in paths.items() if link in ways["primary"]}
    change(world, TransportLink, link, cut=True)
    world.advance(240)
    keys = Counter(key for key, _ in active(world))
    assert keys["TRN_LINK_LOS"] == 1 and keys["TRN_PORT_DOWN"] == 1 and keys["TRN_ROUTING_PEER_DOWN"] == 1
    assert keys["NE_OAM_UNREACHABLE"] == keys["CP_S1_FAULT"] == len(behind)
    assert keys["CELL_UNAVAILABLE"] == sum(cell.site_id in behind for cell in world.all(Cell))
    first = min(world.alarms.values(), key=lambda alarm: alarm.raised_s)
    assert first.key in ("TRN_LINK_LOS", "TRN_PORT_DOWN")
    symptom = next(alarm for alarm in world.alarms.values() if alarm.key == "CELL_UNAVAILABLE")
    assert one(world, "TRN_LINK_LOS").id in symptom.correlated
    change(world, TransportLink, link, cut=False)
    world.advance(600)
    assert not active(world) and world.changed_objects() == {}


def test_one_core_node_down_is_seen_at_many_nodes() -> None:
    world = network()
    change(world, CorePeer, "MME-1", up=False)
    world.advance(60)
    found = [alarm for alarm in world.alarms.values() if alarm.key == "CP_S1_FAULT"]
    assert len(found) == sum(node.kind == "eNB" for node in world.all(Node))
    assert {alarm.severity for alarm in found} == {Severity.MAJOR}
    assert all(works.in_service(world, cell.id) for cell in world.all(Cell))


def test_a_dark_hub_darkens_the_chain() -> None:
    world = network("R1", 3)
    power = world.get(PowerSystem, "PWR-001")
    world.update(power, strings=tuple(dataclasses.replace(item, soh=0.05) for item in power.strings))
    change(world, PowerSystem, "PWR-001", mains_ok=False)
    world.advance(3 * HOUR_S)
    order = [alarm.key for alarm in world.alarms.values() if alarm.site_id == "S001"]
    for earlier, later in (
        ("PWR_MAINS_FAIL", "PWR_BATT_DISCHARGING"),
        ("PWR_BATT_DISCHARGING", "PWR_BATT_LOW"),
        ("PWR_BATT_LOW", "NE_OAM_UNREACHABLE"),
    ):
        assert order.index(earlier) < order.index(later)
    assert len(world.alarms) > 30
    child = next(alarm for alarm in world.alarms.values() if alarm.key == "CP_S1_FAULT" and alarm.site_id != "S001")
    root = one(world, "PWR_MAINS_FAIL")
    assert root.id in child.correlated


# --- validity -------------------------------------------------------------------------------------------


def test_a_certificate_ends_in_its_second() -> None:
    world = network()
    node = world.get(Node, "ENB-002")
    ends = world.now + 15 * 24 * HOUR_S
    change(world, Node, "ENB-002", certificates=(Certificate("CERT-002E-1", "CN=x", ends, auto_renew=False),))
    assert not active(world)
    world.advance(24 * HOUR_S - 1)
    assert not active(world)
    world.advance(1)
    assert active(world) == {("SEC_CERT_EXPIRING", node.id)}
    world.advance(14 * 24 * HOUR_S - 1)
    assert works.control_plane_up(world, node.id)
    world.advance(1)
    assert not works.control_plane_up(world, node.id) and works.oam_reachable(world, node.id)
    world.advance(60)
    keys = {key for key, _ in active(world)}
    assert keys >= {"SEC_CERT_EXPIRED", "SEC_IKE_FAIL", "CP_S1_FAULT", "CELL_UNAVAILABLE"}


def test_a_licence_ends_in_its_second() -> None:
    world = network()
    node = world.get(Node, "ENB-002")
    ends = world.now + 600
    licences = tuple(
        dataclasses.replace(item, expires_s=ends) if item.feature == "mimo4x4" else item for item in node.licences
    )
    assert any(isinstance(item, Licence) and item.expires_s == ends for item in licences)
    change(world, Node, "ENB-002", licences=licences)
    cell = next(cell for cell in world.all(Cell) if cell.node_id == node.id)
    world.advance(599)
    assert works.capability(world, cell.id) == 1.0
    world.advance(1)
    assert works.capability(world, cell.id) == 0.5
    assert ("LIC_EXPIRED", node.id) in active(world)
    assert len(world.epochs) == 2 and world.epochs[-1].start_s == ends


# --- operators ------------------------------------------------------------------------------------------


def test_manual_alarms_stay_until_cleared_and_come_back_if_their_cause_stays() -> None:
    world = network()
    change(world, PowerSystem, "PWR-002", surge_arrester_failed=True)
    world.advance(60)
    first = one(world, "PWR_SPD_FAIL")
    alarms.clear_by_hand(world, first.id, "agent")
    assert not active(world)
    world.advance(59)
    assert not active(world)
    world.advance(1)
    again = list(world.alarms.values())[-1]
    assert again.key == "PWR_SPD_FAIL" and again.id != first.id
    change(world, PowerSystem, "PWR-002", surge_arrester_failed=False)
    world.advance(HOUR_S)
    assert again.id in world.open_alarms.values()
    alarms.clear_by_hand(world, again.id, "agent")
    world.advance(HOUR_S)
    assert not active(world) and not world.conditions


def test_what_operators_may_not_do_is_refused() -> None:
    world = network()
    change(world, Cabinet, "CAB-002", door_open=True)
    world.advance(60)
    name = one(world, "ENV_DOOR_OPEN").id
    with pytest.raises(ToolError, match="PRECONDITION_FAILED: ALM-00001 is ADAC"):
        alarms.clear_by_hand(world, name, "agent")
    with pytest.raises(ToolError, match="NOT_FOUND: no alarm 'ALM-7'"):
        alarms.comment(world, "ALM-7", "")
    alarms.acknowledge(world, name, "agent")
    with pytest.raises(ToolError, match="NO_CHANGE: ALM-00001 is acknowledged"):
        alarms.acknowledge(world, name, "agent")
    alarms.acknowledge(world, name, None)
    alarms.comment(world, name, "seen")
    alarm = world.alarms[name]
    assert alarm.acknowledged_by is None and alarm.comments == ((world.now, "seen"),)


def test_planted_alarms_stay_and_can_be_cleared_if_manual() -> None:
    world = network()
    alarm = alarms.plant(world, "PWR_SPD_FAIL", "PWR-003", world.now - 3 * 24 * HOUR_S)
    alarms.plant(world, "BBU_RESTART", "ENB-003-B2", world.now - 9000, cleared_s=world.now - 8000)
    world.advance(HOUR_S)
    assert [item.id for item in alarms.active_alarms(world)] == [alarm.id]
    assert alarms.active_alarms(world, "S003") and not alarms.active_alarms(world, "S002")
    alarms.clear_by_hand(world, alarm.id, "agent")
    world.advance(HOUR_S)
    assert not active(world)


# --- vendors --------------------------------------------------------------------------------------------


def in_dialect(world: Network, dialect: str) -> Network:
    for node in list(world.all(Node)):
        world.update(node, dialect=dialect)
    return world


def test_each_vendor_has_its_own_words() -> None:
    texts = {}
    for dialect in "ABC":
        world = in_dialect(network(), dialect)
        change(world, RadioUnit, "RU-002-L18-1", failed_branches=(1,))
        world.advance(200)
        alarm = one(world, "CELL_DEGRADED")
        texts[dialect] = alarms.specific_problem(world, alarm)
        assert alarm.severity is (Severity.WARNING if dialect == "B" else Severity.MINOR)
        assert (alarms.proposed_repair(world, alarm) is None) == (dialect == "C")
        assert alarm.raised_s == 10 * HOUR_S + (120 if dialect == "C" else 60)
    assert texts["A"][:2] == "26" and texts["B"].startswith("FLT-") and "_" in texts["C"]


def test_rumours_are_as_frequent_as_they_should_be() -> None:
    repairs, told, right, linked, total = 0, 0, 0, 0, 0
    for seed in range(30):
        world = Network("R1", 3, seed, start_s=10 * HOUR_S)
        change(world, TransportLink, world.region.transport.paths["S002"]["primary"][-1], cut=True)
        world.advance(600)
        for alarm in world.alarms.values():
            total += 1
            repairs += alarm.repair_key != alarm.key
            told += alarm.root_cause is not None
            right += alarm.root_cause is not None and alarm.root_cause == (alarm.key.startswith("TRN_LINK"))
            linked += len(alarm.correlated) == 1
    assert total > 500
    assert 0.08 < repairs / total < 0.2
    assert 0.15 < told / total < 0.25
    assert 0.8 < right / told <= 0.97
    assert linked > 0


def test_a_late_root_comes_after_its_symptoms() -> None:
    world = Network("S1", 1, 1, start_s=10 * HOUR_S, rumours=Rumours(late_root=1.0))
    change(world, RadioUnit, "RU-002-L18-1", failed=True)
    world.advance(400)
    assert 120 <= one(world, "RU_HW_FAULT").raised_s - 10 * HOUR_S <= 240
    assert one(world, "CELL_UNAVAILABLE").raised_s == 10 * HOUR_S + 30


def test_alarms_do_not_depend_on_how_one_waits() -> None:
    worlds = [network("R1", 3), network("R1", 3)]
    for world in worlds:
        change(world, PowerSystem, "PWR-001", mains_ok=False)
    for _ in range(100):
        worlds[0].advance(731)
        worlds[0].next_event_s()
    worlds[1].advance(73_100)
    assert worlds[0].state_hash() == worlds[1].state_hash()


def test_a_locked_cell_is_reported_at_once_and_is_not_unavailable() -> None:
    world = network()
    change(world, Cell, "S002-L18-1", administrative_state=AdministrativeState.LOCKED)
    world.advance(600)
    assert active(world) == {("CELL_LOCKED", "S002-L18-1")}


@pytest.mark.parametrize(
    ("key", "name", "reporter"),
    [
        ("RU_RX_LOW", "RU-002-L18-1", "ENB-002"),
        ("SW_RESTART_LOOP", "ENB-002", "ENB-002"),
        ("CLK_FREQ_OFFSET", "CLK-002", "clock:S002"),
        ("ENV_SMOKE", "CAB-002", "power:S002"),
        ("ANT_RET_FAULT", "RET-002-L18-1", "ENB-002"),
        ("TRN_LINK_DEGRADED", "CSR-002", "router:CSR-002"),
    ],
)
def test_trouble_without_a_field_of_its_own_has_an_alarm(key: str, name: str, reporter: str) -> None:
    world = network()
    world.add(Trouble("TRB-1", "S002", name, key))
    world.settle()
    assert world.conditions[key, name].reporter == reporter
    world.advance(HOUR_S)
    assert active(world) == {(key, name)}
    world.remove(world.get(Trouble, "TRB-1"))
    world.advance(HOUR_S)
    assert not active(world) and world.changed_objects() == {}


def test_the_file_of_alarms_is_read_once() -> None:
    assert alarms.dictionary() is alarms.dictionary()
    assert json.dumps(sorted(alarms.dictionary())) and Path(alarms.__file__).with_name("alarms.yaml").exists()
