"""Formulas against values computed by hand or published, and against what physics demands."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telegym.envs.base_station.physics import (
    antenna,
    antenna_line,
    battery,
    holdover,
    load,
    propagation,
    spectrum,
    thermal,
    traffic,
    transport,
    uplink,
    voice,
)


@pytest.mark.parametrize(
    ("value", "expected", "tolerance"),
    [
        (propagation.uma_breakpoint(3500, 25), 560.39, 0.01),
        (propagation.uma_los(100, 3500), 83.138, 0.001),
        (propagation.uma_nlos(100, 3500), 103.038, 0.001),
        (propagation.uma_los(500, 1842.5), 96.80, 0.05),
        (propagation.uma_nlos(500, 1842.5), 124.34, 0.05),
        (propagation.uma_nlos(1000, 806), 128.91, 0.05),
        (propagation.cost231_hata(1000, 1842.5, 30, metropolitan=True), 139.54, 0.01),
        (propagation.cost231_hata(2000, 1842.5, 30), 147.14, 0.01),
        (spectrum.noise_floor_dbm(18e6), -101.45, 0.01),
        (spectrum.noise_floor_dbm(98.28e6), -94.08, 0.01),
        (spectrum.nr_peak_rate_mbps(273, 30.0), 2337, 1),
        (spectrum.nr_peak_rate_mbps(273, 30.0) * 0.74, 1729, 1),
        (voice.erlang_b(20, 30), 0.00846, 5e-6),
        (voice.erlang_b(3, 5), 0.1101, 5e-5),
        (voice.erlang_c(3, 5), 0.2362, 5e-5),
        (transport.fibre_delay_us(20), 98, 1e-9),
        (uplink.noise_dbm(180), -118.95, 0.01),
        (uplink.noise_dbm(360), -115.94, 0.01),
        (battery.autonomy_h(2.4, 200), 2.94, 0.01),
        (battery.autonomy_h(1.3, 200), 5.44, 0.01),
        (transport.rain_attenuation_db_per_km(50, 18.0), 3.9, 0.05),
        (transport.rain_attenuation_db_per_km(50, 23.0), 5.6, 0.05),
        (spectrum.earfcn_to_mhz(1575), 1842.5, 1e-9),
        (spectrum.earfcn_to_mhz(6300), 806.0, 1e-9),
        (spectrum.earfcn_to_mhz(3100), 2655.0, 1e-9),
        (spectrum.nr_arfcn_to_mhz(640000), 3600.0, 1e-9),
        (spectrum.nr_arfcn_to_mhz(152600), 763.0, 1e-9),
    ],
)
def test_golden_values(value: float, expected: float, tolerance: float) -> None:
    assert float(value) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize(
    ("vswr", "return_loss", "mismatch"), [(1.5, 13.98, 0.18), (2.0, 9.54, 0.51), (3.0, 6.02, 1.25), (5.0, 3.52, 2.55)]
)
def test_standing_waves(vswr: float, return_loss: float, mismatch: float) -> None:
    assert antenna_line.return_loss_db(vswr) == pytest.approx(return_loss, abs=0.005)
    assert antenna_line.mismatch_loss_db(vswr) == pytest.approx(mismatch, abs=0.005)
    assert antenna_line.vswr_from_return_loss(antenna_line.return_loss_db(vswr)) == pytest.approx(vswr)


@pytest.mark.parametrize(
    ("offset", "ageing", "hours"), [(2e-11, 1e-15, 10.7), (5e-11, 2e-15, 5.9), (1e-10, 5e-15, 3.2)]
)
def test_holdover_reaches_the_limit(offset: float, ageing: float, hours: float) -> None:
    seconds = holdover.seconds_to_phase(holdover.PHASE_LIMIT_US, offset, ageing)
    assert seconds / 3600 == pytest.approx(hours, abs=0.06)
    assert holdover.phase_us(seconds, offset, ageing) == pytest.approx(holdover.PHASE_LIMIT_US)


@pytest.mark.parametrize(("name", "layer"), spectrum.LAYERS.items())
def test_layers_agree_with_the_standards(name: str, layer: spectrum.Layer) -> None:
    convert = spectrum.earfcn_to_mhz if layer.rat == "LTE" else spectrum.nr_arfcn_to_mhz
    assert convert(layer.arfcn) == pytest.approx(layer.frequency_mhz)
    assert spectrum.resource_blocks(layer.rat, layer.bandwidth_mhz, layer.subcarrier_khz) == layer.prbs
    assert layer.tdd == (layer.uplink_mhz == layer.frequency_mhz)
    assert name == layer.name


@given(near=st.floats(20, 4000), step=st.floats(1, 900), frequency=st.floats(700, 3800), height=st.floats(20, 60))
def test_loss_grows_with_distance(near: float, step: float, frequency: float, height: float) -> None:
    for model in (propagation.uma_nlos, propagation.rma_los, propagation.rma_nlos, propagation.free_space_loss):
        arguments = (frequency,) if model is propagation.free_space_loss else (frequency, height)
        assert model(near + step, *arguments) > model(near, *arguments)
    assert propagation.uma_nlos(near, frequency, height) >= propagation.uma_los(near, frequency, height)


@given(distance=st.floats(0.1, 5000))
def test_line_of_sight_is_a_probability(distance: float) -> None:
    assert 0 < propagation.los_probability_uma(distance) <= 1


@given(off=st.floats(-720, 720), elevation=st.floats(-10, 90), tilt=st.floats(0, 15))
def test_the_pattern_has_its_best_in_the_main_direction(off: float, elevation: float, tilt: float) -> None:
    gain = float(antenna.pattern_gain_db(off, elevation, tilt))
    assert -30 <= gain <= 0
    assert gain == pytest.approx(float(antenna.pattern_gain_db(off + 360, elevation, tilt)), abs=1e-6)
    assert float(antenna.pattern_gain_db(0, tilt, tilt)) == 0


@given(soc=st.floats(0.02, 0.98), current=st.floats(0, 80), kind=st.sampled_from(["VRLA", "LI"]))
def test_voltage_and_charge_are_inverse(soc: float, current: float, kind: battery.Kind) -> None:
    voltage = battery.bus_voltage_v(soc, current, kind)
    assert battery.soc_at_voltage(voltage, current, kind) == pytest.approx(soc, abs=1e-6)


@given(load_kw=st.floats(0.5, 6), capacity=st.floats(50, 600), soh=st.floats(0.2, 1))
def test_discharge_is_what_autonomy_says(load_kw: float, capacity: float, soh: float) -> None:
    rate = battery.discharge_rate_per_s(1e3 * load_kw, capacity, soh)
    assert -rate * 3600 * battery.autonomy_h(load_kw, capacity, soh, depth=0.8) == pytest.approx(0.8)


@given(start=st.floats(-10, 60), target=st.floats(-10, 90), share=st.floats(0.01, 0.99))
def test_a_crossing_is_where_the_curve_is(start: float, target: float, share: float) -> None:
    level = start + share * (target - start)
    seconds = thermal.crossing_s(start, target, level)
    if abs(target - start) > 1e-3:
        assert seconds is not None
        assert thermal.relax(start, target, seconds) == pytest.approx(level, abs=1e-6)
        assert thermal.crossing_s(start, target, target + (target - start)) is None


@given(offered=st.floats(0, 2000), capacity=st.floats(10, 2000))
def test_a_link_carries_no_more_than_it_can(offered: float, capacity: float) -> None:
    result = transport.link_load(offered, capacity, 1.0)
    assert 0 <= result.loss <= 1 and 0 <= result.utilisation <= 1
    assert offered * result.share <= capacity * (1 + 1e-9)
    assert transport.link_load(offered * 1.1, capacity, 1.0).delay_ms >= result.delay_ms


def test_modulation_falls_with_the_level() -> None:
    shares = [step.share if (step := transport.modulation(level)) else 0.0 for level in range(-40, -95, -1)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 1.0 and shares[-1] == 0.0


@given(delay=st.floats(0, 500), loss=st.floats(0, 0.5))
def test_voice_gets_worse_with_delay_and_loss(delay: float, loss: float) -> None:
    score = voice.mean_opinion_score(delay, loss)
    assert 1 <= score <= 4.5
    assert voice.mean_opinion_score(delay + 50, loss) <= score + 1e-9
    assert voice.mean_opinion_score(delay, loss + 0.05) <= score + 1e-9


@given(first=st.integers(0, 837), second=st.integers(0, 837), many=st.integers(1, 10), few=st.integers(1, 10))
def test_roots_conflict_where_they_meet(first: int, second: int, many: int, few: int) -> None:
    mine = {(first + step) % 838 for step in range(many)}
    theirs = {(second + step) % 838 for step in range(few)}
    assert spectrum.roots_conflict(first, many, second, few) == bool(mine & theirs)


def test_intermodulation_of_two_bands_hits_the_uplink() -> None:
    downs = [(1842.5, 20.0), (2140.0, 15.0)]
    assert any(order == 3 for order, _, _ in antenna_line.intermodulation_hits(downs, [(2 * 1842.5 - 2140.0, 20.0)]))
    assert antenna_line.intermodulation_hits([(806.0, 10.0)], [(847.0, 10.0)]) == []


@given(iot=st.floats(0, 40))
def test_interference_hurts_the_uplink(iot: float) -> None:
    assert uplink.uplink_sinr_db(iot + 1, 1) <= uplink.uplink_sinr_db(iot, 1)
    assert 0 <= uplink.preamble_success(iot + 1) <= uplink.preamble_success(iot) <= 1
    assert uplink.uplink_efficiency(iot + 1) >= uplink.uplink_efficiency(iot)


@given(levels=st.lists(st.floats(-130, -60), min_size=1, max_size=6))
def test_powers_add_up(levels: list[float]) -> None:
    total = spectrum.dbm_sum(levels)
    assert max(levels) <= total + 1e-9
    assert total == pytest.approx(float(uplink.add_dbm(*levels)), abs=1e-6)


def test_demand_has_its_peak_on_friday_in_the_busy_hour() -> None:
    for area, day in traffic.DAY.items():
        week = [traffic.demand_factor(area, hour) for hour in range(168)]
        assert len(day) == 24 and max(day) == 1.0
        assert week.index(max(week)) // 24 == 4


def _layer(cells: int = 6, points: int = 40, **changes: object) -> load.LayerRadio:
    x = np.linspace(0, 5000, cells)[:, None]
    rsrp = 20 - propagation.uma_nlos(np.abs(x - np.linspace(0, 5000, points)[None, :]) + 30, 1842.5)
    fields: dict[str, object] = {
        "rsrp_dbm": rsrp,
        "bias_db": np.zeros(cells),
        "bandwidth_mhz": np.full(cells, 20.0),
        "efficiency": np.full(cells, 2.0),
        "noise_dbm": -125.0,
        "downlink_share": 1.0,
        "extra_load": np.zeros(cells),
        "penalty_db": np.zeros(cells),
    }
    return load.LayerRadio(**{**fields, **changes})  # type: ignore[arg-type]


def test_the_load_is_a_fixed_point() -> None:
    demand = np.full(40, 1.2)
    four, many = load.solve(_layer(), demand), load.solve(_layer(), demand, passes=60)
    assert np.allclose(four.load, many.load, atol=0.03)
    assert ((four.load >= load.MIN_LOAD) & (four.load <= 1)).all()


def test_a_cell_off_the_air_moves_its_users_to_its_neighbours() -> None:
    whole = _layer()
    without = whole.rsrp_dbm.copy()
    without[2] = -math.inf
    before, after = load.solve(whole, np.full(40, 1.0)), load.solve(_layer(rsrp_dbm=without), np.full(40, 1.0))
    assert 2 not in after.serving
    assert after.load[2] == load.MIN_LOAD
    assert after.load[1] > before.load[1] and after.load[3] > before.load[3]
    assert after.need.sum() > before.need.sum()


def test_links_together_are_links_one_by_one() -> None:
    capacity = np.array([0.0, 100.0, 1000.0, 10_000.0])
    delay, service = np.array([0.3, 1.2, 0.7, 0.2]), np.array([0.2, 2.0, 2.0, 0.2])
    offered = np.array([[0.0] * 4, [50.0, 94.9, 950.0, 1.0], [1.0, 95.0, 980.0, 9.0], [2e3, 1e5, 1e3, 2e4]])
    together = transport.link_loads(offered, capacity, delay, service)
    for row, line in enumerate(offered.tolist()):
        for place, mbps in enumerate(line):
            alone = transport.link_load(mbps, *(float(part[place]) for part in (capacity, delay, service)))
            assert tuple(float(part[row, place]) for part in together) == tuple(alone)


def test_situations_solved_together_are_as_when_alone() -> None:
    radio = _layer()
    demands = np.linspace(0.0, 3.0, 7)[:, None] * np.linspace(0.5, 1.5, 40)
    for demand, found in zip(demands, load.solve_all(load.cover(radio), demands), strict=True):
        alone = load.solve(radio, demand)
        for name in ("serving", "level_dbm", "sinr_db", "rate_mbps", "need", "load"):
            assert np.array_equal(getattr(found, name), getattr(alone, name)), name


def test_one_pass_takes_the_loads_that_are_assumed_at_first() -> None:
    first = load.solve(_layer(), np.full(40, 1.0), passes=1)
    busier = load.solve(_layer(), np.full(40, 2.0), passes=1)
    assert np.array_equal(first.rate_mbps, busier.rate_mbps)
    assert np.allclose(2 * first.need, busier.need)


def test_days_with_the_same_demand_are_one_day() -> None:
    for hour in range(168):
        typical = traffic.typical_hour(hour)
        assert typical <= hour
        assert np.array_equal(traffic.demand_factors()[typical], traffic.demand_factors()[hour])
    assert len({traffic.typical_hour(hour) for hour in range(168)}) == 24 * 4


@given(st.lists(st.floats(20, 20_000), min_size=1, max_size=5), st.floats(400, 4000), st.floats(10, 60))
def test_losses_of_several_frequencies_are_those_of_each(distances: list[float], mhz: float, height: float) -> None:
    both = [700.0, mhz]
    for model, clear, blocked in (
        (propagation.uma_losses, propagation.uma_los, propagation.uma_nlos),
        (propagation.rma_losses, propagation.rma_los, propagation.rma_nlos),
    ):
        for frequency, (sight, none) in zip(both, model(distances, both, height), strict=True):
            assert np.array_equal(sight, clear(distances, frequency, height))
            assert np.array_equal(none, blocked(distances, frequency, height))
            assert (none >= sight).all()


@given(st.lists(st.tuples(st.floats(0, 600), st.sampled_from([0.0, 0.002, 0.3, 1.0])), min_size=1, max_size=6))
def test_opinions_of_many_are_those_of_each(ways: list[tuple[float, float]]) -> None:
    delay, loss = np.array(ways).T
    assert voice.mean_opinion_scores(delay, loss).tolist() == [voice.mean_opinion_score(*way) for way in ways]
