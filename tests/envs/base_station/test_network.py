"""The network world: forks, snapshots, hashes, repair; and what depends on what."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.core.errors import ToolError
from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import (
    AdministrativeState,
    AntennaLine,
    AvailabilityStatus,
    Board,
    BreakerState,
    Cell,
    CellState,
    FronthaulLink,
    Node,
    PowerSystem,
    RadioUnit,
    Record,
    Router,
    TransportLink,
)
from telegym.envs.base_station.region.archetypes import archetype_names


def network(archetype: str = "S1", seed: int = 1) -> Network:
    return Network(archetype, seed, start_s=36_000)


def cells_out(world: Network) -> set[str]:
    return {cell.id for cell in world.all(Cell) if not works.in_service(world, cell.id)}


@pytest.mark.parametrize("archetype", archetype_names())
def test_a_new_network_is_wholly_in_service(archetype: str) -> None:
    world = network(archetype)
    assert not cells_out(world)
    assert all(works.capability(world, cell.id) == 1.0 for cell in world.all(Cell))
    assert all(works.oam_reachable(world, node.id) for node in world.all(Node))
    assert world.changed_objects() == {}


def _cell(world: Network) -> Cell:
    return next(iter(world.all(Cell)))


def _cells(world: Network, **same: object) -> set[str]:
    return {cell.id for cell in world.all(Cell) if all(getattr(cell, name) == value for name, value in same.items())}


def test_a_failed_board_takes_its_cells_with_it() -> None:
    world = network()
    board = world.get(Board, _cell(world).board_id)
    world.update(board, failed=True)
    assert cells_out(world) == _cells(world, board_id=board.id)
    assert works.availability(world, _cell(world).id) == (AvailabilityStatus.DEPENDENCY,)


def test_a_dark_site_is_off_the_air_and_cuts_off_what_lies_behind_it() -> None:
    world = network("R1", 3)
    paths = world.region.transport.paths
    links = {link.id: link for link in world.all(TransportLink)}
    behind = {
        site
        for site, ways in paths.items()
        if any("CSR-001" in (links[name].a_id, links[name].b_id) for name in ways["primary"])
    }
    world.update(world.get(PowerSystem, "PWR-001"), dark=True)
    assert {name.split("-")[0] for name in cells_out(world)} == behind | {"S001"}
    assert AvailabilityStatus.POWER_OFF in works.availability(world, "S001-L8-1")
    away = sorted(behind - {"S001"})[0]
    assert works.node_up(world, f"ENB-{away[1:]}")
    assert not works.oam_reachable(world, f"ENB-{away[1:]}")


def test_an_open_feed_switches_one_radio_unit_off() -> None:
    world = network()
    unit = world.get(RadioUnit, _cell(world).ru_id)
    power = world.get(PowerSystem, f"PWR-{unit.site_id[1:]}")
    opened = tuple(
        breaker if breaker.id != unit.breaker_id else _with(breaker, state=BreakerState.OPEN)
        for breaker in power.breakers
    )
    world.update(power, breakers=opened)
    assert cells_out(world) == _cells(world, ru_id=unit.id)
    link = world.get(FronthaulLink, f"FH-{unit.id[3:]}")
    assert works.fronthaul_rx_dbm(world, link, "near") == -40.0
    assert works.fronthaul_rx_dbm(world, link, "far") > -20.0


def _with(record: object, **fields: object) -> object:
    import dataclasses

    return dataclasses.replace(record, **fields)  # type: ignore[type-var]


def test_shed_loads_are_those_of_low_priority() -> None:
    world = network("U1")
    world.update(world.get(PowerSystem, "PWR-001"), low_load_shed=True)
    out = cells_out(world)
    assert out and all(name.startswith("S001-") for name in out)
    assert out == {
        cell.id for cell in world.all(Cell) if cell.site_id == "S001" and world.get(RadioUnit, cell.ru_id).low_priority
    }


def test_a_cut_link_is_survived_on_the_secondary_path() -> None:
    world = network("U1")
    site, ways = next((site, ways) for site, ways in world.region.transport.paths.items() if len(ways["primary"]) == 1)
    world.update(world.get(TransportLink, ways["primary"][0]), cut=True)
    assert not works.transport_up(world, site)
    assert site in {name.split("-")[0] for name in cells_out(world)}
    world.update(world.get(Router, f"CSR-{site[1:]}"), active_path="secondary")
    assert works.transport_up(world, site)


@pytest.mark.parametrize(
    ("fields", "oam"), [({"vlan_id": 101}, True), ({"amf_ip": "10.9.9.9"}, True), ({"oam_vlan_id": 7}, False)]
)
def test_a_wrong_address_stops_a_plane(fields: dict[str, object], oam: bool) -> None:
    world = network()
    node = next(iter(world.all(Node)))
    world.update(node, **fields)
    assert works.oam_reachable(world, node.id) == oam
    assert works.control_plane_up(world, node.id) == (not oam)


def test_an_expired_certificate_stops_the_control_plane_alone() -> None:
    world = network()
    node = next(iter(world.all(Node)))
    (certificate,) = node.certificates
    expired = _with(certificate, expires_s=world.now, auto_renew=False)
    world.update(node, certificates=(expired,))
    assert not works.control_plane_up(world, node.id)
    assert works.oam_reachable(world, node.id)


def test_a_lost_branch_or_line_halves_a_cell() -> None:
    world = network()
    unit = world.get(RadioUnit, "RU-001-L18-1")
    world.update(unit, failed_branches=(0, 1))
    assert works.active_branches(world, unit.id) == 2
    assert 0.5 < works.capability(world, "S001-L18-1") < 0.6
    world.update(world.get(RadioUnit, unit.id), failed_branches=())
    line = world.get(AntennaLine, "ANT-001-L18-1-C")
    world.update(line, disconnected=True)
    assert works.active_branches(world, unit.id) == 3


def test_a_sleeping_cell_is_enabled_but_inactive() -> None:
    world = network("U1")
    cell = world.get(Cell, "S001-L26-1")
    world.update(cell, es_wake_threshold_pct=100)
    assert works.cell_works(world, cell.id)
    assert works.cell_state(world, cell.id) is CellState.INACTIVE
    assert cells_out(world) == {cell.id}


def test_what_is_repaired_never_failed() -> None:
    world = network()
    before = world.state_hash()
    board = world.get(Board, _cell(world).board_id)
    world.update(board, failed=True)
    assert world.state_hash() != before
    world.update(world.get(Board, board.id), failed=False)
    assert world.state_hash() == before
    assert world.changed_objects() == {}


def test_forks_do_not_know_of_each_other() -> None:
    world = network()
    fork = world.fork()
    fork.update(_cell(fork), administrative_state=AdministrativeState.LOCKED)
    fork.advance(60)
    assert not cells_out(world) and world.minutes == 0
    assert cells_out(fork) == {_cell(fork).id} and fork.minutes == 1
    changed = [change.path for change in world.diff(fork) if change.path.startswith(("now", "objects"))]
    assert changed == ["now", f"objects.{_cell(fork).id}"]


def test_a_snapshot_is_returned_to() -> None:
    world = network()
    snapshot, before = world.snapshot(), world.state_hash()
    world.update(_cell(world), cell_barred=True)
    world.advance(600)
    world.restore(snapshot)
    assert world.state_hash() == before
    world.update(_cell(world), cell_barred=True)
    world.restore(snapshot)
    assert world.state_hash() == before


def test_a_mark_keeps_the_state_it_was_made_of() -> None:
    world = network()
    mark = world.mark()
    before = world.state_hash()
    world.update(_cell(world), cell_barred=True)
    assert mark.hash() == before != world.state_hash()


@given(first=st.integers(0, 5000), second=st.integers(0, 5000))
@settings(max_examples=20, deadline=None)
def test_waiting_twice_is_waiting_once(first: int, second: int) -> None:
    one, other = network("R1"), network("R1")
    one.advance(first)
    one.advance(second)
    other.advance(first + second)
    assert one.state_hash() == other.state_hash()


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        network().advance(-1)


def test_unknown_and_wrong_objects_are_named() -> None:
    world = network()
    with pytest.raises(ToolError, match=r"NOT_FOUND: no cell 'S001-L18-4'\. Did you mean 'S001-L18-"):
        world.get(Cell, "S001-L18-4")
    with pytest.raises(ToolError, match="INVALID_ARGUMENT: RU-001-L18-1 is a radio unit, not a cell"):
        world.get(Cell, "RU-001-L18-1")


def test_configuration_is_logged() -> None:
    world = network()
    cell = _cell(world)
    world.configure(cell, "tac", 7, user="night-job", change_id="CR-00017")
    (entry,) = world.changes
    assert (entry.element_id, entry.parameter, entry.old, entry.new) == (cell.id, "tac", str(cell.tac), "7")
    assert world.get(Cell, cell.id).tac == 7


def test_objects_of_a_site() -> None:
    world = network()
    here: list[Record] = [*world.at_site(RadioUnit, "S002"), *world.at_site(Cell, "S002")]
    assert len(here) == 6 * len(world.region.kind.layers)
    assert all(getattr(item, "site_id", None) == "S002" for item in here)
