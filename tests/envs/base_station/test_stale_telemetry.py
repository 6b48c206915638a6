"""Nodes out of reach: readings are those of the moment before, with their age; healthy readings cost what they did."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station import last_seen
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import (
    AdministrativeState,
    Board,
    Cell,
    ClockUnit,
    Node,
    PowerSystem,
    RadioUnit,
    TransportLink,
)
from telegym.tools.base_station._format import Report
from telegym.tools.base_station.query import status
from tests.tools.base_station.worlds import refused, text, town, values

CELL, NODE, UNIT = "S004-L18-1", "ENB-004", "RU-004-L18-1"
READS = [
    ("get_cell_status", {"cell_id": CELL}),
    ("get_node_status", {"node_id": NODE}),
    ("get_clock_status", {"node_id": NODE}),
    ("get_fronthaul_status", {"ru_id": UNIT}),
    ("get_antenna_status", {"ru_id": UNIT}),
]
WRITES = [
    ("set_admin_state", {"element_id": CELL, "state": "LOCKED", "reason": "x"}),
    ("set_parameter", {"element_id": CELL, "parameter": "a3_offset_db", "value": "2"}),
    ("reset_node", {"node_id": NODE}),
    ("reset_unit", {"unit_id": UNIT}),
    ("set_antenna_tilt", {"cell_id": CELL, "electrical_tilt_deg": 5}),
    ("run_vswr_test", {"ru_id": UNIT}),
]


def other_vlan(network: Network) -> None:
    network.update(network.get(Node, NODE), oam_vlan_id=999)


def same_vlan(network: Network) -> None:
    network.update(network.get(Node, NODE), oam_vlan_id=network.region.records[NODE].oam_vlan_id)  # type: ignore[attr-defined]


def dead_board(network: Network) -> None:
    network.update(network.get(Board, f"{NODE}-B1"), failed=True)


def no_way(network: Network) -> None:
    for ways in network.region.transport.paths["S004"].values():
        network.update(network.get(TransportLink, ways[0]), cut=True)


LOSSES: list[Callable[[Network], None]] = [other_vlan, dead_board, no_way]


def body(content: str) -> str:
    """Return a reading without what tells whether its node is lost, and without what the management system counts."""
    lines = content.split("\n")
    kept = "\n".join(lines[1:] if lines[0].startswith("oam_state: LOST") else lines)
    return (
        re.sub(r"active_alarms: \d+", "", kept)
        .replace("  snapshot_age_min: 0", "")
        .replace("  oam_state: CONNECTED", "")
    )


@pytest.mark.parametrize("lose", LOSSES)
def test_a_lost_node_shows_what_it_showed_before(lose: Callable[[Network], None]) -> None:
    network = town()
    before = network.fork()
    lose(network)
    network.advance(3000)
    assert not works.oam_reachable(network, NODE)
    known = last_seen.known_state(network, NODE)
    assert known is not None
    assert known.physical_dump() == before.physical_dump()
    for name, arguments in READS:
        stale = text(network, name, **arguments)
        told = values(stale)
        assert told["oam_state"] == "LOST"
        assert int(told["snapshot_age_min"]) == (network.now - before.now) // 60
        assert body(stale) == body(getattr(status, name)(before, Report(), **arguments).text())


def test_what_changes_while_a_node_is_lost_is_seen_when_it_is_back() -> None:
    network = town()
    other_vlan(network)
    network.advance(600)
    unit = network.get(RadioUnit, UNIT)
    network.update(unit, failed=True)
    network.update(network.get(ClockUnit, "CLK-004"), antenna="open")
    network.advance(600)
    assert values(text(network, "get_cell_status", cell_id=CELL))["operational_state"] == "ENABLED"
    assert values(text(network, "get_clock_status", node_id=NODE))["antenna_current_ma"].startswith("2")
    same_vlan(network)
    told = values(text(network, "get_cell_status", cell_id=CELL))
    assert (told["operational_state"], told["snapshot_age_min"]) == ("DISABLED", "0")
    assert values(text(network, "get_clock_status", node_id=NODE))["antenna_current_ma"] == "0.0"
    assert network.lost == {}


def test_the_cause_of_the_loss_is_not_in_the_snapshot() -> None:
    """What happens in the very second of the loss, or with it, nobody has heard of."""
    network = town()
    network.update(network.get(Cell, CELL), administrative_state=AdministrativeState.LOCKED, max_tx_power_dbm=30.0)
    dead_board(network)
    network.advance(1200)
    told = values(text(network, "get_cell_status", cell_id=CELL))
    assert told["administrative_state"] == "UNLOCKED"
    assert "FAULT" not in text(network, "get_node_status", node_id=NODE)


def test_a_loss_that_was_there_before_anything_was_worked_out() -> None:
    network = Network("M1", 0, seed=3, start_s=10 * 3600)
    dead_board(network)
    known = last_seen.known_state(network, NODE)
    assert known is not None
    assert not known.altered


@pytest.mark.parametrize(("name", "arguments"), WRITES)
def test_who_acts_on_a_lost_node_is_refused(name: str, arguments: dict[str, object]) -> None:
    network = town()
    other_vlan(network)
    network.advance(600)
    assert refused(network, name, **arguments).startswith("ELEMENT_UNREACHABLE")


def test_alarms_are_counted_as_the_management_system_knows_them() -> None:
    network = town()
    dead_board(network)
    network.advance(1200)
    told = values(text(network, "get_cell_status", cell_id=CELL))
    assert (told["operational_state"], told["active_alarms"]) == ("ENABLED", "1")


def test_nodes_lost_together_share_what_is_kept_and_forks_share_it_too() -> None:
    network = town()
    network.update(network.get(PowerSystem, "PWR-004"), mains_ok=False, soc=0.02)
    network.advance(6 * 3600)
    assert len(network.lost) >= 2
    assert len({id(known) for name, known in network.lost.items() if name.endswith("-004")}) == 1
    copy = network.fork()
    assert all(copy.lost[name] is known for name, known in network.lost.items())
    assert copy.state_hash() == network.state_hash()
    state = network.snapshot()
    network.update(network.get(PowerSystem, "PWR-004"), mains_ok=True)
    network.advance(12 * 3600)
    assert not network.lost
    assert copy.lost
    network.restore(state)
    assert network.state_hash() == copy.state_hash()


def test_the_state_tells_since_when_nodes_are_lost() -> None:
    one, other = town(), town()
    other.advance(60)
    for network in (one, other):
        other_vlan(network)
    one.advance(60)
    assert one.now == other.now
    assert one.state_hash() != other.state_hash()


def test_keeping_a_snapshot_is_cheap() -> None:
    network = town()
    other_vlan(network)
    network.settle()
    start = time.perf_counter()
    for _ in range(100):
        last_seen._as_before(network)
    assert (time.perf_counter() - start) / 100 < 2e-3
    start = time.perf_counter()
    for _ in range(500):
        network.fork()
    assert (time.perf_counter() - start) / 500 < 2e-4
