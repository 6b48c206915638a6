"""Epochs of performance, and alarms on indicators."""

from __future__ import annotations

import pytest

from telegym.envs.base_station import epochs
from telegym.envs.base_station.engine import HOUR_S
from telegym.envs.base_station.kpi import cell_bins
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import (
    AdministrativeState,
    AntennaLine,
    Cell,
    Emitter,
    FronthaulLink,
    Node,
    RadioUnit,
    Relation,
    Router,
    TransportLink,
)
from telegym.envs.base_station.region.archetypes import archetype_names
from telegym.envs.base_station.state import Rumours
from telegym.envs.base_station.thresholds import PERIOD_S

CELL = "S002-L18-1"


def network(archetype: str = "S1", start_s: int = 10 * HOUR_S, seed: int = 1) -> Network:
    return Network(archetype, 1, seed, start_s=start_s, rumours=Rumours(0, 0, 0))


@pytest.mark.parametrize("archetype", archetype_names())
def test_a_healthy_network_has_one_epoch_for_ever(archetype: str) -> None:
    world = network(archetype)
    world.advance(30 * HOUR_S)
    assert len(world.epochs) == 1 and world.epochs[0].view is epochs.healthy_view(world)
    view = world.epochs[0].view
    assert all(cell.on_air and cell.capability == 1 and cell.power_offset_db == 0 for cell in view.cells.values())
    assert all(node.up and node.control == 1 and node.user_plane for node in view.nodes.values())


def test_a_fault_opens_an_epoch_and_its_repair_returns_to_the_healthy_view() -> None:
    world = network()
    world.advance(600)
    world.update(world.get(RadioUnit, "RU-002-L18-1"), failed=True)
    world.advance(600)
    world.update(world.get(RadioUnit, "RU-002-L18-1"), failed=False)
    world.advance(600)
    healthy = epochs.healthy_view(world)
    assert [epoch.start_s - world.start_s for epoch in world.epochs[1:]] == [600, 1200]
    assert [epoch.view is healthy for epoch in world.epochs] == [True, False, True]
    down = world.epochs[1].view
    assert {name for name, cell in down.cells.items() if not cell.on_air} == {CELL}
    others = {name for name in down.cells if down.cells[name] is not healthy.cells[name]}
    assert others == {CELL}
    assert epochs.view_at(world, world.start_s + 599) is healthy
    assert epochs.view_at(world, world.start_s + 600) is down
    assert world.next_event_s() is None or world.next_event_s() == world.start_s + 1800


def test_a_view_that_is_not_kept_any_more_is_still_the_healthy_one_of_its_network() -> None:
    world = Network("U1", 0)
    world.settle()
    epochs._healthy.cache_clear()
    again = Network("U1", 0)
    for one in (world, again):
        cell = one.get(Cell, "S002-L18-1")
        one.update(cell, cell_barred=True)
        one.advance(60)
        one.update(one.get(Cell, cell.id), cell_barred=False)
        one.advance(60)
        assert one.epochs[-1].view is epochs.healthy_view(one) is one.epochs[0].view
        assert len(one.agenda) <= 1


def test_what_is_undone_in_the_same_second_is_no_epoch() -> None:
    world = network()
    for _ in range(3):
        world.update(world.get(Cell, CELL), electrical_tilt_deg=12.0)
        world.settle()
        assert len(world.epochs) == 2
        world.update(world.get(Cell, CELL), electrical_tilt_deg=network().get(Cell, CELL).electrical_tilt_deg)
        world.settle()
        assert len(world.epochs) == 1 and len(world.agenda) == 0


@pytest.mark.parametrize(
    ("kind", "name", "fields", "seen"),
    [
        (Cell, CELL, {"electrical_tilt_deg": 12.0}, ("cells", CELL, "tilt_deg", 12.0)),
        (Cell, CELL, {"true_azimuth_deg": 77.0}, ("cells", CELL, "azimuth_deg", 77.0)),
        (Cell, CELL, {"access_hung": True}, ("cells", CELL, "access_ok", False)),
        (Cell, CELL, {"administrative_state": AdministrativeState.LOCKED}, ("cells", CELL, "on_air", False)),
        (RadioUnit, "RU-002-L18-1", {"muted": True}, ("cells", CELL, "muted", True)),
        (RadioUnit, "RU-002-L18-1", {"failed_branches": (0, 1)}, ("cells", CELL, "branches", 0.5)),
        (AntennaLine, "ANT-002-L18-1-B", {"pim_dbm": -95.0}, ("cells", CELL, "pim_branch", 1)),
        (FronthaulLink, "FH-002-L18-1", {"flapping": True, "extra_loss_db": 9.0}, ("cells", CELL, "bit_errors", 0.04)),
        (Node, "ENB-002", {"cpu_extra_pct": 30.0}, ("nodes", "ENB-002", "cpu_extra_pct", 30.0)),
        (Router, "CSR-002", {"mtu": 1500}, ("nodes", "ENB-002", "mtu_ok", False)),
        (Router, "CSR-002", {"dscp_map": ""}, ("nodes", "ENB-002", "dscp_ok", False)),
        (Router, "CSR-002", {"shaper_mbps": 50.0}, ("nodes", "ENB-002", "shaper_mbps", 50.0)),
        (Router, "CSR-002", {"next_hop": "10.9.9.9"}, ("nodes", "ENB-002", "user_plane", False)),
    ],
)
def test_a_view_shows_what_was_changed(
    kind: type[Cell], name: str, fields: dict[str, object], seen: tuple[str, str, str, object]
) -> None:
    world = network()
    world.update(world.get(kind, name), **fields)
    table, element, field, value = seen
    world.settle()
    assert getattr(getattr(world.epochs[-1].view, table)[element], field) == value
    assert getattr(getattr(world.epochs[0].view, table)[element], field) != value


def test_relations_and_emitters_are_in_the_view() -> None:
    world = network()
    relation = next(iter(world.relations.values()))
    world.remove(relation)
    world.settle()
    before = world.epochs[-1].view
    assert relation.id not in before.relations and relation.id in world.region.relations
    world.add(Relation("S001-L18-1>S009-L18-9", "S001-L18-1", "S009-L18-9"))
    world.add(Emitter("EMI-1", 0.0, 0.0, ("L18",), -80.0, 0, 99))
    world.advance(10)
    assert "S001-L18-1>S009-L18-9" in world.epochs[-1].view.relations
    assert "S001-L18-1>S009-L18-9" not in before.relations, "a view never changes"
    assert set(world.epochs[-1].view.emitters) == {"EMI-1"}
    world.remove(world.get(Emitter, "EMI-1"))
    world.advance(10)
    assert not world.epochs[-1].view.emitters
    world.add(Emitter("EMI-1", 0.0, 0.0, ("L18",), -80.0, 0, 99))
    world.advance(10)
    world.remove(world.get(Emitter, "EMI-1"))
    world.remove(world.get(Relation, "S001-L18-1>S009-L18-9"))
    world.add(relation)
    world.settle()
    assert world.epochs[-1].view is epochs.healthy_view(world)
    assert world.relations == world.region.relations and world.changed_objects() == {}


def test_no_later_change_alters_what_was_counted() -> None:
    world = network(start_s=30 * HOUR_S)
    first, count = 26 * 4, 8
    world.settle()
    counted = cell_bins(world.region, world.epochs, CELL, "dl_volume_gb", first, count)
    world.update(world.get(Cell, CELL), max_tx_power_dbm=30.0)
    world.advance(4 * HOUR_S)
    world.update(world.get(RadioUnit, "RU-002-L18-1"), failed=True)
    world.advance(4 * HOUR_S)
    assert (cell_bins(world.region, world.epochs, CELL, "dl_volume_gb", first, count) == counted).all()
    later = cell_bins(world.region, world.epochs, CELL, "dl_volume_gb", 35 * 4, 4)
    assert later.max() == 0


# --- thresholds -----------------------------------------------------------------------------------------


def keys(world: Network) -> set[tuple[str, str]]:
    return set(world.open_alarms)


def test_a_crowd_congests_a_cell_after_full_periods() -> None:
    world = network("U1", start_s=18 * HOUR_S + 120)
    cell = world.get(Cell, "S002-L18-1")
    world.update(cell, demand_factor=7.0)
    world.advance(PERIOD_S - 120)
    assert ("CELL_CONGESTED", cell.id) in world.conditions and not world.alarms
    world.advance(1799)
    assert not keys(world)
    world.advance(1)
    assert ("CELL_CONGESTED", cell.id) in keys(world)
    world.update(world.get(Cell, cell.id), demand_factor=1.0)
    world.advance(PERIOD_S + 1800)
    assert not keys(world) and len(world.agenda) == 0


def test_an_emitter_is_noticed_where_it_is_heard() -> None:
    world = network()
    site = world.region.layout.sites[1]
    world.add(Emitter("EMI-1", site.x_m + 150.0, site.y_m, ("L18",), -85.0, 0, 99))
    world.advance(PERIOD_S + 1800)
    found = {name for key, name in keys(world) if key == "CELL_UL_INTERFERENCE"}
    assert found and all("-L18-" in name for name in found)
    assert any(name.startswith("S002") for name in found)


def test_a_link_that_is_full_is_reported() -> None:
    world = network("S1", start_s=12 * HOUR_S)
    link = world.region.transport.paths["S001"]["primary"][-1]
    world.update(world.get(TransportLink, link), growth=30.0)
    world.advance(PERIOD_S + 900)
    assert ("TRN_UTIL_HIGH", link) in keys(world)
    world.advance(300)
    assert ("TRN_PKT_LOSS_HIGH", link) in keys(world)


def test_a_cell_without_traffic_is_noticed_in_half_of_the_networks() -> None:
    noticed = 0
    for seed in range(12):
        world = network(seed=seed)
        world.update(world.get(Cell, CELL), access_hung=True)
        world.advance(PERIOD_S + 7199)
        assert not keys(world)
        world.advance(1)
        noticed += ("CELL_TRAFFIC_ABNORMAL", CELL) in keys(world)
    assert 3 <= noticed <= 9
