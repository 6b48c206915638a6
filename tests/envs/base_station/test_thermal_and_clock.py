"""Temperatures and clocks over time: every crossing to the second, and recovery without a trace."""

from __future__ import annotations

import pytest

from telegym.envs.base_station import clock_model, thermal_model
from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.engine import HOUR_S
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import (
    Cabinet,
    Cell,
    ClockSource,
    ClockState,
    ClockUnit,
    Node,
    Router,
    TransportLink,
)
from telegym.envs.base_station.physics.thermal import SHUTDOWN_C, THROTTLE_C, relax
from telegym.envs.base_station.state import Weather


def hot_network(warmer_c: float = 16.0) -> Network:
    world = Network("S1", 1, start_s=12 * HOUR_S)
    world.add(Weather("WX-002", "S002", warmer_c=warmer_c))
    return world


def cabinet(world: Network) -> Cabinet:
    return world.get(Cabinet, "CAB-002")


def fail_cooling(world: Network) -> None:
    world.update(cabinet(world), cooling_failed=True)
    world.settle()


def run_until(world: Network, field: str) -> None:
    while not getattr(cabinet(world), field):
        due = world.next_event_s()
        assert due is not None and due < 40 * HOUR_S
        world.advance(due - world.now)


@pytest.mark.parametrize(("field", "level"), [("hot", 45.0), ("throttled", THROTTLE_C), ("overheated", SHUTDOWN_C)])
def test_a_cabinet_without_cooling_reaches_each_level_in_the_very_second(field: str, level: float) -> None:
    world = hot_network()
    fail_cooling(world)
    rehearsal = world.fork()
    run_until(rehearsal, field)
    world.advance(rehearsal.now - 1 - world.now)
    assert not getattr(cabinet(world), field)
    assert thermal_model.cabinet_temperature_c(world, "S002") < level
    world.advance(1)
    assert getattr(cabinet(world), field)
    assert thermal_model.cabinet_temperature_c(world, "S002") == pytest.approx(level, abs=0.02)


def test_temperature_is_a_chain_of_exponentials() -> None:
    world = hot_network()
    fail_cooling(world)
    start, target = cabinet(world).temperature_c, cabinet(world).target_c
    world.advance(1200)
    assert thermal_model.cabinet_temperature_c(world, "S002") == pytest.approx(relax(start, target, 1200), abs=1e-6)


def test_too_hot_baseband_units_slow_down_and_then_stop() -> None:
    world = hot_network()
    fail_cooling(world)
    cell = world.at_site(Cell, "S002")[0]
    run_until(world, "throttled")
    assert works.capability(world, cell.id) == pytest.approx(0.7)
    run_until(world, "overheated")
    assert not works.in_service(world, cell.id)
    assert not any(works.node_up(world, node.id) for node in world.at_site(Node, "S002"))


def test_a_repaired_cabinet_cools_down_and_its_nodes_start_below_sixty() -> None:
    world = hot_network()
    fail_cooling(world)
    run_until(world, "overheated")
    world.update(cabinet(world), cooling_failed=False)
    world.settle()
    while cabinet(world).overheated:
        due = world.next_event_s()
        assert due is not None
        world.advance(due - world.now)
    assert thermal_model.cabinet_temperature_c(world, "S002") == pytest.approx(60.0, abs=0.05)
    world.advance(299)
    assert not any(works.node_up(world, node.id) for node in world.at_site(Node, "S002"))
    world.advance(1)
    assert all(works.node_up(world, node.id) for node in world.at_site(Node, "S002"))
    world.advance(6 * HOUR_S)
    assert {name for name in world.changed_objects() if not name.startswith("ENB")} <= {"WX-002", "GNB-002"}
    assert world.get(Node, "ENB-002").restart_until_s is None


def test_on_a_mild_day_a_cabinet_only_gets_warm() -> None:
    world = hot_network(-8.0)
    fail_cooling(world)
    world.advance(24 * HOUR_S)
    assert not cabinet(world).throttled


# --- clocks ---------------------------------------------------------------------------------------------


def clocked(archetype: str = "X3") -> Network:
    return Network(archetype, 1, start_s=10 * HOUR_S)


def clock(world: Network) -> ClockUnit:
    return world.get(ClockUnit, "CLK-002")


def lose_satellites(world: Network, **fields: object) -> None:
    world.update(clock(world), antenna="open", **fields)
    world.settle()


def test_a_clock_that_loses_its_source_holds_over_until_the_phase_limit() -> None:
    world = clocked()
    lose_satellites(world, drift_per_s=1e-10, ageing_per_s2=5e-15, holdover_limit_h=24.0)
    assert clock(world).state is ClockState.HOLDOVER and clock_model.satellites(clock(world)) == 0
    tdd = [cell for cell in world.at_site(Cell, "S002") if cell.tdd]
    assert tdd and all(works.on_air(world, cell.id) for cell in tdd)
    lasts = clock_model.expires_s(clock(world)) - world.now
    assert lasts == pytest.approx(3.2 * HOUR_S, rel=0.02)
    world.advance(lasts - 1)
    assert not clock(world).expired and clock_model.phase_error_us(world, clock(world)) < 1.5
    assert all(works.on_air(world, cell.id) for cell in tdd)
    world.advance(1)
    assert clock(world).expired and clock(world).state is ClockState.FREE_RUN
    assert clock_model.phase_error_us(world, clock(world)) >= 1.5
    assert not any(works.on_air(world, cell.id) for cell in tdd)


def test_holdover_ends_when_the_vendor_says_so_if_that_is_earlier() -> None:
    world = clocked()
    lose_satellites(world, drift_per_s=2e-11, ageing_per_s2=1e-15, holdover_limit_h=4.0)
    world.advance(4 * HOUR_S - 1)
    assert not clock(world).expired
    world.advance(1)
    assert clock(world).expired


def test_frequency_division_does_not_mind() -> None:
    world = clocked("R1")
    lose_satellites(world)
    world.advance(30 * HOUR_S)
    assert clock(world).expired
    assert all(works.on_air(world, cell.id) for cell in world.at_site(Cell, "S002"))


@pytest.mark.parametrize(("source", "lock_s"), [(ClockSource.GNSS, 600), (ClockSource.PTP, 300)])
def test_a_source_is_locked_to_after_its_time(source: ClockSource, lock_s: int) -> None:
    world = clocked()
    lose_satellites(world)
    world.advance(26 * HOUR_S)
    assert clock(world).expired
    world.update(clock(world), antenna="ok", source=source)
    world.advance(lock_s - 1)
    assert clock(world).state is ClockState.ACQUIRING and clock(world).expired
    world.advance(1)
    assert clock(world).state is ClockState.LOCKED and not clock(world).expired
    assert clock_model.phase_error_us(world, clock(world)) == 0
    assert (world.changed_objects() == {}) == (source is clock(clocked()).source)


def test_a_restart_in_holdover_makes_the_clock_drift_faster_once() -> None:
    world = clocked()
    lose_satellites(world)
    drift = clock(world).drift_per_s
    world.advance(1800)
    here = clock_model.phase_error_us(world, clock(world))
    for _ in range(2):
        clock_model.lose_training(world, "S002")
    world.settle()
    assert clock(world).drift_per_s == pytest.approx(5 * drift)
    assert clock_model.phase_error_us(world, clock(world)) == pytest.approx(here)
    world.update(clock(world), antenna="ok")
    world.advance(600)
    assert world.changed_objects() == {}


def test_a_locked_clock_is_not_hurt_by_a_restart() -> None:
    world = clocked()
    clock_model.lose_training(world, "S002")
    assert world.changed_objects() == {}


def test_time_from_the_network_is_lost_with_the_path() -> None:
    world = Network("U2", 1, start_s=10 * HOUR_S)
    links = world.region.transport.paths["S002"]["primary"]
    world.update(world.get(TransportLink, links[0]), cut=True)
    world.advance(60)
    assert clock(world).source is ClockSource.PTP and clock(world).state is ClockState.HOLDOVER
    world.update(world.get(TransportLink, links[0]), cut=False)
    world.advance(300)
    assert world.changed_objects() == {}


def test_an_asymmetric_path_shifts_the_phase_unnoticed() -> None:
    world = Network("U2", 1, start_s=10 * HOUR_S)
    links = world.region.transport.paths["S002"]["primary"]
    world.update(world.get(TransportLink, links[0]), asymmetry_us=8.0)
    world.settle()
    assert clock(world).phase_us == 4.0 and clock(world).state is ClockState.LOCKED
    tdd = [cell for cell in world.at_site(Cell, "S002") if cell.tdd]
    assert all(works.on_air(world, cell.id) != clock(world).monitored for cell in tdd)
    world.update(world.get(TransportLink, links[0]), asymmetry_us=0.0)
    world.settle()
    assert world.changed_objects() == {}


def test_a_phase_error_of_one_source_is_gone_with_another() -> None:
    world = clocked()
    world.update(clock(world), undetected_phase_us=6.0, biased_source=ClockSource.GNSS, monitored=False)
    world.settle()
    assert clock_model.phase_error_us(world, clock(world)) == 6.0
    world.update(clock(world), source=ClockSource.PTP)
    world.advance(300)
    assert clock(world).state is ClockState.LOCKED and clock_model.phase_error_us(world, clock(world)) == 0


def test_an_isolated_router_is_where_the_path_is_broken() -> None:
    world = Network("R1", 3, start_s=10 * HOUR_S)
    world.update(world.get(Router, "CSR-001"), failed=True)
    world.settle()
    behind = [site for site, parent in world.index.parent_of.items() if parent == "S001"]
    assert behind
    assert works.path(world, behind[0]).broken_at == "CSR-001"
