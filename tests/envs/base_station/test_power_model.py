"""Power over time: every timer to the second, charge that is neither made nor lost, and a site that recovers."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.core.errors import ToolError
from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station import power_model
from telegym.envs.base_station.engine import HOUR_S
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import (
    BreakerState,
    Cell,
    Generator,
    GeneratorState,
    Node,
    PowerSystem,
    RadioUnit,
)
from telegym.envs.base_station.physics.battery import BLVD_V, LLVD_V, NOMINAL_V

START = 10 * HOUR_S
EFFICIENCY = 0.92


def network(archetype: str = "U1", start_s: int = START) -> Network:
    return Network(archetype, 1, start_s=start_s)


def power_of(world: Network, site_id: str = "S002") -> PowerSystem:
    return world.get(PowerSystem, f"PWR-{site_id[1:]}")


def fail_mains(world: Network, site_id: str = "S002") -> None:
    world.update(power_of(world, site_id), mains_ok=False)
    world.settle()


def wait_for(world: Network, field: str, limit_h: int = 60) -> int:
    """Let time pass event by event until a field of the power system is true; return how long it took."""
    begun = world.now
    while not getattr(power_of(world), field):
        due = world.next_event_s()
        assert due is not None and due < begun + limit_h * HOUR_S
        world.advance(due - world.now)
    return world.now - begun


def shares(world: Network) -> list[RadioUnit]:
    return [unit for unit in world.at_site(RadioUnit, "S002") if unit.low_priority]


def test_a_healthy_site_needs_no_events() -> None:
    world = network()
    assert world.next_event_s() is None
    world.advance(48 * HOUR_S)
    assert world.changed_objects() == {}


def test_a_site_without_mains_lives_on_its_battery_until_it_is_empty() -> None:
    world = network()
    fail_mains(world)
    power = power_of(world)
    assert power.soc_per_s < 0 and power_model.bus_v(world, power) < 52
    shed_s = wait_for(world, "low_load_shed")
    assert not any(works.radio_unit_powered(world, unit.id) for unit in shares(world))
    assert power_model.bus_v(world, power_of(world)) == pytest.approx(LLVD_V, abs=1.0)
    dark_s = shed_s + wait_for(world, "dark")
    design_s = world.objects["S002"].design_autonomy_h * HOUR_S  # type: ignore[attr-defined]
    assert 0.6 * design_s < dark_s < 2.5 * design_s
    assert power_of(world).dark_s == world.now
    assert not any(works.node_up(world, node.id) for node in world.at_site(Node, "S002"))


@pytest.mark.parametrize(("field", "voltage"), [("low_load_shed", LLVD_V), ("dark", BLVD_V)])
def test_disconnects_come_in_the_very_second(field: str, voltage: float) -> None:
    world = network()
    fail_mains(world)
    if field == "dark":
        wait_for(world, "low_load_shed")
    rehearsal = world.fork()
    wait_for(rehearsal, field)
    world.advance(rehearsal.now - 1 - world.now)
    power = power_of(world)
    before = power_model.state_of_charge(power, world.now)
    level = power_model._soc_at(voltage, power_model.load_w(world, "S002"), power)
    assert not getattr(power, field) and before > level
    assert before + power.soc_per_s <= level + 1e-9
    world.advance(1)
    assert getattr(power_of(world), field)


def test_charge_is_neither_made_nor_lost() -> None:
    world = network()
    fail_mains(world)
    cells = power_model.battery(power_of(world))
    assert cells is not None
    drawn_wh, begun = 0.0, world.now
    while world.now < begun + 90 * 60:
        load = power_model.load_w(world, "S002")
        due = min(world.next_event_s() or world.now + 60, begun + 90 * 60)
        drawn_wh += load * (due - world.now) / HOUR_S
        world.advance(due - world.now)
    left = power_model.state_of_charge(power_of(world), world.now)
    given_wh = (1.0 - left) * NOMINAL_V * cells.capacity_ah * cells.soh * EFFICIENCY
    assert given_wh == pytest.approx(drawn_wh, rel=1e-6)


def test_the_battery_is_full_again_in_the_end_and_the_site_as_if_nothing_had_been() -> None:
    world = network()
    fail_mains(world)
    world.advance(HOUR_S)
    low = power_model.state_of_charge(power_of(world), world.now)
    world.update(power_of(world), mains_ok=True)
    world.advance(60)
    assert 0 < power_of(world).soc_per_s <= 0.1 / HOUR_S + 1e-9
    expected = (1.0 - low) / power_of(world).soc_per_s
    begun = world.now - 60
    while world.changed_objects():
        due = world.next_event_s()
        assert due is not None
        world.advance(due - world.now)
    assert world.now - begun >= expected - 1
    assert world.physical_dump() == network().physical_dump()


def test_a_dark_site_comes_back_when_the_mains_do_and_its_nodes_start() -> None:
    world = network()
    fail_mains(world)
    wait_for(world, "dark")
    world.advance(600)
    world.update(power_of(world), mains_ok=True)
    world.settle()
    assert not power_of(world).dark and power_of(world).dark_s is None
    world.advance(power_model.BOOT_S - 1)
    assert not any(works.in_service(world, cell.id) for cell in world.at_site(Cell, "S002"))
    world.advance(1)
    assert all(works.on_air(world, cell.id) for cell in world.at_site(Cell, "S002"))


def test_the_power_controller_is_silent_half_an_hour_after_the_site() -> None:
    world = network()
    fail_mains(world)
    wait_for(world, "dark")
    world.advance(1799)
    assert works.power_controller_reachable(world, "S002")
    world.advance(1)
    assert not works.power_controller_reachable(world, "S002")


def test_a_weak_battery_says_it_lasts_longer_than_it_does() -> None:
    world, sound = network(), network()
    power = power_of(world)
    world.update(power, strings=tuple(dataclasses.replace(string, soh=0.3) for string in power.strings))
    fail_mains(world)
    fail_mains(sound)
    assert power_model.autonomy_min(world, power_of(world)) == power_model.autonomy_min(sound, power_of(sound))
    assert power_of(world).soc_per_s == pytest.approx(power_of(sound).soc_per_s / 0.3)


def test_without_a_battery_the_site_is_dark_at_once() -> None:
    world = network()
    power = power_of(world)
    world.update(power, strings=tuple(dataclasses.replace(string, present=False) for string in power.strings))
    world.settle()
    assert not power_of(world).dark
    fail_mains(world)
    assert power_of(world).dark


def test_saving_sheds_loads_and_stretches_the_battery() -> None:
    world = network()
    fail_mains(world)
    before = power_of(world).soc_per_s
    world.update(power_of(world), saver=True)
    world.settle()
    assert before < power_of(world).soc_per_s < 0
    assert not any(works.radio_unit_powered(world, unit.id) for unit in shares(world))


def test_too_few_rectifiers_are_helped_by_the_battery_in_busy_hours() -> None:
    world = network(start_s=3 * HOUR_S)
    power = power_of(world)
    night = power_model.load_w(world, "S002")
    busy = power_model.load_w(world, "S002", 19 * HOUR_S)
    assert night < busy
    rating = (night + busy) / 2 / power_model.RECTIFIER_EFFICIENCY / len(power.rectifiers)
    world.update(power, rectifiers=tuple(dataclasses.replace(item, power_w=rating) for item in power.rectifiers))
    first, *others = power_of(world).rectifiers
    spare = dataclasses.replace(first, failed=True)
    world.update(power_of(world), rectifiers=(spare, first, *others))
    world.settle()
    assert power_of(world).soc_per_s == 0
    rates = []
    for _ in range(24):
        world.advance(HOUR_S)
        rates.append(power_of(world).soc_per_s)
    assert min(rates) < 0 < max(rates)


def generator_site(**fields: object) -> Network:
    world = network()
    generator = Generator(**fields)  # type: ignore[arg-type]
    world.update(power_of(world), generator=generator)
    fail_mains(world)
    begun = dataclasses.replace(generator, state=GeneratorState.STARTING, since_s=world.now)
    world.update(power_of(world), generator=begun)
    return world


def generator(world: Network) -> Generator:
    found = power_of(world).generator
    assert found is not None
    return found


def test_a_generator_takes_two_minutes_and_then_burns_fuel() -> None:
    world = generator_site(fuel_pct=20.0)
    world.advance(119)
    assert generator(world).state is GeneratorState.STARTING and power_of(world).soc_per_s < 0
    world.advance(1)
    assert generator(world).state is GeneratorState.RUNNING and power_of(world).soc_per_s > 0
    begun, before = world.now, power_model.fuel_pct(generator(world), world.now)
    load_kw = power_model.load_w(world, "S002") / 1e3
    world.advance(600)
    burnt = before - power_model.fuel_pct(generator(world), world.now)
    assert burnt == pytest.approx((3.2 + 0.25 * load_kw) / 6 / power_model.TANK_L * 100, rel=0.05)
    while generator(world).state is GeneratorState.RUNNING:
        due = world.next_event_s()
        assert due is not None
        world.advance(due - world.now)
    assert power_model.fuel_pct(generator(world), world.now) == pytest.approx(5.0, abs=0.01)
    assert 2 * HOUR_S < world.now - begun < 12 * HOUR_S
    assert power_of(world).soc_per_s < 0


@pytest.mark.parametrize("fields", [{"start_battery_v": 11.0}, {"fuel_pct": 4.0}])
def test_an_unfit_generator_does_not_start(fields: dict[str, object]) -> None:
    world = generator_site(**fields)
    world.advance(120)
    assert generator(world).state is GeneratorState.FAIL_START
    assert generator(world).start_battery_v < Generator(**fields).start_battery_v  # type: ignore[arg-type]


def test_a_breaker_on_a_short_circuit_trips_again_and_is_damaged_the_third_time() -> None:
    world = network()
    name = "PWR-002-F1"
    world.set_breaker(name, state=BreakerState.TRIPPED, shorted=True)
    for _ in range(2):
        assert power_model.reclose_breaker(world, name) is BreakerState.CLOSED
        world.advance(4)
        assert world.breaker(name)[1].state is BreakerState.CLOSED
        world.advance(1)
        assert world.breaker(name)[1].state is BreakerState.TRIPPED
    assert power_model.reclose_breaker(world, name) is BreakerState.DAMAGED
    with pytest.raises(ToolError, match="PRECONDITION_FAILED"):
        power_model.reclose_breaker(world, name)


def test_a_breaker_that_tripped_for_nothing_holds() -> None:
    world = network()
    world.set_breaker("PWR-002-Q1", state=BreakerState.TRIPPED)
    world.advance(60)
    assert power_of(world).soc_per_s < 0
    power_model.reclose_breaker(world, "PWR-002-Q1")
    world.advance(HOUR_S)
    assert world.changed_objects() == {}
    with pytest.raises(ToolError, match="NO_CHANGE"):
        power_model.reclose_breaker(world, "PWR-002-Q1")


@given(first=st.integers(0, 20_000), second=st.integers(0, 20_000))
@settings(max_examples=15, deadline=None)
def test_waiting_twice_is_waiting_once(first: int, second: int) -> None:
    one, other = network(), network()
    for world in (one, other):
        fail_mains(world)
    one.advance(first)
    one.advance(second)
    other.advance(first + second)
    assert one.state_hash() == other.state_hash()
